"""The rows of a run by time: one row per distinct time, in seconds from the first one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from apiserver.bll.runs.rows import Cells, Window
from apiserver.stores.means import GREATEST
from apiserver.stores.records import Floats

_ABSOLUTE = 1e6
"""Seconds from which a time is taken for one since the epoch: its differences are exact to microseconds only."""

_WHOLE = 2.0**53


class TimeRows(NamedTuple):
    """`window.steps` only numbers the rows; `times` are in seconds from `start`."""

    times: Floats
    window: Window
    start: float


def by_time(window: Window, start: float | None = None) -> TimeRows:
    """The rows of a window by time. The time of a point is the `time` that was logged with its row, else its timestamp.
    `start`: the time that counts as 0.0 (None: the first).

    Where a column has several values at one time, that of the greatest step counts.
    """
    assert window.times is not None
    points = {name: _times(cell, window.times) for name, cell in window.cells.items()}
    times = _distinct([window.times[~np.isnan(window.times)], *points.values()])
    cells = {name: _at(times, points[name], cell) for name, cell in window.cells.items()}
    if start is None:
        start = float(times[0]) if len(times) else 0.0
    return TimeRows(since(times, start), Window(np.arange(len(times), dtype=np.int64), cells), start)


def since(times: Floats, start: float) -> Floats:
    """Times relative to a start."""
    with np.errstate(over="ignore"):
        relative = np.clip(times - start, -GREATEST, GREATEST)  # the distance of two finite numbers may be infinite
        if abs(start) < _ABSOLUTE:
            return relative
        # Numbers from 2^53 on are whole; rounding would multiply them, to infinity.
        return np.where(np.abs(relative) < _WHOLE, np.round(relative, 6), relative)


def _times(cell: Cells, row_times: Floats) -> Floats:
    if cell.times is not None:
        return cell.times
    return row_times if cell.rows is None else row_times[cell.rows]


def _distinct(columns: list[Floats]) -> Floats:
    """All times once, ascending; columns that are equal to the first are not sorted again."""
    first = columns[0] if len(columns[0]) else columns[-1]
    others = [column for column in columns if column is not first and not (len(column) == len(first) and np.array_equal(column, first))]
    return np.unique(np.concatenate([first, *others]))


def _at(times: Floats, x: Floats, cell: Cells) -> Cells:
    """The cells of a column at the rows of its times."""
    rows = np.searchsorted(times, x)
    ascending = bool((rows[1:] > rows[:-1]).all())
    if not ascending:
        order = np.argsort(rows, kind="stable")
        sorted_rows = rows[order]
        last = order[np.append(sorted_rows[1:] != sorted_rows[:-1], True)]
        rows, cell = rows[last], Cells(None, cell.values[last])
    return Cells(None if len(rows) == len(times) else rows, cell.values)
