"""Deletes events: invisible at once, purged in small transactions so that no other write waits, disk space released afterwards."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import orjson

from apiserver.stores.base import AgeOf
from apiserver.stores.errors import StoreBusy
from apiserver.stores.event_types import TYPES
from apiserver.stores.records import LOG, SEQ_SHIFT
from apiserver.stores.sqlite import series_rows
from apiserver.stores.sqlite.database import Database

log = logging.getLogger("tidemark")

SLICE = 5_000
"""Rows removed in one transaction: some milliseconds."""
SECONDS = 0.02
"""After which a transaction takes no further task."""


def delete(database: Database, company: str, tasks: Sequence[str]) -> dict[str, int]:
    """Delete the events of tasks; the number of events of those that had any."""
    sql = "SELECT task FROM entities WHERE company=? AND task IN (SELECT value FROM json_each(?))"
    found = database.read(lambda connection: [row[0] for row in connection.execute(sql, (company, orjson.dumps(list(tasks)).decode()))])
    removed: dict[str, int] = {}
    while waiting := found[len(removed) :]:
        counts, left = database.write(lambda connection, some=waiting: _cut_off(connection, company, some))  # type: ignore[misc]
        removed |= counts
        for entity in left:
            purge(database, entity)
    if found:
        database.maintain()
    return removed


def _cut_off(connection: sqlite3.Connection, company: str, tasks: Sequence[str]) -> tuple[dict[str, int], list[int]]:
    """Detach the events of the first of these tasks, and purge them: as much as one transaction may. The number of events of each, and the entities
    that are left to purge."""
    counts: dict[str, int] = {}
    rows = SLICE
    until = time.monotonic() + SECONDS
    for task in tasks:
        found = orphan(connection, company, task)
        entity, counts[task] = found or (None, 0)
        if entity is not None:
            rows = purge_slice(connection, entity, rows)
            if not rows:
                return counts, [entity]
        if time.monotonic() > until:
            break
    return counts, []


def orphan(connection: sqlite3.Connection, company: str, task: str) -> tuple[int, int] | None:
    """Detach a task's events: from here on no reader sees them. (entity id, number of events), None when there were none."""
    row = connection.execute("SELECT id FROM entities WHERE company=? AND task=?", (company, task)).fetchone()
    if row is None:
        return None
    for series in series_rows.stale_series(connection, [row[0]]):
        series_rows.recompute(connection, series)
    count = connection.execute("SELECT ifnull(sum(count), 0) FROM series WHERE entity=?", row).fetchone()[0]
    connection.execute("UPDATE entities SET company=NULL, task=NULL WHERE id=?", row)
    return row[0], count


def resume(database: Database) -> None:
    """Finish purges that a crash interrupted; on a full disk the next start does it."""
    for (entity,) in database.read(lambda connection: connection.execute("SELECT id FROM entities WHERE company IS NULL").fetchall()):
        try:
            purge(database, entity)
        except StoreBusy as error:
            log.warning("deleted events are purged later: %s", error)
            return


def purge(database: Database, entity: int) -> None:
    """Remove the rows of an orphaned entity, a slice a transaction."""
    while not database.write(lambda connection: purge_slice(connection, entity, SLICE)):
        pass
    database.maintain()


def purge_slice(connection: sqlite3.Connection, entity: int, rows: int) -> int:
    """Remove up to `rows` rows of an orphaned entity; how many more could have been removed. 0: some are left."""
    for sql in (
        "DELETE FROM logs WHERE (entity, timestamp, seq) IN (SELECT entity, timestamp, seq FROM logs WHERE entity=?1 LIMIT ?2)",
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE entity=?1 LIMIT ?2)",
        "DELETE FROM leaves WHERE id IN (SELECT leaves.id FROM leaves JOIN series ON series.id=leaves.series WHERE series.entity=?1 LIMIT ?2/10)",
        "DELETE FROM urls WHERE (series, url) IN (SELECT series, url FROM urls WHERE series IN (SELECT id FROM series WHERE entity=?1) LIMIT ?2)",
        "DELETE FROM series WHERE id IN (SELECT id FROM series WHERE entity=?1 LIMIT ?2)",
    ):
        if rows < 10:
            return 0
        rows -= connection.execute(sql, (entity, rows)).rowcount * (10 if "leaves" in sql else 1)
    if rows < 10:
        return 0
    connection.execute("DELETE FROM entities WHERE id=?", (entity,))
    return rows


def delete_logs(
    database: Database,
    next_seq: Callable[[sqlite3.Connection, int, int], int],
    company: str,
    task: str,
    *,
    before: int | None,
    include: Collection[str] | None,
    exclude: Collection[str] | None,
) -> int:
    """Remove log lines by age and metric; lines that arrive during the call are kept."""

    def begin(connection: sqlite3.Connection) -> tuple[int, int, list[int]] | None:
        row = connection.execute("SELECT id FROM entities WHERE company=? AND task=?", (company, task)).fetchone()
        if row is None:
            return None
        until = next_seq(connection, 0, 1)
        connection.execute("UPDATE entities SET revision=?, log_epoch=log_epoch+1 WHERE id=?", (until + 1, row[0]))
        series = connection.execute("SELECT id, metric FROM series WHERE entity=? AND type=?", (row[0], TYPES[LOG].code)).fetchall()
        chosen = [id for id, metric in series if (not include or metric in include) and not (exclude and metric in exclude)]
        return row[0], until, chosen

    started = database.write(begin)
    if started is None or not started[2]:
        return 0
    entity, until, chosen = started
    marks = ",".join("?" * len(chosen))
    limit = "" if before is None else " AND timestamp<?"
    values: list[Any] = [entity, until, *chosen, *(() if before is None else (before,)), SLICE]

    def remove(connection: sqlite3.Connection) -> int:
        removed = connection.execute(
            "DELETE FROM logs WHERE (entity, timestamp, seq) IN (SELECT entity, timestamp, seq FROM logs"
            f" WHERE entity=? AND seq<=? AND series IN ({marks}){limit} LIMIT ?)",
            values,
        ).rowcount
        if removed:
            connection.execute(f"UPDATE series SET stale=1 WHERE id IN ({marks})", chosen)
        return removed

    total = 0
    while removed := database.write(remove):
        total += removed
    if total:
        stale = database.read(lambda connection: series_rows.stale_series(connection, [entity]))
        for series in stale:
            database.write(lambda connection, series=series: series_rows.recompute(connection, series))  # type: ignore[misc]
        database.maintain()
    return total


def old_tasks(connection: sqlite3.Connection, company: str, before: int, by: AgeOf) -> list[tuple[str, int]]:
    """(task, events) of every task of a company whose newest event is older than `before` (ms), oldest first."""
    newest = "max(s.max_timestamp)" if by == "event-time" else f"max(s.last_written >> {SEQ_SHIFT})"
    rows = connection.execute(
        f"""SELECT e.task, sum(s.count) FROM entities e JOIN series s ON s.entity = e.id WHERE e.company = ? AND s.count > 0
            GROUP BY e.id HAVING {newest} < ? ORDER BY {newest}, e.task""",
        (company, before),
    )
    return [(task, count) for task, count in rows]
