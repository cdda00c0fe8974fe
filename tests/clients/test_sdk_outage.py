"""The store itself goes away while a program reports: an Elasticsearch of its own is killed and started again, which takes it about 20 s."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.answers import check_data
from tests.clients.scripts import Sdk, finish
from tests.clients.test_sdk_faults import WRITER
from tests.process import Server, wait_until
from tests.servers import ElasticsearchServer, redis_url


@pytest.fixture
def elasticsearch() -> Iterator[ElasticsearchServer]:
    server = ElasticsearchServer(heap="512m", brief=True)
    yield server.start()
    server.close()


def test_nothing_is_lost_while_elasticsearch_is_away(elasticsearch: ElasticsearchServer, tmp_path: Path) -> None:
    env = {"TIDEMARK_STORE": elasticsearch.url, "TIDEMARK_STATE": redis_url()}
    server = Server(tmp_path / "server", env, check=check_data).start()
    try:
        sdk = Sdk(server, tmp_path / "home")
        writer = sdk.start(WRITER)
        assert writer.stdout is not None
        task = next(line for line in writer.stdout if line.startswith("TASK")).split()[1]
        client = server.client()
        wait_until(lambda: client.histogram(task).get("loss"), 60, "no scalars arrive")
        elasticsearch.kill()
        assert client.raw("/readyz", method="GET").status == 503
        elasticsearch.start()
        wait_until(lambda: client.raw("/readyz", method="GET").status == 200, 60, "the server does not find its store again")
        before = len(wait_until(lambda: _points(client, task), 60, "no answer after the outage"))
        wait_until(lambda: len(_points(client, task)) > before, 150, "the SDK does not come back")
        (sdk.home / "stop").touch()
        count = finish(writer, timeout=240).result
        assert _points(client, task) == list(range(count))
        lines = {line for message in client.log(task) for line in message.split("\n")}
        assert {f"line {i}" for i in range(count)} <= lines
    finally:
        server.stop()


def _points(client: object, task: str) -> list[int]:
    """The iterations of the series; none while the store is away."""
    answer = client.raw("/events.scalar_metrics_iter_histogram", {"task": task, "samples": 0})  # type: ignore[attr-defined]
    return list(answer.data.get("loss", {}).get("train", {}).get("x", [])) if answer.status == 200 else []
