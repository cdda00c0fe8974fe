"""All points of a run, or its log, as a file. Streamed: memory depends on a window, not on the length of the run."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import orjson

from apiserver.bll.registry.directory import Owner
from apiserver.bll.runs.catalog import RunCatalog
from apiserver.bll.runs.columns import STEP_COLUMN
from apiserver.bll.runs.report import html_report
from apiserver.bll.runs.row_encoding import row_slices
from apiserver.bll.runs.rows import COLUMNS, Objects, RunRows, Window, taken
from apiserver.common.fairness import give_way, in_thread, let_go, paced
from apiserver.stores.base import EventStore, LogReader
from apiserver.stores.records import LOG, EventQuery, Floats

FORMATS = ("csv", "excel", "jsonl", "parquet", "log", "html")

SPELLINGS = {"nan": "NaN", "inf": "inf", "-inf": "-inf"}
"""Spellings of NaN and infinities (by `repr`) in CSV, JSON strings and text columns of Parquet."""

PIECE = 1 << 16
"""Characters of CSV produced before yielding to other requests, unless a row has more."""
GROUP_CELLS = 2_000_000
"""Cells of a row group of Parquet, also those without a value."""

SENT_BYTES = 1 << 20
"""Bytes of Parquet that are sent at a time."""

_BOM = "\ufeff".encode()
_RISKY = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a text that a spreadsheet takes for a formula."""


class MissingExtra(Exception):
    """The format needs a package that is not installed."""


def export_run(store: EventStore, catalog: RunCatalog, run: Owner, form: str) -> Iterator[bytes]:
    """The pieces of the file. `form` is one of FORMATS; `excel` is CSV with a byte order mark and without cells that a spreadsheet takes for formulas.

    Raises MissingExtra and UnknownRun at once.
    """
    if form == "log":
        return _log(store, run)
    if form == "html":
        return html_report(store, run, *catalog.document(run))
    run_rows = RunRows(store, run, nulls=True, every_name=True)
    if form == "jsonl":
        return _json_lines(run_rows)
    if form == "parquet":
        try:
            return _parquet(run_rows, *in_thread(_arrow))
        except ImportError:
            raise MissingExtra("Parquet needs pyarrow: pip install 'tidemark-events[parquet]' (or pyarrow)") from None
    return _csv(run_rows, excel=form == "excel")


def _rows(run_rows: RunRows) -> Iterator[list[dict[str, Any]]]:
    try:
        for window in run_rows.windows():
            spelled = _spelled(window)
            for rows in row_slices(spelled, window.steps.tolist()):
                yield rows
                give_way()
            let_go(spelled.cells, window.cells)
    finally:
        run_rows.release()


def _csv(run_rows: RunRows, *, excel: bool) -> Iterator[bytes]:
    text = io.StringIO()
    names = [STEP_COLUMN, *run_rows.columns]
    writer = csv.writer(text, lineterminator="\r\n")
    head = _BOM if excel else b""
    writer.writerow([_harmless(name) for name in names] if excel else names)
    for rows in _rows(run_rows):
        for row in rows:
            cells = [row.get(name) for name in names]
            writer.writerow([_harmless(cell) for cell in cells] if excel else cells)
            if text.tell() > PIECE:
                yield head + _taken(text)
                head = b""
                give_way()
    left = head + _taken(text)
    if left:
        yield left


def _taken(text: io.StringIO) -> bytes:
    data = text.getvalue().encode("utf-8", "replace")
    text.seek(0)
    text.truncate()
    return data


def _spelled(window: Window) -> Window:
    """The window with a text for every value that is no finite number: what was not logged stays empty, and a null is None."""
    cells = {name: cell._replace(values=_spelled_values(cell.values)) for name, cell in paced(window.cells.items(), COLUMNS)}
    return window._replace(cells=cells)


def _spelled_values(values: Floats | Objects) -> Floats | Objects:
    if values.dtype != object and np.isfinite(values).all():
        return values
    made = np.empty(len(values), dtype=object)
    made[:] = [SPELLINGS[repr(value)] if isinstance(value, float) and not math.isfinite(value) else value for value in values.tolist()]
    return made


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_RISKY) and value != "-inf" else value


