"""Copies the SQLite file while a server writes to it, and verifies copies."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from apiserver.stores.errors import StoreDamaged


def copy(source: Path, target: Path) -> None:
    """A consistent copy, made in one read transaction that blocks no writer. `target` must not exist."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))  # SQLite would make it readable by other users
    with closing(_open(source)) as database, closing(sqlite3.connect(target)) as made:
        database.backup(made)  # all pages in one step: between steps a write of the server would restart the copy
        made.execute("PRAGMA journal_mode=DELETE").fetchall()  # one file, without a -wal beside it


def counts(path: Path) -> dict[str, int]:
    """The number of rows of each table. Raises StoreDamaged when the file is damaged."""
    with closing(_open(path)) as database:
        try:
            [(verdict,)] = database.execute("PRAGMA quick_check(1)").fetchall()
            if verdict != "ok":
                raise StoreDamaged(f"{path}: {verdict}")
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name")]
            return {table: int(database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]) for table in tables}
        except sqlite3.DatabaseError as error:
            raise StoreDamaged(f"{path}: {error}") from error


def _open(path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(f"file:{path.absolute()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise StoreDamaged(f"{path}: {error}") from error
