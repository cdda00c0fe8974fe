"""Real Elasticsearch and Redis for tests and benchmarks.

    from tests.servers import elasticsearch_url, redis_url

Each starts its server at the first call (once per test run, also when several processes share the tests) and gives the address as `TIDEMARK_STORE` and `TIDEMARK_STATE` take it, with a name
prefix that only this run uses. With `TIDEMARK_TEST_ELASTICSEARCH` or `TIDEMARK_TEST_REDIS` (`http://127.0.0.1:9200`, `redis://127.0.0.1:6379/0`)
a server that runs already is used instead. `python -m tests.servers` starts both, prints those two settings, and stops them with Ctrl-C: handy
while developing, because Elasticsearch takes 15 seconds to start.
"""

from __future__ import annotations

import atexit
import os
import secrets
from functools import cache

from tests.servers.elasticsearch import ElasticsearchServer, remove_prefix
from tests.servers.install import Missing
from tests.servers.redis import RedisServer
from tests.servers.shared import shared_address

__all__ = ["ElasticsearchServer", "Missing", "RedisServer", "elasticsearch_url", "redis_url"]


@cache
def run_prefix() -> str:
    """What index and key names of this test run begin with; each process of a parallel run has its own."""
    return f"t{secrets.token_hex(4)}"


@cache
def elasticsearch_address() -> str:
    """The bare address of the shared Elasticsearch."""
    given = os.environ.get("TIDEMARK_TEST_ELASTICSEARCH")
    if given:
        return given.rstrip("/")
    shared = shared_address(ElasticsearchServer)
    if shared:
        return shared
    server = ElasticsearchServer()
    atexit.register(server.close)
    server.start()
    return server.url


@cache
def elasticsearch_url() -> str:
    """`TIDEMARK_STORE` of this test run."""
    address = elasticsearch_address()
    if os.environ.get("TIDEMARK_TEST_ELASTICSEARCH"):  # it outlives this run: leave nothing behind
        atexit.register(remove_prefix, address, run_prefix())
    return f"{address}?prefix={run_prefix()}"


@cache
def redis_address() -> str:
    """The bare address of the shared Redis."""
    given = os.environ.get("TIDEMARK_TEST_REDIS")
    if given:
        return given.rstrip("/")
    shared = shared_address(RedisServer)
    if shared:
        return shared
    server = RedisServer()
    atexit.register(server.close)
    server.start()
    return server.url


@cache
def redis_url() -> str:
    """`TIDEMARK_STATE` of this test run."""
    return f"{redis_address()}?prefix={run_prefix()}"
