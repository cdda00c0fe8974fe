"""Indices of points of layout 1, which keep a `_source`: read, written, deleted and backed up beside indices of today's layout."""

from __future__ import annotations

import dataclasses
import gzip
import json
import uuid
import zlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from apiserver.stores.base import EventStore
from apiserver.stores.elastic import backup, open_elastic
from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.doctor import examine
from apiserver.stores.elastic.installation import Installation
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.series.row import series_hash
from apiserver.stores.event_types import EVENT_TYPES
from apiserver.stores.records import LOG, SCALAR, EventQuery
from apiserver.stores.redis import open_redis
from tests.contract.batches import T0, Builder
from tests.contract.stores import key
from tests.servers import elasticsearch_address, elasticsearch_url, redis_address, run_prefix
from tests.stores.settings import ELASTIC, REDIS

COMPANY = "c"
ODD = {"note": "x", "deep": {"a": [1, {"b": None}]}}
SETTINGS = dataclasses.replace(ELASTIC, generation_documents=1)


def _values(kind: str) -> dict[str, Any]:
    return {"type": kind, "index": False}


LAYOUT_ONE: dict[str, Any] = {
    "settings": {"number_of_replicas": 0, "sort.field": ["task", "metric", "variant", "iter"], "codec": "best_compression"},
    "mappings": {
        "dynamic": "strict",
        "_source": {"enabled": True},  # today's template says otherwise
        "_meta": {"tidemark_layout": 1},
        "properties": {
            "task": {"type": "keyword"},
            "metric": {"type": "keyword"},
            "variant": {"type": "keyword"},
            **dict.fromkeys(("worker", "key"), _values("keyword")),
            **dict.fromkeys(("timestamp", "seq"), _values("long")),
            **dict.fromkeys(("noiter", "special"), _values("byte")),
            "iter": {"type": "long"},
            "size": _values("integer"),
            "model_event": _values("boolean"),
            "value": _values("double"),
            "body": {"type": "object", "enabled": False},
            "more": {"type": "byte"},
            "packed": {"type": "binary"},
        },
    },
}


class Old(NamedTuple):
    """A store whose first generation is of layout 1 and holds the task "t"."""

    events: EventStore
    client: ElasticClient
    layout: Layout


def opened(prefix: str, stack: list[Any]) -> tuple[EventStore, ElasticClient, Layout]:
    elasticsearch_url()  # has this run's indices removed at its end
    state, bus, coordination = open_redis(f"{redis_address()}?prefix={prefix}", REDIS)
    url = f"{elasticsearch_address()}?prefix={prefix}"
    events, _ = open_elastic(url, coordination, SETTINGS)
    client = ElasticClient(url, SETTINGS)
    stack += [events, bus, state, client]
    return events, client, Layout(client, SETTINGS)


@pytest.fixture
def stack() -> Iterator[list[Any]]:
    opened: list[Any] = []
    yield opened
    for one in opened:
        one.close()


@pytest.fixture
def old(stack: list[Any]) -> Old:
    prefix = f"{run_prefix()}-l{uuid.uuid4().hex[:8]}"
    events, client, layout = opened(prefix, stack)
    index = layout.events(SCALAR, COMPANY, 1)
    client.call("PUT", f"/{index}", LAYOUT_ONE)
    Installation(client, layout).prepare()  # as a start does
    events.append(COMPANY, Builder().scalars("t", "loss", "train", [(1, 0.0), (2, 0.0)]).event(SCALAR, "t", "loss", "test", None).build())
    # What layout 1 wrote for these.
    common = {"task": "t", "metric": "loss", "variant": "train", "worker": "w", "size": 200}
    one = common | {"iter": 1, "special": 1, "timestamp": T0 + 1000, "seq": 1, "more": 1, "body": ODD}
    two = common | {"iter": 2, "value": 2, "timestamp": T0 + 2000, "seq": 2}
    packed = b64encode(zlib.compress(json.dumps({"value": 0.5, "note": "p" * 100}).encode())).decode()
    none = common | {"variant": "test", "noiter": 1, "timestamp": T0, "seq": 3, "packed": packed}
    prefixes = [series_hash(COMPANY, key("t", "loss", variant)) for variant in ("train", "test")]
    for id, source in ((f"{prefixes[0]}1", one), (f"{prefixes[0]}2", two), (f"{prefixes[1]}n", none)):
        client.call("PUT", f"/{index}/_doc/{id}", source)
    events.append(COMPANY, Builder().scalar("t", "loss", "train", 3, 3.0, **ODD).log("t", "line").build())
    return Old(events, client, layout)


