"""Small states that expire, in Redis."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from apiserver.stores.base import Health, RateLimit
from apiserver.stores.redis.client import RedisClient, scripts


class RedisState:
    """See `stores.base.State`."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._redis = client.redis
        self._compare_and_set = client.script(scripts("update_state"))
        self._count_hit = client.script(scripts("rate_limit"))
        self._claim_slot = client.script(scripts("claim_slot"))

    def create(self, kind: str, value: Mapping[str, Any], ttl: float) -> str:
        id = secrets.token_hex(16)
        key, data = self._client.prefix + _key(kind, id), orjson.dumps(value)
        self._client.call(lambda: self._redis.set(key, data, px=_milliseconds(ttl)))
        return id

    def get(self, kind: str, id: str) -> dict[str, Any] | None:
        data = self._read(kind, id)
        return None if data is None else orjson.loads(data)

    def update(self, kind: str, id: str, change: Callable[[dict[str, Any]], dict[str, Any] | None], ttl: float) -> dict[str, Any] | None:
        while True:
            before = self._read(kind, id)
            if before is None:
                return None
            changed = change(orjson.loads(before))
            value = before if changed is None else orjson.dumps(changed)
            outcome = self._compare_and_set(_key(kind, id), before, value, _milliseconds(ttl))
            if outcome == 0:
                return None
            if outcome == 2:
                return orjson.loads(value)  # type: ignore[no-any-return]

    def delete(self, kind: str, id: str) -> None:
        self._client.call(lambda: self._redis.delete(self._client.prefix + _key(kind, id)))

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

    def _read(self, kind: str, id: str) -> bytes | None:
        key = self._client.prefix + _key(kind, id)
        data: bytes | None = self._client.call(lambda: self._redis.get(key))
        return data


def _key(kind: str, id: str) -> str:
    return f"state:{kind}:{id}"


def _milliseconds(ttl: float) -> int:
    return max(int(ttl * 1000), 1)
