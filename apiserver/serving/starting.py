"""A worker process whose store is unavailable at start: it retries, logs that it waits, and answers 503 in the meantime."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import gevent
import orjson
from gevent.event import Event

from apiserver.app import Draining
from apiserver.common.outages import is_first
from apiserver.errors import StoreNotReady
from apiserver.service_repo.envelope import CallMeta, wrap

log = logging.getLogger("tidemark")

FIRST_TRY_SECONDS = 60.0
"""The worker accepts no calls before the first attempt has succeeded or failed, or this time has passed."""
GRACE_SECONDS = 3.0
"""A store that answers within this time was only busy: many workers start at once, and the first of them creates the indices."""
PAUSE_SECONDS = 1.0
SAY_SECONDS = 5.0
RETRY_AFTER = 2
ALIVE = ("/healthz", "/api/healthz")
MESSAGE = "Temporarily unavailable (the server starts, and waits for its store)"


class StartingApp:
    """WSGI application: 503 until `make` returns the real one. `make` raises StoreNotReady while a retry makes sense."""

    def __init__(self, make: Callable[[], Any], ready: Callable[[Any], None], give_up: Callable[[Exception], None], max_body: int) -> None:
        """`ready` is called with the application, `give_up` with an error that no retry can mend."""
        self._make, self._ready, self._give_up = make, ready, give_up
        self._refusing = Draining(_refuse, max_body, RETRY_AFTER)
        self._app: Any = None
        self._tried = Event()
        self._waits_since = 0.0

    def start(self) -> None:
        """Make the application; after a failed first attempt the retries go on in the background."""
        gevent.spawn(self._wait)
        self._tried.wait(FIRST_TRY_SECONDS)

    @property
    def extensions(self) -> dict[str, Any]:
        """The application's `extensions`; empty while it does not exist."""
        return getattr(self._app, "extensions", {})

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._app is not None:
            answer: Iterable[bytes] = self._app(environ, start_response)
            return answer
        return self._refusing(environ, start_response)

    def _try(self) -> bool:
        try:
            app = self._make()
        except StoreNotReady as error:
            self._waits_since = self._waits_since or time.monotonic()
            if time.monotonic() - self._waits_since < GRACE_SECONDS:
                return False
            if is_first("the start waits", SAY_SECONDS - 0.5):
                log.warning("the server waits for its store: %s", error)
            self._tried.set()
            return False
        self._app = app
        self._ready(app)
        self._tried.set()
        return True

    def _wait(self) -> None:
        try:
            while not self._try():
                gevent.sleep(PAUSE_SECONDS if self._tried.is_set() else PAUSE_SECONDS / 5)
        except Exception as error:
            self._give_up(error)


def _refuse(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    status, body = _answer(environ.get("PATH_INFO", ""))
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    if not status.startswith("200"):
        headers.append(("Retry-After", str(RETRY_AFTER)))
    start_response(status, headers)
    return [body]


def _answer(path: str) -> tuple[str, bytes]:
    if path in ALIVE:
        return "200 OK", orjson.dumps({"status": "starting"})
    if path == "/readyz":
        return "503 Service Unavailable", orjson.dumps({"status": "starting"})
    if path.startswith(("/api/runs", "/api/health", "/files")):
        return "503 Service Unavailable", orjson.dumps({"detail": MESSAGE})
    id = uuid.uuid4().hex
    name = path.rstrip("/").rpartition("/")[2]
    return "503 Service Unavailable", wrap(CallMeta(id, id, name, requested="", actual=None), 503, 2, MESSAGE, {})
