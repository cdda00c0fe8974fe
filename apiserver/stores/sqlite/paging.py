"""Pages of events of one task in a total order, merged from the three tables that hold them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice, repeat
from typing import Any, NamedTuple

import numpy as np

from apiserver.stores.codec import decode_json, unpack_body
from apiserver.stores.records import (
    LOG,
    MAX_ITER,
    MIN_ITER,
    SCALAR,
    SINGLE_VALUE_ITER,
    Axis,
    Cursor,
    EventQuery,
    StoredEvent,
    document,
)
from apiserver.stores.sqlite.points import Selected, select_points
from apiserver.stores.sqlite.series_rows import TYPE_CODE


class Names(NamedTuple):
    """What turns ids of a task's rows back into names."""

    task: str
    model_event: bool
    series: dict[int, tuple[str, str, str]]
    """id -> (type, metric, variant), of the series that the query lets through"""


class Source(NamedTuple):
    """Rows of one table in the order asked for: how each sorts (events without iteration are in a zone of their own, behind), and how a
    row becomes an event. Only what makes it to the page is built."""

    orders: list[tuple[int, int, int, int]]
    rows: list[tuple[Any, ...]]
    build: Callable[[tuple[Any, ...]], StoredEvent]


def worker_name(connection: sqlite3.Connection, cache: dict[int, str], worker: int) -> str:
    if worker not in cache:
        row = connection.execute("SELECT name FROM names WHERE id=?", (worker,)).fetchone()
        cache[worker] = row[0] if row else "<unknown>"
    return cache[worker]


def page(
    connection: sqlite3.Connection,
    entity: int,
    names: Names,
    query: EventQuery,
    order: Axis,
    descending: bool,
    after: Cursor | None,
    limit: int,
    whole: bool,
) -> list[StoredEvent]:
    """The next `limit` events. `whole`: the query lets every series of its types through (no need to name them)."""
    asked = _Asked(connection, entity, names, query, order, descending, limit)
    sources: list[Source] = []
    zones: Sequence[int] = (0, 1) if order == "iter" else (0,)
    if after is not None and order == "iter" and after.key is None:
        zones = (1,)
    ids = _ids(names, query.types)
    for zone in zones:
        position = after if after is not None and (order == "timestamp" or (after.key is None) == (zone == 1)) else None
        if zone == 0 and SCALAR in query.types and ids[SCALAR]:
            sources.append(asked.points(ids[SCALAR], position))
        for kind in query.types:
            if ids[kind]:
                series = None if whole else ids[kind]
                sources.append(asked.logs(series, zone, position) if kind == LOG else asked.events(kind, series, zone, position))
        if sum(len(source.rows) for source in sources) >= limit:
            break
    sources = [source for source in sources if source.rows]
    if len(sources) == 1:
        return [sources[0].build(row) for row in sources[0].rows[:limit]]
    # An order ends with the seq, which is unique: what stands behind it is never compared.
    streams = [zip(source.orders, repeat(source.build), source.rows, strict=False) for source in sources]
    return [build(row) for _, build, row in islice(merge(*streams), limit)]


def _ids(names: Names, types: Sequence[str]) -> dict[str, list[int]]:
    ids: dict[str, list[int]] = {kind: [] for kind in types}
    for series, (kind, _, _) in names.series.items():
        if kind in ids:
            ids[kind].append(series)
    return ids


