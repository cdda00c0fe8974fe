"""The answers of /metrics, /metrics_step and metrics/fast: a JSON body, whole or as a stream, and its number of rows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import orjson

from apiserver.bll.registry.directory import Owner
from apiserver.bll.runs.columns import STEP_COLUMN, TIME_COLUMN
from apiserver.bll.runs.row_encoding import json_rows
from apiserver.bll.runs.rows import RunRows, Window, taken
from apiserver.bll.runs.rows_by_time import by_time, since
from apiserver.bll.runs.sampling import MetricValues, choose_rows
from apiserver.common.fairness import give_way
from apiserver.errors import ValidationFailed
from apiserver.stores.base import SeriesReader
from apiserver.stores.records import MAX_ITER, Floats

STREAM_FROM = 64_000_000
"""Bytes of JSON, estimated, from which an answer is streamed instead of built in memory."""


@dataclass(frozen=True, slots=True)
class RowSelection:
    """Which part of a run is asked for. `lo` and `hi` are steps, inclusive; `downsample` is the greatest number of rows."""

    lo: int | None = None
    hi: int | None = None
    downsample: int | None = None


class RowCounts(NamedTuple):
    """`total` rows before down-sampling, `sampled` of them in the answer; the last step of the part that was asked for (None: it has no rows)."""

    total: int
    sampled: int
    last_step: int | None


@dataclass(slots=True)
class RowsAnswer:
    """`body` is JSON, whole or in the pieces of a stream."""

    body: bytes | Iterable[bytes]
    counts: RowCounts | None = None


class RunAnswers:
    """Makes the bodies of the endpoints that answer rows."""

    def __init__(self, store: SeriesReader, max_points: int) -> None:
        """`max_points`: limit of an answer that must be in memory as a whole, because its rows are sampled or sorted by time."""
        self._store, self._max_points = store, max_points

    def metrics_step(self, run: Owner, wanted: RowSelection) -> RowsAnswer:
        """One row per step."""
        run_rows = RunRows(self._store, run, lo=wanted.lo, hi=wanted.hi)
        columns = [STEP_COLUMN, *run_rows.columns] if run_rows.series else []
        if wanted.downsample is None:
            total, last = run_rows.count_rows()
            rows = (piece for window in run_rows.windows() for piece in json_rows(window, window.steps.tolist()))
            return _answer(run_rows, columns, rows, total, total, last)
        window = self._whole(run_rows)
        total, last = len(window.steps), _last(window)
        window = run_rows.with_texts(_sampled(run_rows, window, wanted.downsample))
        return _answer(run_rows, columns, json_rows(window, window.steps.tolist()), total, len(window.steps), last)

    def metrics(self, run: Owner, wanted: RowSelection) -> RowsAnswer:
        """One row per distinct time, in seconds from the first row of the whole run."""
        run_rows = RunRows(self._store, run, by_time=True)
        columns = [TIME_COLUMN, *(name for name in run_rows.columns if name != TIME_COLUMN)] if run_rows.series else []
        times = run_rows.ascending_times()
        if times is not None:
            start = float(times[0])
            del times
            part = RunRows(self._store, run, lo=wanted.lo, hi=wanted.hi, by_time=True)
            return self._rows_are_steps(part, columns, start, wanted.downsample)
        steps = self._whole(run_rows, texts=True)
        start = by_time(steps).start
        if wanted.lo is not None or wanted.hi is not None:
            lo, hi = run_rows.lo if wanted.lo is None else wanted.lo, run_rows.hi if wanted.hi is None else wanted.hi
            steps = taken(steps, ((steps.steps >= lo) & (steps.steps <= hi)).nonzero()[0])
        last = _last(steps)
        rows = by_time(steps, start)
        del steps
        found, window = rows.times, rows.window
        total = len(found)
        if wanted.downsample is not None and total > wanted.downsample:
            chosen = choose_rows(total, _metrics_of(run_rows, window), wanted.downsample)
            found, window = found[chosen], taken(window, chosen)
        return _answer(run_rows, columns, json_rows(window, found.tolist(), TIME_COLUMN), total, len(found), last)

    def _rows_are_steps(self, run_rows: RunRows, columns: list[str], start: float, limit: int | None) -> RowsAnswer:
        """/metrics of a run whose times ascend with its steps (the usual case): its rows are those of the steps."""

        def rows_of(window: Window) -> Iterator[bytes]:
            assert window.times is not None
            return json_rows(window, since(window.times, start).tolist(), TIME_COLUMN)

        if limit is None:
            total, last = run_rows.count_rows()
            return _answer(run_rows, columns, (piece for window in run_rows.windows() for piece in rows_of(window)), total, total, last)
        window = self._whole(run_rows)
        total, last = len(window.steps), _last(window)
        window = run_rows.with_texts(_sampled(run_rows, window, limit))
        return _answer(run_rows, columns, rows_of(window), total, len(window.steps), last)

    def fast(self, run: Owner, wanted: RowSelection, only: list[str] | None) -> RowsAnswer:
        """Numbers by step, as Runicorn's v2 API answers. `only` are the columns asked for, in that order, also unknown ones."""
        started = time.perf_counter()
        run_rows = RunRows(self._store, run, lo=wanted.lo, hi=wanted.hi, numeric=True, only=None if only is None else frozenset(only))
        names = only if only is not None else run_rows.columns
        columns = [STEP_COLUMN, *names] if run_rows.series or only is not None else []
        if wanted.downsample:
            windows = iter([_sampled(run_rows, self._whole(run_rows), wanted.downsample)])
            most = wanted.downsample
        else:
            windows, most = run_rows.windows(texts=False), MAX_ITER
        filters = {
            "metrics": only,
            "step_range": None if wanted.lo is None and wanted.hi is None else [wanted.lo, wanted.hi],
            "downsampled": wanted.downsample is not None,
        }

        def pieces() -> Iterator[bytes]:
            head, total = b'{"columns":' + orjson.dumps(columns) + b',"rows":[', 0
            for window in windows:
                total += len(window.steps)
                for piece in json_rows(window, window.steps.tolist()):
                    yield head + piece
                    head = b","
                    give_way()
            seconds = time.perf_counter() - started
            tail = {"query_time_ms": round(seconds * 1000, 2), "total_points": total, "applied_filters": filters}
            yield (head if head != b"," else b"") + b"]," + orjson.dumps(tail)[1:]

        return RowsAnswer(_whole_or_stream(pieces(), run_rows, most))

    def _whole(self, run_rows: RunRows, *, texts: bool = False) -> Window:
        """All rows at once. Raises ValidationFailed when they are too many for that."""
        points = run_rows.points()
        if points > self._max_points:
            most = f"of at most {self._max_points} points where rows are chosen or put in order of time (runs.max_points)"
            raise ValidationFailed("", f"{most}: ask for a step_range, or for metrics_step without downsample", points)
        return run_rows.whole(texts=texts)


