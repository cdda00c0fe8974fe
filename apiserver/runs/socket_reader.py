"""One connected WebSocket client: sends frames with a time limit, and ends the greenlet when the client disconnects."""

from __future__ import annotations

import secrets
import socket as sockets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
from gevent.lock import RLock
from simple_websocket import ConnectionClosed, Server

from apiserver.runs.websocket_frames import text_frames

CHUNK = 64 * 1024
"""Bytes per send. The client must accept each within `patience` seconds."""


class Gone(Exception):
    """The client closed its socket, or accepted no data for too long."""


class SocketReader:
    """Sends frames to one client, and ends the greenlet that created it when the client disconnects."""

    def __init__(self, ws: Server, patience: float, received: Callable[[str | bytes], None] | None = None) -> None:
        """`patience`: seconds for which the client may accept no data. `received` is called with each message of the client, in another greenlet; None:
        messages are dropped."""
        self.id = secrets.token_hex(8)
        self._ws = ws
        self._wire = SocketWire(ws.sock, patience)
        ws.sock = self._wire
        ws.input_buffer = _Incoming(received)
        self._greenlet: Any = gevent.getcurrent()
        ws.event = self  # simple_websocket calls `set` when the connection has closed
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
        """Close the socket, and wait up to a second for the client's answer."""
        greenlet, self._greenlet = self._greenlet, None  # the client's answer must not kill this greenlet while it waits
        try:
            self._ws.close(code, reason.encode()[:120].decode("utf-8", "ignore"))
            self._ws.thread.join(1)
        except (ConnectionClosed, OSError):
            pass
        if greenlet is not None and greenlet is not gevent.getcurrent():
            greenlet.kill(Gone, block=False)

    def end(self) -> None:
        """To be called before the greenlet ends: it is not killed any more."""
        self._greenlet = None

    # The interface of threading.Event, as simple_websocket uses it: `set` is called for messages (ignored here) and when the connection has closed.

    def set(self) -> None:
        greenlet = self._greenlet
        if greenlet is not None and not self._ws.connected and greenlet is not gevent.getcurrent():
            self._greenlet = None
            greenlet.kill(Gone, block=False)

    def clear(self) -> None:
        """Nothing to do."""


class SocketWire:
    """A socket whose `send` sends all bytes, for one sender at a time. A client that accepts no data for `patience` seconds is disconnected."""

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
        with suppress(OSError):  # closed by the client already
            self._sock.shutdown(sockets.SHUT_RDWR)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Incoming(list[Any]):
    """simple_websocket's list of received messages: calls `received` for each instead of storing it."""

    def __init__(self, received: Callable[[str | bytes], None] | None) -> None:
        super().__init__()
        self._received = received

    def append(self, item: Any) -> None:
        """Called by simple_websocket for each message."""
        if self._received is not None:
            self._received(item)
