"""The rows of the `series` table: extents and statistics, moved by batches and computed anew when something was replaced."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass, fields
from operator import attrgetter

from apiserver.stores.records import (
    ATTRIBUTE,
    EVENT_TYPES,
    POINT_TYPES,
    SINGLE_VALUE_ITER,
    Series,
    SeriesKey,
    Statistics,
    merged_statistics,
    statistics_of,
)
from apiserver.stores.sqlite.leaves import Columns, unpack_all

TYPE_NAMES = (*EVENT_TYPES, ATTRIBUTE)
TYPE_CODE = {name: code for code, name in enumerate(TYPE_NAMES)}
POINT_CODES = tuple(TYPE_CODE[name] for name in POINT_TYPES)


@dataclass(slots=True)
class SeriesRow:
    """What a batch may move in a series. The order of the fields is the order of the columns."""

    stale: int = 0
    last_written: int = 0
    count: int = 0
    bytes: int = 0
    min_iter: int | None = None
    max_iter: int | None = None
    min_timestamp: int | None = None
    max_timestamp: int | None = None
    chart_count: int = 0
    chart_min_iter: int | None = None
    chart_max_iter: int | None = None
    chart_min_timestamp: int | None = None
    chart_max_timestamp: int | None = None
    points: int = 0
    value: float | None = None
    value_iter: int | None = None
    value_timestamp: int | None = None
    min_value: float | None = None
    min_value_iter: int | None = None
    max_value: float | None = None
    max_value_iter: int | None = None
    first_value: float | None = None
    first_value_iter: int | None = None
    sum: float = 0.0
    finite: int = 0
    mean_value: float | None = None
    x_axis_label: str | None = None

    def statistics(self) -> Statistics:
        return Statistics(
            count=self.points,
            value=self.value,
            value_iter=self.value_iter,
            value_timestamp=self.value_timestamp,
            min_value=self.min_value,
            min_value_iter=self.min_value_iter,
            max_value=self.max_value,
            max_value_iter=self.max_value_iter,
            first_value=self.first_value,
            first_value_iter=self.first_value_iter,
            sum=self.sum,
            finite=self.finite,
            x_axis_label=self.x_axis_label,
        )

    def set_statistics(self, stats: Statistics) -> None:
        self.points = stats.count
        self.value, self.value_iter, self.value_timestamp = stats.value, stats.value_iter, stats.value_timestamp
        self.min_value, self.min_value_iter = stats.min_value, stats.min_value_iter
        self.max_value, self.max_value_iter = stats.max_value, stats.max_value_iter
        self.first_value, self.first_value_iter = stats.first_value, stats.first_value_iter
        self.sum, self.finite, self.mean_value = stats.sum, stats.finite, stats.mean_value
        self.x_axis_label = stats.x_axis_label

    def extend(self, count: int, iters: tuple[int, int] | None, times: tuple[int, int]) -> None:
        """Count events with these (least, greatest) iterations and timestamps."""
        self.count += count
        self.min_timestamp, self.max_timestamp = _lower(self.min_timestamp, times[0]), _higher(self.max_timestamp, times[1])
        if iters is not None:
            self.min_iter, self.max_iter = _lower(self.min_iter, iters[0]), _higher(self.max_iter, iters[1])

    def extend_chart(self, count: int, iters: tuple[int, int], times: tuple[int, int]) -> None:
        """The same for what a chart shows."""
        self.chart_count += count
        self.chart_min_iter, self.chart_max_iter = _lower(self.chart_min_iter, iters[0]), _higher(self.chart_max_iter, iters[1])
        self.chart_min_timestamp = _lower(self.chart_min_timestamp, times[0])
        self.chart_max_timestamp = _higher(self.chart_max_timestamp, times[1])

    def add_points(self, new: Columns) -> None:
        """Count points (sorted, unique) none of which was there before."""
        iters, times = new.iters, new.timestamps
        extent, span = (int(iters[0]), int(iters[-1])), (int(times.min()), int(times.max()))
        self.extend(len(iters), extent, span)
        self.bytes += int(new.sizes.sum())
        self.set_statistics(merged_statistics(self.statistics(), statistics_of(iters, new.values, times)))
        if extent[0] <= SINGLE_VALUE_ITER <= extent[1]:
            shown = iters != SINGLE_VALUE_ITER
            iters, times = iters[shown], times[shown]
            if not len(iters):
                return
            extent, span = (int(iters[0]), int(iters[-1])), (int(times.min()), int(times.max()))
        self.extend_chart(len(iters), extent, span)


COLUMNS = tuple(field.name for field in fields(SeriesRow))
_VALUES = attrgetter(*COLUMNS)
_SELECT = ",".join(COLUMNS)
_SET = ",".join(f"{name}=?" for name in COLUMNS)


def name_hash(name: str) -> str:
    """The key under which clients find a metric or variant in last_metrics (md5 is theirs, not for security)."""
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


def load(connection: sqlite3.Connection, entity: int, key: SeriesKey) -> tuple[int, SeriesRow]:
    """The id and row of a series, made when it is new."""
    row = connection.execute(
        f"SELECT id,{_SELECT} FROM series WHERE entity=? AND type=? AND metric=? AND variant=?",
        (entity, TYPE_CODE[key.type], key.metric, key.variant),
    ).fetchone()
    if row is not None:
        return row[0], SeriesRow(*row[1:])
    cursor = connection.execute(
        "INSERT INTO series(entity, type, metric, variant, metric_hash, variant_hash) VALUES(?,?,?,?,?,?)",
        (entity, TYPE_CODE[key.type], key.metric, key.variant, name_hash(key.metric), name_hash(key.variant)),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid, SeriesRow()


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


def as_series(key: SeriesKey, row: SeriesRow) -> Series:
    return Series(
        key=key,
        count=row.count,
        min_iter=row.min_iter,
        max_iter=row.max_iter,
        min_timestamp=row.min_timestamp or 0,
        max_timestamp=row.max_timestamp or 0,
        chart_count=row.chart_count,
        chart_min_iter=row.chart_min_iter,
        chart_max_iter=row.chart_max_iter,
        chart_min_timestamp=row.chart_min_timestamp,
        chart_max_timestamp=row.chart_max_timestamp,
        statistics=row.statistics() if key.type in POINT_TYPES else None,
        last_written=row.last_written,
    )


def stale_series(connection: sqlite3.Connection, entities: list[int] | None) -> list[int]:
    """Series whose row is not true any more: of these entities, or of all."""
    if entities is None:
        return [row[0] for row in connection.execute("SELECT id FROM series WHERE stale=1")]
    stale: list[int] = []
    for start in range(0, len(entities), 500):
        part = entities[start : start + 500]
        rows = connection.execute(f"SELECT id FROM series WHERE stale=1 AND entity IN ({','.join('?' * len(part))})", part)
        stale += [row[0] for row in rows]
    return stale


def recompute(connection: sqlite3.Connection, series: int) -> None:
    """Compute a series' row anew from what is stored."""
    found = connection.execute(f"SELECT type, {_SELECT} FROM series WHERE id=?", (series,)).fetchone()
    if found is None:
        return
    old = SeriesRow(*found[1:])
    row = SeriesRow(last_written=old.last_written, x_axis_label=old.x_axis_label)
    if found[0] in POINT_CODES:
        points = unpack_all(connection.execute("SELECT n, data FROM leaves WHERE series=? ORDER BY first_iter", (series,)))
        if len(points.iters):
            row.add_points(points)
    table = "logs" if found[0] == TYPE_CODE["log"] else "events"
    has_iter = "iter IS NOT NULL" if table == "logs" else "has_iter=1"
    for flag, count, size, *extents in connection.execute(
        f"SELECT {has_iter}, count(*), sum(size), min(iter), max(iter), min(timestamp), max(timestamp) FROM {table} WHERE series=? GROUP BY 1",
        (series,),
    ):
        row.extend(count, (extents[0], extents[1]) if flag else None, (extents[2], extents[3]))
        row.bytes += size
    if found[0] not in (*POINT_CODES, TYPE_CODE["log"]):
        count, *extents = connection.execute(
            """SELECT count(*), min(iter), max(iter), min(timestamp), max(timestamp) FROM events
               WHERE series=? AND has_iter=1 AND iter<>?""",
            (series, SINGLE_VALUE_ITER),
        ).fetchone()
        if count:
            row.extend_chart(count, (extents[0], extents[1]), (extents[2], extents[3]))
    save(connection, series, row)


def _lower(old: int | None, new: int) -> int:
    return new if old is None or new < old else old


def _higher(old: int | None, new: int) -> int:
    return new if old is None or new > old else old
