"""Live logs: the route of the WebSocket, its handshake, its login and its close codes. Which lines are sent, `bll/runs/log_feed.py` decides."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import gevent
import orjson
from flask import Blueprint, Flask, Response, request
from flask_sock import Sock
from simple_websocket import ConnectionClosed, Server

from apiserver.bll.events.live_changes import LiveChanges
from apiserver.bll.events.live_log import LiveLog, LiveLogReader
from apiserver.bll.registry.directory import Owner
from apiserver.bll.runs.catalog import RunCatalog, UnknownRun
from apiserver.bll.runs.log_feed import LogFeed, LogRequest
from apiserver.bll.runs.log_frames import FrameFormat
from apiserver.common import patience
from apiserver.common.metrics import SOCKETS
from apiserver.errors import OriginRefused, TidemarkError
from apiserver.runs import parameters
from apiserver.runs.live import LiveFeed, NewestRuns
from apiserver.runs.parameters import BadParameter
from apiserver.runs.socket_reader import Gone, SocketReader
from apiserver.service_repo.auth import Authenticator, Caller
from apiserver.service_repo.errors import failure_of
from apiserver.settings import RunsSettings
from apiserver.stores.base import LogReader
from apiserver.stores.errors import BusLost, StateUnavailable, StoreBusy, StoreError
from apiserver.stores.records import SEQ_SHIFT
from apiserver.stores.registry import Registry
from apiserver.stores.state import Bus, State

log = logging.getLogger("tidemark.runs")

NORMAL, GOING_AWAY, POLICY, LATER = 1000, 1001, 1008, 1013
MAX_INCOMING = 65_536
"""Bytes of a message from a client: the runs that a page shows; more is answered with close code 1009."""
MAX_TAIL = 100_000
OPENED = "tidemark.opened"
MAILBOX = 1_000
CHECK = 3.0
"""Seconds between checks that the reader's login is still valid."""
RENEW = 30.0
"""Seconds after which an idle reader renews its place among its client's sockets."""


class Refuse(Exception):
    """Close the socket with a code and a reason."""

    def __init__(self, code: int, reason: str, frame: str | None = None) -> None:
        super().__init__(reason)
        self.code, self.reason, self.frame = code, reason, frame


