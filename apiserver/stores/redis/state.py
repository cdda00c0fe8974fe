"""Small states that expire, in Redis."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from apiserver.stores.base import Health
from apiserver.stores.codec import pack_state, state_id, unpack_state
from apiserver.stores.errors import StateTooLarge
from apiserver.stores.options import DEFAULT_STATE_LIMITS, STATE_OVERHEAD, StateLimits
from apiserver.stores.redis.client import RedisClient, scripts
from apiserver.stores.state import RateLimit

MAX_COMPANY = 1_024
"""Bytes of a company's id."""


class RedisState:
    """See `stores.state.State`."""

    def __init__(self, client: RedisClient, limits: StateLimits = DEFAULT_STATE_LIMITS) -> None:
        self._client = client
        self._redis = client.redis
        self._limits = limits
        constants = {
            "MAX_COMPANY": MAX_COMPANY,
            "OVERHEAD": STATE_OVERHEAD,
            "COMPANY_BYTES": limits.company,
            "TOTAL_BYTES": limits.total,
        }
        self._create = client.script(scripts("state_space", "create_state"), **constants)
        self._renew = client.script(scripts("state_space", "renew_state"), **constants)
        self._compare_and_set = client.script(scripts("state_space", "update_state"), **constants)
        self._delete = client.script(scripts("state_space", "delete_state"), **constants)
        self._count_hit = client.script(scripts("rate_limit"))
        self._claim_slot = client.script(scripts("claim_slot"))

    def create(self, kind: str, value: Mapping[str, Any], ttl: float, *, company: str, shared: bool = False) -> str:
        packed = pack_state(value)
        id = state_id(company, packed) if shared else secrets.token_hex(16)
        self._create(company, _key(kind, id), self._joined(company.encode(), packed), _milliseconds(ttl))
        return id

    def get(self, kind: str, id: str) -> dict[str, Any] | None:
        data = self._read(kind, id)
        return None if data is None else unpack_state(data.partition(b"\0")[2])

    def renew(self, kind: str, id: str, ttl: float) -> bool:
        return bool(self._renew(_key(kind, id), _milliseconds(ttl)))

    def update(self, kind: str, id: str, change: Callable[[dict[str, Any]], dict[str, Any] | None], ttl: float) -> dict[str, Any] | None:
        while True:
            before = self._read(kind, id)
            if before is None:
                return None
            company, _, packed = before.partition(b"\0")
            changed = change(unpack_state(packed))
            value = before if changed is None else self._joined(company, pack_state(changed))
            outcome = self._compare_and_set(_key(kind, id), before, value, _milliseconds(ttl))
            if outcome == 0:
                return None
            if outcome == 2:
                return unpack_state(value.partition(b"\0")[2])

    def delete(self, kind: str, id: str) -> None:
        self._delete(_key(kind, id))

    def hit(self, key: str, limit: int, window: float, weight: int = 1) -> RateLimit:
        allowed, used, reset_after = self._count_hit(f"hit:{key}", limit, window, weight)
        return RateLimit(bool(allowed), max(limit - int(used), 0), float(reset_after))

    def claim(self, key: str, holder: str, limit: int, ttl: float) -> bool:
        return bool(self._claim_slot(f"slot:{key}", holder, limit, _milliseconds(ttl)))

    def release(self, key: str, holder: str) -> None:
        name = f"{self._client.prefix}slot:{key}"
        self._client.call(lambda: self._redis.zrem(name, holder))

    def check(self) -> Health:
        return self._client.check()

    def close(self) -> None:
        self._client.close()

    def _joined(self, company: bytes, packed: bytes) -> bytes:
        """A state as Redis has it."""
        value = company + b"\0" + packed
        if len(value) + STATE_OVERHEAD > self._limits.company:
            raise StateTooLarge(self._limits.company)
        return value

    def _read(self, kind: str, id: str) -> bytes | None:
        key = self._client.prefix + _key(kind, id)
        data: bytes | None = self._client.call(lambda: self._redis.get(key))
        return data


def _key(kind: str, id: str) -> str:
    return f"state:{kind}:{id}"


def _milliseconds(ttl: float) -> int:
    return max(int(ttl * 1000), 1)
