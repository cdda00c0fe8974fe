"""State and bus over Redis, shared by every worker and host, and the marks that the Elasticsearch store keeps there."""

from __future__ import annotations

from apiserver.settings import RedisSettings
from apiserver.stores.redis.bus import RedisBus
from apiserver.stores.redis.client import RedisClient
from apiserver.stores.redis.coordination import RedisMarks
from apiserver.stores.redis.state import RedisState

__all__ = ["RedisBus", "RedisClient", "RedisMarks", "RedisState", "open_redis"]


def open_redis(url: str, settings: RedisSettings) -> tuple[RedisState, RedisBus]:
    """The state and the bus at a redis:// or rediss:// address. No connection is made before it is needed, and a Redis that is away now may come
    back later: the server starts without it."""
    client = RedisClient(url, settings)
    return RedisState(client), RedisBus(client)
