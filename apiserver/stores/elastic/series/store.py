"""Reads the series of tasks with their statistics, and recomputes stale ones."""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from apiserver.common.fairness import paced
from apiserver.stores.elastic.bulk_actions import action, deletes
from apiserver.stores.elastic.client import ElasticClient, attempts
from apiserver.stores.elastic.generations import Generations
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.queries import SCALED_MEAN, Query, all_of, any_of, fitting_mean, point_value, terms
from apiserver.stores.elastic.series.group_commit import GroupCommit
from apiserver.stores.elastic.series.row import PENDING, LastPoints, StatisticsRow, key_of, row_of, series_id, source_of
from apiserver.stores.elastic.visibility import TaskView, Visibility
from apiserver.stores.errors import StoreBusy
from apiserver.stores.event_types import TYPES
from apiserver.stores.records import LAST_VALUES, SINGLE_VALUE_ITER, Metrics, SeriesKey, wants
from apiserver.stores.series_row import SeriesRow

log = logging.getLogger(__name__)

LONGEST_PENDING = 1.0
"""Seconds to wait for batches that are being stored before statistics are recomputed; after it they stay stale."""
PENDING_SECONDS = 120.0
"""A batch that is pending for longer died with its worker: no request lasts that long."""
SERIES = 400
"""Series processed before other requests get a turn."""
PAGE = 1_000
"""Series per search: parsed in some milliseconds."""
TASKS = 1000
TRIES = 8
_ITER_DESC = [{"iter": {"order": "desc", "missing": "_last"}}]
_ITER_ASC = [{"iter": {"order": "asc", "missing": "_last"}}]


