"""Series of any tasks as columns, for pages that draw many charts: all series of one metric share a grid.

A bucket says how many points it has, how many of them are NaN or infinite, and the last iteration and time in it. With `since_seq` only what changed
since an earlier answer is returned, late points of old iterations included.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import orjson

from apiserver.bll.answer_cache import AnswerCache
from apiserver.bll.events.charts import CACHE_BYTES, ids_by_company, revision_of
from apiserver.bll.events.columns import Column, encode_columns
from apiserver.bll.events.ladder import ladder_width
from apiserver.bll.registry.directory import Owner
from apiserver.common.fairness import give_way, paced
from apiserver.errors import ValidationFailed
from apiserver.stores.base import SeriesReader
from apiserver.stores.records import MAX_ITER, MIN_ITER, SCALAR, Axis, BucketRequest, Buckets, Ends, Ints, Series, shown_owner

SeriesAxis = Literal["iter", "timestamp", "relative"]

Wanted = tuple[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]], ...]
"""task -> metric -> variants (none: all)."""

MAX_SERIES = 5_000
MAX_CHOICES = 10 * MAX_SERIES
"""Pairs of a task and a metric or variant that groups may name, and series that they may have when a task counts in each of its groups."""
MAX_BUCKETS = 1_000_000
"""Buckets of an answer: 50 MB."""
BUCKETS_AT_ONCE = 100_000
"""Buckets processed before yielding to other requests."""
LINE_COST = 1_000
"""The cost of beginning a line of a group, in buckets."""
REWIND_MS = 1_000
"""Points this much older than points of smaller iterations were reported before them."""
SEQ_ERROR = 4_096
"""The error bound of a series' greatest arrival number."""


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """Which series. `buckets`: at most so many per series. `x_min`, `x_max`: inclusive, on the axis."""

    series: Wanted
    axis: SeriesAxis = "iter"
    buckets: int = 800
    x_min: int | None = None
    x_max: int | None = None
    since_seq: int | None = None

    @property
    def stored_axis(self) -> Axis:
        """The axis in the store."""
        return "iter" if self.axis == "iter" else "timestamp"


class _Chosen(NamedTuple):
    """A series that is drawn, and where its x axis begins (ms since the epoch)."""

    company: str
    series: Series
    origin: int


class _Drawn(NamedTuple):
    chosen: _Chosen
    interval: int
    buckets: Buckets


