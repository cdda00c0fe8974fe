"""SQLite databases of other tools, opened for reading only."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import quote

from apiserver.operations.transfer.pieces import FoundRun
from apiserver.operations.transfer.salvage import salvage

SUFFIXES = (".db", ".sqlite", ".sqlite3")
_MAGIC = b"SQLite format 3\0"


class ForeignDatabase:
    """A database that is read; the methods raise ValueError when it is damaged. `problem`: what is wrong with the original of a salvaged one."""

    def __init__(self, connection: sqlite3.Connection, problem: str = "") -> None:
        self._connection, self._problem = connection, problem
        self.tables = {str(name) for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def rows(self, statement: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement."""
        try:
            yield from self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise ValueError(f"the database can't be read: {error}") from None

    def check(self) -> None:
        """Raises ValueError when pages of the database are damaged: what they held is missing from the rows without a word otherwise."""
        if self._problem:
            raise ValueError(f"the database is damaged, and rows may be missing: {self._problem}")

    def columns(self, table: str) -> set[str]:
        """The names of a table's columns."""
        return {str(row[1]) for row in self.rows(f'PRAGMA table_info("{table}")')}


def is_database(path: Path) -> bool:
    """Whether a file is a database of SQLite."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


class _Checked(NamedTuple):
    """A database that was looked through: where to read it, and what is wrong with it. `folder` is removed with the last reference."""

    key: tuple[object, ...]
    path: Path
    problem: str
    folder: TemporaryDirectory[str] | None


_last: list[_Checked] = []
"""The database that was opened last: its runs are read one after another."""


@contextmanager
def opened(path: Path) -> Iterator[ForeignDatabase]:
    """A database for reading; nothing is written beside it. Of a damaged one, what can be salvaged. Raises ValueError when it can't be opened."""
    checked = _checked(path)
    with _connected(checked.path) as connection:
        yield ForeignDatabase(connection, checked.problem)


def _checked(path: Path) -> _Checked:
    try:
        state = path.stat()
    except OSError as error:
        raise ValueError(f"the database can't be opened: {error.strerror}") from None
    key = (path, state.st_ino, state.st_size, state.st_mtime_ns)
    if not _last or _last[0].key != key:
        with _connected(path) as connection:
            try:
                found = [str(text) for (text,) in connection.execute("PRAGMA quick_check(1)")]
            except sqlite3.Error as error:
                found = [str(error)]
        _last[:] = [_Checked(key, path, "", None) if found == ["ok"] else _salvaged(key, path, "".join(found[:1]) or "nothing can be read")]
    return _last[0]


def _salvaged(key: tuple[object, ...], path: Path, problem: str) -> _Checked:
    folder = TemporaryDirectory()
    try:
        return _Checked(key, salvage(path, Path(folder.name)), problem, folder)
    except (OSError, sqlite3.Error):
        return _Checked(key, path, problem, None)


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    name = f"file:{quote(str(path))}?mode=ro"
    if not path.with_name(path.name + "-wal").exists():
        name += "&immutable=1"
    try:
        connection = sqlite3.connect(name, uri=True)
    except sqlite3.Error as error:
        raise ValueError(f"the database can't be opened: {error}") from None
    with closing(connection):
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        yield connection


def runs_of_databases(
    folder: Path, files: list[str], known: Callable[[Path, ForeignDatabase], Iterator[FoundRun] | None]
) -> Iterator[FoundRun]:
    """The runs of the databases in a folder. `known` lists those of one, lazily, or None where it is another tool's; a database that it knows
    is taken out of `files`, also when it is damaged. The runs of a database share its size. Raises ValueError, after its runs, when a database is damaged."""
    for name in sorted(files):
        path = folder / name
        if not is_database(path) or _is_foreign(path, known):
            continue
        with opened(path) as database:
            runs = known(path, database)
            if runs is None:  # as salvaged
                continue
            files.remove(name)
            found = list(runs)
        for run in found:
            run.size = path.stat().st_size // len(found)
            yield run
        with opened(path) as database:
            database.check()


def _is_foreign(path: Path, known: Callable[[Path, ForeignDatabase], Iterator[FoundRun] | None]) -> bool:
    """Whether a database is another tool's, by its tables: then it is not read as a whole. One that is too damaged to tell is not."""
    try:
        with _connected(path) as connection:
            return known(path, ForeignDatabase(connection)) is None
    except ValueError:
        return False
