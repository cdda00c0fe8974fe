"""The record of a series: updated by batches, recomputed when a point was replaced; the same on every engine."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from apiserver.stores.event_types import EVENT_TYPES, TYPES
from apiserver.stores.means import joined_mean, sum_and_mean
from apiserver.stores.records import SINGLE_VALUE_ITER, Floats, Ints, Series, SeriesKey, Statistics, TypeStorage

FEW = 200
"""Up to so many points lists are faster than numpy, of which every call costs as much as counting ten points."""


Newest = tuple[int, float | None, int] | None
"""Iteration, value and timestamp of a point."""


@dataclass(slots=True)
class SeriesRow:
    """Extents and statistics of a series; the names are those of columns and index fields, in this order. `stale`: to be recomputed before the next read."""

    stale: bool = False
    last_written: int = 0
    count: int = 0
    bytes: int = 0
    min_iter: int | None = None
    max_iter: int | None = None
    min_timestamp: int | None = None
    max_timestamp: int | None = None
    chart_count: int = 0
    chart_min_iter: int | None = None
    chart_max_iter: int | None = None
    chart_min_timestamp: int | None = None
    chart_max_timestamp: int | None = None
    points: int = 0
    value: float | None = None
    value_iter: int | None = None
    value_timestamp: int | None = None
    min_value: float | None = None
    min_value_iter: int | None = None
    max_value: float | None = None
    max_value_iter: int | None = None
    first_value: float | None = None
    first_value_iter: int | None = None
    sum: float = 0.0
    finite: int = 0
    mean_value: float | None = None
    x_axis_label: str | None = None

    @property
    def statistics(self) -> Statistics:
        return Statistics(
            count=self.points,
            value=self.value,
            value_iter=self.value_iter,
            value_timestamp=self.value_timestamp,
            min_value=self.min_value,
            min_value_iter=self.min_value_iter,
            max_value=self.max_value,
            max_value_iter=self.max_value_iter,
            first_value=self.first_value,
            first_value_iter=self.first_value_iter,
            sum=self.sum,
            finite=self.finite,
            mean_value=self.mean_value,
            x_axis_label=self.x_axis_label,
        )

    @statistics.setter
    def statistics(self, stats: Statistics) -> None:
        self.points = stats.count
        self.value, self.value_iter, self.value_timestamp = stats.value, stats.value_iter, stats.value_timestamp
        self.min_value, self.min_value_iter = stats.min_value, stats.min_value_iter
        self.max_value, self.max_value_iter = stats.max_value, stats.max_value_iter
        self.first_value, self.first_value_iter = stats.first_value, stats.first_value_iter
        self.sum, self.finite, self.mean_value = stats.sum, stats.finite, stats.mean_value
        self.x_axis_label = stats.x_axis_label

    def add_points(
        self, iters: Ints | list[int], values: Floats | list[float], timestamps: Ints | list[int], arrivals: Ints | list[int]
    ) -> None:
        """Count points (sorted by iteration, unique) none of which was there before. `arrivals`: any numbers that grow with the arrival."""
        single = _newest_single(iters, values, timestamps, arrivals)
        if len(iters) <= FEW:
            some = zip(_list(iters), _list(values), _list(timestamps), strict=True)
            self._add_few(list(some), single)
            return
        self._add_many(np.asarray(iters, np.int64), np.asarray(values, np.float64), np.asarray(timestamps, np.int64), single)

    def _add_many(self, iters: Ints, values: Floats, timestamps: Ints, single: Newest) -> None:
        self._add(_statistics_of_many(iters, values, timestamps), single, int(timestamps.min()), int(timestamps.max()))
        if iters[0] <= SINGLE_VALUE_ITER <= iters[-1]:
            shown = iters != SINGLE_VALUE_ITER
            iters, timestamps = iters[shown], timestamps[shown]
        self.extend_chart(len(iters), (int(iters[0]), int(iters[-1])), (int(timestamps.min()), int(timestamps.max())))

    def _add_few(self, points: list[tuple[int, float, int]], single: Newest) -> None:
        """Points (iteration, value, timestamp), as for `add_points`."""
        times = [point[2] for point in points]
        self._add(_statistics_of_few(points), single, min(times), max(times))
        if points[0][0] <= SINGLE_VALUE_ITER <= points[-1][0]:
            points = [point for point in points if point[0] != SINGLE_VALUE_ITER]
            if not points:
                return
            times = [point[2] for point in points]
        self.extend_chart(len(points), (points[0][0], points[-1][0]), (min(times), max(times)))

    def _add(self, new: Statistics, single: Newest, oldest: int, newest: int) -> None:
        assert new.first_value_iter is not None and new.value_iter is not None
        self.extend(new.count, (new.first_value_iter, new.value_iter), (oldest, newest))
        if single is not None:
            new.value_iter, new.value, new.value_timestamp = single
        if self.points:
            self._merge(new, has_single=single is not None)
        else:
            new.x_axis_label = self.x_axis_label
            self.statistics = new

    def _merge(self, new: Statistics, *, has_single: bool) -> None:
        """Add the statistics of points that arrived after those that are counted here; the chart's extents are still those of before."""
        is_last = new.value_iter == SINGLE_VALUE_ITER or self.chart_max_iter is None or _greater(new.value_iter, self.chart_max_iter)
        # A single value that came before a point of its own batch, but after the greatest point of the series: it is not known here any more.
        self.stale = self.stale or (has_single and not is_last)
        self.statistics = merged_statistics(self.statistics, new, new_is_last=is_last)

    def extend(self, count: int, iters: tuple[int, int] | None, times: tuple[int, int]) -> None:
        """Count events with these (least, greatest) iterations and timestamps."""
        self.count += count
        self.min_timestamp, self.max_timestamp = lower(self.min_timestamp, times[0]), higher(self.max_timestamp, times[1])
        if iters is not None:
            self.min_iter, self.max_iter = lower(self.min_iter, iters[0]), higher(self.max_iter, iters[1])

    def extend_chart(self, count: int, iters: tuple[int, int], times: tuple[int, int]) -> None:
        """The same for what a chart shows."""
        self.chart_count += count
        self.chart_min_iter, self.chart_max_iter = lower(self.chart_min_iter, iters[0]), higher(self.chart_max_iter, iters[1])
        self.chart_min_timestamp = lower(self.chart_min_timestamp, times[0])
        self.chart_max_timestamp = higher(self.chart_max_timestamp, times[1])

    def add(self, new: SeriesRow) -> None:
        """Add the events of a batch, none of which was stored before."""
        self.stale = self.stale or new.stale
        self.last_written = max(self.last_written, new.last_written)
        self.bytes += new.bytes
        if new.count:
            assert new.min_timestamp is not None and new.max_timestamp is not None
            iters = None if new.min_iter is None or new.max_iter is None else (new.min_iter, new.max_iter)
            self.extend(new.count, iters, (new.min_timestamp, new.max_timestamp))
        if new.points:
            self._merge(new.statistics, has_single=new.points > new.chart_count)
        elif new.x_axis_label is not None:
            self.x_axis_label = new.x_axis_label
        if new.chart_count:
            assert new.chart_min_iter is not None and new.chart_max_iter is not None
            assert new.chart_min_timestamp is not None and new.chart_max_timestamp is not None
            times = (new.chart_min_timestamp, new.chart_max_timestamp)
            self.extend_chart(new.chart_count, (new.chart_min_iter, new.chart_max_iter), times)


