"""What /metrics, /metrics_step and metrics/fast answer: headers and a JSON body, whole or as a stream."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import orjson

from apiserver.bll.runs.columns import STEP_COLUMN, TIME_COLUMN
from apiserver.bll.runs.encode import json_rows
from apiserver.bll.runs.rows_by_time import by_time, since
from apiserver.bll.runs.sampling import Metric, choose_rows
from apiserver.bll.runs.table import Table, Window, joined, taken
from apiserver.fairness import give_way
from apiserver.stores.base import SeriesReader
from apiserver.stores.records import Floats

STREAM_FROM = 3_000_000
"""Stored points from which a whole answer is not made in memory but sent as it is read (about 90 MB of JSON)."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of a run is asked for. `lo` and `hi` are steps, inclusive; `downsample` is the greatest number of rows."""

    lo: int | None = None
    hi: int | None = None
    downsample: int | None = None


@dataclass(slots=True)
class Answer:
    """Status 200. `body` is bytes, or the pieces of a stream."""

    body: bytes | Iterable[bytes]
    headers: dict[str, str] = field(default_factory=dict)


class Reader:
    """Answers for one run of a company (its owner's id)."""

    def __init__(self, store: SeriesReader) -> None:
        self._store = store

    def metrics_step(self, company: str, run: str, wanted: Selection) -> Answer:
        """One row per step."""
        table = Table(self._store, company, run, lo=wanted.lo, hi=wanted.hi)
        columns = [STEP_COLUMN, *table.columns] if table.series else []
        if wanted.downsample is None:
            total, last = table.count_rows()
            rows = (piece for window in table.windows() for piece in json_rows(window, window.steps.tolist()))
            return _answer(table, columns, rows, total, total, last)
        window = table.whole()
        total, last = len(window.steps), _last(window)
        window = table.with_texts(_sampled(table, window, wanted.downsample))
        return _answer(table, columns, json_rows(window, window.steps.tolist()), total, len(window.steps), last)

    def metrics(self, company: str, run: str, wanted: Selection) -> Answer:
        """One row per distinct time, in seconds from the first row of the whole run."""
        table = Table(self._store, company, run, by_time=True)
        columns = [TIME_COLUMN, *(name for name in table.columns if name != TIME_COLUMN)] if table.series else []
        times = table.ascending_times()
        if times is not None:
            start = float(times[0])
            del times
            part = Table(self._store, company, run, lo=wanted.lo, hi=wanted.hi, by_time=True)
            return self._rows_are_steps(part, columns, start, wanted.downsample)
        steps = joined(list(table.windows()))
        start = by_time(steps).start
        if wanted.lo is not None or wanted.hi is not None:
            lo, hi = table.lo if wanted.lo is None else wanted.lo, table.hi if wanted.hi is None else wanted.hi
            steps = taken(steps, ((steps.steps >= lo) & (steps.steps <= hi)).nonzero()[0])
        last = _last(steps)
        rows = by_time(steps, start)
        del steps
        found, window = rows.times, rows.window
        total = len(found)
        if wanted.downsample is not None and total > wanted.downsample:
            chosen = choose_rows(total, _metrics_of(table, window), wanted.downsample)
            found, window = found[chosen], taken(window, chosen)
        return _answer(table, columns, json_rows(window, found.tolist(), TIME_COLUMN), total, len(found), last)

    def _rows_are_steps(self, table: Table, columns: list[str], start: float, limit: int | None) -> Answer:
        """/metrics of a run whose times ascend with its steps, as they usually do: its rows are those of the steps."""

        def rows_of(window: Window) -> Iterator[bytes]:
            assert window.times is not None
            return json_rows(window, since(window.times, start).tolist(), TIME_COLUMN)

        if limit is None:
            total, last = table.count_rows()
            return _answer(table, columns, (piece for window in table.windows() for piece in rows_of(window)), total, total, last)
        window = table.whole()
        total, last = len(window.steps), _last(window)
        window = table.with_texts(_sampled(table, window, limit))
        return _answer(table, columns, rows_of(window), total, len(window.steps), last)

    def fast(self, company: str, run: str, wanted: Selection, only: list[str] | None) -> Answer:
        """Numbers by step, as Runicorn's v2 API answers. `only` are the columns asked for, in that order, also unknown ones."""
        started = time.perf_counter()
        table = Table(self._store, company, run, lo=wanted.lo, hi=wanted.hi, numeric=True, only=only)
        window = table.whole()
        if wanted.downsample:
            window = _sampled(table, window, wanted.downsample)
        names = only if only is not None else table.columns
        tail = {
            "query_time_ms": 0.0,
            "total_points": len(window.steps),
            "applied_filters": {
                "metrics": only,
                "step_range": None if wanted.lo is None and wanted.hi is None else [wanted.lo, wanted.hi],
                "downsampled": wanted.downsample is not None,
            },
        }
        columns = [STEP_COLUMN, *names] if table.series or only is not None else []
        pieces = list(_paced(json_rows(window, window.steps.tolist())))
        tail["query_time_ms"] = round((time.perf_counter() - started) * 1000, 2)
        return Answer(b"".join(_framed(columns, pieces, b"]," + orjson.dumps(tail)[1:])))


def _sampled(table: Table, window: Window, limit: int) -> Window:
    if len(window.steps) <= limit:
        return window
    return taken(window, choose_rows(len(window.steps), _metrics_of(table, window), limit))


def _metrics_of(table: Table, window: Window) -> list[Metric]:
    """The numbers whose spikes must stay: of every column but `time`."""
    count = len(window.steps)
    metrics = []
    for name, cell in window.cells.items():
        if name == TIME_COLUMN or not len(cell.values):
            continue
        rows, values = cell.rows_in(count), cell.values
        if values.dtype == object:  # texts, perhaps with numbers among them
            if not table.has_numbers(name):
                continue
            numbers = np.fromiter((type(value) is float for value in values), np.bool_, len(values))
            rows, values = rows[numbers], values[numbers].astype(np.float64)
        metrics.append(Metric(rows, cast(Floats, values)))
    return metrics


def _last(window: Window) -> int | None:
    return int(window.steps[-1]) if len(window.steps) else None


def _answer(table: Table, columns: list[str], rows: Iterable[bytes], total: int, sampled: int, last: int | None) -> Answer:
    """A whole answer, or a stream when the run is long."""
    headers = {"X-Row-Count": str(sampled), "X-Total-Count": str(total)}
    if last is not None:
        headers["X-Last-Step"] = str(last)
    pieces = _framed(columns, rows, b'],"total":%d,"sampled":%d}' % (total, sampled))
    return Answer(pieces if sampled == total and table.cells > STREAM_FROM else b"".join(pieces), headers)


def _framed(columns: list[str], rows: Iterable[bytes], tail: bytes) -> Iterator[bytes]:
    """The body in pieces; gives way to other requests after each."""
    head = b'{"columns":' + orjson.dumps(columns) + b',"rows":['
    for piece in rows:
        yield head + piece
        head = b","
        give_way()
    yield (head if head != b"," else b"") + tail


def _paced(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        give_way()
