"""Buckets of scalar series by aggregation: the series of a task that have one interval together, so that thousands of series are few searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from apiserver.stores.bucketing import bucketed
from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.queries import Query, all_of, span
from apiserver.stores.elastic.read.points import ElasticPoints, choices_of
from apiserver.stores.elastic.series.store import SeriesStore
from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.records import SINGLE_VALUE_ITER, Axis, BucketRequest, Buckets, SeriesKey

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
    extremes: bool


class _Wanted(NamedTuple):
    """One request of a group: its place among all, and how many buckets it can have."""

    place: int
    key: SeriesKey
    expected: int


class _Value(msgspec.Struct, frozen=True, gc=False):
    """What an aggregation says of the values of a bucket: `value`, or the rest; None when none of them is a number."""

    value: float | None = None
    avg: float | None = None
    min: float | None = None
    max: float | None = None


class _Bucket(msgspec.Struct, gc=False):
    key: float
    doc_count: int
    v: _Value = _Value()


class _Buckets(msgspec.Struct):
    buckets: list[_Bucket] = []


class _Variant(msgspec.Struct):
    key: str
    x: _Buckets
    lo: _Value
    hi: _Value


class _Variants(msgspec.Struct):
    buckets: list[_Variant] = []


class _Metric(msgspec.Struct):
    key: str
    variant: _Variants


class _Metrics(msgspec.Struct):
    buckets: list[_Metric] = []


class _Aggregations(msgspec.Struct):
    """The answer to `_histograms`: tens of thousands of buckets, for which plain dictionaries take most of the time of a chart."""

    metric: _Metrics


_decode = msgspec.json.Decoder(_Aggregations).decode


class ElasticBuckets:
    """Buckets of scalar series."""

    def __init__(self, client: ElasticClient, visibility: Visibility, series: SeriesStore, points: ElasticPoints) -> None:
        self._client, self._visibility, self._series, self._points = client, visibility, series, points

    def buckets(self, company: str, requests: Sequence[BucketRequest]) -> list[Buckets]:
        keys = dict.fromkeys(request.series.key for request in requests)
        view = self._visibility.view(company, list(dict.fromkeys(key.task for key in keys)))
        indices = self._series.event_indices(company, keys, view)
        answers: dict[int, Buckets] = {}
        groups: dict[_Group, list[_Wanted]] = {}
        for place, request in enumerate(requests):
            key, extent = request.series.key, _extent(request)
            if extent is None or key not in indices:
                continue
            expected = min(request.series.chart_count, (extent[1] - extent[0]) // request.interval + 1)
            if max(-extent[0], extent[1], request.interval) >= EXACT or expected > MAX_BUCKETS:
                answers[place] = self._bucketed_here(request, indices[key])
            else:
                group = _Group(indices[key], key.task, request.axis, request.interval, request.lo, request.hi, request.extremes)
                groups.setdefault(group, []).append(_Wanted(place, key, expected))
        self._aggregate(groups, answers)
        empty = bucketed(np.empty(0, np.int64), np.empty(0, np.float64), 1)
        return [answers.get(place, empty) for place in range(len(requests))]

    def _aggregate(self, groups: Mapping[_Group, Sequence[_Wanted]], answers: dict[int, Buckets]) -> None:
        asked: list[tuple[_Group, list[_Wanted]]] = []
        for group, wanted in groups.items():
            part: list[_Wanted] = []
            size = 0
            for one in wanted:
                if part and (size + one.expected > SHARE or len(part) == MAX_SERIES):
                    asked.append((group, part))
                    part, size = [], 0
                part.append(one)
                size += one.expected
            asked.append((group, part))
        searches = [(group.where, _histograms(group, [one.key for one in part])) for group, part in asked]
        for (group, part), answer in zip(asked, self._client.aggregations(searches), strict=True):
            if not answer:
                continue
            found = {(metric.key, variant.key): variant for metric in _decode(answer).metric.buckets for variant in metric.variant.buckets}
            for one in part:
                content = found.get((one.key.metric, one.key.variant))
                if content is not None and content.x.buckets:
                    answers[one.place] = _buckets(content, _single(group) or not group.extremes)

    def _bucketed_here(self, request: BucketRequest, index: str) -> Buckets:
        lo, hi = (request.lo, request.hi) if request.axis == "iter" else (None, None)
        key = request.series.key
        columns = self._points.all_points(key, index, span("iter", lo, hi)).columns(key)
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


def _extent(request: BucketRequest) -> tuple[int, int] | None:
    """Between which x the points of a request can lie; None when there are none."""
    series = request.series
    if request.axis == "iter":
        low, high = series.chart_min_iter, series.chart_max_iter
    else:
        low, high = series.chart_min_timestamp, series.chart_max_timestamp
    if low is None or high is None:
        return None
    low = low if request.lo is None else max(low, request.lo)
    high = high if request.hi is None else min(high, request.hi)
    return (low, high) if low <= high else None


def _single(group: _Group) -> bool:
    """Whether every point has a bucket of its own: then its value is all there is to know."""
    return group.interval == 1 and group.axis == "iter"


def _histograms(group: _Group, keys: Sequence[SeriesKey]) -> Query:
    values = {"v": {"max" if _single(group) else "stats" if group.extremes else "avg": {"field": "value"}}}
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


def _buckets(variant: _Variant, single: bool) -> Buckets:
    """`single`: a bucket has one value, which stands for minimum and maximum too."""
    rows = variant.x.buckets
    x = np.array([row.key for row in rows], np.float64).astype(np.int64)
    count = np.array([row.doc_count for row in rows], np.int64)
    values = [row.v for row in rows]
    first, last = int(variant.lo.value or 0), int(variant.hi.value or 0)
    if single:
        mean = np.array([value.value for value in values], np.float64)
        return Buckets(x, mean, mean, mean, count, first, last)
    mean = np.array([value.avg for value in values], np.float64)
    low, high = np.array([value.min for value in values], np.float64), np.array([value.max for value in values], np.float64)
    return Buckets(x, mean, low, high, count, first, last)
