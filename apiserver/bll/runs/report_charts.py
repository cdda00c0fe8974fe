"""Charts of a saved run, as SVG: the mean over its band from minimum to maximum, gaps stay gaps, NaN is counted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from apiserver.bll.runs.report_html import COLORS, Html, element, text
from apiserver.stores.records import Buckets

WIDTH, HEIGHT = 420, 190
LEFT, RIGHT, TOP, BOTTOM = 58, 8, 6, 20
TICKS = 4


class ReportLine(NamedTuple):
    """A series of a chart; `last` is its newest value."""

    name: str
    buckets: Buckets
    last: float | None


class _Scale(NamedTuple):
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        # Halves: the distance of two doubles can be more than a double holds.
        span = self.high / 2 - self.low / 2
        part = 0.5 if span == 0 else (value / 2 - self.low / 2) / span
        return round(self.start + part * (self.end - self.start), 1)


def number(value: float | None) -> str:
    """Four significant digits; missing is empty."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def chart(title: str, lines: Sequence[ReportLine]) -> Html:
    """One figure with its legend."""
    finite = [column[np.isfinite(column)] for line in lines for column in (line.buckets.min, line.buckets.max)]
    values = np.concatenate(finite) if finite else np.empty(0)
    steps = np.concatenate([line.buckets.x for line in lines])
    legend = [_entry(index, line) for index, line in enumerate(lines)]
    if not len(values):
        return element("figure", element("h3", text(title)), element("p", text("No finite values.")), element("figcaption", *legend))
    x = _Scale(float(steps.min()), float(steps.max()), LEFT, WIDTH - RIGHT)
    y = _Scale(float(values.min()), float(values.max()), HEIGHT - BOTTOM, TOP)
    drawn = [part for index, line in enumerate(lines) for part in _curve(line.buckets, x, y, index % COLORS)]
    said = f"{title}: {len(lines)} series, steps {number(x.low)} to {number(x.high)}, from {number(y.low)} to {number(y.high)}"
    picture = element("svg", *_axes(x, y), *drawn, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=said)
    return element("figure", element("h3", text(title)), picture, element("figcaption", *legend))


def _entry(index: int, line: ReportLine) -> Html:
    kinds = line.buckets.kinds
    missing = int(kinds.nan.sum()) if kinds is not None else 0
    infinite = int(kinds.pos_inf.sum() + kinds.neg_inf.sum()) if kinds is not None else 0
    words = [line.name, number(line.last), f"{missing:,} NaN" if missing else "", f"{infinite:,} × ∞" if infinite else ""]
    dot = element(
        "svg",
        element("circle", cx=4, cy=4, r=4, class_=f"f{index % COLORS}"),
        viewBox="0 0 8 8",
        width=8,
        height=8,
        aria_hidden="true",
        class_="dot",
    )
    return element("span", dot, text(" ".join(word for word in words if word)))


def _axes(x: _Scale, y: _Scale) -> Iterator[Html]:
    for value in _round(y.low, y.high):
        at = y.at(value)
        yield element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, class_="grid")
        yield element("text", text(number(value)), x=LEFT - 6, y=at + 4, text_anchor="end")
    for value, anchor in ((x.low, "start"), (x.high, "end")):
        yield element("text", text(number(value)), x=x.at(value), y=HEIGHT - 5, text_anchor=anchor)


def _round(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`: 1, 2 or 5 times a power of ten."""
    rough = high / TICKS - low / TICKS
    if not 1e-300 < rough < 1e300:
        return [low, high] if low < high else [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [float(f"{count * step:.12g}") for count in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)] or [low]


def _curve(buckets: Buckets, x: _Scale, y: _Scale, color: int) -> Iterator[Html]:
    for stretch in _stretches(np.isfinite(buckets.mean)):
        across = [x.at(float(value)) for value in buckets.x[stretch]]
        mean, low, high = ([y.at(float(value)) for value in column[stretch]] for column in (buckets.mean, buckets.min, buckets.max))
        if len(across) == 1:
            yield element("circle", cx=across[0], cy=mean[0], r=2, class_=f"f{color}")
            continue
        if low != high:
            edge = [*zip(across, high, strict=True), *zip(reversed(across), reversed(low), strict=True)]
            yield element("polygon", points=_points(edge), class_=f"band f{color}")
        yield element("polyline", points=_points(zip(across, mean, strict=True)), class_=f"line s{color}")


def _points(pairs: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{a:g},{b:g}" for a, b in pairs)


def _stretches(good: npt.NDArray[np.bool_]) -> Iterator[slice]:
    """Stretches of neighbours that are all true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], good, [False])).astype(np.int8)))
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        yield slice(start, end)
