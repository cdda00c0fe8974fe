"""Buckets of scalar series by aggregation: the series of a task that have one interval together, so that thousands of series are few searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from apiserver.stores.bucketing import bucketed
from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.freshness import Freshness
from apiserver.stores.elastic.points import PointReader, choices_of
from apiserver.stores.elastic.queries import Query, all_of, span
from apiserver.stores.elastic.series_store import SeriesStore
from apiserver.stores.records import SINGLE_VALUE_ITER, Axis, BucketRequest, Buckets, SeriesKey
from apiserver.stores.series_row import SeriesRow

MAX_BUCKETS = 60_000
"""Buckets of one search; Elasticsearch refuses more than 65,536 (`search.max_buckets`)."""
SHARE = 10_000
"""Buckets after which another search is begun: Elasticsearch works on several at once."""
MAX_SERIES = 500
"""Series of one search: each may be a clause of its query."""
EXACT = 2**53
"""Aggregations compute in doubles: greater numbers are bucketed here."""


class _Group(NamedTuple):
    """What one search can answer together."""

    where: str
    task: str
    axis: Axis
    interval: int
    lo: int | None
    hi: int | None


class Charts:
    """Buckets of scalar series."""

    def __init__(self, client: ElasticClient, freshness: Freshness, series: SeriesStore, points: PointReader) -> None:
        self._client, self._freshness, self._series, self._points = client, freshness, series, points

    def buckets(self, company: str, requests: Sequence[BucketRequest]) -> list[Buckets]:
        rows = self._series.rows_of(company, (request.key for request in requests))
        view = self._freshness.view(company, list(dict.fromkeys(request.key.task for request in requests)))
        indices = self._series.event_indices(company, dict.fromkeys(request.key for request in requests), view)
        answers: dict[BucketRequest, Buckets] = {}
        groups: dict[_Group, list[tuple[SeriesKey, int]]] = {}
        for request in requests:
            row = rows.get(request.key)
            extent = None if row is None else _extent(row, request)
            if row is None or extent is None or request.key not in indices:
                answers[request] = bucketed(np.empty(0, np.int64), np.empty(0, np.float64), 1)
                continue
            expected = min(row.chart_count, (extent[1] - extent[0]) // request.interval + 1)
            if max(-extent[0], extent[1], request.interval) >= EXACT or expected > MAX_BUCKETS:
                answers[request] = self._bucketed_here(request, indices[request.key])
            else:
                group = _Group(indices[request.key], request.key.task, request.axis, request.interval, request.lo, request.hi)
                groups.setdefault(group, []).append((request.key, expected))
        self._aggregate(groups, answers)
        empty = bucketed(np.empty(0, np.int64), np.empty(0, np.float64), 1)
        return [answers.get(request, empty) for request in requests]

    def _aggregate(self, groups: Mapping[_Group, Sequence[tuple[SeriesKey, int]]], answers: dict[BucketRequest, Buckets]) -> None:
        searches: list[tuple[str, Query]] = []
        asked: list[tuple[_Group, list[SeriesKey]]] = []
        for group, wanted in groups.items():
            part: list[SeriesKey] = []
            size = 0
            for key, expected in wanted:
                if part and (size + expected > SHARE or len(part) == MAX_SERIES):
                    asked.append((group, part))
                    part, size = [], 0
                part.append(key)
                size += expected
            asked.append((group, part))
        searches = [(group.where, _histograms(group, keys)) for group, keys in asked]
        inside = "aggregations.metric.buckets.variant.buckets"
        kept = [
            f"{inside}.{part}" for part in ("key", "lo", "hi", "x.buckets.key", "x.buckets.doc_count", "x.buckets.v.min", "x.buckets.v.max")
        ]
        kept += [f"{inside}.x.buckets.v.avg", f"{inside}.x.buckets.v.value", "aggregations.metric.buckets.key"]
        for (group, keys), answer in zip(asked, self._client.msearch(searches, ",".join(kept)), strict=True):
            found = {
                (metric["key"], variant["key"]): variant
                for metric in answer.get("aggregations", {}).get("metric", {}).get("buckets", [])
                for variant in metric.get("variant", {}).get("buckets", [])
            }
            for key in keys:
                content = found.get((key.metric, key.variant))
                if content is not None and content.get("x", {}).get("buckets"):
                    request = BucketRequest(key, group.axis, group.interval, group.lo, group.hi)
                    answers[request] = _buckets(content["x"]["buckets"], int(content["lo"]["value"]), int(content["hi"]["value"]))

    def _bucketed_here(self, request: BucketRequest, index: str) -> Buckets:
        lo, hi = (request.lo, request.hi) if request.axis == "iter" else (None, None)
        columns = self._points.all_points(request.key, index, span("iter", lo, hi)).columns(request.key)
        shown = columns.iters != SINGLE_VALUE_ITER
        x = (columns.iters if request.axis == "iter" else columns.timestamps)[shown]
        values = columns.values[shown]
        if request.axis == "timestamp":
            order = np.argsort(x, kind="stable")
            x, values = x[order], values[order]
            inside = np.ones(len(x), np.bool_)
            if request.lo is not None:
                inside &= x >= request.lo
            if request.hi is not None:
                inside &= x <= request.hi
            x, values = x[inside], values[inside]
        return bucketed(x, values, request.interval)


def _extent(row: SeriesRow, request: BucketRequest) -> tuple[int, int] | None:
    """Between which x the points of a request can lie; None when there are none."""
    if request.axis == "iter":
        low, high = row.chart_min_iter, row.chart_max_iter
    else:
        low, high = row.chart_min_timestamp, row.chart_max_timestamp
    if low is None or high is None:
        return None
    low = low if request.lo is None else max(low, request.lo)
    high = high if request.hi is None else min(high, request.hi)
    return (low, high) if low <= high else None


def _histograms(group: _Group, keys: Sequence[SeriesKey]) -> Query:
    # Where every point has a bucket of its own its value is all there is to know.
    single = group.interval == 1 and group.axis == "iter"
    values = {"v": {"max": {"field": "value"}} if single else {"stats": {"field": "value"}}}
    ends = {"lo": {"min": {"field": group.axis}}, "hi": {"max": {"field": group.axis}}}
    histogram = {"histogram": {"field": group.axis, "interval": group.interval, "min_doc_count": 1}, "aggs": values}
    metrics = len({key.metric for key in keys})
    variants = len({key.variant for key in keys})
    filters = [{"term": {"task": group.task}}, choices_of(keys), {"exists": {"field": "iter"}}, *span(group.axis, group.lo, group.hi)]
    by_variant = {"terms": {"field": "variant", "size": variants}, "aggs": ends | {"x": histogram}}
    return {
        "size": 0,
        "track_total_hits": False,
        "query": all_of(filters, [{"term": {"iter": SINGLE_VALUE_ITER}}]),
        "aggs": {"metric": {"terms": {"field": "metric", "size": metrics}, "aggs": {"variant": by_variant}}},
    }


def _buckets(rows: list[dict[str, Any]], first: int, last: int) -> Buckets:
    x = np.array([int(row["key"]) for row in rows], np.int64)
    count = np.array([row["doc_count"] for row in rows], np.int64)
    values = [row.get("v") or {} for row in rows]
    if "value" in values[0] or not any(values):
        single = np.array([value.get("value") for value in values], np.float64)
        return Buckets(x, single, single, single, count, first, last)
    mean, low, high = (np.array([value.get(name) for value in values], np.float64) for name in ("avg", "min", "max"))
    return Buckets(x, mean, low, high, count, first, last)