def series_of(key: SeriesKey, row: SeriesRow) -> Series:
    """A series as the port gives it."""
    return Series(
        key=key,
        count=row.count,
        min_iter=row.min_iter,
        max_iter=row.max_iter,
        min_timestamp=row.min_timestamp or 0,
        max_timestamp=row.max_timestamp or 0,
        chart_count=row.chart_count,
        chart_min_iter=row.chart_min_iter,
        chart_max_iter=row.chart_max_iter,
        chart_min_timestamp=row.chart_min_timestamp,
        chart_max_timestamp=row.chart_max_timestamp,
        statistics=row.statistics if TYPES[key.type].is_points else None,
        last_written=row.last_written,
    )


def storage_of(rows: Iterable[tuple[str, SeriesRow]]) -> list[TypeStorage]:
    """Totals per event type of these (type, row), in the order of the types; types of no API are left out."""
    totals: dict[str, TypeStorage] = {}
    for type, row in rows:
        old = totals.get(type, TypeStorage(type, 0, 0, None, None))
        oldest = min((time for time in (old.oldest, row.min_timestamp) if time is not None), default=None)
        newest = max((time for time in (old.newest, row.max_timestamp) if time is not None), default=None)
        totals[type] = TypeStorage(type, old.count + row.count, old.bytes + row.bytes, oldest, newest)
    return [totals[type] for type in EVENT_TYPES if type in totals]


def _greater(new: int | None, old: int) -> bool:
    return new is not None and new > old


def lower(old: int | None, new: int) -> int:
    return new if old is None or new < old else old


def higher(old: int | None, new: int) -> int:
    return new if old is None or new > old else old