class SeriesStore:
    """Series with their statistics, which include every acknowledged batch."""

    def __init__(
        self, client: ElasticClient, layout: Layout, generations: Generations, visibility: Visibility, group_commit: GroupCommit
    ) -> None:
        self._client, self._layout, self._generations = client, layout, generations
        self._visibility, self._group_commit = visibility, group_commit

    def rows(
        self,
        company: str,
        tasks: Sequence[str],
        types: Collection[str] | None = None,
        metrics: Metrics | None = None,
        *,
        with_last: bool = False,
    ) -> dict[SeriesKey, StatisticsRow]:
        """Every series that has events, ordered by metric, variant, type (bytes of UTF-8). `with_last`: scalar series have their last values."""
        tasks = list(dict.fromkeys(tasks))
        index = self._layout.statistics(company)
        view = self._visibility.view(company, tasks)
        pending = self._visibility.pending_documents(company, view, tasks)
        if pending is None:
            self._visibility.make_visible(view, {index: tasks})
        found: dict[SeriesKey, StatisticsRow] = {}
        without = () if with_last else ("last",)
        batches: list[dict[str, Any]] = []
        for start in range(0, len(tasks), TASKS):
            for source in paced(self._sources(index, tasks[start : start + TASKS], types, without), SERIES):
                if source["kind"] == PENDING:
                    batches.append(source)
                else:
                    key = key_of(source)
                    if wants(metrics, key.metric, key.variant):
                        found[key] = row_of(source)
        if pending:
            for document in self._client.get_many(index, pending, without=without).values():
                key = key_of(document["_source"])
                if (types is None or key.type in types) and wants(metrics, key.metric, key.variant):
                    found[key] = row_of(document["_source"])
        stale = [key for key, row in found.items() if row.stale]
        if with_last:  # documents of older versions lack them
            stale += [
                key for key, row in found.items() if TYPES[key.type].last_values and row.points and row.last is None and not row.stale
            ]
        dead = [batch for batch in batches if batch["at"] < (time.time() - PENDING_SECONDS) * 1000]
        for batch in dead:
            stale += [key for key in (SeriesKey(*names) for names in batch["series"]) if key not in stale]
        if stale:
            computed = self.recompute(company, stale)
            chosen = set(tasks)
            wanted = (key for key in computed if key.task in chosen and (types is None or key.type in types))
            found |= {key: computed[key] for key in wanted if wants(metrics, key.metric, key.variant)}
            self._remove_records(index, dead)
        names = [(key.metric.encode(), key.variant.encode(), key.type, key) for key, row in paced(found.items(), SERIES) if row.count]
        names.sort()  # nearly sorted already, so it is cheap
        return {key: found[key] for *_, key in paced(names, SERIES)}

    def names(self, company: str, tasks: Sequence[str], type: str) -> list[tuple[str, str]]:
        """Distinct (metric, variant) of all series of one type, in byte order."""
        tasks = list(dict.fromkeys(tasks))
        index = self._layout.statistics(company)
        self._visibility.make_visible(self._visibility.view(company, tasks), {index: tasks})
        found: set[tuple[str, str]] = set()
        for start in range(0, len(tasks), TASKS):
            some = {"terms": {"task": tasks[start : start + TASKS]}}
            pairs: dict[str, Any] = {"size": 1000, "sources": [{name: {"terms": {"field": name}}} for name in ("metric", "variant")]}
            body = {
                "size": 0,
                "query": all_of([some, {"term": {"kind": "series"}}, {"term": {"type": type}}]),
                "aggs": {"n": {"composite": pairs}},
            }
            while True:
                answer = self._client.search(index, body).get("aggregations", {}).get("n", {})
                found.update((bucket["key"]["metric"], bucket["key"]["variant"]) for bucket in answer.get("buckets", ()))
                if "after_key" not in answer:
                    break
                pairs["after"] = answer["after_key"]
        return sorted(found, key=lambda names: (names[0].encode(), names[1].encode()))

    def _sources(self, index: str, tasks: Sequence[str], types: Collection[str] | None, without: Sequence[str]) -> Iterable[dict[str, Any]]:
        kinds: Query = {"term": {"kind": "series"}}
        if types is not None:
            kinds = all_of([kinds, {"terms": {"type": list(types)}}])
        query = all_of([terms("task", tasks), any_of([kinds, {"term": {"kind": PENDING}}])])
        sort = ["metric", "variant", "type", "task", {"at": {"order": "asc", "missing": 0}}]
        for hits in self._client.scan(index, {"query": query, "sort": sort, "_source": {"excludes": list(without)}}, PAGE):
            for hit in hits:
                source = hit["_source"]
                source["_id"] = hit["_id"]
                yield source

    def _remove_records(self, index: str, records: Sequence[dict[str, Any]]) -> None:
        if records:
            self._client.bulk(deletes(index, [record["_id"] for record in records]))

    # --- recomputing

    def recompute(self, company: str, keys: Sequence[SeriesKey]) -> dict[SeriesKey, StatisticsRow]:
        """Compute the statistics of these series from their events and store them; repeats series that another writer changed at the same time.

        Returns them, complete for every batch acknowledged before the call. Raises StoreBusy.
        """
        index = self._layout.statistics(company)
        computed: dict[SeriesKey, StatisticsRow] = {}
        left = list(dict.fromkeys(keys))
        for _ in attempts(TRIES):
            # Versions are read first: a document that changes after this fails the replacement below.
            ids = {series_id(company, key): key for key in left}
            documents = self._client.get_many(index, list(ids))
            # The shards of one bulk work at their own pace: a version that was read may count lines that are not stored yet.
            settled = self._visibility.await_pending(company, {key.task for key in left}, LONGEST_PENDING)
            rows = self._compute(company, left)
            writes: dict[SeriesKey, bytes] = {}
            for id, key in ids.items():
                document = documents.get(id)
                row = computed[key] = rows[key]
                if document is not None:
                    old = row_of(document["_source"])
                    row.last_written, row.x_axis_label = max(old.last_written, row.last_written), old.x_axis_label
                if row.count:
                    source = source_of(key, row if settled else replace(row, stale=True), secrets.randbelow(2**31))
                    writes[key] = action("create" if document is None else "index", index, id, source, seen=document)
                elif document is not None:
                    writes[key] = action("delete", index, id, seen=document)
            if not writes:
                return computed
            items = self._client.bulk(b"".join(writes.values())).items
            for key in writes:
                self._group_commit.forget(index, series_id(company, key))
            left = [key for key, item in zip(writes, items, strict=True) if item["status"] in (404, 409)]
            refused = [item for item in items if item["status"] not in (200, 201, 404, 409)]
            if refused:
                raise StoreBusy(f"Elasticsearch refuses statistics: {refused[0]}")
            self._visibility.record_writes(company, {}, (index,))
            if not left:
                return computed
        # Writers were faster every time. The result is still complete for every batch acknowledged before the call.
        return computed

    def _compute(self, company: str, keys: Sequence[SeriesKey]) -> dict[SeriesKey, StatisticsRow]:
        view = self._visibility.view(company, list({key.task for key in keys}))
        indices = self.event_indices(company, keys, view)
        asked = {key: _extents(key, indices.get(key, "-")) for key in keys}
        answers = iter(self._client.msearch([search for searches in asked.values() for search in searches]))
        rows: dict[SeriesKey, StatisticsRow] = {}
        charts: list[SeriesKey] = []
        for key in keys:
            rows[key] = row = _row(key, [next(answers) for _ in asked[key]])
            if row.min_iter is not None and row.max_iter is not None and not TYPES[key.type].is_lines:
                if row.min_iter <= SINGLE_VALUE_ITER <= row.max_iter:
                    charts.append(key)
                else:
                    row.chart_min_iter, row.chart_max_iter = row.min_iter, row.max_iter
        if charts:
            searches = [search for key in charts for search in _chart_extents(key, indices.get(key, "-"))]
            answers = iter(self._client.msearch(searches))
            for key in charts:
                _set_chart(rows[key], next(answers), next(answers))
                if TYPES[key.type].is_points:
                    _set_value(rows[key], next(answers), next(answers))
        return rows

    def event_indices(self, company: str, keys: Iterable[SeriesKey], view: TaskView) -> dict[SeriesKey, str]:
        """The event index of every series whose task has a generation, after making all acknowledged events in it visible."""
        keys = list(keys)
        generations = self._generations.for_reading(company, list({key.task for key in keys}), view)
        known = (key for key in paced(keys, SERIES) if key.task in generations)
        found = {key: self._layout.events(key.type, company, generations[key.task]) for key in known}
        needs: dict[str, set[str]] = {}
        for key, index in paced(found.items(), SERIES):
            needs.setdefault(index, set()).add(key.task)
        self._visibility.make_visible(view, needs)
        return found