@dataclass(slots=True)
class _Asked:
    """A page that was asked for; each method reads its share of one table. A zone is 0 for events with iteration and 1 for those without, which
    the iteration axis shows last."""

    connection: sqlite3.Connection
    entity: int
    names: Names
    query: EventQuery
    order: Axis
    descending: bool
    limit: int
    workers: dict[int, str] = field(default_factory=dict)

    @property
    def by_iter(self) -> bool:
        return self.order == "iter"

    def points(self, series: list[int], after: Cursor | None) -> Source:
        by_iter, query = self.by_iter, self.query
        lo, hi = (query.min_iter, query.max_iter) if by_iter else (query.min_timestamp, query.max_timestamp)
        if query.iters is not None:
            if not query.iters:
                return Source([], [], dict)
            wanted = sorted(query.iters)
            lo, hi = max(wanted[0], MIN_ITER if lo is None else lo), min(wanted[-1], MAX_ITER if hi is None else hi)
        by_time = by_iter and (query.min_timestamp is not None or query.max_timestamp is not None)
        selected = select_points(
            self.connection,
            series,
            self.order,
            descending=self.descending,
            after=after,
            # What is filtered below must not shorten the page; single values are at most one a series.
            limit=None if query.iters is not None or by_time else self.limit + len(series),
            lo=lo,
            hi=hi,
            until_seq=query.until_seq,
            min_iter=query.min_iter,
            max_iter=query.max_iter,
        )
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
        rows = list(islice(zip(*(column.tolist() for column in columns_of_rows), strict=True), self.limit))

        def build(row: tuple[Any, ...]) -> StoredEvent:
            iteration, value, timestamp, seq, worker, owner, is_number = row
            body = {"value": value if is_number else None}
            if selected.extra:
                body.update(selected.extra.get(owner, {}).get(str(iteration), {}))
            return _event(self.connection, self.names, self.workers, self.order, owner, iteration, timestamp, seq, worker, body)

        return Source([self._place(0, row[0] if by_iter else row[2], row[2], row[3]) for row in rows], rows, build)

    def events(self, kind: str, series: list[int] | None, zone: int, after: Cursor | None) -> Source:
        by_iter = self.by_iter
        where, values = conditions(self.query, kind, series)
        start, more, ordering = self._keyset(zone, after)
        if by_iter:
            where = f" AND has_iter={1 - zone}" + where
        rows = self.connection.execute(
            f"SELECT series, has_iter, iter, timestamp, seq, worker, packed, body FROM events WHERE entity=? AND type=?{where}{start}{ordering} LIMIT ?",
            (self.entity, TYPE_CODE[kind], *values, *more, self.limit),
        ).fetchall()

        def build(row: tuple[Any, ...]) -> StoredEvent:
            owner, has_iter, iteration, timestamp, seq, worker, packed, data = row
            body = unpack_body(data, bool(packed))
            shown = iteration if has_iter else None
            return _event(self.connection, self.names, self.workers, self.order, owner, shown, timestamp, seq, worker, body)

        # Without iteration `iter` is 0, for every row of the zone.
        return Source([self._place(zone, row[2] if by_iter else row[3], row[3], row[4]) for row in rows], rows, build)

    def logs(self, series: list[int] | None, zone: int, after: Cursor | None) -> Source:
        by_iter = self.by_iter
        where, values = conditions(self.query, LOG, series)
        start, more, ordering = self._keyset(zone, after)
        if by_iter:
            where = (" AND iter IS NULL" if zone else " AND iter IS NOT NULL") + where
        rows = self.connection.execute(
            f"SELECT series, iter, timestamp, seq, level, worker, msg, extra FROM logs WHERE entity=?{where}{start}{ordering} LIMIT ?",
            (self.entity, *values, *more, self.limit),
        ).fetchall()
        orders = [self._place(zone, (row[1] if zone == 0 else 0) if by_iter else row[2], row[2], row[3]) for row in rows]
        return Source(orders, rows, lambda row: log_event(self.connection, self.names, self.workers, row, self.order))

    def _keyset(self, zone: int, after: Cursor | None) -> tuple[str, list[Any], str]:
        """Where a page starts and how it is ordered, as SQL."""
        way, sign = ("DESC", "<") if self.descending else ("ASC", ">")
        columns = ("iter", "timestamp", "seq") if self.by_iter and zone == 0 else ("timestamp", "seq")
        ordering = " ORDER BY " + ", ".join(f"{column} {way}" for column in columns)
        if after is None:
            return "", [], ordering
        if self.by_iter and zone == 0:
            return f" AND (iter, timestamp, seq) {sign} (?,?,?)", [after.key, after.timestamp, after.seq], ordering
        return f" AND (timestamp, seq) {sign} (?,?)", [after.timestamp, after.seq], ordering

    def _place(self, zone: int, key: int, timestamp: int, seq: int) -> tuple[int, int, int, int]:
        return (zone, -key, -timestamp, -seq) if self.descending else (zone, key, timestamp, seq)


def conditions(query: EventQuery, kind: str, series: list[int] | None) -> tuple[str, list[Any]]:
    """The SQL conditions (starting with AND) and their values, for the tables `events` and `logs`."""
    sql: list[str] = []
    values: list[Any] = []

    def add(text: str, *more: Any) -> None:
        sql.append(" AND " + text)
        values.extend(more)

    has_iter = "iter IS NOT NULL" if kind == LOG else "has_iter=1"
    if series is not None:
        add(f"series IN ({','.join('?' * len(series))})", *series)
    if query.min_iter is not None:
        add(f"iter>=? AND {has_iter}", query.min_iter)
    if query.max_iter is not None:
        add(f"iter<=? AND {has_iter}", query.max_iter)
    if query.iters is not None:
        add(f"iter IN ({','.join('?' * len(query.iters))}) AND {has_iter}", *query.iters)
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
    if query.levels is not None and kind == LOG:
        add(f"level IN ({','.join('?' * len(query.levels))})", *query.levels)
    return "".join(sql), values


def log_event(connection: sqlite3.Connection, names: Names, workers: dict[int, str], row: tuple[Any, ...], order: Axis) -> StoredEvent:
    """A row (series, iter, timestamp, seq, level, worker, msg, extra) of the log as an event."""
    owner, iteration, timestamp, seq, level, worker, msg, extra = row
    body: dict[str, Any] = {}
    if level is not None:
        body["level"] = level
    if msg is not None:
        body["msg"] = msg
    if extra:
        body.update(decode_json(extra))
    return _event(connection, names, workers, order, owner, iteration, timestamp, seq, worker, body)


def _event(
    connection: sqlite3.Connection,
    names: Names,
    workers: dict[int, str],
    order: Axis,
    owner: int,
    iteration: int | None,
    timestamp: int,
    seq: int,
    worker: int,
    body: dict[str, Any],
) -> StoredEvent:
    """What a row says, as an event with its place in the order. `owner`: the id of its series."""
    kind, metric, variant = names.series[owner]
    event = document(
        type=kind,
        task=names.task,
        metric=metric,
        variant=variant,
        timestamp=timestamp,
        worker=worker_name(connection, workers, worker),
        seq=seq,
        model_event=names.model_event,
        iter=iteration,
        body=body,
    )
    event["_cursor"] = Cursor(iteration if order == "iter" else timestamp, timestamp, seq)
    return event
