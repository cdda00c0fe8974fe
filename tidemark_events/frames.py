"""Columns as tables of pandas, polars or pyarrow, whichever is installed."""

from __future__ import annotations

import array
import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tidemark_events.errors import TidemarkError

if TYPE_CHECKING:
    from tidemark_events.series import Series

LIBRARIES = ("pandas", "polars", "pyarrow")


def chosen(library: str | None) -> str:
    """The library to use: the one asked for, else the first that is installed."""
    if library is not None and library not in LIBRARIES:
        raise TidemarkError(f'no library "{library}" for tables: use {", ".join(LIBRARIES)}')
    for name in [library] if library else LIBRARIES:
        if importlib.util.find_spec(name) is not None:
            return name
    raise TidemarkError(f"tables need one of {', '.join(LIBRARIES)}: pip install {library or 'pandas'}")


def table(columns: Mapping[str, Sequence[Any]], library: str | None = None) -> Any:
    """A table of these columns. Columns of doubles (memoryviews) are taken without a copy by pandas and pyarrow, and by polars through numpy."""
    name = chosen(library)
    module = importlib.import_module(name)
    if name == "pandas":
        numpy = importlib.import_module("numpy")
        given = {key: numpy.asarray(column) if isinstance(column, memoryview) else column for key, column in columns.items()}
        return module.DataFrame(given, copy=False)
    if name == "polars":
        return module.DataFrame({key: _polars(module, column) for key, column in columns.items()}, strict=False)
    return module.table({key: _arrow(module, column) for key, column in columns.items()})


def _polars(polars: Any, column: Sequence[Any]) -> Any:
    if not isinstance(column, memoryview):
        return column
    if importlib.util.find_spec("numpy") is not None:
        return polars.Series(values=importlib.import_module("numpy").asarray(column))
    return column.tolist()


def _arrow(arrow: Any, column: Sequence[Any]) -> Any:
    kinds = {"d": "float64", "I": "uint32", "q": "int64"}
    if isinstance(column, memoryview) and column.format in kinds:
        return arrow.Array.from_buffers(getattr(arrow, kinds[column.format])(), len(column), [None, arrow.py_buffer(column)])
    return arrow.array(column)


def wide(lines: Sequence[Series], library: str | None = None) -> Any:
    """`step` and a column for each series; empty where a series has no point at a step. Series with the same steps are not copied."""
    name = chosen(library)
    steps = _all_steps(lines)
    columns: dict[str, Sequence[Any]] = {"step": memoryview(array.array("q", map(int, steps)))}
    for line in lines:
        key = line.name if line.name not in columns else f"{line.metric}/{line.variant}"
        columns[key] = line.value if len(line.step) == len(steps) else _spread(line, steps)
    return table(columns, name)


def _all_steps(lines: Sequence[Series]) -> Sequence[float]:
    if not lines:
        return []
    first = lines[0].step
    if all(len(line.step) == len(first) and line.step == first for line in lines[1:]):
        return first
    return sorted({step for line in lines for step in line.step})


def _spread(line: Series, steps: Sequence[float]) -> list[float | None]:
    known = dict(zip(line.step, line.value, strict=True))
    return [known.get(step) for step in steps]


def joined(parts: Sequence[Sequence[float]]) -> Sequence[float]:
    """Concatenate columns."""
    if len(parts) == 1:
        return parts[0]
    if all(isinstance(part, memoryview) and part.format == "d" for part in parts):
        whole = array.array("d")
        for part in parts:
            whole.frombytes(memoryview(part).cast("B"))  # type: ignore[arg-type]
        return memoryview(whole)
    return [value for part in parts for value in part]