class SeriesCharts:
    """Answers of get_series."""

    def __init__(self, events: SeriesReader, cache_bytes: int = CACHE_BYTES) -> None:
        self._events = events
        self._cache: AnswerCache[bytes] = AnswerCache(cache_bytes, len)

    def as_json(self, owners: Mapping[str, Owner], query: SeriesQuery) -> bytes:
        """{series: [...], seq}: the columns are lists; null stands for "no finite value"."""
        return self._cached("json", owners, query, lambda: self._json(owners, query))

    def as_columns(self, owners: Mapping[str, Owner], query: SeriesQuery) -> bytes:
        """The same as `application/vnd.tidemark.columns`."""
        return self._cached("columns", owners, query, lambda: self._columns(owners, query))

    def groups(self, owners: Mapping[str, Owner], query: SeriesQuery, groups: Mapping[str, Sequence[str]]) -> bytes:
        """{groups: [...], seq}: every metric and variant of each group of tasks (name -> ids) as one line with its band."""

        def build() -> bytes:
            seq, drawn = self._draw(owners, query)
            lines = [orjson.Fragment(orjson.dumps(line, option=orjson.OPT_SERIALIZE_NUMPY)) for line in grouped(drawn, groups)]
            return orjson.dumps({"groups": lines, "seq": str(seq)})

        named = tuple((name, tuple(ids)) for name, ids in groups.items())
        return self._cached(str(named), owners, query, build)

    def _json(self, owners: Mapping[str, Owner], query: SeriesQuery) -> bytes:
        seq, drawn = self._draw(owners, query)
        series = []
        for one in drawn:
            columns = {name: np.ascontiguousarray(column) for name, column in _columns_of(one, query).items()}
            series.append(orjson.Fragment(orjson.dumps({**_fields_of(one, query), **columns}, option=orjson.OPT_SERIALIZE_NUMPY)))
        return orjson.dumps({"series": series, "seq": str(seq)})

    def _columns(self, owners: Mapping[str, Owner], query: SeriesQuery) -> bytes:
        seq, drawn = self._draw(owners, query)
        return encode_columns(((_fields_of(one, query), _columns_of(one, query)) for one in drawn), {"seq": str(seq)})

    def _cached(self, form: str, owners: Mapping[str, Owner], query: SeriesQuery, build: Callable[[], bytes]) -> bytes:
        key = (form, tuple(owner.company for owner in owners.values()), query)
        return self._cache.get(key, revision_of(self._events, owners.values()), build)

    # --- what is drawn

    def _draw(self, owners: Mapping[str, Owner], query: SeriesQuery) -> tuple[int, Iterator[_Drawn]]:
        pending = [self._events.oldest_pending(company) for company in ids_by_company(owners.values())]
        chosen = self._choose(owners, query)
        if len(chosen) > MAX_SERIES:
            raise ValidationFailed("series", f"a list that matches at most {MAX_SERIES:,} series; it matches {len(chosen):,}")
        expected = sum(min(one.series.chart_count, query.buckets) for one in chosen)
        if expected > MAX_BUCKETS:
            raise ValidationFailed("buckets", f"lower: {len(chosen):,} series may have {MAX_BUCKETS:,} buckets together, not {expected:,}")
        seq = max((one.series.last_written for one in chosen), default=query.since_seq or 0)
        seq = min([seq, *(oldest - 1 for oldest in pending if oldest is not None)])
        return seq, self._bucketed(chosen, query)

    def _choose(self, owners: Mapping[str, Owner], query: SeriesQuery) -> list[_Chosen]:
        """The series in the order of the request, then by name."""
        found: dict[str, list[Series]] = {}
        origins: dict[str, int] = {}
        by_filter: dict[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]], list[str]] = {}
        for task, metrics in query.series:
            by_filter.setdefault((owners[task].company, metrics), []).append(task)
        for (company, metrics), tasks in by_filter.items():
            for one in self._events.series(company, tasks, [SCALAR], dict(metrics)):
                if one.chart_count:
                    found.setdefault(one.key.task, []).append(one)
            if query.axis == "relative":
                origins |= self._origins(company, tasks)
        return [_Chosen(owners[task].company, one, origins.get(task, 0)) for task, _ in query.series for one in found.get(task, ())]

    def _origins(self, company: str, tasks: Sequence[str]) -> dict[str, int]:
        """The time of the first point of each task. What was rewound of a task begins where the task does, if anything is left of it."""
        first: dict[str, int] = {}
        names = [*tasks, *(shown_owner(task) for task in tasks if shown_owner(task) != task)]
        for one in self._events.series(company, names, [SCALAR]):
            if one.chart_min_timestamp is not None:
                first[one.key.task] = min(one.chart_min_timestamp, first.get(one.key.task, MAX_ITER))
        found = ((task, first.get(shown_owner(task), first.get(task))) for task in tasks)
        return {task: origin for task, origin in found if origin is not None}

    def _bucketed(self, chosen: Sequence[_Chosen], query: SeriesQuery) -> Iterator[_Drawn]:
        requests = _requests(chosen, query)
        part: list[tuple[_Chosen, BucketRequest]] = []
        size = 0
        for one, request in requests:
            part.append((one, request))
            size += min(one.series.chart_count, query.buckets)
            if size >= BUCKETS_AT_ONCE:
                yield from self._ask(part)
                part, size = [], 0
                give_way()
        yield from self._ask(part)

    def _ask(self, part: Sequence[tuple[_Chosen, BucketRequest]]) -> Iterator[_Drawn]:
        by_company: dict[str, list[int]] = {}
        for place, (one, _) in enumerate(part):
            by_company.setdefault(one.company, []).append(place)
        answers: dict[int, Buckets] = {}
        for company, places in by_company.items():
            answers.update(zip(places, self._events.buckets(company, [part[place][1] for place in places]), strict=True))
        for place, (one, request) in enumerate(part):
            if len(answers[place].x):
                yield _Drawn(one, request.interval, answers[place])


