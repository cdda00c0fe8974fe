"""Live logs: a WebSocket that sends the history of a run's log, and then what comes.

A reader subscribes first, then reads the history, and drops from the live lines what the history had: no gap and no repeat. Where messages
may be missing (the bus lost its connection, or the reader was too slow for its mailbox), the store is read again from there.
"""

from __future__ import annotations

import logging
import secrets
import socket as sockets
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import gevent
import orjson
from flask import Blueprint, Flask, Response, request
from flask_sock import Sock
from gevent.lock import RLock
from simple_websocket import ConnectionClosed, Server

from apiserver.bll.registry.directory import Owner
from apiserver.bll.runs.catalog import RunCatalog, UnknownRun
from apiserver.bll.runs.log_frames import FrameFormat, Line, SeenArrivals
from apiserver.bll.runs.rows import start_after
from apiserver.bll.runs.writer import log_channel
from apiserver.errors import OriginRefused, TidemarkError
from apiserver.fairness import give_way
from apiserver.runs import parameters
from apiserver.runs.limits import Clients
from apiserver.runs.parameters import BadParameter
from apiserver.runs.websocket_frames import text_frames
from apiserver.service_repo.auth import Authenticator
from apiserver.service_repo.errors import failure_of
from apiserver.settings import RunsSettings
from apiserver.stores.base import Bus, BusLost, LogReader, State, StateUnavailable, StoreBusy, StoreError, Subscription
from apiserver.stores.records import LOG, MAX_ITER, MIN_ITER, SEQ_SHIFT, Cursor, EventQuery, PagedEvent

log = logging.getLogger("tidemark.runs")

NORMAL, GOING_AWAY, POLICY, LATER = 1000, 1001, 1008, 1013
MAX_INCOMING = 4096
"""Bytes of a message from a reader (nothing is expected of it); more is answered with close code 1009."""
MAX_TAIL = 100_000
OPENED = "tidemark.opened"
PAGE = 2_000
CHUNK = 64 * 1024
"""Bytes handed to the network at once: each must leave within the patience."""
MAILBOX = 1_000
KNOWN_FOR = 60_000
"""Milliseconds between the arrival of a line and its coming live, at most (clocks of several hosts included)."""
RENEW = 30.0
"""Seconds after which an idle reader renews its place among its client's sockets."""


class Gone(Exception):
    """The reader has closed its socket, or took nothing for too long."""


class Refuse(Exception):
    """Close the socket with a code and a reason."""

    def __init__(self, code: int, reason: str, frame: str | None = None) -> None:
        super().__init__(reason)
        self.code, self.reason, self.frame = code, reason, frame


@dataclass(frozen=True, slots=True)
class LogRequest:
    """What a reader asked for: the last `tail` lines, those from a time on, or those after an arrival; None: all."""

    form: FrameFormat
    tail: int | None = None
    since: int | None = None
    after: int | None = None


