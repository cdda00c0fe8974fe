"""Pages of events of one task in a total order, merged from the three tables that hold them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice, repeat
from typing import Any, NamedTuple

import numpy as np
import orjson

from apiserver.stores.codec import decode_json, unpack_body
from apiserver.stores.event_types import TYPES, EventType
from apiserver.stores.records import (
    LOG,
    MAX_ITER,
    MIN_ITER,
    SINGLE_VALUE_ITER,
    Axis,
    Cursor,
    EventQuery,
    PagedEvent,
    Paging,
    SeriesKey,
    stored_event,
)
from apiserver.stores.sqlite.points import PointRange, Selected, select_points

FEW = 1_000
"""Most values that are bound one by one; longer lists are one JSON text, because SQLite limits the number of variables."""
LOG_COLUMNS = "series, iter, timestamp, seq, level, worker, msg, extra"
"""The columns of a log line that is returned as an event."""


class TaskSeries(NamedTuple):
    """The series of a task that match a query, by the ids of their rows."""

    entity: int
    model_event: bool
    keys: dict[int, SeriesKey]

    def by_type(self, types: Collection[str]) -> dict[str, list[int]]:
        ids: dict[str, list[int]] = {kind: [] for kind in types}
        for series, key in self.keys.items():
            if key.type in ids:
                ids[key.type].append(series)
        return ids


class EventBuilder:
    """Builds events from the rows of one task; `order` decides what their cursors contain."""

    def __init__(self, connection: sqlite3.Connection, found: TaskSeries, order: Axis) -> None:
        self._connection, self._by_iter = connection, order == "iter"
        self._keys, self._model_event = found.keys, found.model_event
        self._workers: dict[int, str] = {}

    def event(self, series: int, iteration: int | None, timestamp: int, seq: int, worker: int, body: dict[str, Any]) -> PagedEvent:
        name = self._workers.get(worker) or self._worker(worker)
        event = stored_event(self._keys[series], iteration, timestamp, seq, name, self._model_event, body)
        return PagedEvent(event, Cursor(iteration if self._by_iter else timestamp, timestamp, seq))

    def log_line(self, row: tuple[Any, ...]) -> PagedEvent:
        """`row`: the `LOG_COLUMNS` of a line."""
        series, iteration, timestamp, seq, level, worker, msg, extra = row
        body: dict[str, Any] = {}
        if level is not None:
            body["level"] = level
        if msg is not None:
            body["msg"] = msg
        if extra:
            body.update(decode_json(extra))
        return self.event(series, iteration, timestamp, seq, worker, body)

    def _worker(self, worker: int) -> str:
        row = self._connection.execute("SELECT name FROM names WHERE id=?", (worker,)).fetchone()
        name: str = row[0] if row else "<unknown>"
        self._workers[worker] = name
        return name


class RowSource(NamedTuple):
    """Rows of one table in the requested order: their sort keys (events without iteration come last) and their conversion to events,
    which only rows of the page need."""

    orders: list[tuple[int, int, int, int]]
    rows: list[tuple[Any, ...]]
    build: Callable[[tuple[Any, ...]], PagedEvent]


def page(connection: sqlite3.Connection, found: TaskSeries, query: EventQuery, paging: Paging) -> list[PagedEvent]:
    """The next events."""
    order, after = paging.order, paging.after
    asked = _PageTables(connection, found, query, paging, EventBuilder(connection, found, order))
    sources: list[RowSource] = []
    zones: Sequence[int] = (0, 1) if order == "iter" else (0,)
    if after is not None and order == "iter" and after.key is None:
        zones = (1,)
    ids = found.by_type(query.types)
    for zone in zones:
        position = after if after is not None and (order == "timestamp" or (after.key is None) == (zone == 1)) else None
        points = [series for name, of_type in ids.items() if TYPES[name].is_points for series in of_type]
        if zone == 0 and points:
            sources.append(asked.points(points, position))
        for name, of_type in ids.items():
            if of_type:
                type, series = TYPES[name], None if query.metrics is None else of_type  # no need to name them all
                sources.append(asked.logs(series, zone, position) if type.is_lines else asked.events(type, series, zone, position))
        if sum(len(source.rows) for source in sources) >= paging.limit:
            break
    sources = [source for source in sources if source.rows]
    if len(sources) == 1:
        return [sources[0].build(row) for row in sources[0].rows[: paging.limit]]
    # An order ends with the seq, which is unique: the elements after it are never compared.
    streams = [zip(source.orders, repeat(source.build), source.rows, strict=False) for source in sources]
    return [build(row) for _, build, row in islice(merge(*streams), paging.limit)]


@dataclass(slots=True)
class _PageTables:
    """The query of a page; each method reads its part of one table. Zone 0 has the events with iteration, zone 1 those without, which
    come last on the iteration axis."""

    connection: sqlite3.Connection
    found: TaskSeries
    query: EventQuery
    paging: Paging
    builder: EventBuilder

    @property
    def by_iter(self) -> bool:
        return self.paging.order == "iter"

    def points(self, series: list[int], after: Cursor | None) -> RowSource:
        by_iter, query = self.by_iter, self.query
        lo, hi = (query.min_iter, query.max_iter) if by_iter else (query.min_timestamp, query.max_timestamp)
        if query.iters is not None:
            if not query.iters:
                return RowSource([], [], self.builder.log_line)
            first, last = min(query.iters), max(query.iters)
            lo, hi = max(first, MIN_ITER if lo is None else lo), min(last, MAX_ITER if hi is None else hi)
        by_time = by_iter and (query.min_timestamp is not None or query.max_timestamp is not None)
        # Rows filtered out below must not shorten the page; single values are at most one a series.
        limit = None if query.iters is not None or by_time else self.paging.limit + len(series)
        wanted = PointRange(
            self.paging.order,
            self.paging.descending,
            after,
            limit,
            lo,
            hi,
            query.until_seq,
            min_iter=query.min_iter,
            max_iter=query.max_iter,
        )
        selected = select_points(self.connection, series, wanted)
        keep = np.ones(len(selected), np.bool_)
        if query.iters is not None:
            keep &= np.isin(selected.columns.iters, np.array(query.iters, np.int64))
        if query.with_iter:
            keep &= selected.columns.iters != SINGLE_VALUE_ITER
        if by_iter and query.min_timestamp is not None:
            keep &= selected.columns.timestamps >= query.min_timestamp
        if by_iter and query.max_timestamp is not None:
            keep &= selected.columns.timestamps <= query.max_timestamp
        selected = Selected(selected.columns.take(keep), selected.owner[keep], selected.extra)
        columns = selected.columns
        columns_of_rows = (
            columns.iters,
            columns.values,
            columns.timestamps,
            columns.seqs,
            columns.workers,
            selected.owner,
            np.isfinite(columns.values),
        )
        rows = list(islice(zip(*(column.tolist() for column in columns_of_rows), strict=True), self.paging.limit))

        def build(row: tuple[Any, ...]) -> PagedEvent:
            iteration, value, timestamp, seq, worker, owner, is_number = row
            body = {"value": value if is_number else None}
            if selected.extra:
                body.update(selected.extra.get(owner, {}).get(str(iteration), {}))
            return self.builder.event(owner, iteration, timestamp, seq, worker, body)

        return RowSource([self._place(0, row[0] if by_iter else row[2], row[2], row[3]) for row in rows], rows, build)

    def events(self, type: EventType, series: list[int] | None, zone: int, after: Cursor | None) -> RowSource:
        by_iter = self.by_iter
        where, values = conditions(self.query, type, series)
        start, more, ordering = self._keyset(zone, after)
        if by_iter:
            where = f" AND has_iter={1 - zone}" + where
        rows = self.connection.execute(
            f"SELECT series, has_iter, iter, timestamp, seq, worker, packed, body FROM events WHERE entity=? AND type=?{where}{start}{ordering} LIMIT ?",
            (self.found.entity, type.code, *values, *more, self.paging.limit),
        ).fetchall()

        def build(row: tuple[Any, ...]) -> PagedEvent:
            owner, has_iter, iteration, timestamp, seq, worker, packed, data = row
            body = unpack_body(data, bool(packed))
            shown = iteration if has_iter else None
            return self.builder.event(owner, shown, timestamp, seq, worker, body)

        # Without iteration `iter` is 0, for every row of the zone.
        return RowSource([self._place(zone, row[2] if by_iter else row[3], row[3], row[4]) for row in rows], rows, build)

    def logs(self, series: list[int] | None, zone: int, after: Cursor | None) -> RowSource:
        by_iter = self.by_iter
        where, values = conditions(self.query, TYPES[LOG], series)
        start, more, ordering = self._keyset(zone, after)
        if by_iter:
            where = (" AND iter IS NULL" if zone else " AND iter IS NOT NULL") + where
        rows = self.connection.execute(
            f"SELECT {LOG_COLUMNS} FROM logs WHERE entity=?{where}{start}{ordering} LIMIT ?",
            (self.found.entity, *values, *more, self.paging.limit),
        ).fetchall()
        orders = [self._place(zone, (row[1] if zone == 0 else 0) if by_iter else row[2], row[2], row[3]) for row in rows]
        return RowSource(orders, rows, self.builder.log_line)

    def _keyset(self, zone: int, after: Cursor | None) -> tuple[str, list[Any], str]:
        """Where a page starts and how it is ordered, as SQL."""
        way, sign = ("DESC", "<") if self.paging.descending else ("ASC", ">")
        columns = ("iter", "timestamp", "seq") if self.by_iter and zone == 0 else ("timestamp", "seq")
        ordering = " ORDER BY " + ", ".join(f"{column} {way}" for column in columns)
        if after is None:
            return "", [], ordering
        if self.by_iter and zone == 0:
            return f" AND (iter, timestamp, seq) {sign} (?,?,?)", [after.key, after.timestamp, after.seq], ordering
        return f" AND (timestamp, seq) {sign} (?,?)", [after.timestamp, after.seq], ordering

    def _place(self, zone: int, key: int, timestamp: int, seq: int) -> tuple[int, int, int, int]:
        return (zone, -key, -timestamp, -seq) if self.paging.descending else (zone, key, timestamp, seq)


def conditions(query: EventQuery, type: EventType, series: list[int] | None) -> tuple[str, list[Any]]:
    """The SQL conditions (starting with AND) and their values, for the tables `events` and `logs`."""
    sql: list[str] = []
    values: list[Any] = []

    def add(text: str, *more: Any) -> None:
        sql.append(" AND " + text)
        values.extend(more)

    def among(column: str, some: Sequence[Any], more: str = "") -> None:
        if len(some) > FEW:
            add(f"{column} IN (SELECT value FROM json_each(?)){more}", orjson.dumps(list(some)).decode())
        else:
            add(f"{column} IN ({','.join('?' * len(some))}){more}", *some)

    has_iter = "iter IS NOT NULL" if type.is_lines else "has_iter=1"
    if series is not None:
        among("series", series)
    if query.min_iter is not None:
        add(f"iter>=? AND {has_iter}", query.min_iter)
    if query.max_iter is not None:
        add(f"iter<=? AND {has_iter}", query.max_iter)
    if query.iters is not None:
        among("iter", query.iters, f" AND {has_iter}")
    if query.min_timestamp is not None:
        add("timestamp>=?", query.min_timestamp)
    if query.max_timestamp is not None:
        add("timestamp<=?", query.max_timestamp)
    if query.from_seq is not None:
        add("seq>=?", query.from_seq)
    if query.until_seq is not None:
        add("seq<=?", query.until_seq)
    if query.with_iter:
        add(f"iter<>? AND {has_iter}", SINGLE_VALUE_ITER)
    if query.levels is not None and type.is_lines:
        among("level", query.levels)
    return "".join(sql), values
