"""Scalars: reading every point, or buckets; columns without a copy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, overload

from tidemark_events import frames, html
from tidemark_events.errors import NotFound
from tidemark_events.wire import Wire

Numbers = Sequence[float]

WINDOW = 10_000
"""Buckets of one series in one answer: the server's limit."""
POINTS_AT_ONCE = 500_000


def column_name(metric: str, variant: str) -> str:
    """`metric/variant`, or the metric alone where the variant is the same or empty."""
    return metric if variant in ("", metric) else f"{metric}/{variant}"


def split_name(name: str) -> tuple[str, str]:
    """Metric and variant of a name: `loss/train` is the line `train` of the chart `loss`."""
    metric, slash, variant = name.rpartition("/")
    return (metric, variant) if slash and metric and variant else (name, name)


class Point(NamedTuple):
    """One scalar. `time` is in seconds since the epoch."""

    metric: str
    variant: str
    step: int
    value: float
    time: float

    @property
    def name(self) -> str:
        return column_name(self.metric, self.variant)


@dataclass(frozen=True, slots=True, repr=False)
class Series:
    """One line of a chart as columns of equal length. Columns are sequences of numbers (`memoryview`, which numpy, pandas and Arrow take
    without a copy, or `list`); `time` is in milliseconds since the epoch.

    Without `samples` there is one entry per point, `count` is 1 and `min`, `max` and `value` are equal. With `samples` an entry is
    a bucket: `value` is the mean of its `count` points, `min` and `max` are their extremes, `step` is the last step in it.
    """

    metric: str
    variant: str
    step: Numbers
    time: Numbers
    value: Numbers
    min: Numbers
    max: Numbers
    count: Numbers
    points: int = field(default=0)

    @property
    def name(self) -> str:
        return column_name(self.metric, self.variant)

    def __len__(self) -> int:
        return len(self.step)

    def __iter__(self) -> Iterator[Point]:
        for step, time, value in zip(self.step, self.time, self.value, strict=True):
            yield Point(self.metric, self.variant, int(step), value, time / 1000)

    @property
    def last(self) -> float:
        """The value at the last step; NaN where there is none."""
        return self.value[-1] if len(self.value) else math.nan

    def __repr__(self) -> str:
        return f"<Series {self.name}: {self.points:,} points, last {self.last:.6g}>"

    def _repr_html_(self) -> str:
        return html.chart([self])


class Chart(Sequence[Series]):
    """The lines of one metric. `chart["train"]` is a line by its variant, `chart[0]` the first."""

    def __init__(self, metric: str, lines: Sequence[Series]) -> None:
        self.metric = metric
        self._lines = list(lines)

    @overload
    def __getitem__(self, key: int | str) -> Series: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[Series]: ...
    def __getitem__(self, key: int | str | slice) -> Series | Sequence[Series]:
        if not isinstance(key, str):
            return self._lines[key]
        for line in self._lines:
            if key in (line.variant, line.name):
                return line
        raise NotFound(f'{self.metric} has no line "{key}": it has {", ".join(line.variant for line in self._lines)}')

    def __len__(self) -> int:
        return len(self._lines)

    def frame(self, library: str | None = None) -> Any:
        """As a table: `step` and a column for each line; of pandas, polars or pyarrow, whichever is installed first."""
        return frames.wide(self._lines, library)

    def __repr__(self) -> str:
        return f"<Chart {self.metric}: {', '.join(line.variant for line in self._lines)}>"

    def _repr_html_(self) -> str:
        return html.chart(self._lines, self.metric)


def metrics_of(wire: Wire, run: str) -> dict[str, list[str]]:
    """Metric -> variants of a run's scalars, single values left out."""
    found = wire.call("events.get_scalar_metrics_and_variants", {"task": run})["metrics"]
    return {str(metric): sorted(map(str, variants)) for metric, variants in sorted(found.items())}


