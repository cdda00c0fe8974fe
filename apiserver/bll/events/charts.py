"""Charts of scalar series: every series of one task, or of many side by side, cut into buckets.

A series with fewer points than `samples` is returned point by point. Any other is divided into buckets of equal width, ceil(span / samples), that
begin at multiples of their width: at most `samples` + 1 of them, empty ones left out. Each series has its own width, so a chart does not get coarser
because of its neighbours, unless all of them together have more points than one answer may hold. The store computes the buckets, as columns; nothing
here touches single points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import orjson

from apiserver.bll.answer_cache import AnswerCache
from apiserver.bll.registry.directory import Owner
from apiserver.common.encoding import encoded_object
from apiserver.common.fairness import paced
from apiserver.errors import ValidationFailed
from apiserver.stores.base import SeriesReader
from apiserver.stores.records import SCALAR, Axis, BucketRequest, Buckets, Ints, Kinds, Series

XKey = Literal["iter", "timestamp", "iso_time"]

CACHE_BYTES = 48 * 1024 * 1024
BUCKETS_AT_ONCE = 500_000
"""Buckets read from the store in one call, about: 20 MB of arrays."""
BUCKETS_BETWEEN_PAUSES = 50_000
"""Buckets encoded (about 5 ms) before yielding to other requests."""
SERIES_BETWEEN_PAUSES = 1_000
"""Series encoded before yielding."""


@dataclass(frozen=True, slots=True)
class ChartQuery:
    """The parameters of a chart. `samples` 0: every point. `x_min`, `x_max`: inclusive, in iterations or ms. `metrics`: (metric,
    variants)."""

    samples: int = 6000
    key: XKey = "iter"
    metrics: tuple[tuple[str, tuple[str, ...]], ...] | None = None
    envelope: bool = False
    x_min: int | None = None
    x_max: int | None = None
    keep_non_finite: bool = False
    """Whether buckets without a finite value stay, with y None."""

    @property
    def axis(self) -> Axis:
        """The axis in the store: both time keys are the timestamp."""
        return "iter" if self.key == "iter" else "timestamp"


class ChartLimits(NamedTuple):
    """Limits of one answer."""

    series: int = 20_000
    points: int = 10_000_000


DEFAULT_LIMITS = ChartLimits()


class _Drawn(NamedTuple):
    """`points` counts the stored points in the range, those that are not drawn too."""

    series: Series
    buckets: Buckets
    points: int


class Charts:
    """Answers of the two histogram endpoints, as JSON."""

    def __init__(self, events: SeriesReader, limits: ChartLimits = DEFAULT_LIMITS, cache_bytes: int = CACHE_BYTES) -> None:
        self._events = events
        self._limits = limits
        self._cache: AnswerCache[bytes] = AnswerCache(cache_bytes, len)

    def of_owner(self, owner: Owner, query: ChartQuery) -> bytes:
        """{metric: {variant: {name, x, y}}} of one task or model, ordered by name."""

        def build() -> bytes:
            metrics: dict[str, dict[str, bytes]] = {}
            for drawn in self._draw([owner], query):
                metrics.setdefault(drawn.series.key.metric, {})[drawn.series.key.variant] = _encoded(drawn, drawn.series.key.variant, query)
            return encoded_object({metric: encoded_object(variants) for metric, variants in paced(metrics.items(), SERIES_BETWEEN_PAUSES)})

        return self._cached(("one", owner.company, owner.id, query), [owner], build)

    def of_owners(self, owners: Mapping[str, Owner], query: ChartQuery) -> bytes:
        """{"metrics": {metric: {variant: {task: {name, x, y}}}}}; tasks without points are left out."""
        names = tuple((owner.company, owner.id, owner.name) for owner in owners.values())

        def build() -> bytes:
            found: dict[tuple[str, str], dict[str, bytes]] = {}
            for drawn in self._draw(list(owners.values()), query):
                key = drawn.series.key
                found.setdefault((key.metric, key.variant), {})[key.task] = _encoded(drawn, owners[key.task].name, query)
            metrics: dict[str, dict[str, bytes]] = {}
            for metric, variant in paced(sorted(found, key=lambda pair: (pair[0].encode(), pair[1].encode())), SERIES_BETWEEN_PAUSES):
                drawn_of = found[metric, variant]
                metrics.setdefault(metric, {})[variant] = encoded_object({task: drawn_of[task] for task in owners if task in drawn_of})
            shown = {metric: encoded_object(variants) for metric, variants in paced(metrics.items(), SERIES_BETWEEN_PAUSES)}
            return b'{"metrics":%b}' % encoded_object(shown)

        return self._cached(("many", names, query), list(owners.values()), build)

    def _cached(self, key: tuple[Any, ...], owners: Sequence[Owner], build: Callable[[], bytes]) -> bytes:
        """The answer of `build`, kept for as long as no event of the owners changes."""
        return self._cache.get(key, revision_of(self._events, owners), build)

    def _draw(self, owners: Sequence[Owner], query: ChartQuery) -> Iterator[_Drawn]:
        metrics = dict(query.metrics) if query.metrics else None
        found = {
            company: [series for series in self._events.series(company, ids, [SCALAR], metrics) if series.chart_count]
            for company, ids in ids_by_company(owners).items()
        }
        query = limited(query, [series for wanted in found.values() for series in wanted], self._limits)
        for company, wanted in found.items():
            for part in _parts(wanted, query.samples):
                yield from paced(self._bucketed(company, part, query), BUCKETS_BETWEEN_PAUSES, _cost)

    def _bucketed(self, company: str, part: Sequence[Series], query: ChartQuery) -> Iterator[_Drawn]:
        series_of = paced(enumerate(part), SERIES_BETWEEN_PAUSES)
        requests = {number: request for number, series in series_of if (request := request_for(series, query)) is not None}
        answers = dict(zip(requests, self._events.buckets(company, list(requests.values())), strict=True))
        if query.x_min is not None or query.x_max is not None:
            # The number of points in the range is known only now; fewer than `samples` are returned one by one.
            fine = {
                number: request._replace(interval=1)
                for number, request in requests.items()
                if request.interval > 1 and int(answers[number].count.sum()) < query.samples
            }
            if fine:
                answers.update(zip(fine, self._events.buckets(company, list(fine.values())), strict=True))
        for number, series in enumerate(part):
            if number in answers:
                shown = answers[number] if query.keep_non_finite else with_values(answers[number])
                if len(shown.x):
                    yield _Drawn(series, shown, int(answers[number].count.sum()))


def limited(query: ChartQuery, series: Sequence[Series], limits: ChartLimits) -> ChartQuery:
    """The query with `samples` reduced until the answer is within its limit of points. Raises ValidationFailed if there are too many series, or too
    many points for a request without sampling."""
    if len(series) > limits.series:
        raise ValidationFailed("metrics", f"a filter that matches at most {limits.series} series (events.max_chart_series)", len(series))
    points = sum(min(one.chart_count, query.samples + 1) if query.samples else _points_inside(one, query) for one in series)
    if points <= limits.points:
        return query
    if not query.samples:
        raise ValidationFailed("samples", f"above 0: one answer has at most {limits.points} points (events.max_chart_points)", 0)
    return replace(query, samples=max(1, limits.points // len(series) - 1))


def _points_inside(series: Series, query: ChartQuery) -> int:
    """An estimate of a series' points in the range, assuming that they are evenly spread in time."""
    request = request_for(series, query)
    if request is None:
        return 0
    if query.axis == "iter":
        first, last = series.chart_min_iter, series.chart_max_iter
    else:
        first, last = series.chart_min_timestamp, series.chart_max_timestamp
    assert first is not None and last is not None
    width = (last if request.hi is None else request.hi) - (first if request.lo is None else request.lo) + 1
    return min(series.chart_count, width if query.axis == "iter" else -(-series.chart_count * width // (last - first + 1)))


def with_values(buckets: Buckets) -> Buckets:
    """Without the buckets in which there is no finite value: NaN and infinities are left out of charts."""
    keep = np.isfinite(buckets.mean)
    if keep.all():
        return buckets
    shown = buckets.take(keep)
    shown.first_x, shown.last_x = buckets.first_x if keep[0] else None, buckets.last_x if keep[-1] else None
    return shown


def request_for(series: Series, query: ChartQuery) -> BucketRequest | None:
    """The buckets of one series; None when it has nothing in the range."""
    if query.axis == "iter":
        first, last = series.chart_min_iter, series.chart_max_iter
    else:
        first, last = series.chart_min_timestamp, series.chart_max_timestamp
    if first is None or last is None:
        return None
    if query.x_min is not None:
        first = max(first, query.x_min)
    if query.x_max is not None:
        last = min(last, query.x_max)
    if first > last:
        return None
    interval = 1
    if query.samples and series.chart_count >= query.samples:
        interval = max(1, -((first - last - 1) // query.samples))
    # The bounds are the clipped ones: they fit into 64 bits, whatever was asked for.
    lo, hi = None if query.x_min is None else first, None if query.x_max is None else last
    return BucketRequest(series, query.axis, interval, lo, hi, query.envelope, kinds=query.envelope)


def ids_by_company(owners: Iterable[Owner]) -> dict[str, list[str]]:
    """The ids of the owners, by company: a store is asked about one company at a time."""
    ids: dict[str, dict[str, None]] = {}
    for owner in owners:
        ids.setdefault(owner.company, {})[owner.id] = None
    return {company: list(found) for company, found in ids.items()}


def revision_of(events: SeriesReader, owners: Iterable[Owner]) -> tuple[tuple[int, ...], ...] | None:
    """A revision that changes with the owners' events; None when it is unknown."""
    found: list[tuple[int, ...]] = []
    for company, ids in ids_by_company(owners).items():
        one = events.revision(company, ids)
        if one is None:
            return None
        found.append(one)
    return tuple(found)


def _cost(drawn: _Drawn) -> int:
    """Size in buckets."""
    return len(drawn.buckets.x) + BUCKETS_BETWEEN_PAUSES // SERIES_BETWEEN_PAUSES


def _parts(series: Sequence[Series], samples: int) -> Iterator[list[Series]]:
    part: list[Series] = []
    expected = 0
    for one in series:
        part.append(one)
        expected += min(one.chart_count, samples + 1) if samples else one.chart_count
        if expected >= BUCKETS_AT_ONCE:
            yield part
            part, expected = [], 0
    if part:
        yield part


def _encoded(drawn: _Drawn, name: str, query: ChartQuery) -> bytes:
    buckets = drawn.buckets
    x = buckets.x
    data: dict[str, Any] = {"name": name}
    if query.envelope:
        x = x.copy()
        if len(x) > 1 and buckets.last_x is not None:
            x[-1] = buckets.last_x
        if buckets.first_x is not None:
            x[0] = buckets.first_x
    data["x"] = iso_times(x) if query.key == "iso_time" else np.ascontiguousarray(x)
    data["y"] = np.ascontiguousarray(buckets.mean)
    if query.envelope:
        data["min"] = np.ascontiguousarray(buckets.min)
        data["max"] = np.ascontiguousarray(buckets.max)
        data["count"] = np.ascontiguousarray(buckets.count)
        if buckets.kinds is not None:
            data |= _counted(buckets.kinds, query)
        data["points"] = drawn.points
    label = drawn.series.statistics.x_axis_label if drawn.series.statistics else None
    if label is not None:
        data["x_axis_label"] = label
    return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)


def _counted(kinds: Kinds, query: ChartQuery) -> dict[str, Any]:
    columns: dict[str, Any] = {name: np.ascontiguousarray(getattr(kinds, name)) for name in ("nan", "pos_inf", "neg_inf")}
    first = kinds.first_nan
    return {**columns, "first_nan": _iso_time(first) if query.key == "iso_time" and first is not None else first}


def iso_times(milliseconds: Ints) -> orjson.Fragment:
    """A JSON list of ISO 8601 times in UTC, `2023-11-14T22:13:20.000Z`."""
    texts = np.datetime_as_string(milliseconds.astype("datetime64[ms]"), unit="ms").tolist()
    return orjson.Fragment(('["' + 'Z","'.join(texts) + 'Z"]').encode() if texts else b"[]")


def _iso_time(milliseconds: int) -> str:
    return str(np.datetime_as_string(np.datetime64(milliseconds, "ms"), unit="ms")) + "Z"
