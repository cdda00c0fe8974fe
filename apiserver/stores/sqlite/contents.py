"""A SQLite file as `stores.contents.Contents`: read row by row, in whatever order is cheapest."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson

from apiserver.stores.batch import Event, LogLine, Points
from apiserver.stores.codec import decode_json, unpack_body
from apiserver.stores.conditions import ACTIVITY_KINDS
from apiserver.stores.contents import StoredDocument, StoredPoints, StoredSeries
from apiserver.stores.event_types import TYPES, name_of_code
from apiserver.stores.records import LOG, SeriesKey
from apiserver.stores.registry import ACTIVITY_FIELDS
from apiserver.stores.series_row import SeriesRow
from apiserver.stores.sqlite import series_rows
from apiserver.stores.sqlite.database import Database
from apiserver.stores.sqlite.leaves import decode_extra, unpack
from apiserver.stores.sqlite.points import last_values

_OWNED = "JOIN entities e ON e.id = {table}.entity AND e.company IS NOT NULL"
"""Rows of deleted tasks that are not purged yet have no owner."""


class SqliteContents:
    """The contents of a file that no server uses. A file of an older layout is migrated in place: pass a copy."""

    def __init__(self, path: Path) -> None:
        """Raises StoreDamaged, StoreBusy."""
        Database(path).close()
        self._connection = sqlite3.connect(f"file:{path.absolute()}?mode=ro", uri=True)
        self._workers: dict[int, str] = dict(self._connection.execute("SELECT id, name FROM names"))

    def close(self) -> None:
        self._connection.close()

    def documents(self) -> Iterator[StoredDocument]:
        rows = self._connection.execute(
            "SELECT d.kind, d.company, d.id, d.version, d.body, d.bulk, a.last_iteration, a.last_update, a.last_change"
            " FROM documents d LEFT JOIN activity a ON a.company = d.company AND a.id = d.id"
        )
        for kind, company, id, version, body, bulk, *activity in rows:
            content = orjson.loads(body) | (orjson.loads(bulk) if bulk else {})
            moved = dict(zip(ACTIVITY_FIELDS, activity, strict=True)) if kind in ACTIVITY_KINDS else {}
            yield StoredDocument(kind, company, id, version, content, moved)

    def owners(self) -> Iterator[tuple[str, str]]:
        yield from self._connection.execute("SELECT company, task FROM entities WHERE company IS NOT NULL")

    def series(self) -> Iterator[StoredSeries]:
        columns = ",".join(f"s.{name}" for name in series_rows.COLUMNS)
        rows = self._connection.execute(
            f"SELECT e.company, e.task, s.type, s.metric, s.variant, s.id, {columns} FROM series s {_OWNED.format(table='s')} WHERE s.count > 0"
        )
        for company, task, code, metric, variant, id, *values in rows:
            type = TYPES[name_of_code(code)]
            row = SeriesRow(*values)
            row.stale = bool(row.stale)
            last = last_values(self._connection, id) if type.last_values else None
            yield StoredSeries(company, SeriesKey(task, type.name, metric, variant), row, last)

    def points(self) -> Iterator[StoredPoints]:
        rows = self._connection.execute(
            "SELECT e.company, e.task, e.model_event, s.type, s.metric, s.variant, l.n, l.data, l.extra"
            f" FROM leaves l JOIN series s ON s.id = l.series {_OWNED.format(table='s')}"
        )
        for company, task, is_model, code, metric, variant, n, data, text in rows:
            columns = unpack(data, n)
            iters, workers = columns.iters.tolist(), columns.workers.tolist()
            [(most, _)] = Counter(workers).most_common(1)
            extra = decode_extra(text)
            kept = {position: fields for position, iter in enumerate(iters) if (fields := extra.get(str(iter)))}
            for position, worker in enumerate(workers):
                if worker != most:
                    kept[position] = {**kept.get(position, {}), "worker": self._workers[worker]}
            points = Points(
                iters,
                columns.values.tolist(),
                columns.timestamps.tolist(),
                columns.seqs.tolist(),
                columns.sizes.tolist(),
                kept,
                bool(is_model),
            )
            yield StoredPoints(company, SeriesKey(task, name_of_code(code), metric, variant), self._workers[most], points)

    def events(self) -> Iterator[tuple[str, Event]]:
        rows = self._connection.execute(
            "SELECT e.company, e.task, e.model_event, s.type, s.metric, s.variant, v.has_iter, v.iter, v.key, v.timestamp, v.seq, v.worker,"
            f" v.size, v.packed, v.body FROM events v JOIN series s ON s.id = v.series {_OWNED.format(table='v')}"
        )
        for company, task, is_model, code, metric, variant, has_iter, iter, key, timestamp, seq, worker, size, packed, body in rows:
            content, where = unpack_body(body, packed), iter if has_iter else None
            yield (
                company,
                Event(
                    name_of_code(code),
                    task,
                    metric,
                    variant,
                    where,
                    key or None,
                    timestamp,
                    self._workers[worker],
                    seq,
                    size,
                    content,
                    bool(is_model),
                ),
            )

    def lines(self) -> Iterator[tuple[str, LogLine]]:
        rows = self._connection.execute(
            "SELECT e.company, e.task, e.model_event, s.metric, s.variant, l.iter, l.level, l.worker, l.msg, l.timestamp, l.seq, l.size, l.extra"
            f" FROM logs l JOIN series s ON s.id = l.series AND s.type = {TYPES[LOG].code} {_OWNED.format(table='l')}"
        )
        for company, task, is_model, metric, variant, iter, level, worker, msg, timestamp, seq, size, extra in rows:
            more = decode_json(extra) if extra else None
            yield (
                company,
                LogLine(task, timestamp, level, self._workers[worker], msg, metric, variant, iter, seq, size, more, bool(is_model)),
            )
