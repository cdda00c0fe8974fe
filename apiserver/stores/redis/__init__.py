"""State, bus and coordination over Redis, shared by every worker and host."""

from __future__ import annotations

from typing import NamedTuple

from apiserver.settings import RedisSettings
from apiserver.stores.options import DEFAULT_STATE_LIMITS, StateLimits
from apiserver.stores.redis.bus import RedisBus
from apiserver.stores.redis.client import RedisClient
from apiserver.stores.redis.coordination import RedisCoordination
from apiserver.stores.redis.state import RedisState

__all__ = ["OpenedRedis", "RedisBus", "RedisClient", "RedisCoordination", "RedisState", "open_redis"]


class OpenedRedis(NamedTuple):
    """The ports that one Redis implements."""

    state: RedisState
    bus: RedisBus
    coordination: RedisCoordination


def open_redis(url: str, settings: RedisSettings, limits: StateLimits = DEFAULT_STATE_LIMITS) -> OpenedRedis:
    """State, bus and coordination at a redis:// or rediss:// address. No connection is made before it is needed: the server starts without
    Redis and uses it once it answers."""
    client = RedisClient(url, settings)
    return OpenedRedis(RedisState(client, limits), RedisBus(client), RedisCoordination(client))
