"""Clocks, samples and the report of a bench run."""

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
    """Seconds of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def repeated(work: Callable[[], Any], times: int, before: Callable[[], Any] | None = None) -> list[float]:
    """Seconds of each of `times` calls; `before` runs ahead of each and is not counted."""
    seconds = []
    for _ in range(times):
        if before is not None:
            before()
        seconds.append(timed(work))
    return seconds


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank; NaN when there are no values."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(len(ordered) * percent / 100) - 1))]


@dataclass
class Figure:
    """One line of the report. `target` is a bound on `value`: at least or at most, None when the figure only informs."""

    name: str
    value: float
    unit: str
    bound: Literal["≥", "≤", ""] = ""
    target: float | None = None
    note: str = ""
    engine: str = ""

    @property
    def ok(self) -> bool | None:
        if self.target is None:
            return None
        return self.value >= self.target if self.bound == "≥" else self.value <= self.target


@dataclass
class Report:
    """Figures in the order they were measured; printed as they come, written as JSON at the end."""

    figures: list[Figure] = field(default_factory=list)
    _engine: str = ""

    def engine(self, name: str) -> None:
        """What follows is measured on this engine."""
        self._engine = name
        print(f"\n=== {name} ===", flush=True)

    def heading(self, text: str) -> None:
        print(f"\n{text}", flush=True)

    def add(self, name: str, value: float, unit: str, *, least: float | None = None, most: float | None = None, note: str = "") -> None:
        """Take a figure; `least` or `most` is its target."""
        figure = Figure(
            name, value, unit, "≥" if least is not None else "≤" if most is not None else "", least if least is not None else most, note
        )
        self.figures.append(figure)
        target = "" if figure.target is None else f"{figure.bound} {shown(figure.target)}"
        verdict = {True: "ok", False: "MISSED", None: ""}[figure.ok]
        print(f"  {name:<58} {shown(value):>11} {unit:<9} {target:>11}  {verdict:<7}{note}", flush=True)

    def write(self, path: Path = OUTPUT) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "figures": [{**vars(figure), "ok": figure.ok} for figure in self.figures],
        }
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        missed = [figure.name for figure in self.figures if figure.ok is False]
        print(f"\n{len(self.figures)} figures, {len(missed)} missed{': ' + '; '.join(missed) if missed else ''}\n{path}")


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
