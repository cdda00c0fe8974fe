"""Windows of rows as JSON, in slices so small that other requests are not held up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from apiserver.bll.runs.columns import STEP_COLUMN
from apiserver.bll.runs.rows import Cells, Window

SLICE = 1500
"""Rows encoded at a time (a few milliseconds)."""

_MISSING: Any = object()


def json_rows(window: Window, first: Sequence[Any], first_name: str = STEP_COLUMN) -> Iterator[bytes]:
    """The rows as JSON objects, comma-separated, without brackets, a slice at a time.

    `first` is the leading column (the steps or the times). A cell that was not logged is left out, NaN and infinities are null.
    """
    for rows in row_slices(window, first, first_name):
        yield orjson.dumps(rows)[1:-1]


def row_slices(window: Window, first: Sequence[Any], first_name: str = STEP_COLUMN) -> Iterator[list[dict[str, Any]]]:
    """The rows as dicts, a slice at a time. Floats may be NaN or infinite."""
    count = len(window.steps)
    column_names = (first_name, *window.cells)
    complete = all(cell.rows is None for cell in window.cells.values())
    for start in range(0, count, SLICE):
        end = min(start + SLICE, count)
        columns = [first[start:end], *(_slice(cell, start, end) for cell in window.cells.values())]
        if complete:
            yield [dict(zip(column_names, row, strict=True)) for row in zip(*columns, strict=True)]
        else:
            yield [
                {name: value for name, value in zip(column_names, row, strict=True) if value is not _MISSING}
                for row in zip(*columns, strict=True)
            ]


def _slice(cell: Cells, start: int, end: int) -> list[Any]:
    """The cells of the rows start .. end - 1."""
    if cell.rows is None:
        values: list[Any] = cell.values[start:end].tolist()
        return values
    left, right = cell.rows.searchsorted([start, end])
    column = [_MISSING] * (end - start)
    for row, value in zip((cell.rows[left:right] - start).tolist(), cell.values[left:right].tolist(), strict=True):
        column[row] = value
    return column
