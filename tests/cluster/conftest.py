"""Servers for tests of the cluster engine: processes that share one store, and an Elasticsearch and a Redis that a test may stop."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.answers import check_data
from tests.conftest import dismiss, watch
from tests.process import Server
from tests.servers import ElasticsearchServer, RedisServer

StartWorker = Callable[..., Server]


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[StartWorker]:
    """Start a server process with a data folder of its own: `start_worker(store, state, TIDEMARK_...=...)`."""
    started: list[Server] = []

    def start(store: str, state: str, *args: str, **env: str) -> Server:
        worker = Server(tmp_path / f"host{len(started)}", {"TIDEMARK_STORE": store, "TIDEMARK_STATE": state, **env}, args, check_data)
        started.append(worker)
        watch(worker)
        return worker.start()

    yield start
    for worker in started:
        dismiss(worker)


@pytest.fixture(scope="module")
def own_elasticsearch() -> Iterator[ElasticsearchServer]:
    """An Elasticsearch that tests may freeze, kill and start again, with its security on."""
    server = ElasticsearchServer(logins=True, brief=True)
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="module")
def own_redis() -> Iterator[RedisServer]:
    """A Redis that tests may kill and start again."""
    server = RedisServer()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def prefix() -> str:
    """What names in the shared servers begin with in one test."""
    return f"t{uuid.uuid4().hex[:8]}"