def _json_lines(run_rows: RunRows) -> Iterator[bytes]:
    for rows in _rows(run_rows):
        yield b"\n".join(map(orjson.dumps, rows)) + b"\n"


def _parquet(run_rows: RunRows, arrow: Any, parquet: Any) -> Iterator[bytes]:
    kinds = _arrow_kinds(run_rows, arrow)
    return _parquet_pieces(run_rows, arrow, parquet, in_thread(arrow.schema, [(STEP_COLUMN, arrow.int64()), *kinds.items()]))


def _arrow() -> tuple[Any, Any]:
    """pyarrow, and its part for Parquet. Loading them takes seconds, including what the first array loads."""
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    arrow.array(np.array([1.0, None], object), arrow.float64(), mask=np.array([False, True]))
    return arrow, parquet


def _arrow_kinds(run_rows: RunRows, arrow: Any) -> dict[str, Any]:
    """A column with numbers only is of doubles, one with booleans only of booleans, everything else is text."""
    kinds = {"number": arrow.float64(), "boolean": arrow.bool_(), "text": arrow.string()}
    return {name: kinds[run_rows.kind(name)] for name in paced(run_rows.columns, COLUMNS)}


def _parquet_pieces(run_rows: RunRows, arrow: Any, parquet: Any, schema: Any) -> Iterator[bytes]:
    out = _Pieces()
    size = max(1, GROUP_CELLS // len(schema))
    writer = in_thread(parquet.ParquetWriter, out, schema)
    try:
        for window in run_rows.windows():
            for start in range(0, len(window.steps), size):
                group = window
                if len(window.steps) > size:
                    group = taken(window, np.arange(start, min(start + size, len(window.steps))))
                columns = [arrow.array(group.steps)]
                columns += [_arrow_column(arrow, group, name, schema.field(name).type) for name in paced(run_rows.columns, COLUMNS)]
                in_thread(writer.write_table, arrow.Table.from_arrays(columns, schema=schema))
                let_go(columns)
                yield from paced(out.taken(), 1)
            let_go(window.cells)
    finally:
        run_rows.release()
        in_thread(writer.close)  # keeps writing with the columns' types
        in_thread(arrow.default_memory_pool().release_unused)  # it keeps 100 MB of a file of 20,000 columns otherwise
    yield from paced(out.taken(), 1)


def _arrow_column(arrow: Any, rows: Window, name: str, type: Any) -> Any:
    """The cells of a column; null where there is none."""
    count = len(rows.steps)
    cell = rows.cells.get(name)
    if cell is None:
        return arrow.nulls(count, type)
    values = cell.values
    if type == arrow.string():
        made = np.empty(len(values), dtype=object)
        made[:] = [
            value if value is None or isinstance(value, str) else SPELLINGS.get(repr(value), str(value)) for value in values.tolist()
        ]
        values = made
    if cell.rows is None:
        return arrow.array(values, type)
    placed, missing = np.empty(count, values.dtype), np.ones(count, bool)
    placed[cell.rows], missing[cell.rows] = values, False
    return arrow.array(placed, type, mask=missing)


class _Pieces(io.RawIOBase):
    """A file that keeps only what was written since the last call of `taken`."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        return len(piece)

    def taken(self) -> list[bytes]:
        data, self._pieces = b"".join(self._pieces), []  # a file of many columns is written in hundreds of thousands of pieces
        return [data[start : start + SENT_BYTES] for start in range(0, len(data), SENT_BYTES)]


def _log(store: LogReader, run: Owner) -> Iterator[bytes]:
    for stretch in store.scan_log(run.company, EventQuery(run.id, (LOG,)), chunk=2_000):
        text = "\n".join(str(event.get("msg") or "") for event, _ in stretch.lines)
        yield text.encode("utf-8", "replace") + b"\n"
        give_way()
