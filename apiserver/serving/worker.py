"""gunicorn's gevent worker with limits against slow clients (Slowloris).

Connections are limited by address, and for clients that are not authenticated yet. A request must arrive in time: its head within
HEAD_SECONDS, its body at LEAST_RATE.
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
from apiserver.service_repo.request_info import TrustedProxies
from apiserver.settings import ServerSettings

HEAD_SECONDS = 10.0
"""Seconds in which the whole head of a request must arrive."""
GRACE = 10.0
"""Seconds of waiting for a body before LEAST_RATE applies."""
LEAST_RATE = 1000.0
"""Least rate of a body in bytes/s. Only time that the server spends waiting counts."""
REFUSED_RATE = 1_000_000.0
"""The same for the rest of a refused body."""
KEPT_SECONDS = 15.0
"""Seconds that a browser's connection is kept alive."""
STRANGER_SECONDS = 60.0
"""Seconds for which the connection of a client without a login is kept alive at most, whatever it asks and however slowly it reads."""
KEPT_BODY = 1_000_000
"""A connection is closed after a request with a larger body."""
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nServer: tidemark\r\nConnection: close\r\nRetry-After: 1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 52\r\n\r\n" + b'{"detail":"too many connections; try again later"}\r\n'
)
JOINED = 1 << 16
"""Body chunks of up to this many bytes are sent in one packet with the head."""


class ConnectionLimits:
    """Counts connections by address (IPv6: by /64 network), and those that are not authenticated yet."""

    def __init__(self, settings: ServerSettings) -> None:
        total = settings.connections
        self._per_address = settings.connections_per_address or max(1, total // 2)
        self._without_login = settings.connections_without_login or max(1, total // 2)
        self._proxies = TrustedProxies(settings.proxies)
        self._held: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._unknown_total = 0

    def acquire(self, address: str) -> ConnectionSlot | None:
        """Count a new connection; None when its address, or all unauthenticated clients together, have too many."""
        proxy, address = self._proxies.is_proxy(address), network_of(address)
        if not proxy:  # many clients share a proxy's address
            if self._held[address] >= self._per_address or self._unknown_total >= self._without_login:
                return None
            if self._unknown[address] >= max(1, self._without_login // 2):
                return None
        self._held[address] += 1
        self._unknown[address] += 1
        self._unknown_total += 1
        return ConnectionSlot(self, address)

    def authenticated(self, address: str) -> None:
        """One of the address's connections is authenticated."""
        self._unknown_total -= 1
        _less(self._unknown, address)

    def release(self, address: str) -> None:
        """A connection is closed."""
        _less(self._held, address)

    def held(self, address: str) -> int:
        """The number of open connections of an address."""
        return self._held[network_of(address)]


class ConnectionSlot:
    """One counted connection."""

    def __init__(self, limits: ConnectionLimits, address: str) -> None:
        self._limits, self._address = limits, address
        self._unknown = True
        self._opened = time.monotonic()

    @property
    def is_used_up(self) -> bool:
        """Whether a client without a login has had its place for long enough."""
        return self._unknown and time.monotonic() - self._opened > STRANGER_SECONDS

    def authenticated(self) -> None:
        """The client is authenticated. May be called for every request."""
        if self._unknown:
            self._unknown = False
            self._limits.authenticated(self._address)

    def release(self) -> None:
        """The connection is closed."""
        self.authenticated()
        self._limits.release(self._address)


def _less(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if counts[key] <= 0:
        del counts[key]


class PacedSocket:
    """A client's socket. `recv` raises TimeoutError when the client sends too slowly; the head of an answer goes out with the beginning of its body.
    Everything else is the socket's own."""

    def __init__(self, sock: Any, slot: ConnectionSlot, idle_timeout: float) -> None:
        self._sock, self._slot, self._idle = sock, slot, idle_timeout
        self._credit = self._most = HEAD_SECONDS
        self._rate = 0.0
        self._paced = True
        self._ended = False
        self._awaits_head = False
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def admitted(self) -> None:
        """The caller of this request is authenticated."""
        self._slot.authenticated()

    @property
    def is_used_up(self) -> bool:
        """Whether the connection should be closed after this request, to leave its place to others."""
        return self._slot.is_used_up

    def expect_body(self, rate: float = LEAST_RATE) -> None:
        """From now on the client must send `rate` bytes/s, after GRACE seconds. Faster data earns credit, up to the idle time-out."""
        self._credit, self._most, self._rate = GRACE, max(GRACE, self._idle), rate

    def expect_head(self) -> None:
        """A kept connection waits for its next request (also after a failed WebSocket handshake)."""
        self._credit = self._most = KEPT_SECONDS
        self._rate = 0.0
        self._paced = True
        self._sock.settimeout(self._idle)

    def end(self) -> None:
        """Accept no further request: `recv` returns as if the client had closed the connection."""
        self._ended = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def refuse_body(self) -> None:
        """The rest of the body is only drained, so that the client sees the answer: it must come fast."""
        self.expect_body(REFUSED_RATE)

    def hold_head(self) -> None:
        """Hold back the next `sendall`, the head of an answer, and send it with the data that follow: gunicorn sends two packets, and each wakes the
        client."""
        self._awaits_head = True

    def send_head(self) -> None:
        """Send a held head: nothing followed it."""
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
        """The connection becomes a WebSocket: its client may be silent for hours, and its messages have no head."""
        self.send_head()
        self._paced = False
        self._sock.settimeout(None)

    def recv(self, size: int, *flags: int) -> bytes:
        """Read up to `size` bytes. The time spent waiting here is charged to the client."""
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
    """gunicorn's request body, but a malformed chunk raises OSError, as a broken connection does."""

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
    """Whether the connection is kept alive after this request: only for browsers, which send `Sec-Fetch-Mode`, and small bodies.

    ClearML's SDK forks with open sockets: parent and child would read each other's answers. After a large body the connection is closed, so that the
    rest of a refused one need not be read.
    """
    length = headers.get("CONTENT-LENGTH", "0")
    small = "TRANSFER-ENCODING" not in headers and length.isascii() and length.isdigit() and int(length) <= KEPT_BODY
    return "SEC-FETCH-MODE" in headers and small


class Worker(GeventWorker):  # type: ignore[misc]  # untyped package
    """gunicorn's gevent worker with limits on connections and on slow requests."""

    settings: ServerSettings
    """Set by `limit` before the first request."""
    connection_limits: ConnectionLimits

    def limit(self, settings: ServerSettings) -> None:
        """Take the limits from the settings."""
        self.settings, self.connection_limits = settings, ConnectionLimits(settings)
        # gunicorn's Config looks up and validates a setting at each access, thirty times a request; plain attributes skip that.
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        self._kept: set[PacedSocket] = set()

    def timeout_ctx(self) -> AbstractContextManager[None]:
        """gunicorn's own time-out is off: `PacedSocket` has its limits."""
        return nullcontext()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        slot = self.connection_limits.acquire(str(addr[0]))
        if slot is None:
            with suppress(OSError):
                client.settimeout(1)
                client.sendall(FULL)
                client.close()
            return
        paced = PacedSocket(client, slot, self.settings.idle_timeout)
        try:
            super(GeventWorker, self).handle(listener, paced, addr)  # skips GeventWorker.handle, which removes the time-out
        finally:
            self._kept.discard(paced)
            slot.release()

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        self._kept.discard(sock)
        sock.expect_body()
        req.body = CheckedBody(req.body)
        if sock.is_used_up or not _is_kept(dict(req.headers)):
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