class LogSockets:
    """The route of the sockets and the readers that are connected to this worker."""

    def __init__(
        self,
        *,
        store: LogReader,
        bus: Bus,
        registry: Registry,
        state: State,
        catalog: RunCatalog,
        authenticator: Authenticator,
        settings: RunsSettings,
    ) -> None:
        self._store, self._live_log, self._state, self._catalog = store, LiveLog(bus), state, catalog
        self._live_changes, self._registry, self._newest = LiveChanges(bus), registry, NewestRuns(registry)
        self._authenticator, self._settings = authenticator, settings
        self._readers: set[SocketReader] = set()
        self._stopping = False

    def register(self, app: Flask) -> None:
        """Add the route."""
        app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": self._settings.ping or None, "max_message_size": MAX_INCOMING}
        blueprint = Blueprint("run_logs", __name__)
        blueprint.before_request(self._before_handshake)
        blueprint.register_error_handler(Exception, _bad_handshake)
        sock = Sock(app)
        sock.route("/api/runs/<run_id:run>/logs/ws", bp=blueprint)(self._serve_log)
        sock.route("/api/live", bp=blueprint)(self._serve_live)
        app.register_blueprint(blueprint)

    def stop(self) -> None:
        """Close every socket: the server stops."""
        self._stopping = True
        gevent.joinall([gevent.spawn(reader.leave, GOING_AWAY, "the server stops") for reader in list(self._readers)], timeout=2)

    def _before_handshake(self) -> Response | None:
        """A page that may not call gets 403 and no socket. Compression is not offered: it would cost 90 kB for each socket."""
        request.environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        request.environ[OPENED] = time.time_ns() // 1_000_000
        try:
            self._authenticator.check_origin(request.headers)  # type: ignore[arg-type]  # werkzeug's Headers is a mapping in all but name
        except OriginRefused as error:
            return Response(orjson.dumps({"detail": failure_of(error, "").message}), 403, content_type="application/json")
        request.environ["tidemark.upgraded"] = True
        patience.end()
        if "gunicorn.socket" in request.environ:
            request.environ["gunicorn.socket"].unlimited()
        return None

    def _serve_log(self, ws: Server, run: str) -> None:
        self._serve(SocketReader(ws, self._settings.patience), lambda reader: self._read(reader, run))

    def _serve_live(self, ws: Server) -> None:
        mailbox: list[str | bytes] = []
        handlers: list[Callable[[str | bytes], None]] = [mailbox.append]  # messages may come before the login is checked
        reader = SocketReader(ws, self._settings.patience, lambda message: handlers[-1](message))
        self._serve(reader, lambda reader: self._live(reader, mailbox, handlers))

    def _live(self, reader: SocketReader, early: list[str | bytes], handlers: list[Callable[[str | bytes], None]]) -> None:
        """Tell a page what changes. Its sockets are limited for each user: behind a proxy all users have one address."""
        if self._stopping:
            raise Refuse(GOING_AWAY, "the server stops")
        caller = self._identify()
        identity = caller.identity
        place = f"live:{len(identity.company)}:{identity.company}:{identity.user}"
        limit = self._settings.live_sockets
        if not self._claim(place, reader, limit):
            raise Refuse(POLICY, f"at most {limit} live sockets for one user")
        try:
            feed = LiveFeed(self._registry, self._newest, identity.company, reader.send)
            with self._live_changes.subscribe(identity.company, MAILBOX) as mailbox:
                handlers.append(feed.received)
                for message in early[-1:]:
                    feed.received(message)
                checked = renewed = time.monotonic()
                while True:
                    feed.step(mailbox)
                    if time.monotonic() - checked >= CHECK:
                        if not self._authenticator.is_still_valid(caller):
                            raise Refuse(POLICY, "the login has ended")
                        checked = time.monotonic()
                    if time.monotonic() - renewed >= RENEW:
                        self._claim(place, reader, limit)
                        renewed = time.monotonic()
        finally:
            self._release(place, reader)

    def _serve(self, reader: SocketReader, read: Callable[[SocketReader], None]) -> None:
        self._readers.add(reader)
        SOCKETS.set(len(self._readers))
        try:
            read(reader)
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
            SOCKETS.set(len(self._readers))
            reader.end()

    def _read(self, reader: SocketReader, run: str) -> None:
        if self._stopping:
            raise Refuse(GOING_AWAY, "the server stops")
        caller, owner, wanted = self._admit(run)  # before a place is taken: neighbours behind one address may have a login
        place = f"sockets:{self._authenticator.request_info(request.environ, changes=False).address}"
        if not self._claim(place, reader, self._settings.sockets):
            raise Refuse(POLICY, f"at most {self._settings.sockets} log sockets for one client")
        try:
            with self._live_log.subscribe(owner, MAILBOX) as mailbox:
                feed = LogFeed(self._store, owner, wanted, reader.send, request.environ[OPENED] << SEQ_SHIFT)
                feed.history()
                self._follow(feed, mailbox, place, reader, caller, owner)
        finally:
            self._release(place, reader)

    def _follow(self, feed: LogFeed, mailbox: LiveLogReader, place: str, reader: SocketReader, caller: Caller, owner: Owner) -> None:
        checked = renewed = time.monotonic()
        while True:
            try:
                lines = mailbox.get(CHECK)
            except BusLost:
                feed.catch_up()
                continue
            if time.monotonic() - checked >= CHECK:
                if not self._authenticator.is_still_valid(caller):
                    raise Refuse(POLICY, "the login has ended")
                self._check_readable(caller, owner)
                checked = time.monotonic()
            feed.live(lines)
            if time.monotonic() - renewed >= RENEW:
                self._claim(place, reader, self._settings.sockets)
                renewed = time.monotonic()

    def _check_readable(self, caller: Caller, owner: Owner) -> None:
        """A run of another company may be public no more. Raises Refuse."""
        if owner.company != caller.identity.company:
            with suppress(StoreBusy):  # what was known holds until the store answers again
                try:
                    self._catalog.find(caller.identity.company, owner.id)
                except UnknownRun:
                    raise Refuse(NORMAL, "", "[error] run not found") from None

    def _identify(self) -> Caller:
        try:
            request_info = self._authenticator.request_info(request.environ, changes=False)
            return self._authenticator.admit(request.headers, lambda: request.cookies, request.args.get("token"), request_info=request_info)  # type: ignore[arg-type]
        except TidemarkError as error:
            raise Refuse(POLICY, failure_of(error, "").message[:120]) from None

    def _admit(self, run: str) -> tuple[Caller, Owner, LogRequest]:
        caller = self._identify()
        try:
            return caller, self._catalog.find(caller.identity.company, run), _wanted(request.args)
        except UnknownRun:
            raise Refuse(NORMAL, "", "[error] run not found") from None
        except BadParameter as error:
            name = error.problem["loc"][1]
            raise Refuse(POLICY, f"bad parameter {name}", f"[error] {name}: {error}") from None

    def _claim(self, place: str, reader: SocketReader, limit: int) -> bool:
        try:
            return not limit or self._state.claim(place, reader.id, limit, 3 * RENEW)
        except StateUnavailable:
            return True

    def _release(self, place: str, reader: SocketReader) -> None:
        with suppress(StateUnavailable):  # it expires
            self._state.release(place, reader.id)


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


def _bad_handshake(error: Exception) -> Response:
    """A failed handshake is the client's error."""
    return Response(orjson.dumps({"detail": f"Not a WebSocket handshake: {error}"[:300]}), 400, content_type="application/json")
