"""The ports that workers share beside the store: states that expire, and live messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from apiserver.stores.base import Health


class RateLimit(NamedTuple):
    allowed: bool
    remaining: int
    reset_after: float


class State(Protocol):
    """Small JSON states that expire, shared by all workers. Raises StateUnavailable when it cannot be reached."""

    def create(self, kind: str, value: Mapping[str, Any], ttl: float, *, company: str, shared: bool = False) -> str:
        """Keep a state (compressed) under a new random id (32 hex digits). `shared`: equal values of a company have one id and are kept once;
        such a state is never changed.

        The states of a company, and all states together, take a bounded number of bytes. Above it those make room that were not created,
        changed or renewed for the longest time: of this company, or of the one that holds most. Raises StateTooLarge."""

    def renew(self, kind: str, id: str, ttl: float) -> bool:
        """Renew the expiry of a state without reading it; False when it is unknown."""

    def get(self, kind: str, id: str) -> dict[str, Any] | None:
        """The state, or None when unknown or expired."""

    def update(self, kind: str, id: str, change: Callable[[dict[str, Any]], dict[str, Any] | None], ttl: float) -> dict[str, Any] | None:
        """Change a state atomically (`change` may run again when another caller was faster; returning None leaves it) and renew its
        expiry; the state afterwards, or None when unknown."""

    def delete(self, kind: str, id: str) -> None: ...

    def hit(self, key: str, limit: int, window: float, weight: int = 1) -> RateLimit:
        """Count a request in a sliding window of `window` seconds; a refused one is not counted."""

    def claim(self, key: str, holder: str, limit: int, ttl: float) -> bool:
        """Take one of `limit` places under a key for `ttl` seconds, or renew it; False when others hold all of them."""

    def release(self, key: str, holder: str) -> None:
        """Release a place; no effect when it is no longer held."""

    def check(self) -> Health: ...

    def close(self) -> None: ...


class Subscription(Protocol):
    def get(self, timeout: float) -> bytes | None:
        """The next message, None after `timeout` seconds. Raises BusLost when messages may have been missed; the reader then reads the
        store again."""


class Bus(Protocol):
    """Fan-out of live messages to readers on any worker. Publishing never blocks for a slow reader."""

    def publish(self, channel: str, message: bytes) -> None: ...

    def subscribe(self, channel: str, capacity: int = 1000) -> AbstractContextManager[Subscription]:
        """Messages are kept from entering the context on (at most `capacity`; more raises BusLost at the reader)."""

    def close(self) -> None: ...
