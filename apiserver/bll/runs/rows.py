"""The rows of a run: which columns they have, and their cells by step in windows of bounded size, as arrays.

A window reads every series of the run between two steps, so that memory depends on the window, not on the length of the run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from apiserver.bll.registry.directory import Owner
from apiserver.bll.runs import columns as names
from apiserver.common.fairness import let_go, paced
from apiserver.stores.base import SeriesReader
from apiserver.stores.records import ATTRIBUTE, SCALAR, SINGLE_VALUE_ITER, Floats, Ints, PointColumns, Series, SeriesKey

WINDOW = 240_000
"""Points that a window holds, about: 40,000 steps of a run with six columns,"""
LEAST_STEPS = 64
"""and a minimum of steps, because a window has a cost per column."""
COLUMNS = 500
"""Columns processed before yielding to other requests."""

_CELL_BYTES = 24
"""A value in JSON with what is around it, beside the name of its column."""

Objects = npt.NDArray[np.object_]

UNREAD: Any = object()
"""Stands for a text that is stored but was not read."""


class Cells(NamedTuple):
    """The cells of one column in a window: the rows they are in (ascending; None: every row) and their values.

    `values` is float64, where NaN and infinities stand for null, or an array of objects (str, bool, float, None). `times` are the seconds of
    the points, where the rows have none themselves (only in rows by time).
    """

    rows: Ints | None
    values: Floats | Objects
    times: Floats | None = None

    def rows_in(self, count: int) -> Ints:
        return np.arange(count, dtype=np.int64) if self.rows is None else self.rows


class Window(NamedTuple):
    """Rows in order of step: the steps, and the cells per column. A column without cells is left out.

    `times`: the `time` of every row, NaN where none was logged (only in rows by time, which have no such column then).
    """

    steps: Ints
    cells: dict[str, Cells]
    times: Floats | None = None


class RunRows:
    """The rows of one run between two steps (inclusive). `columns` are in code point order, without `global_step`.

    `only`: the columns wanted (None: all of /metrics_step). `numeric`: as metrics/fast shows a run, metrics and booleans as numbers, with
    `epoch` and without `time`. `by_time`: as /metrics needs it, where `time` is nothing but the attribute. `nulls`: a null that was logged is None,
    not NaN. `every_name`: metrics called `epoch`, `step` and `global_step` are columns too, the last as `global_step/global_step`.
    """

    def __init__(
        self,
        store: SeriesReader,
        run: Owner,
        *,
        lo: int | None = None,
        hi: int | None = None,
        numeric: bool = False,
        by_time: bool = False,
        only: Collection[str] | None = None,
        nulls: bool = False,
        every_name: bool = False,
    ) -> None:
        self._store, self._company, self._run = store, run.company, run.id
        self._numeric, self._by_time, self._nulls = numeric, by_time, nulls
        self._left_out: frozenset[str] = frozenset() if every_name else names.NOT_METRICS
        self._sources: dict[str, list[SeriesKey]] = defaultdict(list)
        self.series: list[Series] = []
        found = [series for series in store.series(run.company, [run.id], types=(SCALAR, ATTRIBUTE)) if series.chart_count]
        named = names.column_names((series.key for series in found), (names.STEP_COLUMN,) if every_name else ())
        for series in paced(found, names.KEYS):
            name = named[series.key]
            if self._is_column(series.key, name) and (only is None or name in only):
                self._sources[name].append(series.key)
            elif numeric or only is not None:
                continue
            self.series.append(series)
        self.columns = sorted(self._sources)
        self._owner = {key: name for name, keys in self._sources.items() for key in keys}
        first = min((s.chart_min_iter for s in self.series if s.chart_min_iter is not None), default=0)
        last = max((s.chart_max_iter for s in self.series if s.chart_max_iter is not None), default=-1)
        self.lo = first if lo is None else max(first, lo)
        self.hi = last if hi is None else min(last, hi)
        self.cells = sum(s.chart_count for s in self.series)
        """Stored points of the whole run, also those outside lo..hi."""

    def _is_column(self, key: SeriesKey, name: str) -> bool:
        if self._numeric:
            return name not in names.STEP_NAMES and (key.type == SCALAR or key.metric == names.BOOLEAN)
        if self._by_time and name == names.TIME_COLUMN:
            return key.type == ATTRIBUTE and key.metric in (names.NUMBER, names.NULL)
        return name not in self._left_out and not (key.type == ATTRIBUTE and key.metric == names.ROW)

    def kind(self, column: str) -> str:
        """`number`, `boolean`, or `text` for everything else and for mixtures. A null goes with every kind."""
        kinds = {names.NUMBER if key.type == SCALAR else key.metric for key in self._sources[column]} - {names.NULL}
        return kinds.pop() if len(kinds) == 1 else names.TEXT if kinds else names.NUMBER

    def points(self) -> int:
        """How many points the range has, at most."""
        steps = max(self.hi - self.lo + 1, 0)
        return sum(min(series.chart_count, steps) for series in self.series)

    def json_bytes(self, rows: int) -> int:
        """An estimate of the length of so many rows as JSON."""
        return sum(
            min(series.chart_count, rows) * (_CELL_BYTES + len(name))
            for series in paced(self.series, names.KEYS)
            if (name := self._owner.get(series.key))
        )

    def has_numbers(self, column: str) -> bool:
        """Whether a column has numbers at all."""
        return any(key.type == SCALAR or key.metric == names.NUMBER for key in self._sources[column])

    def release(self) -> None:
        """Free the records of the columns (there may be ten thousand), yielding to other greenlets. The rows can't be used afterwards."""
        self._owner.clear()
        let_go(self._sources, self.series)

    # --- how many

    def dense_count(self) -> int | None:
        """The number of rows when it is known without reading: one series has a point at every step of the range. None: must be counted."""
        if self.hi < self.lo:
            return 0
        for s in self.series:
            assert s.chart_min_iter is not None and s.chart_max_iter is not None
            whole = s.chart_count == s.chart_max_iter - s.chart_min_iter + 1
            if whole and s.chart_min_iter <= self.lo and s.chart_max_iter >= self.hi:
                return self.hi - self.lo + 1
        return None

    def count_rows(self) -> tuple[int, int | None]:
        """The number of distinct steps in the range, and the last of them."""
        known = self.dense_count()
        if known is not None:
            return known, self.hi if known else None
        count, last = 0, None
        for window in self.windows(texts=False):
            count, last = count + len(window.steps), int(window.steps[-1])
        return count, last

    # --- reading

    def windows(self, *, texts: bool = True) -> Iterator[Window]:
        """The rows of the range in order of step. Without `texts`, text cells hold None (see `with_texts`)."""
        keys = [s.key for s in paced(self.series, names.KEYS)]
        if not keys or self.hi < self.lo:
            return
        if self._is_uneven():
            for columns, lo, hi in self._pages_by_number(keys):
                yield from self._window(columns, [], lo, hi, texts)
                let_go(columns)
            return
        # A text that has its column for itself is all that its point says.
        whole = texts and not self._by_time
        apart = {key for key in paced(keys, names.KEYS) if whole and _is_text(key) and self._sources.get(self._owner.get(key, "")) == [key]}
        for columns, lo, hi in self._pages([key for key in paced(keys, names.KEYS) if key not in apart]):
            yield from self._window(columns, sorted(apart), lo, hi, texts)
            let_go(columns)

    def whole(self, *, texts: bool = False) -> Window:
        """All rows of the range as one window."""
        return joined(list(self.windows(texts=texts)))

    def with_texts(self, window: Window) -> Window:
        """A window (some rows of `whole`) with the texts of its rows read."""
        keys = [key for name in window.cells for key in self._sources[name] if _is_text(key)]
        if not keys or not len(window.steps):
            return window
        steps = window.steps.tolist()
        extras = self._store.point_extras(self._company, keys, lo=steps[0], hi=steps[-1], iters=steps)
        cells = dict(window.cells)
        for key, found in extras.items():
            cell = cells[self._owner[key]]
            rows = cell.rows_in(len(steps)).tolist()
            values = cell.values.copy()
            for position, row in enumerate(rows):
                if values[position] is UNREAD:
                    values[position] = found.get(steps[row], {}).get(names.TEXT_FIELD)
            cells[self._owner[key]] = cell._replace(values=values)
        return window._replace(cells=cells)

    def ascending_times(self) -> Floats | None:
        """The `time` of every row of the range, when each has one and they ascend from step to step; None when not."""
        count = self.dense_count()
        key = names.attribute(self._run, names.NUMBER, names.TIME_COLUMN)
        mine = next((s for s in self.series if s.key == key), None)
        if not count or mine is None or self._sources.get(names.TIME_COLUMN) != [key]:
            return None
        if mine.chart_min_iter is None or mine.chart_max_iter is None or mine.chart_min_iter > self.lo or mine.chart_max_iter < self.hi:
            return None
        width = 10 * WINDOW
        parts = []
        for lo in range(self.lo, self.hi + 1, width):
            parts += [column.values for column in self._store.points(self._company, [key], lo=lo, hi=min(lo + width - 1, self.hi))]
        times = np.concatenate(parts) if parts else np.empty(0)
        return times if len(times) == count and bool(np.isfinite(times).all()) and bool((times[1:] > times[:-1]).all()) else None

    def _is_uneven(self) -> bool:
        """Whether a window of steps may hold any number of points, or so few that asking for every series is more work than reading them."""
        longest = max(s.chart_count for s in self.series)
        span = max((s.chart_max_iter or 0) - (s.chart_min_iter or 0) + 1 for s in self.series)
        windows = span // max(WINDOW // len(self.series), LEAST_STEPS)
        return self.cells > WINDOW and (span > 2 * longest or windows * len(self.series) > self.cells)

    def _pages(self, keys: list[SeriesKey]) -> Iterator[tuple[list[PointColumns], int, int]]:
        width = self.hi - self.lo + 1 if self.cells <= WINDOW else max(WINDOW // len(self.series), LEAST_STEPS)
        for lo in range(self.lo, self.hi + 1, width):
            hi = min(lo + width - 1, self.hi)
            yield self._store.points(self._company, keys, lo=lo, hi=hi), lo, hi

    def _pages_by_number(self, keys: list[SeriesKey]) -> Iterator[tuple[list[PointColumns], int, int]]:
        """Steps are spread unevenly: pages of so many points, each cut before its last step, which may continue in the next page."""
        limit = max(WINDOW, 2 * len(keys))
        lo = self.lo
        while lo <= self.hi:
            columns = self._store.points(self._company, keys, lo=lo, hi=self.hi, limit=limit)
            found = sum(len(column.iters) for column in columns)
            if found < limit:
                yield columns, lo, self.hi
                return
            last = max(int(column.iters[-1]) for column in columns)
            cut = [_before(column, last) for column in columns]
            yield [column for column in cut if len(column.iters)], lo, last - 1
            lo = last

    def _window(self, found: list[PointColumns], apart: list[SeriesKey], lo: int, hi: int, texts: bool) -> Iterator[Window]:
        """The window of these points and of the texts in `apart`; none if it has no rows."""
        text_keys = [*apart, *(column.key for column in found if _is_text(column.key))]
        extras = self._store.point_extras(self._company, text_keys, lo=lo, hi=hi) if text_keys and texts else {}
        found = found + [_placed(key, extras[key]) for key in apart if key in extras]
        found = [_without_single_value(column) for column in paced(found, COLUMNS)]
        found = [column for column in found if len(column.iters)]
        if not found:
            return
        steps = _union([column.iters for column in found])
        parts: dict[str, list[tuple[PointColumns, Floats | Objects]]] = defaultdict(list)
        for column in paced(found, COLUMNS):
            name = self._owner.get(column.key)
            if name is not None:
                parts[name].append((column, self._values(column, extras.get(column.key, {}), texts)))
        cells = {name: _cells(steps, part) for name, part in paced(parts.items(), COLUMNS)}
        yield _timed(steps, cells) if self._by_time else Window(steps, {name: cell for name, (cell, _) in cells.items()})

    def _values(self, column: PointColumns, extras: dict[int, dict[str, Any]], texts: bool) -> Floats | Objects:
        key, values = column.key, column.values
        if self._nulls and key.type == ATTRIBUTE and key.metric == names.NULL:
            return np.full(len(values), None, dtype=object)
        if key.type == SCALAR or key.metric in (names.NUMBER, names.NULL) or self._numeric:
            return values
        made = np.empty(len(values), dtype=object)
        if key.metric == names.BOOLEAN:
            made[:] = (values != 0).tolist()
        elif texts:
            none: dict[str, Any] = {}
            made[:] = [extras.get(step, none).get(names.TEXT_FIELD) for step in column.iters.tolist()]
        else:
            made[:] = UNREAD
        return made


def _is_text(key: SeriesKey) -> bool:
    return key.type == ATTRIBUTE and key.metric == names.TEXT


def _placed(key: SeriesKey, extras: dict[int, dict[str, Any]]) -> PointColumns:
    """The points that these texts belong to, as far as a column needs them that has no other source."""
    iters = np.array(sorted(extras), np.int64)
    nothing = np.zeros(len(iters), np.int64)
    return PointColumns(key, iters, nothing.astype(np.float64), nothing, nothing)


def joined(parts: list[Window]) -> Window:
    """Windows one after the other as one. The list is emptied, so that no data is held twice."""
    if len(parts) <= 1:
        return parts[0] if parts else Window(np.empty(0, np.int64), {}, np.empty(0))
    counts = [len(part.steps) for part in parts]
    offsets = [0, *np.cumsum(counts).tolist()]
    steps = np.concatenate([part.steps for part in parts])
    times = np.concatenate([part.times for part in parts if part.times is not None]) if parts[0].times is not None else None
    cells = {}
    for name in paced(list({name: None for part in parts for name in part.cells}), COLUMNS):
        mine = [
            (offset, count, part.cells.pop(name)) for offset, count, part in zip(offsets, counts, parts, strict=False) if name in part.cells
        ]
        cells[name] = _joined_cells(mine, times, whole=len(mine) == len(parts))
    parts.clear()
    return Window(steps, cells, times)


def _joined_cells(parts: list[tuple[int, int, Cells]], row_times: Floats | None, *, whole: bool) -> Cells:
    """Cells of one column, each with the number of its window's first row and of its rows."""
    whole = whole and all(cell.rows is None for _, _, cell in parts)
    rows = None if whole else np.concatenate([cell.rows_in(count) + offset for offset, count, cell in parts])
    mixed = len({cell.values.dtype == object for _, _, cell in parts}) > 1
    values = np.concatenate([cell.values.astype(object) if mixed else cell.values for _, _, cell in parts])
    times = None
    if row_times is not None and any(cell.times is not None for _, _, cell in parts):
        times = np.concatenate(
            [
                cell.times if cell.times is not None else row_times[offset : offset + count][cell.rows_in(count)]
                for offset, count, cell in parts
            ]
        )
    return Cells(rows, values, times)


def taken(window: Window, rows: Ints) -> Window:
    """Some rows of a window (indices, ascending)."""
    cells = {}
    for name, cell in paced(window.cells.items(), COLUMNS):
        if cell.rows is None:
            cells[name] = Cells(None, cell.values[rows], None if cell.times is None else cell.times[rows])
            continue
        if not len(cell.rows):
            continue
        where = np.minimum(np.searchsorted(cell.rows, rows), len(cell.rows) - 1)
        hit = cell.rows[where] == rows
        where = where[hit]
        cells[name] = Cells(np.flatnonzero(hit), cell.values[where], None if cell.times is None else cell.times[where])
    return Window(window.steps[rows], cells, None if window.times is None else window.times[rows])


def _union(columns: list[Ints]) -> Ints:
    longest = max(columns, key=len)
    others = [
        column
        for column in paced(columns, COLUMNS)
        if column is not longest and not (len(column) == len(longest) and np.array_equal(column, longest))
    ]
    return np.unique(np.concatenate([longest, *others])) if others else longest


def _cells(steps: Ints, parts: list[tuple[PointColumns, Floats | Objects]]) -> tuple[Cells, Ints]:
    """The cells of a column from its series, and their timestamps; where two have the same step, the later write counts."""
    if len(parts) == 1:
        column, values = parts[0]
        rows = None if len(column.iters) == len(steps) else np.searchsorted(steps, column.iters)
        return Cells(rows, values), column.timestamps
    mixed = len({values.dtype == object for _, values in parts}) > 1
    iters = np.concatenate([column.iters for column, _ in parts])
    seqs = np.concatenate([column.seqs for column, _ in parts])
    times = np.concatenate([column.timestamps for column, _ in parts])
    all_values = np.concatenate([values.astype(object) if mixed else values for _, values in parts])
    order = np.lexsort((seqs, iters))
    iters = iters[order]
    last = order[np.append(iters[1:] != iters[:-1], True)]
    rows = np.searchsorted(steps, np.unique(iters))
    return Cells(None if len(rows) == len(steps) else rows, all_values[last]), times[last]


def _timed(steps: Ints, cells: dict[str, tuple[Cells, Ints]]) -> Window:
    """A window by time: the `time` column becomes the times of the rows; points in rows without one keep their timestamps."""
    row_times = np.full(len(steps), np.nan)
    logged = cells.pop(names.TIME_COLUMN, None)
    if logged is not None:
        row_times[logged[0].rows_in(len(steps))] = logged[0].values
        row_times[~np.isfinite(row_times)] = np.nan
    made = {}
    for name, (cell, stamps) in cells.items():
        own = row_times if cell.rows is None else row_times[cell.rows]
        missing = np.isnan(own)
        made[name] = cell._replace(times=np.where(missing, stamps / 1000.0, own)) if missing.any() else cell
    return Window(steps, made, row_times)


def _before(column: PointColumns, step: int) -> PointColumns:
    end = int(np.searchsorted(column.iters, step, "left"))
    return PointColumns(column.key, column.iters[:end], column.values[:end], column.timestamps[:end], column.seqs[:end])


def _without_single_value(column: PointColumns) -> PointColumns:
    at = int(np.searchsorted(column.iters, SINGLE_VALUE_ITER))
    if at == len(column.iters) or column.iters[at] != SINGLE_VALUE_ITER:
        return column
    iters, values = np.delete(column.iters, at), np.delete(column.values, at)
    return PointColumns(column.key, iters, values, np.delete(column.timestamps, at), np.delete(column.seqs, at))
