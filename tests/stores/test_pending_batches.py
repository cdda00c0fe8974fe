"""What a batch that is under way means for readers on Elasticsearch."""

from __future__ import annotations

import time

from apiserver.stores.elastic import open_elastic
from apiserver.stores.redis import open_redis
from tests.servers import elasticsearch_address, elasticsearch_url, redis_address, run_prefix
from tests.stores.settings import ELASTIC, REDIS


def test_a_batch_of_a_dead_worker_holds_readers_back_for_a_minute_only() -> None:
    elasticsearch_url()  # has this run's indices removed at its end
    prefix = f"{run_prefix()}-pending"
    state, bus, coordination = open_redis(f"{redis_address()}?prefix={prefix}", REDIS)
    events, _ = open_elastic(f"{elasticsearch_address()}?prefix={prefix}", coordination, ELASTIC)
    try:
        now = int(time.time() * 1000)
        assert events.oldest_pending("c") is None
        coordination.begin_batch("c", now - 61_000, 5, ["dead"])
        assert events.oldest_pending("c") is None
        begun = [coordination.begin_batch("c", now - back, 5, ["living"]).seq for back in (50_000, 0)]
        assert events.oldest_pending("c") == begun[0]
    finally:
        events.close()
        for part in (bus, state):
            part.close()