class LogSockets:
    """The route of the sockets and the readers that are connected to this worker."""

    def __init__(
        self,
        *,
        store: LogReader,
        bus: Bus,
        state: State,
        catalog: RunCatalog,
        clients: Clients,
        authenticator: Authenticator,
        settings: RunsSettings,
    ) -> None:
        self._store, self._bus, self._state, self._catalog = store, bus, state, catalog
        self._clients, self._authenticator, self._settings = clients, authenticator, settings
        self._readers: set[LogReader] = set()
        self._stopping = False

    def register(self, app: Flask) -> None:
        """Add the route."""
        app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": self._settings.ping or None, "max_message_size": MAX_INCOMING}
        blueprint = Blueprint("run_logs", __name__)
        blueprint.before_request(self._before_handshake)
        blueprint.register_error_handler(Exception, _bad_handshake)
        Sock(app).route("/api/runs/<run>/logs/ws", bp=blueprint)(self._serve)
        app.register_blueprint(blueprint)

    def stop(self) -> None:
        """Tell every reader that the server goes away."""
        self._stopping = True
        gevent.joinall([gevent.spawn(reader.leave, GOING_AWAY, "the server stops") for reader in list(self._readers)], timeout=2)

    def _before_handshake(self) -> Response | None:
        """A page that may not call gets 403 and no socket. Compression is not offered: it would cost 90 kB for each socket."""
        request.environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        request.environ[OPENED] = time.time_ns() // 1_000_000
        try:
            self._authenticator.check_gate(request.headers)  # type: ignore[arg-type]  # werkzeug's Headers is a mapping in all but name
        except OriginRefused as error:
            return Response(orjson.dumps({"detail": failure_of(error, "").message}), 403, content_type="application/json")
        return None

    def _serve(self, ws: Server, run: str) -> None:
        reader = LogReader(ws, self._settings.patience)
        self._readers.add(reader)
        try:
            self._read(reader, run)
        except Gone:
            pass
        except Refuse as refusal:
            if refusal.frame is not None:
                reader.send([refusal.frame])
            reader.leave(refusal.code, refusal.reason)
        except (ConnectionClosed, OSError):
            pass
        except StoreError as error:
            log.warning("a log socket ends: %s", error)
            reader.leave(LATER if isinstance(error, StoreBusy) else 1011, "the store can't be read now")
        except Exception:
            log.exception("a log socket failed")
            reader.leave(1011, "internal error")
        finally:
            self._readers.discard(reader)
            reader.end()

    def _read(self, reader: LogReader, run: str) -> None:
        if self._stopping:
            raise Refuse(GOING_AWAY, "the server stops")
        place = f"sockets:{self._clients.address(request.environ)}"
        if not self._claim(place, reader):
            raise Refuse(POLICY, f"at most {self._settings.sockets} log sockets for one client")
        try:
            owner, wanted = self._admit(run)
            with self._bus.subscribe(log_channel(owner.company, owner.id), MAILBOX) as mailbox:
                pump = Pump(self._store, owner, wanted, reader, request.environ[OPENED] << SEQ_SHIFT)
                pump.history()
                self._follow(pump, mailbox, place, reader)
        finally:
            self._release(place, reader)

    def _follow(self, pump: Pump, mailbox: Subscription, place: str, reader: LogReader) -> None:
        renewed = time.monotonic()
        while True:
            try:
                message = mailbox.get(RENEW)
            except BusLost:
                pump.catch_up()
                continue
            if message is not None:
                pump.live(message)
            if time.monotonic() - renewed >= RENEW:
                self._claim(place, reader)
                renewed = time.monotonic()

    def _admit(self, run: str) -> tuple[Owner, LogRequest]:
        try:
            identity = self._authenticator.admit(request.headers, lambda: request.cookies, request.args.get("token")).identity  # type: ignore[arg-type]
        except TidemarkError as error:
            raise Refuse(POLICY, failure_of(error, "").message[:120]) from None
        try:
            return self._catalog.find(identity.company, run), _wanted(request.args)
        except UnknownRun:
            raise Refuse(NORMAL, "", "[error] run not found") from None
        except BadParameter as error:
            name = error.problem["loc"][1]
            raise Refuse(POLICY, f"bad parameter {name}", f"[error] {name}: {error}") from None

    def _claim(self, place: str, reader: LogReader) -> bool:
        try:
            return not self._settings.sockets or self._state.claim(place, reader.id, self._settings.sockets, 3 * RENEW)
        except StateUnavailable:
            return True

    def _release(self, place: str, reader: LogReader) -> None:
        with suppress(StateUnavailable):  # it expires
            self._state.release(place, reader.id)


class LogReader:
    """One socket: sends frames, and ends its greenlet when the other side has gone."""

    def __init__(self, ws: Server, patience: float) -> None:
        self.id = secrets.token_hex(8)
        self._ws = ws
        self._wire = Wire(ws.sock, patience)
        ws.sock = self._wire
        ws.input_buffer = _Discarding()
        self._greenlet: Any = gevent.getcurrent()
        ws.event = self  # what a closed connection wakes
        if not ws.connected:
            raise Gone

    def send(self, frames: list[str]) -> None:
        """Send text frames. Raises Gone."""
        if not self._ws.connected:
            raise Gone
        data = text_frames(frames)
        try:
            for start in range(0, len(data), CHUNK):
                self._wire.send(data[start : start + CHUNK])
        except OSError:
            raise Gone from None

    def leave(self, code: int, reason: str) -> None:
        """Close from our side, and wait a moment for the other side's answer."""
        greenlet, self._greenlet = self._greenlet, None  # the answer must not end us while we wait for it
        try:
            self._ws.close(code, reason.encode()[:120].decode("utf-8", "ignore"))
            self._ws.thread.join(1)
        except (ConnectionClosed, OSError):
            pass
        if greenlet is not None and greenlet is not gevent.getcurrent():
            greenlet.kill(Gone, block=False)

    def end(self) -> None:
        """The greenlet is about to end by itself: nothing may wake it any more."""
        self._greenlet = None

    # The interface of an event, for the receiving side: set for messages (which nobody reads) and when the connection has ended.

    def set(self) -> None:
        greenlet = self._greenlet
        if greenlet is not None and not self._ws.connected and greenlet is not gevent.getcurrent():
            self._greenlet = None
            greenlet.kill(Gone, block=False)

    def clear(self) -> None:
        """Nothing to do."""


class Wire:
    """A socket whose every `send` sends all of it, one sender at a time, and within the patience: whoever takes nothing for so long is dropped."""

    def __init__(self, sock: Any, patience: float) -> None:
        self._sock = sock
        self._patience = patience
        self._lock = RLock()

    def send(self, data: bytes) -> int:
        with self._lock:
            self._sock.settimeout(self._patience)
            try:
                self._sock.sendall(data)
            except OSError:  # a time-out too; half a frame may have gone out, so nothing can follow it
                self._abandon()
                raise
        return len(data)

    def _abandon(self) -> None:
        with suppress(OSError):  # the other side was faster
            self._sock.shutdown(sockets.SHUT_RDWR)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Discarding(list[Any]):
    """Messages from readers, which mean nothing."""

    def append(self, item: Any) -> None:
        """Forget it."""


