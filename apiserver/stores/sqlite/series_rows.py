"""The rows of the `series` table: extents and statistics, updated by batches and recomputed when a point was replaced."""

from __future__ import annotations

import sqlite3
from dataclasses import fields
from operator import attrgetter

from apiserver.stores.event_types import TYPES, name_of_code
from apiserver.stores.records import SINGLE_VALUE_ITER, SeriesKey, name_hash
from apiserver.stores.series_row import SeriesRow
from apiserver.stores.sqlite.leaves import unpack_all

COLUMNS = tuple(field.name for field in fields(SeriesRow))
_VALUES = attrgetter(*COLUMNS)
_SELECT = ",".join(COLUMNS)
_SET = ",".join(f"{name}=?" for name in COLUMNS)


def find(connection: sqlite3.Connection, entity: int, key: SeriesKey) -> tuple[int, SeriesRow] | None:
    """The id and row of a series; None when it is new."""
    row = connection.execute(
        f"SELECT id,{_SELECT} FROM series WHERE entity=? AND type=? AND metric=? AND variant=?",
        (entity, TYPES[key.type].code, key.metric, key.variant),
    ).fetchone()
    return None if row is None else (row[0], SeriesRow(*row[1:]))


def make(connection: sqlite3.Connection, entity: int, key: SeriesKey) -> tuple[int, SeriesRow]:
    """The id and row of a new series."""
    cursor = connection.execute(
        "INSERT INTO series(entity, type, metric, variant, metric_hash, variant_hash) VALUES(?,?,?,?,?,?)",
        (entity, TYPES[key.type].code, key.metric, key.variant, name_hash(key.metric), name_hash(key.variant)),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid, SeriesRow()


def count(connection: sqlite3.Connection, company: str, task: str | None) -> int:
    """How many series a task (None: the company) has."""
    sql = "SELECT count(*) FROM entities e JOIN series s ON s.entity = e.id WHERE e.company=? AND s.count > 0"
    params: tuple[str, ...] = (company,)
    if task is not None:
        sql, params = sql + " AND e.task=?", (company, task)
    return int(connection.execute(sql, params).fetchone()[0])


def save(connection: sqlite3.Connection, series: int, row: SeriesRow) -> None:
    connection.execute(f"UPDATE series SET {_SET} WHERE id=?", (*_VALUES(row), series))


def select(connection: sqlite3.Connection, entities: list[int]) -> list[tuple[int, int, int, str, str, SeriesRow]]:
    """(id, entity, type code, metric, variant, row) of every series of the entities that holds events, by metric and variant."""
    found = []
    for start in range(0, len(entities), 500):
        part = entities[start : start + 500]
        rows = connection.execute(
            f"SELECT id, entity, type, metric, variant, {_SELECT} FROM series WHERE entity IN ({','.join('?' * len(part))}) AND count > 0"
            " ORDER BY metric, variant",
            part,
        )
        found += [(*row[:5], SeriesRow(*row[5:])) for row in rows]
    return found


def stale_series(connection: sqlite3.Connection, entities: list[int] | None) -> list[int]:
    """Stale series, of these entities or of all."""
    if entities is None:
        return [row[0] for row in connection.execute("SELECT id FROM series WHERE stale=1")]
    stale: list[int] = []
    for start in range(0, len(entities), 500):
        part = entities[start : start + 500]
        rows = connection.execute(f"SELECT id FROM series WHERE stale=1 AND entity IN ({','.join('?' * len(part))})", part)
        stale += [row[0] for row in rows]
    return stale


def recompute(connection: sqlite3.Connection, series: int) -> None:
    """Recompute a series' row from the stored events."""
    found = connection.execute(f"SELECT type, {_SELECT} FROM series WHERE id=?", (series,)).fetchone()
    if found is None:
        return
    old = SeriesRow(*found[1:])
    row = SeriesRow(last_written=old.last_written, x_axis_label=old.x_axis_label)
    type = TYPES[name_of_code(found[0])]
    if type.is_points:
        points = unpack_all(connection.execute("SELECT n, data FROM leaves WHERE series=? ORDER BY first_iter", (series,)))
        if len(points.iters):
            row.add_points(points.iters, points.values, points.timestamps, points.seqs)
            row.bytes += int(points.sizes.sum())
    table = "logs" if type.is_lines else "events"
    has_iter = "iter IS NOT NULL" if type.is_lines else "has_iter=1"
    for flag, count, size, *extents in connection.execute(
        f"SELECT {has_iter}, count(*), sum(size), min(iter), max(iter), min(timestamp), max(timestamp) FROM {table} WHERE series=? GROUP BY 1",
        (series,),
    ):
        row.extend(count, (extents[0], extents[1]) if flag else None, (extents[2], extents[3]))
        row.bytes += size
    if type.form == "event":
        count, *extents = connection.execute(
            """SELECT count(*), min(iter), max(iter), min(timestamp), max(timestamp) FROM events
               WHERE series=? AND has_iter=1 AND iter<>?""",
            (series, SINGLE_VALUE_ITER),
        ).fetchone()
        if count:
            row.extend_chart(count, (extents[0], extents[1]), (extents[2], extents[3]))
    save(connection, series, row)
