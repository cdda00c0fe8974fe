"""Elasticsearch, with Redis, as an engine: in requests of ordinary size, and with every batch in many requests."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from apiserver.stores.base import EventStore
from apiserver.stores.elastic import open_elastic
from apiserver.stores.elastic.read import windows
from apiserver.stores.redis import open_redis
from apiserver.stores.registry import Registry
from tests.contract.events import EventStoreContract
from tests.contract.registry import RegistryContract
from tests.contract.series import SeriesContract
from tests.servers import elasticsearch_address, elasticsearch_url, redis_address, run_prefix
from tests.stores.settings import ELASTIC, REDIS


@pytest.fixture(scope="module", params=[ELASTIC.bulk_bytes, 2_000], ids=["large bulks", "bulks of 2,000 bytes"])
def opened(request: pytest.FixtureRequest) -> Iterator[tuple[EventStore, Registry]]:
    # Not the prefix of the servers under test: these tests set the clock of their batches.
    elasticsearch_url()  # has this run's indices removed at its end
    prefix = f"{run_prefix()}-stores{request.param}"
    state, bus, coordination = open_redis(f"{redis_address()}?prefix={prefix}", REDIS)
    settings = dataclasses.replace(ELASTIC, bulk_bytes=request.param)
    events, registry = open_elastic(f"{elasticsearch_address()}?prefix={prefix}", coordination, settings)
    yield events, registry
    events.close()
    bus.close()
    state.close()


class TestEvents(EventStoreContract):
    @pytest.fixture(autouse=True)
    def log_of_a_thousand_lines_is_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(windows, "SORTED_LINES", 1_000)


class TestSeries(SeriesContract):
    pass


class TestRegistry(RegistryContract):
    pass