def read(wire: Wire, run: str, wanted: Sequence[tuple[str, Sequence[str]]], samples: int | None) -> list[Series]:
    """Series of a run: every point, or at most `samples` buckets each. `wanted`: metrics with their variants (none: all)."""
    if not wanted:
        return []
    asked = [{"task": run, "metric": metric, **({"variants": list(variants)} if variants else {})} for metric, variants in wanted]
    if samples is not None:
        return [_series(one) for one in _asked(wire, asked, samples)]
    found: list[Series] = []
    # Few metrics at a time: one answer has at most a million buckets.
    for first in range(0, len(asked), 20):
        found += [_whole(wire, run, one) for one in _asked(wire, asked[first : first + 20], WINDOW)]
    return found


def _whole(wire: Wire, run: str, one: dict[str, Any]) -> Series:
    """Every point of a series of an answer."""
    return _series(one) if _single(one) else _joined(list(exact(wire, run, one)), one["points"])


def exact(wire: Wire, run: str, one: dict[str, Any], since: int | None = None) -> Iterator[dict[str, Any]]:
    """The points of an answer with buckets, as answers in which each bucket is one point; in order. `since`: only those that arrived after this `seq`."""
    columns = one["columns"]
    counts, starts, width = columns["count"], columns["x"], one["interval"]
    at, n = 0, one["n"]
    while at < n:
        end = at + 1
        if counts[at] == 1:
            while end < n and counts[end] == 1:
                end += 1
            yield _cut(one, at, end)
        else:
            # At most so many buckets that the next answer has narrower ones.
            total = counts[at]
            while end < n and counts[end] > 1 and end - at < WINDOW // 4 and total + counts[end] <= POINTS_AT_ONCE:
                total += counts[end]
                end += 1
            series = [{"task": run, "metric": one["metric"], "variants": [one["variant"]]}]
            for finer in _asked(wire, series, WINDOW, int(starts[at]), int(starts[end - 1]) + width - 1, since):
                yield from [finer] if _single(finer) else exact(wire, run, finer, since)
        at = end


def _asked(
    wire: Wire,
    series: Sequence[dict[str, Any]],
    buckets: int,
    x_min: int | None = None,
    x_max: int | None = None,
    since: int | None = None,
) -> list[dict[str, Any]]:
    bounds = {name: value for name, value in (("x_min", x_min), ("x_max", x_max), ("since_seq", since)) if value is not None}
    answer: list[dict[str, Any]] = wire.columns("events.get_series", {"series": list(series), "buckets": max(2, buckets), **bounds})[
        "series"
    ]
    return answer


def _single(one: dict[str, Any]) -> bool:
    """Whether every bucket holds one point."""
    return bool(one["points"] == one["n"])


def _cut(one: dict[str, Any], first: int, end: int) -> dict[str, Any]:
    if first == 0 and end == one["n"]:
        return one
    return {**one, "n": end - first, "columns": {name: column[first:end] for name, column in one["columns"].items()}}


def _series(one: dict[str, Any]) -> Series:
    columns = one["columns"]
    value = values(columns)
    same = value is not columns["mean"]
    return Series(
        one["metric"],
        one["variant"],
        columns["iter"],
        columns["time"],
        value,
        value if same and _single(one) else columns["min"],
        value if same and _single(one) else columns["max"],
        columns["count"],
        one["points"],
    )


def values(columns: dict[str, Any]) -> Numbers:
    """The means; for a bucket with one infinite point that infinity."""
    mean: memoryview = columns["mean"]
    if "nan" not in columns:
        return mean
    found: list[float] = list(mean)
    for at, (count, above, below) in enumerate(zip(columns["count"], columns["pos_inf"], columns["neg_inf"], strict=True)):
        if count == 1 and (above or below):
            found[at] = math.inf if above else -math.inf
    return found


def _joined(parts: Sequence[dict[str, Any]], points: int) -> Series:
    pieces = [_series(part) for part in parts]

    def column(name: str) -> Numbers:
        joined = frames.joined([getattr(piece, name) for piece in pieces])
        return joined

    value = column("value")
    return Series(pieces[0].metric, pieces[0].variant, column("step"), column("time"), value, value, value, column("count"), points)