def _requests(chosen: Sequence[_Chosen], query: SeriesQuery) -> list[tuple[_Chosen, BucketRequest]]:
    """The buckets of the series that have something in the range; of equal width for all series of a metric."""
    lo = None if query.x_min is None else min(max(query.x_min, MIN_ITER), MAX_ITER)
    hi = None if query.x_max is None else min(max(query.x_max, MIN_ITER), MAX_ITER)
    extents: dict[str, tuple[int, int]] = {}
    inside: list[_Chosen] = []
    for one in chosen:
        extent = _extent(one, query.stored_axis, lo, hi)
        if extent is None:
            continue
        first, last = extents.get(one.series.key.metric, extent)
        extents[one.series.key.metric] = min(first, extent[0]), max(last, extent[1])
        if query.since_seq is None or one.series.last_written + SEQ_ERROR > query.since_seq:
            inside.append(one)
    widths = {metric: ladder_width(first, last, query.buckets, query.stored_axis) for metric, (first, last) in extents.items()}
    plain = BucketRequest(None, query.stored_axis, 1, lo, hi, True, True, True, 0, query.since_seq)  # type: ignore[arg-type]
    return [(one, plain._replace(series=one.series, interval=widths[one.series.key.metric], origin=one.origin)) for one in inside]


def _extent(chosen: _Chosen, axis: Axis, lo: int | None, hi: int | None) -> tuple[int, int] | None:
    series = chosen.series
    if axis == "iter":
        first, last = series.chart_min_iter, series.chart_max_iter
    else:
        first, last = series.chart_min_timestamp, series.chart_max_timestamp
    if first is None or last is None:
        return None
    first, last = first - chosen.origin, last - chosen.origin
    first = first if lo is None else max(first, lo)
    last = last if hi is None else min(last, hi)
    return (first, last) if first <= last else None


# --- the fields of a series


def grouped(drawn: Iterable[_Drawn], groups: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    """The series of the tasks of each group, merged; in the order of the groups, then by metric and variant."""
    found: dict[str, list[_Drawn]] = {}
    for one in drawn:
        found.setdefault(one.chosen.series.key.task, []).append(one)
    members = {group: [task for task in dict.fromkeys(tasks) if task in found] for group, tasks in groups.items()}
    _check_groups(found, members.values())
    for group, metric, variant, mine in paced(_lines(found, members), BUCKETS_AT_ONCE, lambda line: LINE_COST + _buckets_of(line[3])):
        fields = {"group": group, "metric": metric, "variant": variant, "interval": mine[0].interval, "runs": len(mine)}
        yield {**fields, **_merged([one.buckets for one in mine])}


def _lines(found: Mapping[str, Sequence[_Drawn]], members: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, str, list[_Drawn]]]:
    """Group, metric, variant, and the series of its tasks."""
    for group, tasks in members.items():
        lines: dict[tuple[str, str], list[_Drawn]] = {}
        for task in tasks:
            for one in found[task]:
                lines.setdefault((one.chosen.series.key.metric, one.chosen.series.key.variant), []).append(one)
        for metric, variant in sorted(lines, key=lambda pair: (pair[0].encode(), pair[1].encode())):
            yield group, metric, variant, lines[metric, variant]


def _buckets_of(series: Iterable[_Drawn]) -> int:
    return sum(len(one.buckets.x) for one in series)


def _check_groups(found: Mapping[str, Sequence[_Drawn]], members: Collection[Sequence[str]]) -> None:
    """Raises ValidationFailed if there is too much to merge. A task counts once for each group it is in: its buckets are merged for each."""
    series = sum(len(found[task]) for tasks in members for task in tasks)
    if series > MAX_CHOICES:
        raise ValidationFailed("groups", f"groups of at most {MAX_CHOICES:,} series together; they have {series:,}")
    sizes = {task: _buckets_of(ones) for task, ones in found.items()}
    buckets = sum(sizes[task] for tasks in members for task in tasks)
    if buckets > MAX_BUCKETS:
        raise ValidationFailed("buckets", f"lower: the series of all groups may have {MAX_BUCKETS:,} buckets together, not {buckets:,}")


