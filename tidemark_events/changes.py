"""When to read a run again: the server's live socket says so; without a socket, a timer."""

from __future__ import annotations

import json
import math
import time
from typing import Any

from tidemark_events.websocket import Closed, Refused, WebSocket
from tidemark_events.wire import Wire

LONGEST_WAIT = 30.0
"""Seconds after which the run is read even though the socket is silent: a connection can be dead without being closed."""
PACE = 0.2
"""Least seconds between two reads."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
POLICY = 1008
"""Close code: too many sockets of this user, or the login has ended."""


class Changes:
    """Waits for changes of one run."""

    def __init__(self, wire: Wire, run: str) -> None:
        self._wire, self._run = wire, run
        self._socket: WebSocket | None = None
        self._try_at, self._pause = 0.0, FIRST_PAUSE
        self._looked_at = 0.0

    @property
    def live(self) -> bool:
        """Whether the server reports changes by a socket."""
        return self._socket is not None

    def wait(self, interval: float) -> None:
        """Return when the run may have changed; without a socket after `interval` seconds."""
        if self._socket is None and time.monotonic() >= self._try_at:
            self._connect()
        if self._socket is None:
            time.sleep(interval)
        else:
            self._listen(self._socket)
            time.sleep(max(0.0, self._looked_at + PACE - time.monotonic()))
        self._looked_at = time.monotonic()

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> None:
        try:
            self._socket = self._wire.live_socket()
            if self._socket is None:  # a proxy is in between
                self._try_at = math.inf
            else:
                self._socket.send(json.dumps({"want": {"runs": [self._run]}}))
        except Refused as error:
            self._lost(never=400 <= error.status < 500)  # an older server, a proxy that knows no sockets
        except OSError:
            self._lost()

    def _listen(self, one: WebSocket) -> None:
        until = time.monotonic() + LONGEST_WAIT
        try:
            while (text := one.receive(until - time.monotonic())) is not None:
                self._pause = FIRST_PAUSE
                frame = json.loads(text)
                if self._run in frame.get("unknown", ()):
                    self._lost(never=True)  # another company's public run, whose changes the socket does not report; or a deleted one
                    return
                if self._concerns(frame):
                    return
        except Closed as error:
            self._lost(LONGEST_PAUSE if error.code == POLICY else None)
        except (OSError, ValueError):
            self._lost()

    def _concerns(self, frame: dict[str, Any]) -> bool:
        return bool(frame.get("lost")) or any(
            self._run in (one.get("task"), one.get("id")) for kind in ("events", "runs") for one in frame.get(kind, ())
        )

    def _lost(self, pause: float | None = None, *, never: bool = False) -> None:
        """No socket for now; the caller reads the run, because changes may have been missed."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._try_at = math.inf if never else time.monotonic() + (pause or self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
