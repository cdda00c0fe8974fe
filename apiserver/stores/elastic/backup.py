"""Every document of an installation as JSON lines, and back: for installations without snapshots, and for moving to another cluster.

The documents are read in points in time, statistics before events. What was written meanwhile is in the events at most: series that were written
after the backup had begun, or shortly before, are marked stale when they are loaded, and recomputed by their next reader.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from apiserver.stores.elastic.client import ElasticClient, busy_reason, reason
from apiserver.stores.elastic.installation import Installation
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.names import is_unfinished, plain
from apiserver.stores.elastic.point_values import POINT_DOCUMENT, VALUE_FIELDS, body_of, extra_of, source_of
from apiserver.stores.errors import StoreBusy, StoreDamaged
from apiserver.stores.event_types import TYPES
from apiserver.stores.records import SEQ_SHIFT

PAGE = 2_000
KEEP_ALIVE = "5m"
BULK_BYTES = 5_000_000
STORED_POINT = POINT_DOCUMENT | {"docvalue_fields": [*VALUE_FIELDS, "noiter", "size", "key"]}
UNSURE_MS = 300_000
"""Milliseconds before a backup within which a batch may have been under way."""


def dump(client: ElasticClient, folder: Path) -> dict[str, int]:
    """Write every index to `<folder>/<name without prefix>.jsonl.gz`; returns the number of documents of each."""
    layout = Layout(client, client.settings)
    patterns = ["statistics-*", "registry-*", *(f"events-{type}-*" for type in TYPES)]
    done: dict[str, int] = {}
    for pattern in patterns:
        found = client.call("GET", f"/{layout.prefix}{pattern}/_alias?allow_no_indices=true&ignore_unavailable=true")
        for index in sorted(found):
            if is_unfinished(index, found[index]["aliases"]):
                continue
            name = plain(index).removeprefix(layout.prefix)
            is_points = _is_points(name)
            done[name] = 0
            with gzip.open(folder / f"{name}.jsonl.gz", "wb", compresslevel=3) as file:
                for hit in _documents(client, index, STORED_POINT if is_points else {}):
                    file.write(orjson.dumps([hit["_id"], source_of(hit)]) + b"\n")
                    done[name] += 1
    return done


def _is_points(name: str) -> bool:
    """Whether the index of this name (without prefix) holds points."""
    return any(type.is_points and name.startswith(f"events-{type.name}-") for type in TYPES.values())


def _documents(client: ElasticClient, index: str, wanted: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """`wanted`: what else a search has to ask for to get whole documents."""
    client.refresh([index])
    pit = client.call("POST", f"/{index}/_pit?keep_alive={KEEP_ALIVE}")["id"]
    try:
        after: list[Any] | None = None
        while True:
            body: dict[str, Any] = {
                **wanted,
                "size": PAGE,
                "query": {"match_all": {}},
                "pit": {"id": pit, "keep_alive": KEEP_ALIVE},
                "sort": ["_shard_doc"],
                "track_total_hits": False,
            }
            if after is not None:
                body["search_after"] = after
            answer = client.call("POST", "/_search", body)
            hits = answer["hits"]["hits"]
            yield from hits
            if len(hits) < PAGE:
                return
            after, pit = hits[-1]["sort"], answer.get("pit_id", pit)
    finally:
        client.call("DELETE", "/_pit", {"id": pit})


def load(client: ElasticClient, folder: Path, began: int) -> dict[str, int]:
    """Store the documents of a dump in an empty installation; returns the number of documents of each index. `began`: start of the dump (ms)."""
    layout = open_empty(client)
    stored: dict[str, int] = {}
    for path in sorted(folder.glob("*.jsonl.gz")):
        name = path.name.removesuffix(".jsonl.gz")
        index = layout.prefix + name
        layout.create(index, _aliases(layout, name))
        stored[name] = _load(client, layout.writing(index), path, began if name.startswith("statistics-") else None)
    client.refresh([f"{layout.prefix}{name}" for name in stored])
    return stored


def open_empty(client: ElasticClient) -> Layout:
    """The layout of an installation that has nothing, made ready. Raises StoreDamaged when it has something."""
    layout = Layout(client, client.settings)
    there = Installation(client, layout).differences()
    if not there.registry or there.other_data:
        raise StoreDamaged("the installation is not empty: restore into a cluster without its indices, or under another elastic.prefix")
    Installation(client, layout).prepare()
    return layout


def _aliases(layout: Layout, name: str) -> dict[str, Any]:
    index = layout.prefix + name
    if not name.startswith("events-"):
        return {layout.writing(index): {}}
    return {index.rpartition("-")[0]: {}, layout.writing(index): {}}


def _load(client: ElasticClient, target: str, path: Path, began: int | None) -> int:
    count = size = 0
    lines: list[bytes] = []
    is_points = _is_points(path.name)
    with gzip.open(path, "rb") as file:
        for line in file:
            id, source = orjson.loads(line)
            if is_points:
                source = _without_body(source)
            if began is not None and source.get("kind") == "series" and source.get("last_written", 0) >> SEQ_SHIFT >= began - UNSURE_MS:
                source["stale"] = True
            lines.append(orjson.dumps({"create": {"_id": id}}) + b"\n" + orjson.dumps(source) + b"\n")
            size += len(lines[-1])
            count += 1
            if size >= BULK_BYTES:
                store_new(client, target, lines)
                lines, size = [], 0
    if lines:
        store_new(client, target, lines)
    return count


def _without_body(source: Mapping[str, Any]) -> dict[str, Any]:
    """A point of any layout as this one stores it."""
    if "body" not in source and "packed" not in source:
        return dict(source)
    body = body_of(source)
    return {name: value for name, value in source.items() if name not in ("body", "packed")} | ({"extra": extra_of(body)} if body else {})


def store_new(client: ElasticClient, target: str, lines: list[bytes]) -> None:
    """Store documents, none of which was there before. Raises StoreBusy."""
    for item in client.bulk(b"".join(lines), target).items:
        if item["status"] != 201:
            raise busy_reason(item["status"], item) or StoreBusy(f"Elasticsearch refuses a document of the backup: {reason(item)}")
