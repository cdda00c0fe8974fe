"""Live messages inside one process.

Built on `threading` locks: after gevent's patching they are greenlet locks, without it real ones; both work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock

from apiserver.stores.errors import BusLost


class MemorySubscription:
    """The mailbox of one reader: at most `capacity` messages wait in it."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._messages: deque[bytes] = deque()
        self._changed = Condition()
        self._lost = False

    def get(self, timeout: float) -> bytes | None:
        with self._changed:
            if not self._messages and not self._lost and timeout > 0:
                self._changed.wait_for(self._ready, timeout)
            if self._lost:
                self._lost = False
                raise BusLost("messages were dropped: the reader was too slow, or the connection broke")
            return self._messages.popleft() if self._messages else None

    def put(self, message: bytes) -> None:
        """Never blocks: a full mailbox is emptied and its reader notified."""
        with self._changed:
            if self._lost:
                return
            if len(self._messages) >= self._capacity:
                self._drop()
            else:
                self._messages.append(message)
            self._changed.notify()

    def lose(self) -> None:
        """Notify the reader that messages may have been missed."""
        with self._changed:
            self._drop()
            self._changed.notify()

    def _drop(self) -> None:
        self._messages.clear()
        self._lost = True

    def _ready(self) -> bool:
        return bool(self._messages) or self._lost


class MemoryBus:
    """Fan-out to the subscriptions of a channel. A channel without readers costs nothing."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._readers: dict[str, tuple[MemorySubscription, ...]] = {}  # replaced, never changed: publish reads it without the lock

    def publish(self, channel: str, message: bytes) -> None:
        for reader in self._readers.get(channel, ()):
            reader.put(message)

    @contextmanager
    def subscribe(self, channel: str, capacity: int = 1000) -> Iterator[MemorySubscription]:
        reader = MemorySubscription(capacity)
        with self._lock:
            self._readers[channel] = (*self._readers.get(channel, ()), reader)
        try:
            yield reader
        finally:
            with self._lock:
                left = tuple(other for other in self._readers[channel] if other is not reader)
                if left:
                    self._readers[channel] = left
                else:
                    del self._readers[channel]

    def readers(self, channel: str) -> int:
        """How many subscriptions the channel has."""
        return len(self._readers.get(channel, ()))

    def lose(self) -> None:
        """Tell every reader of every channel that messages may have been missed (the connection behind the bus broke)."""
        for readers in list(self._readers.values()):
            for reader in readers:
                reader.lose()

    def close(self) -> None:
        """Wake all waiters."""
        self.lose()
