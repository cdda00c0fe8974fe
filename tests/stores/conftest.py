"""One suite over every store: SQLite and Elasticsearch, memory and Redis."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import gevent
import pytest

from apiserver.settings import ElasticSettings, RedisSettings
from apiserver.stores.base import Bus, EventStore, Registry, State
from apiserver.stores.records import SCALAR, Series, SeriesKey
from tests.servers import elasticsearch_address, elasticsearch_url, redis_address, redis_url, run_prefix

ELASTIC = ElasticSettings(
    ca_file="",
    verify=True,
    timeout=30,
    connect_timeout=3,
    pool=32,
    bulk_bytes=10_000_000,
    shards=1,
    replicas=0,
    generation_documents=200_000_000,
    generation_bytes=50_000_000_000,
    prefix="",
)
REDIS = RedisSettings(ca_file="", timeout=3, prefix="tidemark:")


def at_once(stores: Stores, work: Sequence[Callable[[], None]]) -> None:
    """Run functions side by side, as an engine's greenlets would: real ones on SQLite (its blocking calls run in gevent's threads), threads on
    Elasticsearch, whose client is patched only inside a server. The first failure is raised."""
    if type(stores.events).__module__.startswith("apiserver.stores.sqlite"):
        gevent.joinall([gevent.spawn(function) for function in work], raise_error=True)
        return
    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(function) for function in work]:
            done.result()


class Stores(NamedTuple):
    """An engine's two stores, and a company that no other test uses."""

    events: EventStore
    registry: Registry
    company: str


def key(task: str, metric: str = "loss", variant: str = "train") -> SeriesKey:
    return SeriesKey(task, SCALAR, metric, variant)


def known(stores: Stores, task: str, metric: str = "loss", variant: str = "train") -> Series:
    """A scalar series as the store knows it; an empty one if it does not."""
    found = stores.events.series(stores.company, [task], [SCALAR], {metric: [variant]})
    return found[0] if found else Series(key(task, metric, variant), 0, None, None, 0, 0)


@pytest.fixture(scope="session", params=["sqlite", "elastic", "elastic in many requests"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EventStore, Registry]]:
    if request.param == "sqlite":
        from apiserver.stores.sqlite import open_sqlite

        events, registry = open_sqlite(str(tmp_path_factory.mktemp("store") / "test.db"))
        yield events, registry
        events.close()
        return
    from apiserver.stores.elastic import open_elastic
    from apiserver.stores.redis import open_redis

    # Not the prefix of the servers under test: these tests set the clock of their batches.
    elasticsearch_url()  # has this run's indices removed at its end
    settings, name = (ELASTIC, "stores") if request.param == "elastic" else (dataclasses.replace(ELASTIC, bulk_bytes=2_000), "parts")
    state, bus = open_redis(f"{redis_address()}?prefix={run_prefix()}-{name}", REDIS)
    events, registry = open_elastic(f"{elasticsearch_address()}?prefix={run_prefix()}-{name}", state, settings)
    yield events, registry
    events.close()
    bus.close()
    state.close()


@pytest.fixture
def stores(opened: tuple[EventStore, Registry]) -> Stores:
    return Stores(*opened, uuid.uuid4().hex)


@pytest.fixture(scope="session", params=["memory", "redis"])
def state_and_bus(request: pytest.FixtureRequest) -> Iterator[tuple[State, Bus]]:
    state: State
    bus: Bus
    if request.param == "memory":
        from apiserver.stores.memory import MemoryBus, MemoryState

        state, bus = MemoryState(), MemoryBus()
    else:
        from apiserver.stores.redis import open_redis

        state, bus = open_redis(redis_url(), REDIS)
    yield state, bus
    bus.close()
    state.close()


@pytest.fixture
def state(state_and_bus: tuple[State, Bus]) -> State:
    return state_and_bus[0]


@pytest.fixture
def bus(state_and_bus: tuple[State, Bus]) -> Bus:
    return state_and_bus[1]
