"""Recovers a damaged SQLite database: copies the rows that can still be read into a new one."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

_TRIES = 10_000
_FARTHEST = 1 << 40
_PAGES_AT = 28
"""Offset of the number of pages in the header (SQLite file format, 1.3)."""
_BATCH = 10_000


def salvage(path: Path, folder: Path) -> Path:
    """Path of a new database in `folder` with all readable rows, without constraints and indexes. Raises OSError, sqlite3.Error."""
    copy, made = folder / "damaged.db", folder / "salvaged.db"
    shutil.copyfile(path, copy)
    log = path.with_name(path.name + "-wal")
    if log.exists():
        shutil.copyfile(log, folder / "damaged.db-wal")
    _lengthen(copy)
    with closing(sqlite3.connect(f"file:{quote(str(copy))}", uri=True)) as source, closing(sqlite3.connect(made)) as target:
        source.text_factory = lambda data: data.decode("utf-8", "replace")
        for name in list(_until_damage(source, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")):
            columns = [str(row) for row in _until_damage(source, f"SELECT name FROM pragma_table_info({_text(name)})")]  # noqa: S608
            if not columns:
                continue
            target.execute(f"CREATE TABLE {_name(name)} ({', '.join(map(_name, columns))})")
            insert = f"INSERT INTO {_name(name)} VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
            target.executemany(insert, _rows(source, str(name), columns))
            target.commit()
    return made


def _lengthen(copy: Path) -> None:
    """Extend a truncated file with zeros to its full length: SQLite refuses a file with missing pages, but can read around empty ones."""
    with copy.open("r+b") as file:
        head = file.read(100)
        size = int.from_bytes(head[16:18], "big")
        wanted = (65536 if size == 1 else size) * int.from_bytes(head[_PAGES_AT : _PAGES_AT + 4], "big")
        found = file.seek(0, 2)
        if found < wanted <= max(64 << 20, 16 * found):
            file.truncate(wanted)


def _rows(source: sqlite3.Connection, table: str, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of a table by rowid. After damage it skips ahead by rowids in doubling steps until rows can be read again."""
    after, step = None, 1
    last = 0
    for _ in range(_TRIES):
        where = f"WHERE rowid > {after}" if after is not None else ""
        got = False
        statement = f"SELECT rowid, {', '.join(map(_name, columns))} FROM {_name(table)} {where} ORDER BY rowid"  # noqa: S608
        try:
            for row in source.execute(statement):
                got, last = True, row[0]
                yield row[1:]
            return
        except sqlite3.Error:
            step = 1 if got else 2 * step
        if step > _FARTHEST:
            return
        after = last + step


def _until_damage(source: sqlite3.Connection, statement: str) -> Iterator[Any]:
    with suppress(sqlite3.Error):
        for (value,) in source.execute(statement):
            yield value


def _name(name: str) -> str:
    return '"' + str(name).replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + str(text).replace("'", "''") + "'"
