"""Windows of rows as JSON, in slices small enough not to delay other requests, however many columns there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson

from apiserver.bll.runs.columns import STEP_COLUMN
from apiserver.bll.runs.rows import Cells, Window
from apiserver.common.fairness import give_way, paced
from apiserver.stores.records import Ints

SLICE = 1500
"""Rows encoded at a time, at most,"""
SLICE_CELLS = 20_000
"""and cells, unless a single row has more (a few milliseconds)."""
BLOCK_CELLS = 120_000
"""Cells sorted by row at a time, where not every row has every column."""
COLUMNS = 500
"""Columns processed before yielding to other requests."""


def json_rows(window: Window, first: Sequence[Any], first_name: str = STEP_COLUMN) -> Iterator[bytes]:
    """The rows as JSON objects, comma-separated, without brackets, a slice at a time.

    `first` is the leading column (the steps or the times). A cell that was not logged is left out, NaN and infinities are null.
    """
    for rows in row_slices(window, first, first_name):
        yield orjson.dumps(rows)[1:-1]


def row_slices(window: Window, first: Sequence[Any], first_name: str = STEP_COLUMN) -> Iterator[list[dict[str, Any]]]:
    """The rows as dicts, a slice at a time. Floats may be NaN or infinite."""
    if len(window.cells) <= COLUMNS and all(cell.rows is None for cell in window.cells.values()):
        return _complete(window, first, first_name)
    return _incomplete(window, first, first_name)


def _complete(window: Window, first: Sequence[Any], first_name: str) -> Iterator[list[dict[str, Any]]]:
    """Few columns, and every row has every one."""
    names = (first_name, *window.cells)
    size = max(1, min(SLICE, SLICE_CELLS // len(names)))
    for start in range(0, len(window.steps), size):
        end = start + size
        columns = [first[start:end], *(cell.values[start:end].tolist() for cell in window.cells.values())]
        yield [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _incomplete(window: Window, first: Sequence[Any], first_name: str) -> Iterator[list[dict[str, Any]]]:
    counts = _cells_of_rows(window)
    for start, end in _stretches(counts, len(counts), BLOCK_CELLS):
        names, values = _by_row(window, start, end)
        done = 0
        for lo, hi in _stretches(counts[start:end], SLICE, SLICE_CELLS):
            rows = []
            for value, count in zip(first[start + lo : start + hi], counts[start + lo : start + hi].tolist(), strict=True):
                row = {first_name: value}
                row.update(zip(names[done : done + count], values[done : done + count], strict=True))
                rows.append(row)
                done += count
            yield rows


def _cells_of_rows(window: Window) -> Ints:
    """The number of cells of each row."""
    counts = np.zeros(len(window.steps), np.int64)
    for cell in paced(window.cells.values(), COLUMNS):
        if cell.rows is None:
            counts += 1
        else:
            counts[cell.rows] += 1
    return counts


def _stretches(counts: Ints, rows: int, cells: int) -> Iterator[tuple[int, int]]:
    """Stretches start .. end of at most so many rows, and so many cells or one row."""
    ends = np.cumsum(counts)
    start = done = 0
    while start < len(counts):
        end = min(start + rows, max(start + 1, int(np.searchsorted(ends, done + cells, "right"))))
        yield start, end
        start, done = end, int(ends[end - 1])


def _by_row(window: Window, start: int, end: int) -> tuple[list[str], list[Any]]:
    """The cells of the rows start .. end - 1, row by row, each row in order of its columns: the names of the columns, and the values."""
    rows, values, names = [], [], []
    for name, cell in paced(window.cells.items(), COLUMNS):
        part = _part(cell, start, end)
        if len(part[0]):
            rows.append(part[0])
            values.append(part[1])
            names.append(name)
    if not rows:
        return [], []
    order = np.argsort(np.concatenate(rows), kind="stable")
    give_way()
    column = np.repeat(np.arange(len(rows)), [len(part) for part in rows])[order]
    give_way()
    sorted_values = np.concatenate(values)[order].tolist()
    give_way()
    return np.array(names, dtype=object)[column].tolist(), sorted_values


def _part(cell: Cells, start: int, end: int) -> tuple[Ints, Any]:
    if cell.rows is None:
        return np.arange(start, end), cell.values[start:end]
    left, right = cell.rows.searchsorted([start, end])
    return cell.rows[left:right], cell.values[left:right]
