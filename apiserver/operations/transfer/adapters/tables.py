"""Tables: CSV, JSON lines and Parquet, wide (a column per metric) or long (a column with the metric's name and one with the value)."""

from __future__ import annotations

import codecs
import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from apiserver.common.words import many
from apiserver.operations.transfer.adapters.rows import (
    PARAMETERS,
    NamedColumns,
    cell,
    counted,
    flat,
    guarded,
    milliseconds,
    number,
    whole,
    yaml_object,
)
from apiserver.operations.transfer.pieces import Damaged, Facts, FoundRun, Piece, Skipped, printable

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_STEPS = ("step", "_step", "global_step", "trainer/global_step", "iteration", "iter", "Step", "epoch")
_TIMES = ("timestamp", "_timestamp", "wall_time", "Wall time", "datetime", "time")
_LEAST_TIME = 1e8
"""Seconds; smaller numbers are no dates: a column `time` may be the seconds since the start."""
MAX_LINE = 32 << 20
_ROWS = 10_000
"""Parquet rows that are converted to Python objects at a time."""
_MAX_DAMAGE = 1_000
_RUN = "run_name"
"""The column with the run in Parquet files of trackio."""


@dataclass(frozen=True, slots=True)
class TableOptions:
    """The columns of a table; None: found by the usual names. With `metric` or `value` the table is long, with `run` it has many runs."""

    step: str | None = None
    time: str | None = None
    metric: str | None = None
    value: str | None = None
    run: str | None = None

    @property
    def given(self) -> bool:
        """Whether the user named any column."""
        return any((self.step, self.time, self.metric, self.value, self.run))


