"""Stores a batch in one transaction."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

import numpy as np

from apiserver.common.fairness import give_way
from apiserver.stores.batch import Appended, Event, EventBatch, LogLine, Points, Refusal
from apiserver.stores.codec import encode_json, pack_body
from apiserver.stores.event_types import TYPES
from apiserver.stores.options import WriteOptions
from apiserver.stores.records import SEQ_SHIFT, SINGLE_VALUE_ITER, SeriesKey
from apiserver.stores.series_room import SeriesRoom, without
from apiserver.stores.series_row import SeriesRow
from apiserver.stores.sqlite import leaves, series_rows
from apiserver.stores.sqlite.leaves import Columns, Extra

GIVE_WAY = 5_000
"""Points converted to arrays before yielding: about two milliseconds."""
SERIES_COST = 25
"""The cost of a series in addition to its points, in points."""
_LOG_COLUMNS = 10
_LOG_ROWS = 200
"""Log lines per statement: a call into SQLite per row would take the GIL per row (3.7 µs a row instead of 1.9)."""
_INSERT_LOGS = "INSERT INTO logs(entity, timestamp, seq, series, iter, level, worker, size, msg, extra) VALUES"
_ROW = "(" + ",".join("?" * _LOG_COLUMNS) + ")"
_INSERT_MANY_LOGS = _INSERT_LOGS + ",".join([_ROW] * _LOG_ROWS)

_Line = TypeVar("_Line", Event, LogLine)
_SeriesRows = dict[SeriesKey, tuple[int, SeriesRow]]
"""The id and the row of each series."""


@dataclass(slots=True)
class SeriesArrays:
    """The points of a series as arrays, sorted and unique; `seqs` hold arrival offsets until the batch has its first seq."""

    columns: Columns
    extra: Extra
    own_workers: dict[int, str]
    x_axis_label: str | None
    model_event: bool


@dataclass(slots=True)
class PreparedBatch:
    """The part of a batch that is prepared outside of the writer thread."""

    batch: EventBatch
    points: dict[SeriesKey, SeriesArrays] = field(default_factory=dict)


def prepare(batch: EventBatch) -> PreparedBatch:
    """Arrays of the points; yields to other requests between the series of a big batch."""
    prepared = PreparedBatch(batch)
    done = 0
    for key, points in batch.points.items():
        prepared.points[key] = _arrays(points)
        done += len(points.iters) + SERIES_COST
        if done > GIVE_WAY:
            give_way()
            done = 0
    return prepared


def _arrays(points: Points) -> SeriesArrays:
    n = len(points.iters)
    columns = Columns(
        np.array(points.iters, np.int64),
        np.array(points.values, np.float64),
        np.array(points.timestamps, np.int64),
        np.array(points.lines, np.int64),
        np.zeros(n, np.int32),
        np.array(points.sizes, np.int32),
    )
    extra: Extra = {}
    workers: dict[int, str] = {}
    last = {iteration: position for position, iteration in enumerate(points.iters)} if points.extra else {}
    for position, fields_ in points.extra.items():
        if last[points.iters[position]] != position:
            continue  # a later point of the batch replaces it and its extra fields
        fields_ = dict(fields_)
        if "worker" in fields_:
            workers[points.lines[position]] = str(fields_.pop("worker"))
        if fields_:
            extra[str(points.iters[position])] = fields_
    return SeriesArrays(leaves.ordered(columns), extra, workers, points.x_axis_label, points.model_event)


class SqliteBatchWriter:
    """Stores batches. Runs in the writer thread only; its caches are dropped when a transaction fails."""

    def __init__(self, options: WriteOptions) -> None:
        self._options = options
        self._last_seq = 0
        self._workers: dict[str, int] = {}
        self._series_room = SeriesRoom(options)

    def forget(self) -> None:
        self._workers.clear()
        self._series_room.forget()

    def next_seq(self, connection: sqlite3.Connection, now: int, lines: int) -> int:
        """The first of `lines` consecutive seqs; they grow across restarts, even when the clock was set back."""
        if not self._last_seq:
            self._last_seq = connection.execute("SELECT ifnull(max(revision), 0) FROM entities").fetchone()[0]
        first = max(now << SEQ_SHIFT, self._last_seq + 1)
        self._last_seq = first + lines
        return first

    def append(self, connection: sqlite3.Connection, company: str, prepared: PreparedBatch) -> Appended:
        batch = prepared.batch
        seq = self.next_seq(connection, batch.now, batch.lines)
        entities = {task: _entity(connection, company, task, touch.is_model) for task, touch in batch.touches.items()}
        events, logs = _by_series(batch.events), _by_series(batch.logs)
        series, refused = self._series_of(connection, company, entities, {**batch.points, **events, **logs})
        batch, refusals = without(batch, refused)
        for key in batch.points:
            self._append_points(connection, *series[key], prepared.points[key], seq, batch)
        for key, mine in events.items():
            if key in series:
                self._append_events(connection, entities[key.task], key, *series[key], mine, seq)
        stored_before = False
        if batch.logs:
            stored_before = batch.digest is not None and self._seen(connection, batch, entities, refusals)
            if not stored_before:
                for key, lines in logs.items():
                    if key in series:
                        self._append_logs(connection, entities[key.task], *series[key], lines, seq)
        for task, touch in batch.touches.items():
            connection.execute("UPDATE entities SET revision=? WHERE id=?", (self._last_seq, entities[task]))
            last = None if touch.max_iter is None else max(touch.max_iter, 0)
            connection.execute(
                """INSERT INTO activity(company, id, last_iteration, last_update, last_change) VALUES(?,?,?,?,?)
                   ON CONFLICT(company, id) DO UPDATE SET
                     last_iteration=CASE WHEN excluded.last_iteration IS NULL THEN last_iteration
                                         ELSE max(ifnull(last_iteration, 0), excluded.last_iteration) END,
                     last_update=excluded.last_update, last_change=max(ifnull(last_change, 0) + 1, excluded.last_change)""",
                (company, task, last, batch.now, batch.now),
            )
        return Appended(seq, sorted(refusals), stored_before)

    def _series_of(
        self, connection: sqlite3.Connection, company: str, entities: dict[str, int], keys: Iterable[SeriesKey]
    ) -> tuple[_SeriesRows, dict[SeriesKey, str]]:
        """The ids and rows of these series, created if they are new; and the series that a limit refuses, with the reason."""
        room = self._series_room.batch(company, lambda task: series_rows.count(connection, company, task))
        series: _SeriesRows = {}
        refused: dict[SeriesKey, str] = {}
        for key in keys:
            entity = entities[key.task]
            found = series_rows.find(connection, entity, key)
            if found is None:
                why = room.take(key.task)
                if why is not None:
                    refused[key] = why
                    continue
                found = series_rows.make(connection, entity, key)
            series[key] = found
        return series, refused

    def _append_points(
        self, connection: sqlite3.Connection, series: int, row: SeriesRow, points: SeriesArrays, seq: int, batch: EventBatch
    ) -> None:
        workers = points.columns.workers
        workers[:] = self._worker(connection, batch.worker)
        for line, name in points.own_workers.items():
            workers[points.columns.seqs == line] = self._worker(connection, name)
        new = points.columns._replace(seqs=points.columns.seqs + seq)
        replaced = leaves.insert(connection, series, new, points.extra, last_iter=_last_point(row))
        row.add_points(new.iters, new.values, new.timestamps, new.seqs)
        row.bytes += int(new.sizes.sum())
        if replaced:
            row.stale = True
        row.last_written = seq + batch.lines
        if points.x_axis_label is not None:
            row.x_axis_label = points.x_axis_label
        series_rows.save(connection, series, row)

    def _append_events(
        self, connection: sqlite3.Connection, entity: int, key: SeriesKey, series: int, row: SeriesRow, events: list[Event], seq: int
    ) -> None:
        type = TYPES[key.type]
        for event in events:
            body, packed = pack_body(event.body, self._options.compress_from)
            url = event.body.get("url") if type.has_url else None
            url = url if isinstance(url, str) and url else None
            has_iter = event.iter is not None
            identity = (series, has_iter, event.iter or 0, event.key or "")
            values = (event.timestamp, seq + event.line, self._worker(connection, event.worker), event.size, url, packed, body)
            old = connection.execute("SELECT id, url FROM events WHERE series=? AND has_iter=? AND iter=? AND key=?", identity).fetchone()
            if old is None:
                connection.execute(
                    """INSERT INTO events(entity, type, series, has_iter, iter, key, timestamp, seq, worker, size, url, packed, body)
                       VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)""",
                    (entity, type.code, *identity, *values),
                )
                times = (event.timestamp, event.timestamp)
                row.extend(1, (event.iter, event.iter) if event.iter is not None else None, times)
                if event.iter is not None and event.iter != SINGLE_VALUE_ITER:
                    row.extend_chart(1, (event.iter, event.iter), times)
                row.bytes += event.size
            else:
                row.stale = True
                connection.execute(
                    "UPDATE events SET timestamp=?, seq=?, worker=?, size=?, url=?, packed=?, body=? WHERE id=?", (*values, old[0])
                )
            if has_iter and (url is not None or (old and old[1])):
                for changed in {url, old[1] if old else None} - {None}:
                    count_url(connection, series, str(changed), event.iter or 0, rebuilt=bool(old))
            row.last_written = seq + event.line
        series_rows.save(connection, series, row)

    def _seen(self, connection: sqlite3.Connection, batch: EventBatch, entities: dict[str, int], refusals: list[Refusal]) -> bool:
        """Whether these log lines were stored within the retry window, and not deleted since. A batch with other refused lines counts as
        a different batch: lines that were refused may be stored when it is repeated."""
        assert batch.digest is not None
        tasks = sorted({line.task for line in batch.logs})
        mark = hashlib.blake2b(batch.digest, digest_size=16)
        for refusal in refusals:
            mark.update(b"%d," % refusal.line)
        for task in tasks:
            epoch = connection.execute("SELECT log_epoch FROM entities WHERE id=?", (entities[task],)).fetchone()[0]
            mark.update(b"%d.%d;" % (entities[task], epoch))
        now = batch.now
        oldest = now - 1000 * self._options.retry_window
        # The table has no index on `at`: old rows are deleted a hundred at a time, so an expired digest may still be there.
        connection.execute("DELETE FROM log_batches WHERE digest IN (SELECT digest FROM log_batches WHERE at <= ? LIMIT 100)", (oldest,))
        again = "INSERT INTO log_batches VALUES(?1, ?2) ON CONFLICT(digest) DO UPDATE SET at=?2 WHERE at <= ?3"
        changed = connection.execute(again, (mark.digest(), now, oldest)).rowcount
        return changed == 0

    def _append_logs(
        self, connection: sqlite3.Connection, entity: int, series: int, row: SeriesRow, lines: list[LogLine], seq: int
    ) -> None:
        rows = [
            (
                entity,
                line.timestamp,
                seq + line.line,
                series,
                line.iter,
                line.level,
                self._worker(connection, line.worker),
                line.size,
                line.msg,
                encode_json(line.extra).decode() if line.extra else None,
            )
            for line in lines
        ]
        whole = len(rows) - len(rows) % _LOG_ROWS
        for start in range(0, whole, _LOG_ROWS):
            connection.execute(_INSERT_MANY_LOGS, list(chain.from_iterable(rows[start : start + _LOG_ROWS])))
        if whole < len(rows):
            connection.executemany(_INSERT_LOGS + _ROW, rows[whole:])
        times = [line.timestamp for line in lines]
        iters = [line.iter for line in lines if line.iter is not None]
        row.extend(len(lines), (min(iters), max(iters)) if iters else None, (min(times), max(times)))
        row.bytes += sum(line.size for line in lines)
        row.last_written = seq + lines[-1].line
        series_rows.save(connection, series, row)

    def _worker(self, connection: sqlite3.Connection, name: str) -> int:
        known = self._workers.get(name)
        if known is None:
            connection.execute("INSERT OR IGNORE INTO names(name) VALUES(?)", (name,))
            known = connection.execute("SELECT id FROM names WHERE name=?", (name,)).fetchone()[0]
            if len(self._workers) > 10_000:
                self._workers.clear()
            self._workers[name] = known
        return int(known)


def _by_series(lines: Iterable[_Line]) -> dict[SeriesKey, list[_Line]]:
    found: dict[SeriesKey, list[_Line]] = defaultdict(list)
    for line in lines:
        found[line.series].append(line)
    return found


def _last_point(row: SeriesRow) -> int | None:
    """The greatest iteration among the points (events without iteration are elsewhere and do not move max_iter)."""
    return row.max_iter if row.points else None


def _entity(connection: sqlite3.Connection, company: str, task: str, is_model: bool) -> int:
    row = connection.execute("SELECT id FROM entities WHERE company=? AND task=?", (company, task)).fetchone()
    if row is not None:
        return int(row[0])
    made = connection.execute("INSERT INTO entities(company, task, model_event) VALUES(?,?,?)", (company, task, is_model)).lastrowid
    assert made is not None
    return made


def count_url(connection: sqlite3.Connection, series: int, url: str, iteration: int, *, rebuilt: bool) -> None:
    """Keep the greatest two iterations of a url; looked up again when an image was replaced."""
    if not rebuilt:
        connection.execute(
            """INSERT INTO urls(series, url, max_iter, previous_iter) VALUES(?1, ?2, ?3, NULL) ON CONFLICT(series, url) DO UPDATE SET
                 previous_iter = CASE WHEN ?3 > max_iter THEN max_iter
                                      WHEN ?3 < max_iter AND (previous_iter IS NULL OR ?3 > previous_iter) THEN ?3 ELSE previous_iter END,
                 max_iter = max(max_iter, ?3)""",
            (series, url, iteration),
        )
        return
    connection.execute("DELETE FROM urls WHERE series=? AND url=?", (series, url))
    iters = connection.execute(
        "SELECT DISTINCT iter FROM events WHERE series=? AND url=? AND has_iter=1 ORDER BY iter DESC LIMIT 2", (series, url)
    ).fetchall()
    if iters:
        connection.execute("INSERT INTO urls VALUES(?,?,?,?)", (series, url, iters[0][0], iters[1][0] if len(iters) > 1 else None))
