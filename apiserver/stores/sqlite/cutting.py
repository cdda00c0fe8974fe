"""Removes the events of a task after an iteration, series by series, so that other writers wait for one slice at most."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from apiserver.stores.event_types import TYPES
from apiserver.stores.records import SINGLE_VALUE_ITER
from apiserver.stores.sqlite import leaves, series_rows
from apiserver.stores.sqlite.database import Database
from apiserver.stores.sqlite.writing import count_url

SLICE = 1_000
"""Events (plots may be large) removed in one transaction."""

NextSeq = Callable[[sqlite3.Connection, int, int], int]


def cut(database: Database, next_seq: NextSeq, company: str, task: str, after: int, until_seq: int) -> int:
    """See `EventWriter.cut`."""

    def later(connection: sqlite3.Connection) -> list[tuple[int, int]]:
        lines = [type.code for type in TYPES.values() if type.is_lines]
        return connection.execute(
            f"""SELECT e.id, s.id FROM entities e JOIN series s ON s.entity = e.id
                WHERE e.company=? AND e.task=? AND s.max_iter>? AND s.type NOT IN ({",".join("?" * len(lines))})""",
            (company, task, after, *lines),
        ).fetchall()

    total = 0
    for entity, series in database.read(later):

        def slice_of(connection: sqlite3.Connection, entity: int = entity, series: int = series) -> int:
            removed = leaves.cut(connection, series, after, until_seq) + _cut_events(connection, series, after, until_seq)
            if removed:
                series_rows.recompute(connection, series)
                connection.execute("UPDATE entities SET revision=? WHERE id=?", (next_seq(connection, 0, 1) + 1, entity))
            return removed

        while removed := database.write(slice_of):
            total += removed
    if total:
        database.maintain()
    return total


def _cut_events(connection: sqlite3.Connection, series: int, after: int, until_seq: int) -> int:
    rows = connection.execute(
        "SELECT id, url FROM events WHERE series=? AND has_iter=1 AND iter>? AND iter<>? AND seq<=? LIMIT ?",
        (series, after, SINGLE_VALUE_ITER, until_seq, SLICE),
    ).fetchall()
    connection.executemany("DELETE FROM events WHERE id=?", [(id,) for id, _ in rows])
    for url in {url for _, url in rows if url is not None}:
        count_url(connection, series, url, 0, rebuilt=True)
    return len(rows)