def _sampled(run_rows: RunRows, window: Window, limit: int) -> Window:
    if len(window.steps) <= limit:
        return window
    return taken(window, choose_rows(len(window.steps), _metrics_of(run_rows, window), limit))


def _metrics_of(run_rows: RunRows, window: Window) -> list[MetricValues]:
    """The numbers whose extremes must stay: of every column but `time`."""
    count = len(window.steps)
    metrics = []
    for name, cell in window.cells.items():
        if name == TIME_COLUMN or not len(cell.values):
            continue
        rows, values = cell.rows_in(count), cell.values
        if values.dtype == object:  # texts, perhaps with numbers among them
            if not run_rows.has_numbers(name):
                continue
            numbers = np.fromiter((type(value) is float for value in values), np.bool_, len(values))
            rows, values = rows[numbers], values[numbers].astype(np.float64)
        metrics.append(MetricValues(rows, cast(Floats, values)))
    return metrics


def _last(window: Window) -> int | None:
    return int(window.steps[-1]) if len(window.steps) else None


def _answer(run_rows: RunRows, columns: list[str], rows: Iterable[bytes], total: int, sampled: int, last: int | None) -> RowsAnswer:
    pieces = _framed(columns, rows, b'],"total":%d,"sampled":%d}' % (total, sampled))
    return RowsAnswer(_whole_or_stream(pieces, run_rows, sampled), RowCounts(total, sampled, last))


def _whole_or_stream(pieces: Iterator[bytes], run_rows: RunRows, rows: int) -> bytes | Iterator[bytes]:
    """A body, as a stream when it would be long."""
    whole = _released(pieces, run_rows)
    return whole if run_rows.json_bytes(rows) > STREAM_FROM else b"".join(whole)


def _released(pieces: Iterator[bytes], run_rows: RunRows) -> Iterator[bytes]:
    """The pieces; afterwards the rows are freed."""
    try:
        yield from pieces
    finally:
        run_rows.release()


def _framed(columns: list[str], rows: Iterable[bytes], tail: bytes) -> Iterator[bytes]:
    """The body in pieces; yields to other requests after each."""
    head = b'{"columns":' + orjson.dumps(columns) + b',"rows":['
    for piece in rows:
        yield head + piece
        head = b","
        give_way()
    yield (head if head != b"," else b"") + tail
