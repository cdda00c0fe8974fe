"""Small states that expire, inside one process: bounded in number, gone after a restart (clients then start a new scroll)."""

from __future__ import annotations

import heapq
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, NamedTuple

import orjson

from apiserver.stores.base import Health, RateLimit

MAX_STATES = 200_000
MAX_LIMITED_KEYS = 50_000
SLOTS = 100
"""A rate window is counted in this many slots: memory per key is bounded, and a count leaves at most 1 % of the window late."""


class _State(NamedTuple):
    value: bytes
    expires: float
    version: int


class MemoryState:
    """States are kept as JSON bytes, so no caller can change what another one reads. When full, those that expire first make room."""

    def __init__(self, max_states: int = MAX_STATES, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._max = max_states
        self._lock = Lock()
        self._states: dict[tuple[str, str], _State] = {}
        self._expiry: list[tuple[float, tuple[str, str]]] = []  # a heap; an entry whose state has been renewed is skipped
        self._hits: dict[str, deque[list[float]]] = {}
        self._slots: dict[str, dict[str, float]] = {}

    def create(self, kind: str, value: Mapping[str, Any], ttl: float) -> str:
        key = (kind, secrets.token_hex(16))
        with self._lock:
            self._put(key, orjson.dumps(value), ttl, 0)
        return key[1]

    def get(self, kind: str, id: str) -> dict[str, Any] | None:
        with self._lock:
            state = self._live((kind, id))
        return orjson.loads(state.value) if state else None

    def update(self, kind: str, id: str, change: Callable[[dict[str, Any]], dict[str, Any] | None], ttl: float) -> dict[str, Any] | None:
        key = (kind, id)
        while True:
            with self._lock:
                before = self._live(key)
            if before is None:
                return None
            # Outside the lock: `change` may ask a store, which gives way to other greenlets.
            changed = change(orjson.loads(before.value))
            value = before.value if changed is None else orjson.dumps(changed)
            with self._lock:
                now = self._live(key)
                if now is None:
                    return None
                if now.version == before.version:
                    self._put(key, value, ttl, now.version + 1)
                    return orjson.loads(value)  # type: ignore[no-any-return]

    def delete(self, kind: str, id: str) -> None:
        with self._lock:
            self._states.pop((kind, id), None)

    def hit(self, key: str, limit: int, window: float, weight: int = 1) -> RateLimit:
        width = window / SLOTS
        with self._lock:
            now = self._clock()
            slots = self._hits.get(key)
            if slots is None:
                slots = self._new_limit(key, now)
            while slots and slots[0][0] <= now:
                slots.popleft()
            used = int(sum(count for _, count in slots))
            allowed = used + weight <= limit
            if allowed:
                leaves = (now // width + 1) * width + window  # the end of its slot, one window later
                if slots and slots[-1][0] == leaves:
                    slots[-1][1] += weight
                else:
                    slots.append([leaves, weight])
                used += weight
            return RateLimit(allowed, max(limit - used, 0), max(slots[0][0] - now, 0.0) if slots else 0.0)

    def claim(self, key: str, holder: str, limit: int, ttl: float) -> bool:
        with self._lock:
            now = self._clock()
            slots = {other: expires for other, expires in self._slots.get(key, {}).items() if expires > now}
            if holder in slots or len(slots) < limit:
                slots[holder] = now + ttl
            self._slots[key] = slots
            if not slots:
                del self._slots[key]
            return holder in slots

    def release(self, key: str, holder: str) -> None:
        with self._lock:
            slots = self._slots.get(key, {})
            slots.pop(holder, None)
            if not slots:
                self._slots.pop(key, None)

    def check(self) -> Health:
        return Health(True, "in process")

    def close(self) -> None:
        with self._lock:
            self._states.clear()
            self._expiry.clear()
            self._hits.clear()

    def _live(self, key: tuple[str, str]) -> _State | None:
        state = self._states.get(key)
        return state if state is not None and state.expires > self._clock() else None

    def _put(self, key: tuple[str, str], value: bytes, ttl: float, version: int) -> None:
        now = self._clock()
        self._states[key] = _State(value, now + ttl, version)
        heapq.heappush(self._expiry, (now + ttl, key))
        while self._expiry and (self._expiry[0][0] <= now or len(self._states) > self._max):
            expires, old = heapq.heappop(self._expiry)
            state = self._states.get(old)
            if state is not None and state.expires == expires:
                del self._states[old]
        if len(self._expiry) > 2 * len(self._states) + 1000:  # mostly renewed or deleted ones
            self._expiry = [(state.expires, key) for key, state in self._states.items()]
            heapq.heapify(self._expiry)

    def _new_limit(self, key: str, now: float) -> deque[list[float]]:
        if len(self._hits) >= MAX_LIMITED_KEYS:
            self._hits = {name: slots for name, slots in self._hits.items() if slots and slots[-1][0] > now}
            if len(self._hits) >= MAX_LIMITED_KEYS:  # a flood of new clients: forget the oldest half rather than grow
                self._hits = dict(list(self._hits.items())[MAX_LIMITED_KEYS // 2 :])
        slots: deque[list[float]] = deque()
        self._hits[key] = slots
        return slots
