"""Live messages through Redis pub/sub: one listening connection a process, fanned out inside it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from redis.exceptions import RedisError

from apiserver.stores.errors import StateUnavailable
from apiserver.stores.memory.bus import MemoryBus, MemorySubscription
from apiserver.stores.redis.client import RedisClient

log = logging.getLogger(__name__)

PING_SECONDS = 5.0
RETRY_SECONDS = 0.2
_LOST = "lost"


class RedisBus:
    """See `stores.state.Bus`. Readers get BusLost after the connection broke and came back, and when a publisher on any host could not reach Redis:
    in both cases a message may be missing, and the store has it."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._local = MemoryBus()
        self._lock = threading.Lock()
        self._connection: Any = None
        self._channels: set[str] = set()
        self._confirmed: dict[str, threading.Event] = {}
        self._listener: threading.Thread | None = None
        self._closed = threading.Event()
        self._unpublished = False
        self._missed = False  # readers have been without a connection

    def publish(self, channel: str, message: bytes) -> None:
        try:
            if self._unpublished:
                self._send(_LOST, b"")
                self._unpublished = False
            self._send(channel, message)
        except StateUnavailable:
            # The message is stored: its readers are told to read the store again.
            self._unpublished = True
            self._local.lose()

    @contextmanager
    def subscribe(self, channel: str, capacity: int = 1000) -> Iterator[MemorySubscription]:
        with self._local.subscribe(channel, capacity) as reader:
            self._listen(channel)
            try:
                yield reader
            finally:
                self._leave(channel)

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            self._disconnect()
        self._local.close()

    def _send(self, channel: str, message: bytes) -> None:
        self._client.command("PUBLISH", self._name(channel), message)

    def _name(self, channel: str) -> str:
        return f"{self._client.prefix}bus:{channel}"

    # --- the listening connection

    def _listen(self, channel: str) -> None:
        """Subscribe, and wait until Redis says so. Without a connection the reader is told as soon as there is one again."""
        with self._lock:
            if self._listener is None:
                self._listener = threading.Thread(target=self._run, name="tidemark-bus", daemon=True)
                self._listener.start()
            confirmed = self._confirmed.setdefault(channel, threading.Event())
            if channel not in self._channels:
                self._channels.add(channel)
                self._command("SUBSCRIBE", self._name(channel))
        if not confirmed.wait(self._client.timeout):
            self._missed = True

    def _leave(self, channel: str) -> None:
        with self._lock:
            if self._local.readers(channel) > 1:  # one is the caller's own
                return
            self._channels.discard(channel)
            self._confirmed.pop(channel, None)
            self._command("UNSUBSCRIBE", self._name(channel))

    def _command(self, *words: str) -> None:
        if self._connection is not None:
            with suppress(RedisError, OSError):  # the listener notices too, and connects again
                self._connection.send_command(*words)

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(RedisError, OSError):
                self._connection.disconnect()
            self._connection = None

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._receive(self._connect())
            # ValueError, TypeError: the socket is gone while it is read, because `close` or a broken command has closed it
            except (RedisError, OSError, EOFError, ValueError, TypeError) as error:
                if not self._closed.is_set():
                    log.warning("the live log connection to Redis broke: %s", error)
            with self._lock:
                self._missed = True
                self._disconnect()
                for confirmed in self._confirmed.values():
                    confirmed.clear()
            self._closed.wait(RETRY_SECONDS)

    def _connect(self) -> Any:
        connection: Any = self._client.connection()
        connection.connect()
        with self._lock:
            self._connection = connection
            # The channel of all readers comes last: when it is confirmed, all are.
            connection.send_command("SUBSCRIBE", *(self._name(channel) for channel in (*self._channels, _LOST)))
        return connection

    def _receive(self, connection: Any) -> None:
        silent = False
        start = len(self._name(""))
        while not self._closed.is_set():
            if not connection.can_read(timeout=PING_SECONDS):
                if silent:
                    raise TimeoutError("no answer to a ping")
                silent = True
                with self._lock:
                    connection.send_command("PING")
                continue
            silent = False
            kind, name, content = (*connection.read_response(disable_decoding=True), b"")[:3]
            channel = name.decode()[start:]
            if kind == b"message":
                if channel == _LOST:
                    self._local.lose()
                else:
                    self._local.publish(channel, content)
            elif kind == b"subscribe":
                if channel in self._confirmed:
                    self._confirmed[channel].set()
                if channel == _LOST and self._missed:
                    self._missed = False
                    log.warning("the live log connection to Redis is back")
                    self._local.lose()