@dataclass(slots=True)
class Pump:
    """Moves the lines of one log to one reader, each once."""

    store: LogReader
    run: Owner
    wanted: LogRequest
    reader: LogReader
    opened: int
    """The seq of the moment when the socket was opened: what comes later is wanted, whatever the tail."""
    seen: SeenArrivals = field(default_factory=SeenArrivals)

    @property
    def floor(self) -> int:
        """From this seq on it is known what was sent."""
        return self.opened - (KNOWN_FOR << SEQ_SHIFT)

    def history(self) -> None:
        """What is stored, as the reader wants it."""
        for lines in self._tail() if self.wanted.tail is not None else self._stored():
            # Only what arrived lately can also come live.
            self.seen.add(line.seq for line in lines if line.seq >= self.floor)
            self._send(lines)

    def live(self, message: bytes) -> None:
        """Lines from the bus."""
        self._send_new([Line(*line) for line in orjson.loads(message)])

    def catch_up(self) -> None:
        """Messages may be missing: what arrived lately and was not sent yet, from the store."""
        for lines in self._read(from_seq=max(self.seen.horizon, self.floor)):
            self._send_new(lines)

    def _send_new(self, lines: list[Line]) -> None:
        seen = self.seen
        new = [line for line in lines if line.seq not in seen]
        seen.add(line.seq for line in new)
        if self.wanted.after is not None:
            new = [line for line in new if line.seq > self.wanted.after]
        self._send(new)

    def _send(self, lines: list[Line]) -> None:
        frames = self.wanted.form.frames(lines)
        if frames:
            self.reader.send(frames)

    def _stored(self) -> Iterator[list[Line]]:
        since, after = self.wanted.since, self.wanted.after
        start = None if since is None else start_after(max(since, MIN_ITER + 1))
        yield from self._read(after=start, from_seq=None if after is None else min(after + 1, MAX_ITER))

    def _tail(self) -> Iterator[list[Line]]:
        """The last lines that are shown, oldest first, of what had arrived before the socket was opened; then the rest."""
        for stored in self._read(from_seq=self.floor, until_seq=self.opened - 1):
            self.seen.add(line.seq for line in stored)
        left, form = self.wanted.tail or 0, self.wanted.form
        parts: list[list[Line]] = []
        for lines in self._lines_back(self.opened - 1) if left else ():
            part: list[Line] = []
            for line in lines:
                count = len(form.frames([line]))
                if count:
                    part.append(_last_lines(line, left) if count > left and not form.as_json else line)
                    left -= count
                    if left <= 0:
                        break
            parts.append(part[::-1])
            if left <= 0:
                break
        yield from parts[::-1]
        yield from self._read(from_seq=self.opened)

    def _lines_back(self, until_seq: int) -> Iterator[list[Line]]:
        """Newest first, as far as `since` and `after` let them through."""
        since, after = self.wanted.since, self.wanted.after
        for lines in self._read(descending=True, until_seq=until_seq, from_seq=None if after is None else min(after + 1, MAX_ITER)):
            wanted = [line for line in lines if since is None or line.timestamp >= since]
            yield wanted
            if len(wanted) < len(lines):
                return

    def _read(
        self, *, after: Cursor | None = None, descending: bool = False, from_seq: int | None = None, until_seq: int | None = None
    ) -> Iterator[list[Line]]:
        query = EventQuery(self.run.id, (LOG,), from_seq=from_seq, until_seq=until_seq)
        for page in self.store.scan_log(self.run.company, query, after=after, descending=descending, chunk=PAGE):
            yield [_line(found) for found in page]
            give_way()


def _wanted(args: Mapping[str, str]) -> LogRequest:
    form = FrameFormat(
        as_json=parameters.choice(args, "format", ("json", "text")) == "json",
        hide_progress=parameters.choice(args, "tqdm", ("hide", "show")) == "hide",
    )
    tail = parameters.whole(args, "tail", 0, MAX_TAIL)
    since = parameters.whole(args, "since")
    after = parameters.whole(args, "after")
    return LogRequest(
        form, tail, None if since is None else parameters.bounded(since), None if after is None else parameters.bounded(after)
    )


def _last_lines(line: Line, count: int) -> Line:
    """The last lines of a message with several."""
    parts = [part for part in (line.msg or "").splitlines() if part and not part.isspace()]
    return line._replace(msg="\n".join(parts[-count:]))


def _line(found: PagedEvent) -> Line:
    event, cursor = found
    return Line(cursor.seq, cursor.timestamp, event.get("level"), event.get("worker"), event.get("msg"))


def _bad_handshake(error: Exception) -> Response:
    """What can't be made a socket is the client's fault."""
    return Response(orjson.dumps({"detail": f"Not a WebSocket handshake: {error}"[:300]}), 400, content_type="application/json")
