"""SQLite databases of other tools, opened read-only."""

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
    """A database opened for reading. All methods raise ValueError when it is damaged. `problem`: for a salvaged copy, the damage of the original."""

    def __init__(self, connection: sqlite3.Connection, problem: str = "") -> None:
        self._connection, self._problem = connection, problem
        self.tables = {str(name) for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def rows(self, statement: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """The rows of a SELECT."""
        try:
            yield from self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise ValueError(f"the database can't be read: {error}") from None

    def check(self) -> None:
        """Raise ValueError when pages of the database are damaged. Without this check, rows would be missing silently."""
        if self._problem:
            raise ValueError(f"the database is damaged, and rows may be missing: {self._problem}")

    def columns(self, table: str) -> set[str]:
        """The names of a table's columns."""
        return {str(row[1]) for row in self.rows(f'PRAGMA table_info("{table}")')}


def is_database(path: Path) -> bool:
    """Whether a file is a SQLite database, by extension and magic bytes."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


class _Checked(NamedTuple):
    """A checked database: the path to read (the original, or a salvaged copy in `folder`), and its damage. `folder` is removed with the last reference."""

    key: tuple[object, ...]
    path: Path
    problem: str
    folder: TemporaryDirectory[str] | None


_last: list[_Checked] = []
"""The database that was opened last. A database's runs are imported one after another: it is checked only once."""


@contextmanager
def opened(path: Path) -> Iterator[ForeignDatabase]:
    """A database for reading, or a salvaged copy of a damaged one. Writes nothing beside it. Raises ValueError when it can't be opened."""
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
    """The runs of the databases in a folder. `known` lists the runs of a database lazily; None when it belongs to another tool. Databases that it knows
    are removed from `files`, damaged ones too. Each run's size is its share of the file's. Raises ValueError after the runs of a damaged database."""
    for name in sorted(files):
        path = folder / name
        if not is_database(path) or _is_foreign(path, known):
            continue
        with opened(path) as database:
            runs = known(path, database)
            if runs is None:  # the salvaged tables are not this tool's
                continue
            files.remove(name)
            found = list(runs)
        for run in found:
            run.size = path.stat().st_size // len(found)
            yield run
        with opened(path) as database:
            database.check()


def _is_foreign(path: Path, known: Callable[[Path, ForeignDatabase], Iterator[FoundRun] | None]) -> bool:
    """Whether the tables of a database are another tool's: then it needs no check, which reads the whole file. False if it is too damaged to tell."""
    try:
        with _connected(path) as connection:
            return known(path, ForeignDatabase(connection)) is None
    except ValueError:
        return False
