"""The registry port over Elasticsearch: small documents, changed under `if_seq_no`, found by the next call on any worker."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from elasticsearch import ApiError

from apiserver.common.fairness import paced
from apiserver.stores.conditions import ACTIVITY_KINDS, Path, conditions_in, path_of
from apiserver.stores.elastic.bulk_actions import action
from apiserver.stores.elastic.client import ElasticClient, IndexGone, attempts, busy_reason, is_index_gone, reason
from apiserver.stores.elastic.layout import SORTED_FIELDS, TALLIED_FIELDS, Layout
from apiserver.stores.elastic.queries import all_of, terms
from apiserver.stores.elastic.registry.documents import document_id, document_of, source_of, without_bulk
from apiserver.stores.elastic.registry.query import DocumentTest, Lookup, SearchFilter, is_statistic, value_at
from apiserver.stores.elastic.registry.statistics import StatisticColumns
from apiserver.stores.elastic.registry.table import DocumentTables, TableRow, first, ordered
from apiserver.stores.elastic.registry.task_summaries import SUMMARY, TaskSummaries
from apiserver.stores.elastic.series.store import SeriesStore
from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.errors import StoreBusy
from apiserver.stores.patterns import PatternTime
from apiserver.stores.records import DOCUMENT
from apiserver.stores.registry import ACTIVITY_FIELDS, AnyOf, Condition, Document, Kind, Registry, Sort

TRIES = 30
BULK = 500
"""Most documents of a bulk request."""
CONVERTED = 100
"""Documents converted before yielding to other requests; when they are written, a fifth of that."""
BULK_BYTES = 8_000_000
"""Bytes from which a bulk request is sent: Elasticsearch takes 100 MB, and a document may have some dozens."""
CONFLICT = 409
NAMED = 20_000
"""Most documents that a search lists one by one."""


class ElasticRegistry(Registry):
    """See `stores.registry.Registry`. `version` counts changes of the body, from the time of creation; activity moves without changing it."""

    def __init__(self, client: ElasticClient, layout: Layout, visibility: Visibility, series: SeriesStore) -> None:
        self._client, self._layout, self._visibility, self._series = client, layout, visibility, series
        self._summaries = TaskSummaries(visibility)
        self._statistics = StatisticColumns(client, layout, visibility, series)
        self._tables = DocumentTables(client, layout, visibility, self._statistics.values)

    # --- one document, or some by id

    def get_many(self, kind: Kind, company: str, ids: Collection[str], *, fields: Collection[str] | None = None) -> dict[str, Document]:
        if kind in ACTIVITY_KINDS and fields is not None and SUMMARY.issuperset(fields):
            return self._summaries.get_many(kind, company, list(dict.fromkeys(ids)), self._read)
        return self._read(kind, company, ids, fields)

    def _read(self, kind: Kind, company: str, ids: Collection[str], fields: Collection[str] | None) -> dict[str, Document]:
        stored_ids = [document_id(kind, company, id) for id in dict.fromkeys(ids)]
        index, without = self._layout.registry(kind), ("bulk",) if without_bulk(kind, fields) else ()
        try:
            found = self._client.get_many(index, stored_ids, without=without, required=True)
        except IndexGone:
            self._layout.lost = True
            raise
        documents = [document_of(found[id]) for id in paced(stored_ids, CONVERTED) if id in found]
        return {document.id: document for document in documents}

    def find_anywhere(self, kind: Kind, ids: Collection[str]) -> list[Document]:
        index = self._layout.registry(kind)
        if not ids:
            return []
        self._visibility.make_all_visible([index])
        query = {"bool": {"filter": [{"term": {"kind": kind}}, terms("id", ids)]}}
        body = {"query": query, "sort": ["id", "company"], "_source": _wanted(kind, None)}
        return [document_of(hit) for hits in self._client.scan(index, body) for hit in hits]

    def companies(self) -> list[str]:
        indices = [self._layout.entities, self._layout.objects]
        self._visibility.make_all_visible(indices)
        composite: dict[str, Any] = {"size": 1_000, "sources": [{"company": {"terms": {"field": "company"}}}]}
        found: set[str] = set()
        for index in indices:
            composite.pop("after", None)
            while True:
                answer = self._client.search(index, {"size": 0, "aggs": {"all": {"composite": composite}}})["aggregations"]["all"]
                found.update(bucket["key"]["company"] for bucket in answer["buckets"])
                if "after_key" not in answer:
                    break
                composite["after"] = answer["after_key"]
        return sorted(found)

    def create_many(self, kind: Kind, company: str, bodies: Mapping[str, Mapping[str, Any]]) -> dict[str, Document]:
        index, revision = self._layout.registry(kind), time.time_ns()
        made = {id: Document(id, company, {**body, "id": id}, (kind, revision)) for id, body in bodies.items()}

        def actions() -> Iterator[tuple[str, bytes]]:
            for id, document in made.items():
                source = source_of(kind, company, id, document.body, revision, bodies[id])
                yield id, action("create", index, document_id(kind, company, id), source)

        statuses = self._send(kind, company, actions())
        return {id: document for id, document in made.items() if statuses[id] == 201}

    def replace_many(
        self, kind: Kind, company: str, documents: Collection[Document], *, touch: Mapping[str, int] | None = None
    ) -> dict[str, Document]:
        index = self._layout.registry(kind)
        replaced: dict[str, Document] = {}
        waiting = {document_id(kind, company, document.id): document for document in documents}
        for _ in attempts(TRIES):
            stored = self._client.get_many(index, list(waiting), ("revision", *ACTIVITY_FIELDS))
            waiting = {
                stored_id: document
                for stored_id, document in waiting.items()
                if stored_id in stored and stored[stored_id]["_source"]["revision"] == document.version[1]
            }
            statuses = self._send(kind, company, _replacements(index, waiting, stored, touch or {}))
            for document in waiting.values():
                if statuses[document.id] != CONFLICT:
                    replaced[document.id] = Document(document.id, company, document.body, (kind, document.version[1] + 1))
            # Perhaps only a batch moved the activity of the others.
            waiting = {stored_id: document for stored_id, document in waiting.items() if document.id not in replaced}
            if not waiting:
                return replaced
        raise StoreBusy(f"{kind} {next(iter(waiting.values())).id} is changed too often at once", 1.0)

    def delete_many(self, kind: Kind, company: str, ids: Collection[str]) -> set[str]:
        index = self._layout.registry(kind)
        statuses = self._send(kind, company, ((id, action("delete", index, document_id(kind, company, id))) for id in ids))
        return {id for id, status in statuses.items() if status == 200}

    def touch(
        self,
        kind: Kind,
        company: str,
        id: str,
        *,
        last_iteration: int | None = None,
        last_update: int | None = None,
        last_change: int | None = None,
    ) -> None:
        moved = {"last_iteration": last_iteration, "last_update": last_update, "last_change": last_change}
        moved = {name: value for name, value in moved.items() if value is not None}
        if kind not in ACTIVITY_KINDS or not moved:
            return
        try:
            self._client.call("POST", f"{self._updating(kind, company, id)}&retry_on_conflict={TRIES}", {"doc": moved})
        except ApiError as error:
            if error.meta.status != 404:
                raise StoreBusy(f"Elasticsearch refuses a document: {reason(error.body)}") from error
        self._changed(kind, company)

    # --- queries

    def find(
        self,
        kind: Kind,
        companies: Sequence[str],
        where: Sequence[Condition | AnyOf] = (),
        *,
        order: Sequence[Sort] = (),
        offset: int = 0,
        limit: int | None = None,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        chosen = SearchFilter(kind, companies, where)
        native = chosen.order(order)
        stop = None if limit is None else offset + limit
        if stop is None and fields is not None:
            listed = self._tables.documents(kind, companies, where, order, fields)
            if listed is not None:
                return listed[offset:]
        if chosen.rest or native is None:
            # Elasticsearch filters and sorts; the query lists the documents that meet the other conditions.
            rows = self._tables.select(kind, companies, chosen.rest if native else where, [] if native else [sort.path for sort in order])
            if rows is not None and native is None:
                return self._documents(kind, first(rows, order, stop)[offset:], fields)
            if rows is not None and len(rows) <= NAMED:
                chosen.query = all_of([chosen.query, {"ids": {"values": [document_id(kind, row.company, row.id) for row in rows]}}])
                return self._candidates(chosen, fields, native, stop)[offset:] if rows else []
            needed = None if fields is None else [*fields, *(path_of(path)[0] for path in _paths(where, order))]
            documents = self._candidates(chosen, needed)
            lookup = self._lookup(documents, [path_of(path) for path in _paths(where, order)])
            allowed = PatternTime()
            tests = [DocumentTest(item, lookup, allowed) for item in chosen.rest]
            found = [document for document in documents if all(test(document.body) for test in tests)]
            return _sorted(found, order, lookup)[offset:stop]
        return self._candidates(chosen, fields, native, stop)[offset:]

    def count(self, kind: Kind, companies: Sequence[str], where: Sequence[Condition | AnyOf] = ()) -> int:
        chosen = SearchFilter(kind, companies, where)
        if chosen.rest:
            rows = self._tables.select(kind, companies, where, [])
            return len(self.find(kind, companies, where, fields=("id",)) if rows is None else rows)
        index = self._layout.registry(kind)
        self._visibility.make_all_visible([index])
        answer = self._client.search(index, {"size": 0, "track_total_hits": True, "query": chosen.query})
        return int(answer["hits"]["total"]["value"])

    def names(self, kind: Kind, companies: Sequence[str], where: Sequence[Condition | AnyOf], field: str) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for document in self.find(kind, companies, where, fields=(field,)):
            for outer, inner in (document.body.get(field) or {}).items():
                found.update((outer, name) for name in inner)
        return found

    def tally(
        self,
        kind: Kind,
        companies: Sequence[str],
        where: Sequence[Condition | AnyOf],
        by: Sequence[str | tuple[str, ...]],
        *,
        total: str | tuple[str, ...] | None = None,
        greatest: bool = False,
    ) -> dict[tuple[Any, ...], tuple[int, float]]:
        keys = [path_of(path) for path in by]
        summed = None if total is None else path_of(total)
        fields = [path[0] for path in [*keys, *([summed] if summed else [])]]
        chosen = SearchFilter(kind, companies, where)
        if not chosen.rest and keys and _can_count(keys, summed):
            return self._counted(chosen, [path[0] for path in keys], summed[0] if summed else None, greatest)
        paths = [*keys, *([summed] if summed else [])]
        rows = self._tables.select(kind, companies, where, paths)
        if rows is None:
            documents = self.find(kind, companies, where, fields=fields)
            rows = _valued(documents, paths, self._lookup(documents, paths))
        counted: dict[tuple[Any, ...], tuple[int, float]] = {}
        for row in rows:
            number = row.values[-1] if summed else 0.0
            amount = float(number) if isinstance(number, int | float) else 0.0
            combinations: list[tuple[Any, ...]] = [()]
            for value in row.values[: len(keys)]:
                items = (value or [None]) if isinstance(value, list) else [value]
                combinations = [(*combination, item) for combination in combinations for item in items]
            for combination in combinations:
                count, before = counted.get(combination, (0, 0.0))
                counted[combination] = (count + 1, max(before, amount) if greatest else before + amount)
        return counted

    # --- inside

    def _counted(
        self, chosen: SearchFilter, fields: Sequence[str], summed: str | None, greatest: bool
    ) -> dict[tuple[Any, ...], tuple[int, float]]:
        """Counts (and sums, or greatest numbers) by fields that hold one text, without reading a document."""
        index = self._layout.registry(chosen.kind)
        self._visibility.make_all_visible([index])
        sources = [{field: {"terms": {"field": f"texts.{field}", "missing_bucket": True}}} for field in fields]
        composite: dict[str, Any] = {"size": 10_000, "sources": sources}
        body: dict[str, Any] = {"size": 0, "track_total_hits": False, "query": chosen.query, "aggs": {"all": {"composite": composite}}}
        if summed:
            body["aggs"]["all"]["aggs"] = {"measure": {"max" if greatest else "sum": {"field": f"numbers.{summed}"}}}
        counted: dict[tuple[Any, ...], tuple[int, float]] = {}
        while True:
            found = self._client.search(index, body)["aggregations"]["all"]
            for bucket in found["buckets"]:
                total = float(bucket["measure"]["value"] or 0.0) if summed else 0.0
                counted[tuple(bucket["key"][field] for field in fields)] = (bucket["doc_count"], total)
            if "after_key" not in found or len(found["buckets"]) < composite["size"]:
                return counted
            composite["after"] = found["after_key"]

    def _updating(self, kind: str, company: str, id: str) -> str:
        """The path of an update: through the write alias, so that an index that was removed is not created again with guessed mappings."""
        index = self._layout.writing(self._layout.registry(kind))
        return f"/{index}/_update/{quote(document_id(kind, company, id), safe='')}?require_alias=true"

    def _send(self, kind: Kind, company: str, actions: Iterable[tuple[str, bytes]]) -> dict[str, int]:
        """Send the action of each document in few bulk requests; the status of each, by id: that of an action done, of a conflict, or 404 for a
        document that is not there."""
        statuses: dict[str, int] = {}
        for ids, lines in _requests(actions):
            items = self._client.bulk(lines).items
            self._changed(kind, company, ids)
            for id, item in zip(ids, items, strict=True):
                if is_index_gone(item):
                    self._layout.lost = True
                    raise IndexGone("the registry was removed from Elasticsearch: it is being recreated", 1.0)
                if item["status"] not in (200, 201, 404, CONFLICT):
                    raise busy_reason(item["status"], item) or StoreBusy(f"Elasticsearch refuses a document: {reason(item)}")
                statuses[id] = item["status"]
        return statuses

    def _changed(self, kind: str, company: str, ids: Collection[str] = ()) -> None:
        """`ids`: whose bodies were changed, not only their activity."""
        changed = dict.fromkeys(ids, (DOCUMENT,)) if kind in ACTIVITY_KINDS else {}
        self._visibility.record_writes(company, changed, (self._layout.registry(kind),))

    def _candidates(
        self, chosen: SearchFilter, fields: Collection[str] | None, sort: list[Any] | None = None, stop: int | None = None
    ) -> list[Document]:
        """The first `stop` documents that pass the conditions that Elasticsearch evaluates."""
        index = self._layout.registry(chosen.kind)
        self._visibility.make_all_visible([index])
        body = {"query": chosen.query, "sort": sort or ["id", "company"], "_source": _wanted(chosen.kind, fields)}
        found: list[Document] = []
        if stop == 0:
            return found
        for hits in self._client.scan(index, body, 1000 if stop is None else min(stop, 1000)):
            found += [document_of(hit) for hit in paced(hits, CONVERTED)]
            if stop is not None and len(found) >= stop:
                return found[:stop]
        return found

    def _documents(self, kind: Kind, rows: Sequence[TableRow], fields: Sequence[str] | None) -> list[Document]:
        """The documents of rows, in their order; documents deleted since are left out."""
        found: dict[tuple[str, str], Document] = {}
        for company in {row.company for row in rows}:
            ids = [row.id for row in rows if row.company == company]
            found |= {(company, id): document for id, document in self._read(kind, company, ids, fields).items()}
        return [found[row.company, row.id] for row in rows if (row.company, row.id) in found]

    def _lookup(self, documents: Sequence[Document], paths: Sequence[Path]) -> Lookup:
        """How to find a value: in the body, or in the statistics of a series."""
        companies = {document.company for document in documents}
        statistics = {
            path: {company: self._statistics.values(company, path) for company in companies} for path in paths if is_statistic(path)
        }
        owners = {id(document.body): document.company for document in documents}

        def lookup(body: Mapping[str, Any], path: Path) -> Any:
            if path in statistics:
                return statistics[path][owners[id(body)]].get(body["id"])
            return value_at(body, path)

        return lookup


def _replacements(
    index: str, documents: Mapping[str, Document], stored: Mapping[str, Mapping[str, Any]], touch: Mapping[str, int]
) -> Iterator[tuple[str, bytes]]:
    """By id, the action that stores a document in the place of its stored version, whose activity stays where `touch` does not set it."""
    for stored_id, document in documents.items():
        there = stored[stored_id]
        kind, revision = document.version
        activity = {name: there["_source"].get(name) for name in ACTIVITY_FIELDS} | dict(touch)
        source = source_of(kind, document.company, document.id, document.body, revision + 1, activity)
        yield document.id, action("index", index, stored_id, source, seen=there)


def _requests(actions: Iterable[tuple[str, bytes]]) -> Iterator[tuple[list[str], bytes]]:
    """The ids and the body of each bulk request."""
    ids: list[str] = []
    lines: list[bytes] = []
    size = 0
    for id, line in paced(actions, CONVERTED // 5):
        ids.append(id)
        lines.append(line)
        size += len(line)
        if len(ids) >= BULK or size >= BULK_BYTES:
            yield ids, b"".join(lines)
            ids, lines, size = [], [], 0
    if ids:
        yield ids, b"".join(lines)


def _can_count(keys: Sequence[Path], summed: Path | None) -> bool:
    """Whether these fields are indexed as single texts, and the field of the sum as numbers."""
    texts = all(len(path) == 1 and path[0] in TALLIED_FIELDS for path in keys)
    return texts and (summed is None or (len(summed) == 1 and summed[0] in SORTED_FIELDS))


def _paths(where: Sequence[Condition | AnyOf], order: Sequence[Sort]) -> list[str | tuple[str, ...]]:
    """All paths that a query uses."""
    return [*(sort.path for sort in order), *(condition.path for condition in conditions_in(where))]


def _wanted(kind: str, fields: Collection[str] | None) -> dict[str, Any]:
    return {"excludes": ["tokens", "texts", "numbers", *(["bulk"] if without_bulk(kind, fields) else [])]}


def _valued(documents: Sequence[Document], paths: Sequence[Path], lookup: Lookup) -> list[TableRow]:
    return [TableRow(document.id, document.company, tuple([lookup(document.body, path) for path in paths])) for document in documents]


def _sorted(documents: list[Document], order: Sequence[Sort], lookup: Lookup) -> list[Document]:
    rows = ordered(_valued(documents, [path_of(sort.path) for sort in order], lookup), order)
    by_id = {(document.company, document.id): document for document in documents}
    return [by_id[row.company, row.id] for row in rows]
