"""gunicorn's gevent worker, with limits for clients that hold a connection and send little or nothing.

A connection costs a slow client nothing, so places are limited: by address, and for clients that have shown no login yet. A request must keep
a pace: its head within HEAD_SECONDS, its body at LEAST_RATE.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import gevent
from gunicorn.http.errors import ParseException
from gunicorn.workers.ggevent import GeventWorker

from apiserver.common.addresses import network_of
from apiserver.service_repo.visit import Visitors
from apiserver.settings import ServerSettings

HEAD_SECONDS = 10.0
"""Seconds that the server waits for the head of a request, in all."""
GRACE = 10.0
LEAST_RATE = 1000.0
"""Bytes a second that a body must bring, after GRACE seconds of waiting for it. The time in which the server is busy does not count."""
REFUSED_RATE = 1_000_000.0
"""The same for the rest of a body that nobody wants."""
KEPT_SECONDS = 15.0
"""Seconds that a browser's connection stays open for its next request."""
KEPT_BODY = 1_000_000
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nServer: tidemark\r\nConnection: close\r\nRetry-After: 1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 52\r\n\r\n" + b'{"detail":"too many connections; try again later"}\r\n'
)
JOINED = 1 << 16
"""Bytes of an answer's body up to which it is joined with its head."""


class Places:
    """How many connections an address (of IPv6: its /64 network) holds, and how many of them have shown no login yet."""

    def __init__(self, settings: ServerSettings) -> None:
        total = settings.connections
        self._per_address = settings.connections_per_address or max(1, total // 2)
        self._without_login = settings.connections_without_login or max(1, total // 2)
        self._visitors = Visitors(settings.proxies)
        self._held: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._unknown_total = 0

    def enter(self, address: str) -> Place | None:
        """A place for a connection; None when this address, or everybody without a login, holds too many."""
        proxy, address = self._visitors.is_proxy(address), network_of(address)
        if not proxy:  # all clients of a proxy come from its address
            if self._held[address] >= self._per_address or self._unknown_total >= self._without_login:
                return None
            if self._unknown[address] >= max(1, self._without_login // 2):
                return None
        self._held[address] += 1
        self._unknown[address] += 1
        self._unknown_total += 1
        return Place(self, address)

    def admit(self, address: str) -> None:
        """One of the address's connections has shown a login."""
        self._unknown_total -= 1
        _less(self._unknown, address)

    def leave(self, address: str) -> None:
        """A connection is closed."""
        _less(self._held, address)

    def held(self, address: str) -> int:
        """The connections of an address."""
        return self._held[network_of(address)]


class Place:
    """The place of one connection."""

    def __init__(self, places: Places, address: str) -> None:
        self._places, self._address = places, address
        self._unknown = True

    def admit(self) -> None:
        """The client has shown a login."""
        if self._unknown:
            self._unknown = False
            self._places.admit(self._address)

    def leave(self) -> None:
        """The connection is closed."""
        self.admit()
        self._places.leave(self._address)


def _less(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if counts[key] <= 0:
        del counts[key]


class PacedSocket:
    """A client's socket whose `recv` raises TimeoutError when the client falls behind. The head of an answer is sent together with the beginning of its
    body. All else is the socket's own."""

    def __init__(self, sock: Any, place: Place, idle_timeout: float) -> None:
        self._sock, self._place, self._idle = sock, place, idle_timeout
        self._credit = self._most = HEAD_SECONDS
        self._rate = 0.0
        self._paced = True
        self._ended = False
        self._awaits_head = False
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def admitted(self) -> None:
        """The caller of this request has shown a login."""
        self._place.admit()

    def expect_body(self, rate: float = LEAST_RATE) -> None:
        """From now on, `rate` bytes a second after GRACE seconds. What came faster is no credit for a silence longer than the idle time-out."""
        self._credit, self._most, self._rate = GRACE, max(GRACE, self._idle), rate

    def expect_head(self) -> None:
        """From now on, the next request of a connection that is kept, after a failed handshake too."""
        self._credit = self._most = KEPT_SECONDS
        self._rate = 0.0
        self._paced = True
        self._sock.settimeout(self._idle)

    def end(self) -> None:
        """No further request is awaited: `recv` returns as if the client had closed."""
        self._ended = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def refuse_body(self) -> None:
        """What still comes is read only so that the client sees the answer."""
        self.expect_body(REFUSED_RATE)

    def hold_head(self) -> None:
        """What `sendall` gets next is the head of an answer, and goes out with what follows: gunicorn sends them apart, and each packet wakes the client."""
        self._awaits_head = True

    def send_head(self) -> None:
        """The answer has ended: send its head if nothing followed it."""
        self._awaits_head = False
        if self._head:
            head, self._head = self._head, b""
            self._sock.sendall(head)

    def sendall(self, data: bytes, *flags: int) -> None:
        if self._awaits_head:
            self._awaits_head, self._head = False, data
            return
        if self._head and len(data) <= JOINED:
            data, self._head = self._head + data, b""
        elif self._head:
            self.send_head()
        self._sock.sendall(data, *flags)

    def sendfile(self, *args: Any, **options: Any) -> Any:
        self.send_head()
        return self._sock.sendfile(*args, **options)

    def unlimited(self) -> None:
        """The connection becomes a WebSocket, whose reader may be silent for hours, and whose messages have no head."""
        self.send_head()
        self._paced = False
        self._sock.settimeout(None)

    def recv(self, size: int, *flags: int) -> bytes:
        """Read; the time that passes here is the client's."""
        if not self._paced:
            data: bytes = self._sock.recv(size, *flags)
            return data
        if self._credit <= 0:
            raise TimeoutError("the client sends too slowly")
        started = time.monotonic()
        self._sock.settimeout(min(self._credit, self._idle))
        try:
            data = self._sock.recv(size, *flags)
        except OSError:
            if not self._ended:
                raise
            data = b""
        finally:
            self._sock.settimeout(self._idle)
            self._credit -= time.monotonic() - started
        if self._rate:
            self._credit = min(self._credit + len(data) / self._rate, self._most)
        return data


class CheckedBody:
    """gunicorn's request body; a malformed chunk is an OSError, as a broken connection is."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def read(self, size: int | None = None) -> bytes:
        """As gunicorn's."""
        try:
            data: bytes = self._body.read(size)
        except ParseException as error:
            raise OSError(f"the body is malformed: {error}") from error
        return data

    def readline(self, size: int | None = None) -> bytes:
        """As gunicorn's."""
        try:
            data: bytes = self._body.readline(size)
        except ParseException as error:
            raise OSError(f"the body is malformed: {error}") from error
        return data


def _is_kept(headers: dict[str, str]) -> bool:
    """Whether the connection of a request stays open for the next one.

    ClearML's SDK forks with open sockets, and parent and child would read each other's answers. Only browsers send `Sec-Fetch-Mode`. A large body
    ends its connection, so that what is left of a refused one need not be read.
    """
    length = headers.get("CONTENT-LENGTH", "0")
    small = "TRANSFER-ENCODING" not in headers and length.isascii() and length.isdigit() and int(length) <= KEPT_BODY
    return "SEC-FETCH-MODE" in headers and small


class Worker(GeventWorker):  # type: ignore[misc]  # untyped package
    """gunicorn's gevent worker with places and a pace."""

    settings: ServerSettings
    """Set before the first request."""
    places: Places

    def limit(self, settings: ServerSettings) -> None:
        """Take the limits from the settings."""
        self.settings, self.places = settings, Places(settings)
        # gunicorn looks each setting up and checks it again, some thirty of them for every request.
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        self._kept: set[PacedSocket] = set()

    def timeout_ctx(self) -> AbstractContextManager[None]:
        """No time-out beside the pace of `PacedSocket`."""
        return nullcontext()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        place = self.places.enter(str(addr[0]))
        if place is None:
            with suppress(OSError):
                client.settimeout(1)
                client.sendall(FULL)
                client.close()
            return
        paced = PacedSocket(client, place, self.settings.idle_timeout)
        try:
            super(GeventWorker, self).handle(listener, paced, addr)  # skips GeventWorker.handle, which removes the time-out
        finally:
            self._kept.discard(paced)
            place.leave()

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        self._kept.discard(sock)
        sock.expect_body()
        req.body = CheckedBody(req.body)
        if not _is_kept(dict(req.headers)):
            req.must_close = True
        sock.hold_head()
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.send_head()
        sock.expect_head()
        self._kept.add(sock)

    def handle_exit(self, sig: Any, frame: Any) -> None:
        self._say_goodbye()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: Any, frame: Any) -> None:
        self._say_goodbye()
        super().handle_quit(sig, frame)

    def _say_goodbye(self) -> None:
        """Close log sockets and kept connections, which would otherwise stay open until the graceful time-out."""
        for sock in list(getattr(self, "_kept", ())):
            sock.end()
        app = getattr(self, "wsgi", None)  # not there yet when the signal comes early
        for goodbye in getattr(app, "extensions", {}).get("tidemark.stopping", ()):
            gevent.spawn(goodbye)