class Tables:
    """Reads table files given on the command line, and metrics.csv in a folder (Lightning's CSVLogger)."""

    tool = "a table"

    def __init__(self, options: TableOptions = TableOptions()) -> None:
        self._options = options

    def find(self, folder: Path, folders: list[str], files: list[str]) -> Iterator[FoundRun]:
        if "metrics.csv" in files and _has_steps(folder / "metrics.csv"):
            path = folder / "metrics.csv"
            files.remove("metrics.csv")
            yield FoundRun(self, folder, size=path.stat().st_size, files=[path])

    def of_file(self, path: Path) -> Iterator[FoundRun]:
        """The runs of a file: one, or one for each value of the run column. Raises OSError and ValueError."""
        size = path.stat().st_size
        column = self._options.run or (_RUN if _is_trackio(path) else None)
        if column is None:
            yield FoundRun(self, path, size=size, files=[path])
            return
        values = (row.get(column) for _, row in Table(path, self._options).rows() if not isinstance(row, str))
        names = Counter("" if value is None else str(value) for value in values)
        nameless = names.pop("", 0)
        if not names:
            raise ValueError(f'the column "{column}" names no run')
        for name in names:
            found = FoundRun(self, path, key=name, size=size // len(names), name=printable(name), files=[path])
            found.project = printable(path.stem)
            yield found
        if nameless:
            raise ValueError(f'{many(nameless, "row")} left out: the column "{column}" is empty')

    def read(self, run: FoundRun) -> Iterator[Piece]:
        (path,) = run.files
        table = Table(path, self._options, run=(self._options.run or _RUN, run.key) if run.key else None, ended=run.path != path)
        yield from table.pieces()
        facts: dict[str, Any] = {"status": "finished"}
        if table.first is not None and table.last is not None:
            facts |= {"created_at": table.first / 1000, "started_at": table.first / 1000, "ended_at": table.last / 1000}
        if run.path != path:
            try:
                facts["hyperparams"] = {PARAMETERS: yaml_object(run.path / "hparams.yaml")}
            except FileNotFoundError:
                pass
            except (OSError, ValueError) as error:
                yield guarded(run.path / "hparams.yaml", error)
        yield Facts(facts)


class Table:
    """A table file. `metric`: the name for its only column of values. `first`, `last`: earliest and latest time (epoch ms), after `pieces` was consumed."""

    def __init__(
        self, path: Path, options: TableOptions, metric: str = "", run: tuple[str, str] | None = None, *, ended: bool = False
    ) -> None:
        """`run`: (column, value) of the rows to read; None: all. `ended`: the tool ends every line, so a last one without an end is cut off."""
        self._path, self._options, self._metric, self._run, self._ended = path, options, metric, run, ended
        self._columns = NamedColumns()
        self._kinds: Counter[str] = Counter()
        self._damage = 0
        self._any = False
        self._left_out: set[str] = set()
        self._modified = 0
        self._step = options.step
        """The column with the step: the one given, or that of the first row that has a usual one. Until then a row's number is its step."""
        self._head = 0
        """The lines of the header."""

    @property
    def first(self) -> int | None:
        return self._columns.first

    @property
    def last(self) -> int | None:
        return self._columns.last

    def pieces(self) -> Iterator[Piece]:
        """The points of the file, and its damage."""
        try:
            self._modified = int(self._path.stat().st_mtime * 1000)
            for line, row in self.rows():
                self._any = True
                if self._run is not None and not isinstance(row, str) and str(row.get(self._run[0])) != self._run[1]:
                    continue
                problem = self._take(line, row)
                if problem is not None:
                    self._damage += 1
                    if self._damage <= _MAX_DAMAGE:
                        yield Damaged(self._path, problem, line)
                if self._columns.full:
                    yield from self._columns.take()
        except (OSError, ValueError, RecursionError) as error:
            yield guarded(self._path, error)
        else:
            if not self._damage and not self._kinds and self._columns.first is None:
                yield Skipped("tables without numbers" if self._any else "tables without rows")
        if self._damage > _MAX_DAMAGE:
            yield Damaged(self._path, f"{many(self._damage - _MAX_DAMAGE, 'further line')} can't be read")
        yield from self._columns.take()
        yield from counted(self._kinds)

    def _take(self, line: int, row: Mapping[str, Any] | str) -> str | None:
        """Add the points of a row. Returns the reason if it is not valid."""
        if isinstance(row, str):
            return row
        if self._step is None:
            self._step = next((name for name in _STEPS if row.get(name) not in ("", None)), None)
        if self._options.step is not None and self._options.step not in row:
            return f'there is no column "{self._options.step}"'
        if self._step is not None and row.get(self._step) in ("", None):
            return f'the row has no step (column "{self._step}")'
        step = whole(row[self._step]) if self._step is not None else line - 1 - self._head
        if step is None:
            return f"the step must be a whole number, got {row[self._step or '']!r:.60}"
        wanted, time = self._options.time, self._modified
        time_column = next((name for name in ((wanted,) if wanted else _TIMES) if row.get(name) not in ("", None)), None)
        if time_column is not None:
            found = milliseconds(row[time_column])
            if found is not None and (wanted or found >= _LEAST_TIME * 1000):
                time = found
            elif wanted:
                return f"not a time: {row[time_column]!r:.60}"
            else:
                time_column = None  # a metric or a text of this name
        if self._options.metric is not None or self._options.value is not None:
            return self._long(row, step, time)
        for name, value in flat(row):
            if name not in (self._step, time_column, self._run and self._run[0]) and value is not None and value != "":
                found_value = cell(value) if isinstance(value, str) else number(value)
                if found_value is not None:
                    self._columns.add(self._name(name), step, found_value, time)
                else:
                    self._kinds["texts and lists in rows"] += 1
        return None

    def _long(self, row: Mapping[str, Any], step: int, time: int) -> str | None:
        metric, value = row.get(self._options.metric or "metric"), row.get(self._options.value or "value")
        found = cell(value) if isinstance(value, str) else number(value)
        if not isinstance(metric, str) or not metric:
            return f'no metric in the column "{self._options.metric or "metric"}"'
        if found is None:
            return f'no number in the column "{self._options.value or "value"}"'
        self._columns.add(metric, step, found, time)
        return None

    def _name(self, column: str) -> str:
        if self._metric:
            return self._metric
        return self._path.stem if column in ("value", "Value") else column

    # --- rows, with their numbers

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
        """(number, row) of all rows, counted from 1; for an invalid row a text with the reason."""
        suffix = self._path.suffix.lower()
        if suffix == ".parquet":
            return self._parquet()
        if suffix in (".jsonl", ".ndjson", ".json"):
            return self._json_lines()
        return self._csv("\t" if suffix == ".tsv" else ",")

    def _csv(self, delimiter: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
        csv.field_size_limit(MAX_LINE)
        with self._path.open(encoding="utf-16" if is_utf16(self._path) else "utf-8-sig", errors="replace", newline="") as file:
            lines = _Lines(file, ended=self._ended)
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            try:
                header = [name.strip() or f"column {place}" for place, name in enumerate(next(reader, ()), 1)]
            except csv.Error as error:
                raise ValueError(f"line {reader.line_num}: {error}") from None
            if not header:
                return
            self._head = reader.line_num
            if self._metric and self._metric.rpartition("/")[2] not in header:
                yield self._head, f"the header does not name the metric: {delimiter.join(header)[:60]!r}"
            for problem in self._doubled(header):
                yield self._head, problem
            places = [place for place, name in enumerate(header) if name not in self._left_out]
            names = [header[place] for place in places]
            while True:
                start = reader.line_num + 1
                try:
                    cells = next(reader, None)
                except csv.Error as error:  # such as a quote that is never closed
                    yield start, f"line {start} to {reader.line_num}: {error}"
                    continue
                if cells is None:
                    break
                if len(cells) == len(header):
                    yield reader.line_num, dict(zip(names, (cells[place] for place in places), strict=True))
                elif cells:
                    yield reader.line_num, f"expected {many(len(header), 'cell')}, got {len(cells)}"
            if lines.endless and not lines.cut:
                self._kinds["last lines without an end, which may be cut off"] += 1
            if lines.cut:
                yield reader.line_num + 1, f"the line is cut off: {lines.cut[:60]!r}"

    def _doubled(self, names: list[str]) -> Iterator[str]:
        """Leave out columns whose name is there more than once, and say so. Raises ValueError when it is a column of steps, or one that the user named."""
        options = self._options
        for name, count in Counter(names).items():
            if count > 1:
                if name in (*_STEPS, options.step, options.time, options.metric, options.value, options.run):
                    raise ValueError(f'{count} columns have the name "{name}"')
                self._left_out.add(name)
                yield f'{count} columns have the name "{name}" and are left out'

    def _json_lines(self) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
        with _opened(self._path) as file:
            number_ = 0
            while line := file.readline(MAX_LINE):
                number_ += 1
                if not line.strip():
                    continue
                try:
                    found = json.loads(line)
                except (ValueError, RecursionError) as error:
                    yield number_, f"not JSON: {str(error)[:100]}"
                    continue
                yield number_, found if isinstance(found, dict) else "expected a JSON object"

    def _parquet(self) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
        try:
            arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
        except ImportError:
            raise ValueError("Parquet needs pyarrow: pip install 'tidemark-events[parquet]'") from None
        broken = (arrow.ArrowException, OSError, UnicodeDecodeError, KeyError)
        try:
            with parquet.ParquetFile(self._path) as file:
                for problem in self._doubled(file.schema_arrow.names):
                    yield 1, problem
                names = [name for name in file.schema_arrow.names if name not in self._left_out]
                start = 0
                for group in range(file.num_row_groups):
                    number_ = start
                    try:
                        for batch in file.iter_batches(batch_size=_ROWS, row_groups=[group], columns=names if self._left_out else None):
                            for row in _in_microseconds(arrow, batch).to_pylist():
                                number_ += 1
                                yield number_, row
                    except broken as error:
                        yield from self._damaged_group(file, group, start, number_ - start, error, broken)
                    start += file.metadata.row_group(group).num_rows
        except broken as error:
            raise ValueError(f"not Parquet: {str(error)[:200]}") from None

    def _damaged_group(
        self, file: Any, group: int, start: int, done: int, error: Exception, broken: tuple[type[Exception], ...]
    ) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
        """The rows of a damaged row group after the first `done`, without unreadable columns; no rows if the step column is unreadable."""
        found: dict[str, Any] = {}
        names = [name for name in file.schema_arrow.names if name not in self._left_out]
        for name in names:
            try:
                found[name] = file.read_row_group(group, columns=[name]).column(name)
            except broken as problem:
                yield start + 1, f'the column "{name}" of the rows from here on can\'t be read: {str(problem)[:100]}'
                if name == self._options.step or (self._options.step is None and name in _STEPS):
                    return
        if len(found) == len(names):
            yield start + done + 1, f"the rows from here on can't be read: {str(error)[:100]}"
            return
        rows = min((len(column) for column in found.values()), default=0)
        for at in range(done, rows, _ROWS):
            columns = {name: column.slice(at, _ROWS).to_pylist() for name, column in found.items()}
            for offset in range(min(_ROWS, rows - at)):
                yield start + at + offset + 1, {name: values[offset] for name, values in columns.items()}


def _in_microseconds(arrow: Any, batch: Any) -> Any:
    """A batch of Parquet whose times in ns are microseconds, as Python has them."""
    wide = [place for place, of in enumerate(batch.schema) if arrow.types.is_timestamp(of.type) and of.type.unit == "ns"]
    for place in wide:
        of = batch.schema.field(place)
        batch = batch.set_column(place, of.name, batch.column(place).cast(arrow.timestamp("us", of.type.tz), safe=False))
    return batch


def is_utf16(path: Path) -> bool:
    """Whether a file begins with the mark of UTF-16, as files of PowerShell and of spreadsheets do."""
    with path.open("rb") as file:
        return file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _opened(path: Path) -> IO[Any]:
    """JSON lines for reading: bytes, or text where they are UTF-16."""
    return path.open(encoding="utf-16", errors="replace") if is_utf16(path) else path.open("rb")


def _is_trackio(path: Path) -> bool:
    """Whether a file is a trackio project as Parquet, with the rows of many runs."""
    if path.suffix.lower() != ".parquet":
        return False
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        return False  # reading the file reports that pyarrow is missing
    try:
        return {_RUN, "step", "timestamp"} <= set(parquet.read_schema(path).names)
    except (arrow.ArrowException, OSError):
        return False


class _Lines:
    """The lines of a file without NUL. `endless`: whether the last one has no end. With `ended`, such a line is left out, and `cut` holds it."""

    def __init__(self, file: Iterable[str], *, ended: bool) -> None:
        self._file, self._ended = file, ended
        self.cut = ""
        self.endless = False

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.endless = not line.endswith(("\n", "\r"))
            if self._ended and self.endless:
                self.cut = line
            else:
                yield line.replace("\0", "\ufffd")


def _has_steps(path: Path) -> bool:
    """Whether a metrics.csv has a step column, as Lightning's has."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            header = file.readline(1 << 16)
    except OSError:
        return False
    return bool({"step", "epoch", "global_step"} & set(header.strip().split(",")))
