"""Checks of a Redis for `tidemark doctor`."""

from __future__ import annotations

from collections.abc import Iterator

from redis.exceptions import RedisError

from apiserver.common.findings import Finding
from apiserver.settings import RedisSettings
from apiserver.stores.errors import StoreDamaged
from apiserver.stores.redis.client import RedisClient


def examine(url: str, settings: RedisSettings) -> Iterator[Finding]:
    """Reachable, version, memory, eviction."""
    try:
        client = RedisClient(url, settings)
        information = client.redis.info()
    except (RedisError, OSError, StoreDamaged) as error:
        yield Finding("FAIL", f"Redis can't be used: {error}", "start it, or correct TIDEMARK_STATE")
        return
    version = str(information["redis_version"])
    old = int(version.partition(".")[0]) < 6
    yield Finding("warn" if old else "ok", f"Redis {version} answers", "upgrade to Redis 6 or newer" if old else "")
    if information.get("role") != "master":
        yield Finding("FAIL", "this Redis is a replica: it takes no writes", "point TIDEMARK_STATE at the primary")
    policy = str(information.get("maxmemory_policy", "noeviction"))
    limit, used = int(information.get("maxmemory", 0)), int(information["used_memory"])
    if policy != "noeviction":
        yield Finding(
            "warn", f"Redis evicts keys when it is full ({policy})", "set maxmemory-policy noeviction: scrolls would vanish silently"
        )
    else:
        yield Finding("ok", "Redis evicts nothing")
    if limit and used > 0.9 * limit:
        yield Finding("warn", f"Redis uses {used / limit:.0%} of its memory", "raise maxmemory")
    client.close()
