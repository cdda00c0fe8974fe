"""Stores pieces in a sink: turns them into lines of the runs API, sends these in batches, and counts."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from apiserver.bll.runs.run_lines import ORDINAL
from apiserver.operations.transfer.facts import storable
from apiserver.operations.transfer.pieces import (
    Damaged,
    Facts,
    Figure,
    FoundRun,
    Picture,
    Piece,
    Restarted,
    Rewound,
    Scalars,
    Skipped,
    Text,
)
from apiserver.operations.transfer.repeats import Repeats
from apiserver.operations.transfer.sinks import RunRefused, Sink
from apiserver.stores.records import SINGLE_VALUE_ITER

LINE_POINTS = 5_000
"""Most points of a line: a server answers other requests between two lines."""
BATCH_POINTS = 50_000
BATCH_BYTES = 4 << 20
REPLACED = "points that a later one of the same metric and step replaces"
RESERVED = f"points at step {SINGLE_VALUE_ITER}, which marks values of a whole run"

Progress = Callable[[int, int], None]
"""Called with the numbers of bytes and lines (or points) processed since the last call."""


@dataclass(slots=True)
class Problem:
    """A line (counted from 1; 0: the file as a whole) that was not stored."""

    file: Path | str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}" if self.line else f"{self.file}: {self.reason}"


@dataclass(slots=True)
class Tally:
    """Counts and problems of an import. `events` counts all stored events, plots too. `skipped`: skipped data, by kind."""

    runs: int = 0
    events: int = 0
    log_lines: int = 0
    images: int = 0
    plots: int = 0
    hyperparams: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    ordinals: dict[str, int] = field(default_factory=dict)
    """Log lines read so far, by run: a run may consist of several folders."""


class RunReports:
    """Stores the pieces of one run. Raises RunRefused when the run can't be written."""

    def __init__(self, run: FoundRun, sink: Sink, tally: Tally, progress: Progress = lambda size, lines: None) -> None:
        self._run, self._sink, self._tally, self._progress = run, sink, tally, progress
        self._lines: list[bytes] = []
        self._counts: list[tuple[int, int]] = []
        self._bytes = self._points = 0
        self._place: Path | str = run.origin or (run.files[0] if len(run.files) == 1 else run.path)
        self._known: int | None = None
        self._repeats = Repeats()
        self.is_empty = True
        """Whether the run had neither data nor damage, only dates and a status."""

    def take(self, pieces: Iterable[Piece]) -> None:
        """Store pieces; on return all are stored. OSError and ValueError while reading them become a problem in the tally."""
        try:
            for piece in pieces:
                if not isinstance(piece, Facts) or piece.facts.get("hyperparams"):
                    self.is_empty = False
                self._take(piece)
        except (OSError, ValueError, RecursionError) as error:
            self._tally.problems.append(Problem(self._place, 0, _words(error)))
        self._flush()

    def describe(self) -> None:
        """Store the run's origin."""
        self._sink.describe(self._run.id, self._run.facts)

    def _take(self, piece: Piece) -> None:
        if isinstance(piece, Scalars):
            if SINGLE_VALUE_ITER in piece.steps:
                piece = self._without_reserved_step(piece)
            replaced = self._repeats.count(piece.name, piece.steps, piece.values)
            if replaced:
                self._tally.skipped[REPLACED] += replaced
            for start in range(0, len(piece.steps), LINE_POINTS):
                self._scalars(piece, slice(start, start + LINE_POINTS))
        elif isinstance(piece, Text):
            self._text(piece)
        elif isinstance(piece, Figure):
            data: dict[str, Any] = {"key": piece.name, "variant": piece.variant, "step": piece.step, "plot": piece.figure}
            self._line("plot", data, piece.time, plots=1)
        elif isinstance(piece, Picture):
            self._picture(piece)
        elif isinstance(piece, Facts):
            facts, left_out = storable(piece.facts)
            self._tally.hyperparams += sum(map(len, facts.get("hyperparams", {}).values()))
            self._tally.skipped += left_out
            self._sink.describe(self._run.id, {**self._run.facts, **facts})
        elif isinstance(piece, Skipped):
            self._tally.skipped[piece.kind] += piece.count
        elif isinstance(piece, Damaged):
            self._tally.problems.append(Problem(piece.file, piece.line, piece.reason))
        elif isinstance(piece, Rewound):
            self._flush()
            self._repeats.rewind(piece.step)
            self._sink.rewind(self._run.id, piece.step)
        else:
            assert isinstance(piece, Restarted)
            self._flush()
            self._repeats.clear()
            self._sink.clear(self._run.id)
            self._tally.ordinals[self._run.id] = self._known = 0

    def _without_reserved_step(self, piece: Scalars) -> Scalars:
        """The server would refuse all points of a line for one at this step."""
        kept = [point for point in zip(piece.steps, piece.values, piece.times, strict=True) if point[0] != SINGLE_VALUE_ITER]
        self._tally.skipped[RESERVED] += len(piece.steps) - len(kept)
        steps, values, times = zip(*kept, strict=True) if kept else ((), (), ())
        return Scalars(piece.name, list(steps), list(values), list(times))

    def _scalars(self, piece: Scalars, part: slice) -> None:
        steps, values, times = piece.steps[part], list(piece.values[part]), piece.times[part]
        if not all(map(math.isfinite, values)):
            values = [value if math.isfinite(value) else _SPELLED[str(value)] for value in values]  # type: ignore[misc]
        data = {"key": piece.name, "steps": steps, "values": values, "times": times}
        self._line("points", data, times[0], events=len(steps))

    def _text(self, piece: Text) -> None:
        ordinal = self._tally.ordinals[self._run.id] = self._tally.ordinals.get(self._run.id, 0) + 1
        if self._known is None:
            self._known = self._sink.log_lines(self._run.id)
        if ordinal > self._known:
            data = {"text": piece.text, ORDINAL: ordinal, "level": piece.level}
            self._line("log", data, piece.time, logs=1)

    def _picture(self, piece: Picture) -> None:
        folder = hashlib.sha256(piece.name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        path = f"media/{folder}/{piece.step}_{piece.number}.{piece.suffix}"
        try:
            url = self._sink.media(self._run.id, path, piece.data)
        except (RunRefused, OSError) as error:
            self._tally.problems.append(Problem(piece.data if isinstance(piece.data, Path) else self._place, 0, _words(error)))
            return
        self._tally.images += 1
        data = {"key": piece.name, "path": path, "step": piece.step, "url": url, **({"caption": piece.caption} if piece.caption else {})}
        self._line("image", data, piece.time, events=1)

    def _line(self, kind: str, data: dict[str, Any], time: int, *, events: int = 0, logs: int = 0, plots: int = 0) -> None:
        try:
            line = orjson.dumps({"ts": time / 1000, "type": kind, "data": data})
        except (TypeError, ValueError) as error:  # a lone surrogate, an integer of more than 64 bits
            self._tally.problems.append(Problem(self._place, 0, f"{data.get('key', kind)}: {error}"))
            return
        self._lines.append(line)
        self._counts.append((events + plots, logs))
        self._tally.plots += plots
        self._points += events + plots + logs
        self._bytes += len(line)
        if self._points >= BATCH_POINTS or self._bytes >= BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        if not self._lines:
            return
        lines, counts, points = self._lines, self._counts, self._points
        self._lines, self._counts = [], []
        self._bytes = self._points = 0
        stored = dict(enumerate(counts, 1))
        for problem in self._sink.add(self._run.id, lines).refused:
            stored.pop(problem.line, None)
            self._tally.problems.append(Problem(self._place, 0, problem.reason))
        self._tally.events += sum(events for events, _ in stored.values())
        self._tally.log_lines += sum(logs for _, logs in stored.values())
        self._progress(0, points)


_SPELLED = {"nan": "NaN", "inf": "inf", "-inf": "-inf"}


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) or type(error).__name__
