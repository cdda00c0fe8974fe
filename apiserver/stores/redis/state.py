"""Small states that expire, in Redis."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from apiserver.stores.base import Health, RateLimit
from apiserver.stores.redis.client import RedisClient
from apiserver.stores.redis.coordination import RedisMarks

# Compare and set: the value that was read is the version.
_UPDATE = """
local now = redis.call('GET', P .. ARGV[1])
if not now then return 0 end
if now ~= ARGV[2] then return 1 end
redis.call('SET', P .. ARGV[1], ARGV[3], 'PX', ARGV[4])
return 2
"""

# A sliding window in 100 slots. A hit leaves when its slot has left the window, so the count is at most 1 % of the window late.
_HIT = """
local key, limit, window, weight = P .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local width = window / 100
local slots = redis.call('HGETALL', key)
local used, first = 0, nil
for i = 1, #slots, 2 do
  local leaves = (tonumber(slots[i]) + 1) * width + window
  if leaves <= now then
    redis.call('HDEL', key, slots[i])
  else
    used = used + tonumber(slots[i + 1])
    if not first or leaves < first then first = leaves end
  end
end
local allowed = used + weight <= limit
if allowed then
  local slot = math.floor(now / width)
  redis.call('HINCRBY', key, string.format('%.0f', slot), weight)
  redis.call('PEXPIRE', key, math.ceil((window + width) * 1000))
  used = used + weight
  first = first or (slot + 1) * width + window
end
return {allowed and 1 or 0, used, tostring(first and math.max(first - now, 0) or 0)}
"""

# Places are members of a sorted set, scored by the time when they expire.
_CLAIM = """
local key, holder, limit, ttl = P .. ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
if not redis.call('ZSCORE', key, holder) and redis.call('ZCARD', key) >= limit then return 0 end
redis.call('ZADD', key, now + ttl, holder)
redis.call('PEXPIRE', key, ttl)
return 1
"""


class RedisState:
    """See `stores.base.State`. `marks` is what the Elasticsearch store keeps in the same Redis."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._redis = client.redis
        self._update = client.script(_UPDATE)
        self._hit = client.script(_HIT)
        self._claim = client.script(_CLAIM)
        self.marks = RedisMarks(client)

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
            outcome = self._update(_key(kind, id), before, value, _milliseconds(ttl))
            if outcome == 0:
                return None
            if outcome == 2:
                return orjson.loads(value)  # type: ignore[no-any-return]

    def delete(self, kind: str, id: str) -> None:
        self._client.call(lambda: self._redis.delete(self._client.prefix + _key(kind, id)))

    def hit(self, key: str, limit: int, window: float, weight: int = 1) -> RateLimit:
        allowed, used, reset_after = self._hit(f"hit:{key}", limit, window, weight)
        return RateLimit(bool(allowed), max(limit - int(used), 0), float(reset_after))

    def claim(self, key: str, holder: str, limit: int, ttl: float) -> bool:
        return bool(self._claim(f"place:{key}", holder, limit, _milliseconds(ttl)))

    def release(self, key: str, holder: str) -> None:
        name = f"{self._client.prefix}place:{key}"
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
