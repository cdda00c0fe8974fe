"""Small states that expire, inside one process: bounded in bytes, gone after a restart (clients then start a new scroll)."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, NamedTuple

from apiserver.stores.base import Health
from apiserver.stores.codec import pack_state, state_id, unpack_state
from apiserver.stores.errors import StateTooLarge
from apiserver.stores.options import DEFAULT_STATE_LIMITS, STATE_OVERHEAD, StateLimits
from apiserver.stores.state import RateLimit

MAX_LIMITED_KEYS = 50_000
SLOTS = 100
"""A rate window is counted in this many slots: memory per key is bounded, and a count leaves at most 1 % of the window late."""

_Key = tuple[str, str]
"""Kind and id."""


class _State(NamedTuple):
    value: bytes
    expires: float
    version: int
    company: str


class _Space:
    """The states of a company: `used` has the least recently used first."""

    __slots__ = ("size", "used")

    def __init__(self) -> None:
        self.size = 0
        self.used: OrderedDict[_Key, None] = OrderedDict()


class MemoryState:
    """States are kept as bytes, so no caller can change what another one reads."""

    def __init__(self, limits: StateLimits = DEFAULT_STATE_LIMITS, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limits = limits
        self._lock = Lock()
        self._states: dict[_Key, _State] = {}
        self._spaces: dict[str, _Space] = {}
        self._size = 0
        self._hits: dict[str, deque[list[float]]] = {}
        self._slots: dict[str, dict[str, float]] = {}

    def create(self, kind: str, value: Mapping[str, Any], ttl: float, *, company: str, shared: bool = False) -> str:
        data = pack_state(value)
        key = (kind, state_id(company, data) if shared else secrets.token_hex(16))
        with self._lock:
            self._put(key, data, ttl, 0, company)
        return key[1]

    def get(self, kind: str, id: str) -> dict[str, Any] | None:
        with self._lock:
            state = self._live((kind, id))
        return unpack_state(state.value) if state else None

    def renew(self, kind: str, id: str, ttl: float) -> bool:
        key = (kind, id)
        with self._lock:
            state = self._live(key)
            if state is None:
                return False
            self._states[key] = state._replace(expires=self._clock() + ttl)
            self._spaces[state.company].used.move_to_end(key)
            return True

    def update(self, kind: str, id: str, change: Callable[[dict[str, Any]], dict[str, Any] | None], ttl: float) -> dict[str, Any] | None:
        key = (kind, id)
        while True:
            with self._lock:
                before = self._live(key)
            if before is None:
                return None
            # Outside the lock: `change` may ask a store, which yields to other greenlets.
            changed = change(unpack_state(before.value))
            value = before.value if changed is None else pack_state(changed)
            with self._lock:
                now = self._live(key)
                if now is None:
                    return None
                if now.version == before.version:
                    self._put(key, value, ttl, now.version + 1, now.company)
                    return unpack_state(value)

    def delete(self, kind: str, id: str) -> None:
        with self._lock:
            self._drop((kind, id))

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
            self._spaces.clear()
            self._size = 0
            self._hits.clear()

    def _live(self, key: _Key) -> _State | None:
        state = self._states.get(key)
        return state if state is not None and state.expires > self._clock() else None

    def _put(self, key: _Key, value: bytes, ttl: float, version: int, company: str) -> None:
        size = len(value) + STATE_OVERHEAD
        if size > self._limits.company:
            raise StateTooLarge(self._limits.company)
        self._drop(key)
        now = self._clock()
        space = self._spaces.setdefault(company, _Space())
        self._states[key] = _State(value, now + ttl, version, company)
        space.used[key] = None
        space.size += size
        self._size += size
        self._drop_expired(space, now)
        while space.size > self._limits.company:
            self._drop(next(iter(space.used)))
        if self._size > self._limits.total:
            for other in list(self._spaces.values()):
                self._drop_expired(other, now)
        while self._size > self._limits.total:
            firsts = [next(iter(other.used)) for other in sorted(self._spaces.values(), key=lambda other: -other.size)[:2]]
            if firsts[0] == key:
                firsts = firsts[1:]
            if not firsts:
                return
            self._drop(firsts[0])

    def _drop_expired(self, space: _Space, now: float) -> None:
        """The expired states at the front of the queue; one behind a longer-lived state is removed when it reaches the front."""
        while space.used and self._states[first := next(iter(space.used))].expires <= now:
            self._drop(first)

    def _drop(self, key: _Key) -> None:
        state = self._states.pop(key, None)
        if state is None:
            return
        space, size = self._spaces[state.company], len(state.value) + STATE_OVERHEAD
        del space.used[key]
        space.size -= size
        self._size -= size
        if not space.used:
            del self._spaces[state.company]

    def _new_limit(self, key: str, now: float) -> deque[list[float]]:
        if len(self._hits) >= MAX_LIMITED_KEYS:
            self._hits = {name: slots for name, slots in self._hits.items() if slots and slots[-1][0] > now}
            if len(self._hits) >= MAX_LIMITED_KEYS:  # a flood of new clients: forget the oldest half rather than grow
                self._hits = dict(list(self._hits.items())[MAX_LIMITED_KEYS // 2 :])
        slots: deque[list[float]] = deque()
        self._hits[key] = slots
        return slots
