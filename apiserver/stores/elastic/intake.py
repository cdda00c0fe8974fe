"""Imports all data of another engine, to move an installation from one machine to a cluster.

Documents are written as batches would have written them, with the existing arrival numbers and statistics; nothing is recomputed. All tasks go to the
first generation, however large it gets; the limit of its size counts for later tasks only.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import orjson

from apiserver.stores.contents import Contents
from apiserver.stores.elastic.backup import BULK_BYTES, open_empty, store_new
from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.generations import generation_document, generation_id, pin_id
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.registry.documents import document_id
from apiserver.stores.elastic.registry.documents import source_of as document_source
from apiserver.stores.elastic.series.row import LastPoints, StatisticsRow, series_id
from apiserver.stores.elastic.series.row import source_of as series_source
from apiserver.stores.elastic.write.bulk_lines import EncodedLines, event_line, log_line, log_prefix, point_chunks
from apiserver.stores.errors import StoreBusy
from apiserver.stores.records import LOG
from apiserver.stores.series_row import SeriesRow

GENERATION = 1


def take_in(client: ElasticClient, contents: Contents, compress_from: int) -> int:
    """Store everything in an empty installation; returns the number of documents. Raises StoreDamaged if it is not empty, StoreBusy.

    `compress_from`: see `WriteOptions`.
    """
    layout = open_empty(client)
    target = _Target(client, layout)
    for document in contents.documents():
        source = document_source(document.kind, document.company, document.id, document.body, document.version, document.activity)
        target.add(layout.registry(document.kind), document_id(document.kind, document.company, document.id), source)
    now = int(time.time() * 1000)
    for company, task in contents.owners():
        pin = {"kind": "pin", "generation": GENERATION, "at": now, "task": task}
        target.add(target.statistics(company), pin_id(task), pin)
    for series in contents.series():
        row = _statistics(series.row)
        if series.last is not None and row.points:
            row.last = LastPoints.of(series.last.iters.tolist(), series.last.values.tolist())
        source = series_source(series.key, row, secrets.randbelow(2**31))
        target.add(target.statistics(series.company), series_id(series.company, series.key), source)
    for company, key, worker, points in contents.points():
        index = target.events(key.type, company)
        for chunk in point_chunks("", company, key, points, worker, 0, range(len(points.iters)), BULK_BYTES):
            target.add_lines(index, chunk)
    for company, event in contents.events():
        target.add_line(target.events(event.type, company), event_line("", company, event, 0, {}, compress_from))
    prefixes: dict[str, str] = {}
    for company, line in contents.lines():
        prefix = prefixes.setdefault(company, log_prefix(company, None))
        target.add_line(target.events(LOG, company), log_line("", line, prefix, 0))
    return target.finish()


def _statistics(row: SeriesRow) -> StatisticsRow:
    return StatisticsRow(**{name: getattr(row, name) for name in SeriesRow.__dataclass_fields__})


class _Target:
    """Creates an index with its first document, and sends documents in large requests."""

    def __init__(self, client: ElasticClient, layout: Layout) -> None:
        self._client, self._layout = client, layout
        self._waiting: dict[str, list[bytes]] = {}
        self._bytes: Counter[str] = Counter()
        self._sent: Counter[str] = Counter({layout.entities: 0, layout.objects: 0})
        self._companies: set[str] = set()

    def statistics(self, company: str) -> str:
        """The index of a company's statistics. It and the company's generation are there from now on."""
        index = self._layout.statistics(company)
        if company not in self._companies:
            self._companies.add(company)
            self._layout.create_statistics(company)
            self._sent[index] = 0
            body = {"id": f"{GENERATION:06d}", "state": "open", "started": int(time.time() * 1000)}
            self.add(self._layout.objects, generation_id(company, GENERATION), generation_document(company, body))
        return index

    def events(self, type: str, company: str) -> str:
        """The index of a type."""
        index = self._layout.events(type, company, GENERATION)
        if index not in self._sent:
            self._layout.create_events(type, company, GENERATION)
            self._sent[index] = 0
        return index

    def add(self, index: str, id: str, source: Mapping[str, Any]) -> None:
        line = orjson.dumps({"create": {"_id": id}}) + b"\n" + orjson.dumps(source) + b"\n"
        self.add_lines(index, EncodedLines(1, line))

    def add_line(self, index: str, line: str) -> None:
        self.add_lines(index, EncodedLines(1, line.encode()))

    def add_lines(self, index: str, lines: EncodedLines) -> None:
        self._waiting.setdefault(index, []).append(lines.data)
        self._sent[index] += lines.lines
        self._bytes[index] += len(lines.data)
        if self._bytes[index] >= BULK_BYTES:
            self._send(index)

    def finish(self) -> int:
        """Send the rest, and count what is there. Raises StoreBusy when that is not what was sent."""
        for index in list(self._waiting):
            self._send(index)
        self._client.refresh(list(self._sent))
        for index, sent in self._sent.items():
            there = self._client.call("GET", f"/{index}/_count?filter_path=count")["count"]
            if there != sent:
                raise StoreBusy(f"the index {index} has {there:,} of {sent:,} documents: delete what was restored, and restore it again")
        return sum(self._sent.values())

    def _send(self, index: str) -> None:
        if self._waiting.get(index):
            store_new(self._client, self._layout.writing(index), self._waiting.pop(index))
            self._bytes[index] = 0
