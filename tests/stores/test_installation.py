"""Templates, indices and aliases: put right when they are missing, also where an older version made them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from apiserver.stores.elastic import installation
from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.installation import Installation
from apiserver.stores.elastic.layout import Layout
from tests.servers import elasticsearch_address, elasticsearch_url, run_prefix
from tests.stores.settings import ELASTIC


@pytest.fixture
def client() -> Iterator[ElasticClient]:
    elasticsearch_url()  # has this run's indices removed at its end
    client = ElasticClient(f"{elasticsearch_address()}?prefix={run_prefix()}-i{uuid.uuid4().hex[:8]}", ELASTIC)
    yield client
    client.close()


def test_a_template_that_was_removed_is_put_back_and_its_indices_are_right_meanwhile(
    client: ElasticClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(client, ELASTIC)
    one = Installation(client, layout)
    one.prepare()
    assert not one.look_after()
    client.call("DELETE", f"/_index_template/{client.prefix}tidemark-statistics")
    assert one.conditions()["templates"].degraded
    index = layout.create_statistics("c")
    assert client.call("GET", f"/{index}/_mapping")[index]["mappings"]["dynamic"] == "strict"
    assert not one.look_after() and one.differences().templates
    monkeypatch.setattr(installation, "LOOK_SECONDS", 0.0)
    assert not one.look_after()
    assert one.differences().templates == []


def test_indices_of_an_older_version_get_the_aliases_that_writes_need(client: ElasticClient) -> None:
    layout = Layout(client, ELASTIC)
    Installation(client, layout).prepare()
    statistics = layout.create_statistics("c")
    aliases = [{"remove": {"index": index, "alias": layout.writing(index)}} for index in (layout.entities, layout.objects, statistics)]
    client.call("POST", "/_aliases", {"actions": aliases})
    again = Installation(client, layout)
    assert len(again.differences().aliases) == 3
    again.prepare()
    assert again.differences() == installation.Differences()


def test_a_registry_that_was_removed_is_made_anew_and_said_once(client: ElasticClient) -> None:
    layout = Layout(client, ELASTIC)
    one = Installation(client, layout)
    one.prepare()
    client.call("DELETE", f"/{layout.entities},{layout.objects}")
    layout.lost = True  # as a write that met no index leaves it
    assert one.look_after()
    assert not one.look_after()
    assert one.differences() == installation.Differences()