def series_query(key: SeriesKey, *more: Query, without: Sequence[Query] = ()) -> Query:
    """A query for the events of one series."""
    return all_of([{"term": {"task": key.task}}, {"term": {"metric": key.metric}}, {"term": {"variant": key.variant}}, *more], without)


def _extents(key: SeriesKey, index: str) -> list[tuple[str, Query]]:
    points = TYPES[key.type].is_points
    fields = ["iter", "timestamp", "value", "special"] if points else ["iter"]
    times = {"oldest": {"min": {"field": "timestamp"}}, "newest": {"max": {"field": "timestamp"}}}
    with_iter: Query = {"filter": {"exists": {"field": "iter"}}, "aggs": dict(times)}
    if points:
        with_iter["aggs"] |= {"sum": {"sum": {"field": "value"}}, "finite": {"value_count": {"field": "value"}}, "mean": SCALED_MEAN}
    common: Query = {"size": 1, "_source": False, "docvalue_fields": fields, "query": series_query(key)}
    aggregations = times | {"bytes": {"sum": {"field": "size"}}, "last": {"max": {"field": "seq"}}, "with_iter": with_iter}
    searches = [(index, common | {"sort": _ITER_ASC, "track_total_hits": True, "aggs": aggregations})]
    searches.append((index, common | {"sort": _ITER_DESC, "track_total_hits": False}))
    if points:
        finite = series_query(key, {"exists": {"field": "value"}}, {"exists": {"field": "iter"}})
        nearest = common | {"query": finite, "track_total_hits": False}
        searches += [(index, nearest | {"sort": [{"value": way}, {"iter": "asc"}]}) for way in ("asc", "desc")]
    if TYPES[key.type].last_values:
        last = common | {"size": LAST_VALUES, "query": series_query(key, {"exists": {"field": "iter"}}), "track_total_hits": False}
        searches.append((index, last | {"sort": [{"iter": "desc"}]}))
    return searches