def _statistics_of_many(iters: Ints, values: Floats, timestamps: Ints) -> Statistics:
    """The statistics of points that are sorted by iteration and unique in it (n >= 1)."""
    last = len(iters) - 1
    stats = Statistics(
        count=len(iters),
        value=_number(values[last]),
        value_iter=int(iters[last]),
        value_timestamp=int(timestamps[last]),
        first_value=_number(values[0]),
        first_value_iter=int(iters[0]),
    )
    finite = np.isfinite(values)
    if not finite.all():
        iters, values = iters[finite], values[finite]
    if len(values):
        lowest, highest = int(values.argmin()), int(values.argmax())  # the first of equal ones: the smallest iteration
        stats.min_value, stats.min_value_iter = float(values[lowest]), int(iters[lowest])
        stats.max_value, stats.max_value_iter = float(values[highest]), int(iters[highest])
        (stats.sum, stats.mean_value), stats.finite = sum_and_mean(values), len(values)
    return stats


def _statistics_of_few(points: list[tuple[int, float, int]]) -> Statistics:
    """The same for points (iteration, value, timestamp)."""
    (first_iter, first_value, _), (last_iter, last_value, last_time) = points[0], points[-1]
    stats = Statistics(
        count=len(points),
        value=_number(last_value),
        value_iter=last_iter,
        value_timestamp=last_time,
        first_value=_number(first_value),
        first_value_iter=first_iter,
    )
    finite = [point for point in points if math.isfinite(point[1])]
    if finite:
        values = [point[1] for point in finite]
        stats.min_value, stats.max_value = min(values), max(values)
        stats.min_value_iter, stats.max_value_iter = finite[values.index(stats.min_value)][0], finite[values.index(stats.max_value)][0]
        (stats.sum, stats.mean_value), stats.finite = sum_and_mean(values), len(values)
    return stats


def _list(column: Ints | Floats | list[Any]) -> list[Any]:
    return column if isinstance(column, list) else column.tolist()


def _newest_single(
    iters: Ints | list[int], values: Floats | list[float], timestamps: Ints | list[int], arrivals: Ints | list[int]
) -> Newest:
    """Which point of a set that holds a single value is the newest report: the single value, or the point of the greatest other iteration if that
    arrived later. None when the set holds no single value."""
    if not iters[0] <= SINGLE_VALUE_ITER <= iters[-1]:
        return None
    place = bisect_left(iters, SINGLE_VALUE_ITER)
    if iters[place] != SINGLE_VALUE_ITER:
        return None
    last = len(iters) - 1 if place < len(iters) - 1 else place - 1
    if last >= 0 and arrivals[last] > arrivals[place]:
        place = last
    return int(iters[place]), _number(values[place]), int(timestamps[place])


def merged_statistics(old: Statistics, new: Statistics, *, new_is_last: bool) -> Statistics:
    """The statistics of two disjoint sets of points of one series (no iteration is in both). `new_is_last`: the value is that of `new`."""
    if not old.count:
        return _with_label(new, new.x_axis_label or old.x_axis_label)
    if not new.count:
        return _with_label(old, new.x_axis_label or old.x_axis_label)
    assert old.first_value_iter is not None and new.first_value_iter is not None
    last = new if new_is_last else old
    first = new if new.first_value_iter < old.first_value_iter else old
    low = min((s for s in (old, new) if s.finite), key=lambda s: (s.min_value, s.min_value_iter), default=old)
    high = max((s for s in (old, new) if s.finite), key=lambda s: (s.max_value, -(s.max_value_iter or 0)), default=old)
    total, mean = _joined_sums(old, new)
    return Statistics(
        count=old.count + new.count,
        value=last.value,
        value_iter=last.value_iter,
        value_timestamp=last.value_timestamp,
        min_value=low.min_value,
        min_value_iter=low.min_value_iter,
        max_value=high.max_value,
        max_value_iter=high.max_value_iter,
        first_value=first.first_value,
        first_value_iter=first.first_value_iter,
        sum=total,
        finite=old.finite + new.finite,
        mean_value=mean,
        x_axis_label=new.x_axis_label or old.x_axis_label,
    )


def _joined_sums(old: Statistics, new: Statistics) -> tuple[float, float | None]:
    """Sum and mean of both."""
    total = old.sum + new.sum
    if math.isfinite(total):
        count = old.finite + new.finite
        return total, total / count if count else None
    if old.mean_value is None or new.mean_value is None:
        return math.inf, new.mean_value if old.mean_value is None else old.mean_value
    return math.inf, joined_mean(old.mean_value, old.finite, new.mean_value, new.finite)


def _with_label(stats: Statistics, label: str | None) -> Statistics:
    stats.x_axis_label = label
    return stats


def _number(value: Any) -> float | None:
    """NaN and infinities have no place in JSON; they read back as null."""
    number = float(value)
    return number if math.isfinite(number) else None
