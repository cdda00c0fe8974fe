"""A batch split into parts, one per series: the lines to store, and how they change the statistics of the series."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import lt
from typing import Any

import orjson

from apiserver.common.fairness import paced
from apiserver.stores.batch import Event, EventBatch, LogLine, Points
from apiserver.stores.elastic.series.row import LastPoints, StatisticsRow, series_id
from apiserver.stores.event_types import TYPES
from apiserver.stores.records import SINGLE_VALUE_ITER, SeriesKey

SERIES = 200
"""Series processed (in some milliseconds) before other requests get a turn."""


@dataclass(slots=True)
class Part:
    """The lines of one series in a batch (points, events or log lines), and the result of storing each."""

    key: SeriesKey
    id: str
    """Id of the series' statistics document."""
    index: str = ""
    """The index of its events."""
    epoch: int | None = None
    """The series' epoch before the batch was sent; None for a new series."""
    arrivals: list[int] = field(default_factory=list)
    """Line numbers in the batch; added to the batch's first arrival number they are the lines' own."""
    points: Points | None = None
    positions: range | list[int] = range(0)
    """The points to store: of equal iterations only the last."""
    events: list[Event] = field(default_factory=list)
    logs: list[LogLine] = field(default_factory=list)
    created: list[bool] = field(default_factory=list)
    """For each line whether it created a document; empty when all did."""
    repeated: bool = False
    """Whether some lines replaced a document, which makes the statistics of the series stale."""

    @property
    def created_nothing(self) -> bool:
        """Whether no line created a document."""
        return bool(self.created) and not any(self.created)

    @property
    def is_repetition(self) -> bool:
        """Whether all lines that were not refused were stored before, as by a retry."""
        return self.created_nothing and self.repeated

    def repeated_logs(self) -> Part:
        """The log lines that were stored before, as a new part."""
        lines = [line for line, created in zip(self.logs, self.created, strict=True) if not created]
        return Part(self.key, self.id, self.index, arrivals=[line.line for line in lines], logs=lines)

    def row(self, seq: int) -> StatisticsRow | None:
        """Statistics of the lines that created documents, stale if others did not; None when every line was refused. `seq`: the batch's first
        arrival number."""
        if self.created_nothing and not self.repeated:
            return None
        row = StatisticsRow(stale=self.repeated, last_written=seq + max(self.arrivals))
        if self.points is not None:
            self._add_points(row, self.points)
            return row
        created = self.created or [True] * len(self.arrivals)
        lines: list[Event | LogLine] = [*self.events, *self.logs]
        for line, new in zip(lines, created, strict=True):
            if new:
                times = (line.timestamp, line.timestamp)
                row.extend(1, None if line.iter is None else (line.iter, line.iter), times)
                if line.iter is not None and line.iter != SINGLE_VALUE_ITER and not self.logs:
                    row.extend_chart(1, (line.iter, line.iter), times)
                row.bytes += line.size
        return row

    def _add_points(self, row: StatisticsRow, points: Points) -> None:
        row.x_axis_label = points.x_axis_label
        chosen = self.positions
        if self.created:
            chosen = [position for position, new in zip(self.positions, self.created, strict=True) if new]
        if not chosen:
            return
        columns: tuple[list[int], list[float], list[int], list[int], list[int]]
        columns = (points.iters, points.values, points.timestamps, points.sizes, points.lines)
        if len(chosen) < len(points.iters):
            columns = tuple([column[p] for p in chosen] for column in columns)  # type: ignore[assignment]
        iters, values, timestamps, sizes, lines = columns
        if not all(map(lt, iters, iters[1:])):
            order = sorted(range(len(iters)), key=iters.__getitem__)
            iters, values, timestamps = [iters[p] for p in order], [values[p] for p in order], [timestamps[p] for p in order]
            lines = [lines[p] for p in order]
        row.add_points(iters, values, timestamps, lines)
        if TYPES[self.key.type].last_values:
            row.last = LastPoints.of(iters, values)
        row.bytes = sum(sizes)


def parts_of(company: str, batch: EventBatch) -> list[Part]:
    """The parts of a batch. Of events with the same identity only the last is kept."""
    parts: dict[SeriesKey, Part] = {}

    def part_of(key: SeriesKey) -> Part:
        part = parts.get(key)
        if part is None:
            part = parts[key] = Part(key, series_id(company, key))
        return part

    for key, points in paced(batch.points.items(), SERIES):
        part = part_of(key)
        part.points, part.positions = points, _last_of_each(points.iters)
        part.arrivals = points.lines if len(part.positions) == len(points.lines) else [points.lines[p] for p in part.positions]
    latest = {(event.series, event.iter, event.key or ""): event for event in batch.events}
    extra: list[Part] = []
    for event in paced(latest.values(), SERIES):
        part = part_of(event.series)
        if part.points is not None:  # a scalar series with points and an event without iteration: at most one such event
            part = Part(part.key, part.id)
            extra.append(part)
        part.arrivals.append(event.line)
        part.events.append(event)
    for line in batch.logs:
        part = part_of(line.series)
        part.arrivals.append(line.line)
        part.logs.append(line)
    return [*parts.values(), *extra]


def batch_name(batch: EventBatch, parts: Sequence[Part]) -> str:
    """A name that a retry of the batch has too. Two different batches share it only if one replaces the other's events; then the series is stale anyway.

    Log lines without a digest can't be recognized as a retry; they add nothing to the name.
    """
    ends: list[Any] = [batch.digest.hex() if batch.digest else None]
    for part in paced(parts, SERIES):
        if part.points is not None:
            iters = part.points.iters
            ends.append((part.id, len(iters), iters[0], iters[-1]))
        elif part.events:
            first, last = part.events[0], part.events[-1]
            ends.append((part.id, len(part.events), first.iter, first.key, last.iter, last.key))
    return urlsafe_b64encode(hashlib.blake2b(orjson.dumps(ends), digest_size=9).digest()).decode()


def _last_of_each(iters: list[int]) -> range | list[int]:
    """The positions of the last point of each iteration."""
    if len(set(iters)) == len(iters):
        return range(len(iters))
    return sorted({iteration: position for position, iteration in enumerate(iters)}.values())