def _chart_extents(key: SeriesKey, index: str) -> list[tuple[str, Query]]:
    query = series_query(key, {"exists": {"field": "iter"}}, without=[{"term": {"iter": SINGLE_VALUE_ITER}}])
    common: Query = {"size": 1, "_source": False, "docvalue_fields": ["iter"], "query": query}
    times = {"oldest": {"min": {"field": "timestamp"}}, "newest": {"max": {"field": "timestamp"}}}
    searches = [(index, common | {"sort": _ITER_ASC, "track_total_hits": True, "aggs": times}), (index, common | {"sort": _ITER_DESC})]
    if TYPES[key.type].is_points:
        newest = common | {"docvalue_fields": ["iter", "timestamp", "value", "seq"]}
        single = newest | {"query": series_query(key, {"term": {"iter": SINGLE_VALUE_ITER}})}
        searches += [(index, newest | {"sort": _ITER_DESC}), (index, single)]
    return searches


def _row(key: SeriesKey, answers: Sequence[dict[str, Any]]) -> StatisticsRow:
    first, last = (_fields(answer) for answer in answers[:2])
    row = StatisticsRow()
    if first is None or last is None:
        return row
    aggregations = answers[0]["aggregations"]
    row.count = answers[0]["hits"]["total"]["value"]
    row.bytes = int(aggregations["bytes"]["value"])
    row.last_written = int(aggregations["last"]["value"])
    row.min_timestamp, row.max_timestamp = int(aggregations["oldest"]["value"]), int(aggregations["newest"]["value"])
    row.min_iter, row.max_iter = first.get("iter"), last.get("iter")
    inside = aggregations["with_iter"]
    if not inside["doc_count"]:
        return row
    if not TYPES[key.type].is_lines:
        row.chart_count = inside["doc_count"]
        row.chart_min_timestamp, row.chart_max_timestamp = int(inside["oldest"]["value"]), int(inside["newest"]["value"])
    if TYPES[key.type].is_points:
        row.points = inside["doc_count"]
        row.value, row.value_iter, row.value_timestamp = last.get("value"), last["iter"], last["timestamp"]
        row.first_value, row.first_value_iter = first.get("value"), first["iter"]
        low, high = _fields(answers[2]), _fields(answers[3])
        if low is not None and high is not None:
            row.min_value, row.min_value_iter = low["value"], low["iter"]
            row.max_value, row.max_value_iter = high["value"], high["iter"]
            row.sum, row.finite = float(inside["sum"]["value"]), int(inside["finite"]["value"])
            if math.isfinite(row.sum):
                row.mean_value = row.sum / row.finite
            else:
                row.sum, row.mean_value = math.inf, fitting_mean(inside["mean"]["value"])
    if TYPES[key.type].last_values:
        hits = [hit["fields"] for hit in reversed(answers[4]["hits"]["hits"])]
        values = [point_value(*(fields.get(name, (None,))[0] for name in ("value", "special"))) for fields in hits]
        row.last = LastPoints.of([fields["iter"][0] for fields in hits], values)
    return row


def _set_chart(row: SeriesRow, first: dict[str, Any], last: dict[str, Any]) -> None:
    row.chart_count = first["hits"]["total"]["value"] if "hits" in first else 0
    low, high = _fields(first), _fields(last)
    if low is None or high is None:
        row.chart_min_timestamp = row.chart_max_timestamp = None
        return
    row.chart_min_iter, row.chart_max_iter = low["iter"], high["iter"]
    times = first["aggregations"]
    row.chart_min_timestamp, row.chart_max_timestamp = int(times["oldest"]["value"]), int(times["newest"]["value"])


def _set_value(row: SeriesRow, last: dict[str, Any], single: dict[str, Any]) -> None:
    """Set the last value of a series that has a single value: the single value, or the point of the greatest iteration if that arrived later."""
    found = [fields for fields in (_fields(last), _fields(single)) if fields is not None]
    newest = max(found, key=lambda fields: int(fields["seq"]), default=None)
    if newest is not None:
        row.value, row.value_iter, row.value_timestamp = newest.get("value"), newest["iter"], newest["timestamp"]


def _fields(answer: dict[str, Any]) -> dict[str, Any] | None:
    hits = answer.get("hits", {}).get("hits")
    if not hits:
        return None
    return {name: values[0] for name, values in hits[0].get("fields", {}).items()}