def _merged(parts: Sequence[Buckets]) -> dict[str, Column]:
    """Buckets on one grid: the mean of the runs' means (every run counts the same), their least and greatest values, and how many runs and points
    there are in each bucket."""
    x, place = np.unique(np.concatenate([part.x for part in parts]), return_inverse=True)
    n, mean = len(x), np.concatenate([part.mean for part in parts])
    finite = np.isfinite(mean)
    at = place[finite]
    runs = np.bincount(at, minlength=n)
    # Each mean is divided before it is added: a sum of finite numbers may be infinite, a mean is not.
    means = np.bincount(at, mean[finite] / runs[at], minlength=n)
    least, most = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(least, at, np.concatenate([part.min for part in parts])[finite])
    np.maximum.at(most, at, np.concatenate([part.max for part in parts])[finite])
    means = np.clip(means, least, most)  # three thirds of the greatest double, each rounded up, are infinite
    means[runs == 0] = least[runs == 0] = most[runs == 0] = np.nan
    count = np.bincount(place, np.concatenate([part.count for part in parts]), minlength=n).astype(np.int64)
    return {"x": x, "mean": means, "min": least, "max": most, "count": count, "present": runs.astype(np.int64)}


def _fields_of(drawn: _Drawn, query: SeriesQuery) -> dict[str, Any]:
    series, buckets = drawn.chosen.series, drawn.buckets
    _, _, metric, variant = series.key
    fields: dict[str, Any] = {
        "task": shown_owner(series.key.task),
        "metric": metric,
        "variant": variant,
        "interval": drawn.interval,
        "points": int(buckets.count.sum()),
        "first_x": buckets.first_x,
        "last_x": buckets.last_x,
    }
    if query.axis == "relative":
        fields["origin"] = drawn.chosen.origin
    if buckets.kinds is not None and buckets.kinds.first_nan is not None:
        fields["first_nan"] = buckets.kinds.first_nan
    if query.axis == "iter" and query.since_seq is None and buckets.ends is not None:
        fields["rewinds"] = _rewinds(buckets.ends)
    if series.statistics is not None and series.statistics.x_axis_label is not None:
        fields["x_axis_label"] = series.statistics.x_axis_label
    return fields


def _columns_of(drawn: _Drawn, query: SeriesQuery) -> dict[str, Column]:
    """The columns of a series. Equal columns are the same array object, so that they are encoded once."""
    buckets = drawn.buckets
    columns: dict[str, Column] = {"x": buckets.x, "mean": buckets.mean, "min": buckets.min, "max": buckets.max}
    columns["count"] = buckets.count.astype(np.uint32)
    if (buckets.count == 1).all():
        columns["min"] = columns["max"] = buckets.mean
    if buckets.ends is not None:
        exact = drawn.interval == 1
        columns["iter"] = buckets.x if exact and query.axis == "iter" else buckets.ends.iters
        columns["time"] = buckets.x if exact and query.axis == "timestamp" else buckets.ends.timestamps
    if buckets.kinds is not None:
        kinds = buckets.kinds
        columns |= {
            "nan": kinds.nan.astype(np.uint32),
            "pos_inf": kinds.pos_inf.astype(np.uint32),
            "neg_inf": kinds.neg_inf.astype(np.uint32),
        }
    return columns


def _rewinds(ends: Ends) -> list[list[int]]:
    """Stretches of iterations, [first, last], whose points are older than those of smaller iterations: a run was resumed at a smaller iteration,
    and has not reported these again yet."""
    before: Ints = np.maximum.accumulate(ends.timestamps)
    old = np.concatenate(([False], ends.timestamps[1:] < before[:-1] - REWIND_MS)).astype(np.int8)
    edges = np.diff(np.concatenate(([0], old, [0])))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    return [[int(ends.iters[start]), int(ends.iters[stop])] for start, stop in zip(starts[:100], stops[:100], strict=True)]