def bodies(events: EventStore, task: str, types: tuple[str, ...] | list[str] = (SCALAR,), order: Any = "iter") -> dict[Any, dict[str, Any]]:
    """What is said of the events of a task beyond the fields that all have."""
    common = {"type", "task", "metric", "timestamp", "@timestamp", "model_event"}
    return {
        (event["variant"], event.get("iter")): {name: value for name, value in event.items() if name not in common}
        for event, _ in events.page(COMPANY, EventQuery(task, types), order)
    }


def expected() -> dict[Any, dict[str, Any]]:
    return {
        ("train", 1): {"variant": "train", "worker": "w", "iter": 1, "value": None, **ODD},
        ("train", 2): {"variant": "train", "worker": "w", "iter": 2, "value": 2.0},
        ("train", 3): {"variant": "train", "worker": "host:1", "iter": 3, "value": 3.0, **ODD},
        ("test", None): {"variant": "test", "worker": "w", "value": 0.5, "note": "p" * 100},
    }


def test_an_old_generation_is_read_written_and_deleted_as_a_new_one(old: Old) -> None:
    assert bodies(old.events, "t") == bodies(old.events, "t", order="timestamp") == expected()
    mixed = bodies(old.events, "t", EVENT_TYPES)
    assert mixed.pop(("", None))["msg"] == "line" and mixed == expected()
    old.events.append(COMPANY, Builder().scalar("t", "loss", "train", 1, 5.0, more="y").build())
    assert old.events.count(COMPANY, EventQuery("t", [SCALAR])) == 4
    assert old.events.point_extras(COMPANY, [key("t")]) == {key("t"): {1: {"more": "y"}, 3: ODD}}
    assert old.events.delete(COMPANY, "t") == 5
    assert old.events.page(COMPANY, EventQuery("t", [SCALAR, LOG]), "iter") == []


def test_tasks_of_both_layouts_are_read_at_once(old: Old, stack: list[Any]) -> None:
    old.client.call("POST", f"/{old.layout.reading(SCALAR, COMPANY)}/_refresh")
    later, client, layout = opened(old.client.prefix.removesuffix("-"), stack)  # begins another generation
    later.append(COMPANY, Builder().scalar("u", "loss", "train", 1, 7.0, **ODD).scalar("u", "loss", "train", 2, 8.0).build())
    mapping = client.call("GET", f"/{layout.events(SCALAR, COMPANY, 2)}/_mapping")
    assert [found["mappings"]["_source"] for found in mapping.values()] == [{"enabled": False}]
    extras = later.point_extras(COMPANY, [key("t"), key("u")])
    assert extras == {key("t"): {1: ODD, 3: ODD}, key("u"): {1: ODD}}
    assert bodies(later, "u") == {
        ("train", 1): {"variant": "train", "worker": "host:1", "iter": 1, "value": 7.0, **ODD},
        ("train", 2): {"variant": "train", "worker": "host:1", "iter": 2, "value": 8.0},
    }


def test_doctor_tells_of_old_generations(old: Old) -> None:
    url = f"{elasticsearch_address()}?prefix={old.client.prefix.removesuffix('-')}"
    found = {finding.level: finding.text for finding in examine(url, SETTINGS) if "layout 1" in finding.text}
    assert list(found) == ["ok"] and old.layout.events(SCALAR, COMPANY, 1) in found["ok"]


def test_a_backup_of_an_old_generation_is_restored_in_the_new_layout(old: Old, stack: list[Any], tmp_path: Path) -> None:
    backup.dump(old.client, tmp_path)
    url = f"{elasticsearch_address()}?prefix={run_prefix()}-r{uuid.uuid4().hex[:8]}"
    client = ElasticClient(url, SETTINGS)
    stack.append(client)
    backup.load(client, tmp_path, began=0)
    assert Installation(client, Layout(client, SETTINGS)).differences().with_source == []
    restored, _, _ = opened(client.prefix.removesuffix("-"), stack)
    assert bodies(restored, "t") == expected()
    again = tmp_path / "again"
    again.mkdir()
    assert backup.dump(client, again) == {path.name.removesuffix(".jsonl.gz"): n for path, n in _counts(tmp_path)}


def _counts(folder: Path) -> Iterator[tuple[Path, int]]:
    for path in folder.glob("*.jsonl.gz"):
        yield path, len(gzip.decompress(path.read_bytes()).splitlines())
