"""Buckets of scalar series by aggregation. Series of a task with the same interval share a search, so thousands of series take few
searches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from apiserver.common.fairness import give_way, paced
from apiserver.stores.bucketing import bucketed, buckets_of
from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.point_values import SPECIAL_CODES
from apiserver.stores.elastic.queries import SCALED_MEAN, Query, all_of, fitting_mean, span
from apiserver.stores.elastic.read.points import ElasticPoints, choices_of
from apiserver.stores.elastic.series.store import SeriesStore
from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.records import SINGLE_VALUE_ITER, Axis, BucketRequest, Buckets, Ends, Ints, Kinds, SeriesKey

MAX_BUCKETS = 60_000
"""Most buckets of a search; Elasticsearch refuses more than 65,536 (`search.max_buckets`)."""
SHARE = 10_000
"""Buckets after which a new search begins: Elasticsearch runs several at once."""
READ_AT_ONCE = 25_000
"""Buckets that are read before yielding to other requests: some milliseconds."""
REQUESTS = 500
"""Requests that are processed before yielding to other requests."""
MAX_SERIES = 500
"""Most series of a search: each may be a clause of its query."""
EXACT = 2**53
"""Aggregations compute in doubles: greater numbers are bucketed in this process."""


Content = Literal["values", "means", "kinds", "changed", "range"]
"""The aggregations of a search per bucket: values, means of values whose sum does not fit into a double, numbers of points that are not finite, or only
whether something arrived; "range": aggregations of the whole range, without buckets."""
_Asked = list[tuple["_Group", list["_Wanted"]]]
Found = Iterator[tuple["_Group", "_Wanted", "_Variant"]]


class _Group(NamedTuple):
    """Requests that one search can answer together. `lo` and `hi` are on the axis itself, not relative to `origin`."""

    where: str
    task: str
    axis: Axis
    interval: int
    lo: int | None
    hi: int | None
    extremes: bool
    ends: bool
    origin: int
    since_seq: int | None

    @property
    def single(self) -> bool:
        """Whether no bucket has more than one point, so that its value is enough."""
        return self.interval == 1 and self.axis == "iter"


class _Wanted(NamedTuple):
    """One request of a group: its place among all, and how many buckets it can have."""

    place: int
    key: SeriesKey
    expected: int
    all_finite: bool


class _Value(msgspec.Struct, frozen=True, gc=False):
    """The values of a bucket, from an aggregation: `value` alone, or the other fields; None when no value is a number. A mean is a text
    ("Infinity", "NaN") where the sum does not fit into a double."""

    value: float | str | None = None
    avg: float | str | None = None
    min: float | None = None
    max: float | None = None


class _Extreme(msgspec.Struct, frozen=True, gc=False):
    value: float | None = None


class _Codes(msgspec.Struct, frozen=True, gc=False):
    """The codes (`SPECIAL_CODES`) of a bucket's points, by `extended_stats`, which takes less of Elasticsearch's limit of buckets than
    `terms`."""

    count: int = 0
    sum: float = 0.0
    sum_of_squares: float = 0.0

    def counts(self) -> tuple[int, int, int]:
        """How many points have the codes 1, 2 and 3, solved from three sums."""
        total, squares = int(self.sum), int(self.sum_of_squares)
        threes = (squares - 3 * total + 2 * self.count) // 2
        twos = total - self.count - 2 * threes
        return self.count - twos - threes, twos, threes


class _Bucket(msgspec.Struct, gc=False):
    key: float
    doc_count: int
    v: _Value = _Value()
    i: _Extreme = _Extreme()
    t: _Extreme = _Extreme()
    codes: _Codes = _Codes()


class _First(msgspec.Struct, frozen=True, gc=False):
    x: _Extreme = _Extreme()


class _Count(msgspec.Struct, frozen=True, gc=False):
    doc_count: int = 0


class _Buckets(msgspec.Struct):
    buckets: list[_Bucket] = []


class _Variant(msgspec.Struct):
    key: str
    x: _Buckets = msgspec.field(default_factory=_Buckets)
    lo: _Extreme = _Extreme()
    hi: _Extreme = _Extreme()
    nan: _First = _First()
    special: _Count = _Count()


class _Variants(msgspec.Struct):
    buckets: list[_Variant] = []


class _Metric(msgspec.Struct):
    key: str
    variant: _Variants


class _Metrics(msgspec.Struct):
    buckets: list[_Metric] = []


class _Aggregations(msgspec.Struct):
    """The answer to `_histograms`: tens of thousands of buckets. As plain dictionaries they take most of a chart's time."""

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
        for place, request in enumerate(paced(requests, REQUESTS)):
            key, extent = request.series.key, _extent(request)
            if extent is None or key not in indices:
                continue
            expected = min(request.series.chart_count, (extent[1] - extent[0]) // request.interval + 1)
            if max(-extent[0], extent[1], request.interval) >= EXACT or expected > MAX_BUCKETS:
                answers[place] = self._bucketed_here(request, indices[key])
            else:
                statistics = request.series.statistics
                all_finite = not request.kinds or (statistics is not None and statistics.finite == statistics.count)
                groups.setdefault(_group_of(request, indices[key]), []).append(_Wanted(place, key, expected, all_finite))
        changed, ranges = self._changed(groups)
        overflown: dict[_Group, list[_Wanted]] = {}
        for group, wanted, variant in self._search(groups, "values"):
            found = _buckets(group, variant)
            if _overflows(variant, found):
                overflown.setdefault(group, []).append(wanted)
            arrived = changed.get(wanted.place)
            answers[wanted.place] = found if arrived is None else found.take(np.isin(found.x, arrived))
        for group, wanted, variant in self._search(overflown, "means"):
            _set_means(answers[wanted.place], _starts(group, variant), variant)
        special = {group: [one for one in wanted if one.place in answers and not one.all_finite] for group, wanted in groups.items()}
        for group, wanted, variant in self._search({group: wanted for group, wanted in special.items() if wanted}, "kinds"):
            answers[wanted.place].kinds = _kinds(group, variant, answers[wanted.place].x)
        for place in changed.keys() & answers.keys():
            _set_range(answers[place], requests[place], ranges.get(place))
        empty = bucketed(np.empty(0, np.int64), np.empty(0, np.float64), 1)
        return [answers.get(place, empty) for place in range(len(requests))]

    def _changed(self, groups: dict[_Group, list[_Wanted]]) -> tuple[dict[int, Ints], dict[int, _Variant]]:
        """By place: the buckets in which something arrived since the seq of its group; and what the whole range has, where that is not known from
        the series. Groups without arrivals go, the others are narrowed to where these are."""
        asked = {group: wanted for group, wanted in groups.items() if group.since_seq is not None}
        changed: dict[int, Ints] = {}
        found: dict[_Group, list[_Wanted]] = {}
        for group, wanted, variant in self._search(asked, "changed"):
            changed[wanted.place] = _starts(group, variant)
            found.setdefault(group, []).append(wanted)
        for group in asked:
            del groups[group]
        unknown = {
            group: some
            for group, wanted in found.items()
            if (some := [one for one in wanted if (group.lo, group.hi) != (None, None) or not one.all_finite])
        }
        ranges = {wanted.place: variant for _, wanted, variant in self._search(unknown, "range")}
        for group, some in found.items():
            first = min(int(changed[one.place][0]) for one in some) + group.origin
            last = max(int(changed[one.place][-1]) for one in some) + group.origin + group.interval - 1
            lo, hi = first if group.lo is None else max(first, group.lo), last if group.hi is None else min(last, group.hi)
            groups[group._replace(lo=lo, hi=hi)] = some
        return changed, ranges

    def _search(self, groups: Mapping[_Group, Sequence[_Wanted]], content: Content) -> Found:
        """The buckets of each series, by searches that are sent together."""
        asked: _Asked = []
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
        for stretch in _stretches(asked):
            searches = [(group.where, _histograms(group, [one.key for one in part], content)) for group, part in stretch]
            yield from self._found(stretch, searches, content)

    def _found(self, asked: _Asked, searches: Sequence[tuple[str, Query]], content: Content) -> Found:
        for (group, part), answer in zip(asked, self._client.aggregations(searches), strict=True):
            give_way()
            if not answer:
                continue
            found = {(metric.key, variant.key): variant for metric in _decode(answer).metric.buckets for variant in metric.variant.buckets}
            for one in part:
                variant = found.get((one.key.metric, one.key.variant))
                if variant is not None and (variant.x.buckets or content == "range"):
                    yield group, one, variant

    def _bucketed_here(self, request: BucketRequest, index: str) -> Buckets:
        lo, hi = (request.lo, request.hi) if request.axis == "iter" else (None, None)
        key = request.series.key
        columns = self._points.all_points(key, index, span("iter", lo, hi)).columns(key)
        return buckets_of(request, columns.iters, columns.values, columns.timestamps, columns.seqs)


def _stretches(asked: _Asked) -> Iterator[_Asked]:
    """The searches in groups whose answers are read together."""
    stretch: _Asked = []
    expected = 0
    for group, part in asked:
        size = sum(one.expected for one in part)
        if stretch and expected + size > READ_AT_ONCE:
            yield stretch
            stretch, expected = [], 0
        stretch.append((group, part))
        expected += size
    if stretch:
        yield stretch


def _extent(request: BucketRequest) -> tuple[int, int] | None:
    """The range of x in which the points of a request lie; None without points."""
    series = request.series
    if request.axis == "iter":
        low, high = series.chart_min_iter, series.chart_max_iter
    else:
        low, high = series.chart_min_timestamp, series.chart_max_timestamp
    if low is None or high is None:
        return None
    low, high = low - request.origin, high - request.origin
    low = low if request.lo is None else max(low, request.lo)
    high = high if request.hi is None else min(high, request.hi)
    return (low, high) if low <= high else None


def _group_of(request: BucketRequest, index: str) -> _Group:
    lo, hi = (None if bound is None else bound + request.origin for bound in (request.lo, request.hi))
    flags = (request.extremes, request.ends, request.origin, request.since_seq)
    return _Group(index, request.series.key.task, request.axis, request.interval, lo, hi, *flags)


def _histograms(group: _Group, keys: Sequence[SeriesKey], content: Content) -> Query:
    histogram: Query = {"field": group.axis, "interval": group.interval, "min_doc_count": 1}
    if group.origin:
        histogram["offset"] = group.origin % group.interval
    of_series: Query = {"x": {"histogram": histogram}}
    filters = [{"term": {"task": group.task}}, choices_of(keys), {"exists": {"field": "iter"}}, *span(group.axis, group.lo, group.hi)]
    if content == "values":
        values: Query = {"v": {"max" if group.single else "stats" if group.extremes else "avg": {"field": "value"}}}
        if group.ends:
            if not group.single:
                values["i"] = {"max": {"field": "iter"}}
            values["t"] = {"max": {"field": "timestamp"}}
        of_series["x"]["aggs"] = values
        of_series |= {"lo": {"min": {"field": group.axis}}, "hi": {"max": {"field": group.axis}}}
    elif content == "means":
        of_series["x"]["aggs"] = {"v": SCALED_MEAN}
    elif content == "kinds":
        filters.append({"exists": {"field": "special"}})
        of_series["x"]["aggs"] = {"codes": {"extended_stats": {"field": "special"}}}
        of_series["nan"] = _first_nan(group)
    elif content == "range":
        of_series = {"lo": {"min": {"field": group.axis}}, "hi": {"max": {"field": group.axis}}}
        of_series["special"] = {"filter": {"exists": {"field": "special"}}}
        of_series["nan"] = _first_nan(group)
    else:
        filters += span("seq", (group.since_seq or 0) + 1)
    metrics = len({key.metric for key in keys})
    variants = len({key.variant for key in keys})
    by_variant = {"terms": {"field": "variant", "size": variants}, "aggs": of_series}
    return {
        "size": 0,
        "track_total_hits": False,
        "query": all_of(filters, [{"term": {"iter": SINGLE_VALUE_ITER}}]),
        "aggs": {"metric": {"terms": {"field": "metric", "size": metrics}, "aggs": {"variant": by_variant}}},
    }


def _first_nan(group: _Group) -> Query:
    return {"filter": {"term": {"special": SPECIAL_CODES["nan"]}}, "aggs": {"x": {"min": {"field": group.axis}}}}


def _set_range(buckets: Buckets, request: BucketRequest, whole: _Variant | None) -> None:
    """The ends and the first NaN of the whole range, in an answer that has only some of its buckets. `whole` None: the range is that of the series,
    and all of its points are finite."""
    if whole is None:
        first, last = _extent(request) or (None, None)
        buckets.first_x = first if first is None or buckets.first_x is None else min(first, buckets.first_x)
        buckets.last_x = last if last is None or buckets.last_x is None else max(last, buckets.last_x)
        return
    buckets.first_x, buckets.last_x = (None if end.value is None else int(end.value) - request.origin for end in (whole.lo, whole.hi))
    if request.kinds and whole.special.doc_count:
        none = np.zeros(len(buckets.x), np.int64)
        first_nan = whole.nan.x.value
        kinds = buckets.kinds or Kinds(none, none, none, None)
        buckets.kinds = kinds._replace(first_nan=None if first_nan is None else int(first_nan) - request.origin)


def _starts(group: _Group, variant: _Variant) -> Ints:
    return np.array([row.key for row in variant.x.buckets], np.float64).astype(np.int64) - group.origin


def _buckets(group: _Group, variant: _Variant) -> Buckets:
    rows = variant.x.buckets
    x = _starts(group, variant)
    count = np.array([row.doc_count for row in rows], np.int64)
    values = [row.v for row in rows]
    first, last = int(variant.lo.value or 0) - group.origin, int(variant.hi.value or 0) - group.origin
    if group.single or not group.extremes:  # one value stands for minimum and maximum too
        mean = low = high = np.array([value.value for value in values], np.float64)
    else:
        mean = np.array([value.avg for value in values], np.float64)
        low, high = np.array([value.min for value in values], np.float64), np.array([value.max for value in values], np.float64)
    ends = None
    if group.ends:
        iters = x if group.single else np.array([row.i.value for row in rows], np.float64).astype(np.int64)
        ends = Ends(iters, np.array([row.t.value for row in rows], np.float64).astype(np.int64))
    return Buckets(x, mean, low, high, count, first, last, ends)


def _overflows(variant: _Variant, buckets: Buckets) -> bool:
    """Whether a mean is missing because the sum of the bucket does not fit into a double."""
    values = [variant.x.buckets[place].v for place in np.flatnonzero(~np.isfinite(buckets.mean))]
    return any(isinstance(value.avg, str) or isinstance(value.value, str) for value in values)


def _set_means(buckets: Buckets, starts: Ints, scaled: _Variant) -> None:
    """Replace the means that are missing."""
    means = {x: fitting_mean(row.v.value) for x, row in zip(starts.tolist(), scaled.x.buckets, strict=True)}
    for place in np.flatnonzero(~np.isfinite(buckets.mean)).tolist():
        buckets.mean[place] = means.get(int(buckets.x[place]), math.nan)


def _kinds(group: _Group, variant: _Variant, x: Ints) -> Kinds:
    """The kinds of points in the buckets at x."""
    counts = np.zeros((3, len(x)), np.int64)
    at = {start: place for place, start in enumerate(x.tolist())}
    for start, row in zip(_starts(group, variant).tolist(), variant.x.buckets, strict=True):
        if start in at:
            counts[:, at[start]] = row.codes.counts()
    first = variant.nan.x.value
    return Kinds(counts[0], counts[1], counts[2], None if first is None else int(first) - group.origin)
