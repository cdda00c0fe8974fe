"""Timing, statistics, and the report of a bench run."""

from __future__ import annotations

import json
import math
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent.parent
OUTPUT = ROOT / "build" / "bench.json"


def timed(work: Callable[[], Any]) -> float:
    """Duration of a call in seconds."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def repeated(work: Callable[[], Any], times: int, before: Callable[[], Any] | None = None) -> list[float]:
    """Durations of `times` calls in seconds; `before` runs ahead of each and is not counted."""
    seconds = []
    for _ in range(times):
        if before is not None:
            before()
        seconds.append(timed(work))
    return seconds


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def paired(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ratios of values that were measured in turns."""
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def in_ms(seconds: Sequence[float]) -> list[float]:
    return [1000 * one for one in seconds]


def percentile(values: Sequence[float], percent: float) -> float:
    """The percentile by nearest rank; NaN without values."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(len(ordered) * percent / 100) - 1))]


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


@dataclass
class Figure:
    """A line of the report. `target`: a lower or upper bound of `value`, or None. `low`, `high`: the quartiles of the samples; with the target between
    them the verdict is "too noisy to tell"."""

    name: str
    value: float
    unit: str
    bound: Literal["≥", "≤", ""] = ""
    target: float | None = None
    note: str = ""
    engine: str = ""
    low: float | None = None
    high: float | None = None

    @property
    def ok(self) -> bool | None:
        """None: no target, or too noisy to tell."""
        if self.target is None:
            return None
        values = (self.value, *(value for value in (self.low, self.high) if value is not None))
        reached = {value >= self.target if self.bound == "≥" else value <= self.target for value in values}
        return reached.pop() if len(reached) == 1 else None

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        return {True: "ok", False: "MISSED", None: "too noisy to tell"}[self.ok]


@dataclass
class Report:
    """Collects figures: prints each at once, writes all as JSON at the end."""

    figures: list[Figure] = field(default_factory=list)
    _engine: str = ""

    def engine(self, name: str) -> None:
        """The following figures are measured on this engine."""
        self._engine = name
        print(f"\n=== {name} ===", flush=True)

    def heading(self, text: str) -> None:
        print(f"\n{text}", flush=True)

    def add(self, name: str, value: float, unit: str, *, least: float | None = None, most: float | None = None, note: str = "") -> None:
        """Add a figure; `least` or `most` is its target."""
        self._take(Figure(name, value, unit, *_target(least, most), note, self._engine))

    def spread(
        self, name: str, values: Sequence[float], unit: str, *, least: float | None = None, most: float | None = None, note: str = ""
    ) -> None:
        """Add a figure that was measured several times: the median, with quartiles."""
        low, middle, high = quartiles(values)
        self._take(Figure(name, middle, unit, *_target(least, most), note, self._engine, low, high))

    def _take(self, figure: Figure) -> None:
        self.figures.append(figure)
        target = "" if figure.target is None else f"{figure.bound} {shown(figure.target)}"
        spread = "" if figure.low is None or figure.high is None else f"({shown(figure.low)} to {shown(figure.high)})"
        line = (
            f"  {figure.name:<58} {shown(figure.value):>11} {spread:<22} {figure.unit:<9} {target:>11}  {figure.verdict:<7} {figure.note}"
        )
        print(line.rstrip(), flush=True)

    def write(self, path: Path = OUTPUT) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "figures": [{**vars(figure), "ok": figure.ok, "verdict": figure.verdict} for figure in self.figures],
        }
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        print(f"\n{len(self.figures)} figures")
        for verdict in ("MISSED", "too noisy to tell"):
            names = [figure.name for figure in self.figures if figure.verdict == verdict]
            print(f"{verdict}: {len(names)}{': ' + '; '.join(names) if names else ''}")
        print(path)


def _target(least: float | None, most: float | None) -> tuple[Literal["≥", "≤", ""], float | None]:
    if least is not None:
        return "≥", least
    return ("≤", most) if most is not None else ("", None)


def shown(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 or value == 0 else f"{value:.2g}"


def machine() -> dict[str, Any]:
    cpu = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
        "unknown",
    )
    cores = sum(line.startswith("processor") for line in Path("/proc/cpuinfo").read_text().splitlines())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1024 // 1024
    return {"cpu": cpu, "cores": cores, "memory_gb": memory, "python": platform.python_version(), "system": platform.platform()}
