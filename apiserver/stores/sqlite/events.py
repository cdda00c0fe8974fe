"""The event store on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from shutil import disk_usage
from typing import Any, TypeVar

import orjson

from apiserver.stores.base import AgeOf, Compacted, Health, Retired, StoreUsage
from apiserver.stores.batch import Appended, EventBatch
from apiserver.stores.errors import StoreBusy, StoreDamaged
from apiserver.stores.event_types import EVENT_TYPES, TYPES, name_of_code
from apiserver.stores.options import WriteOptions
from apiserver.stores.records import (
    IMAGE,
    LOG,
    SEQ_SHIFT,
    Axis,
    BucketRequest,
    Buckets,
    Cursor,
    EventQuery,
    ImageVariant,
    LastValues,
    LineSearch,
    LogSlice,
    LogStretch,
    Metrics,
    PagedEvent,
    Paging,
    PointColumns,
    Series,
    SeriesKey,
    TypeStorage,
    rewound,
    shown_owner,
    wants,
)
from apiserver.stores.series_row import series_of, storage_of
from apiserver.stores.sqlite import cutting, deleting, listing, logs, paging, points, series_rows, writing
from apiserver.stores.sqlite.database import Database
from apiserver.stores.sqlite.leaves import Columns
from apiserver.stores.sqlite.lookups import owner_rows, series_ids, task_series

Read = TypeVar("Read")
LEAST_FREE = 1 << 26
"""Free bytes on the disk below which writes are about to fail."""


class SqliteEvents:
    """EventStore over one SQLite file; see `stores.base.EventStore` for what each method promises."""

    def __init__(self, database: Database, options: WriteOptions) -> None:
        self._db = database
        self._writer = writing.SqliteBatchWriter(options)
        database.on_rollback(self._writer.forget)
        deleting.resume(database)

    # --- writing

    def append(self, company: str, batch: EventBatch) -> Appended:
        prepared = writing.prepare(batch)
        return self._db.write(lambda connection: self._writer.append(connection, company, prepared), lines=batch.lines)

    def delete(self, company: str, task: str) -> int:
        return self.delete_many(company, [task])[task]

    def delete_many(self, company: str, tasks: Sequence[str]) -> dict[str, int]:
        removed = deleting.delete(self._db, company, [*tasks, *map(rewound, tasks)])
        return {task: removed.get(task, 0) for task in tasks}

    def delete_logs(
        self, company: str, task: str, *, before: int | None, include: Collection[str] | None, exclude: Collection[str] | None
    ) -> int:
        return deleting.delete_logs(self._db, self._writer.next_seq, company, task, before=before, include=include, exclude=exclude)

    def cut(self, company: str, task: str, *, after: int, until_seq: int) -> int:
        return cutting.cut(self._db, self._writer.next_seq, company, task, after, until_seq)

    # --- series and charts

    def series(
        self, company: str, tasks: Sequence[str], types: Collection[str] | None = None, metrics: Metrics | None = None
    ) -> list[Series]:
        def work(connection: sqlite3.Connection) -> list[Series] | None:
            owners = owner_rows(connection, company, tasks)
            if series_rows.stale_series(connection, [owner.id for owner in owners.values()]):
                return None
            by_task: dict[int, list[Series]] = {owner.id: [] for owner in owners.values()}
            names = {owner.id: task for task, owner in owners.items()}
            for _, entity, code, metric, variant, row in series_rows.select(connection, list(by_task)):
                kind = name_of_code(code)
                if kind in (EVENT_TYPES if types is None else types) and wants(metrics, metric, variant):
                    by_task[entity].append(series_of(SeriesKey(names[entity], kind, metric, variant), row))
            return [series for task in dict.fromkeys(tasks) if task in owners for series in by_task[owners[task].id]]

        result = self._db.read(work)
        while result is None:
            self._freshen(company, tasks)
            result = self._db.read(work)
        return result

    def series_names(self, company: str, tasks: Sequence[str], type: str) -> list[tuple[str, str]]:
        sql = (
            "SELECT DISTINCT s.metric, s.variant FROM entities n JOIN series s ON s.entity = n.id"
            " WHERE n.company = ? AND n.task IN (SELECT value FROM json_each(?)) AND s.type = ? AND s.count > 0"
        )
        params = (company, orjson.dumps(list(tasks)).decode(), TYPES[type].code)
        found = self._db.read(lambda connection: connection.execute(sql, params).fetchall())
        return sorted(found, key=lambda names: (names[0].encode(), names[1].encode()))

    def _freshen(self, company: str, tasks: Sequence[str]) -> None:
        """Recompute stale series, one per transaction: other writers wait for one at most."""

        def stale(connection: sqlite3.Connection) -> list[int]:
            return series_rows.stale_series(connection, [owner.id for owner in owner_rows(connection, company, tasks).values()])

        for series in self._db.read(stale):
            self._db.write(lambda connection, series=series: series_rows.recompute(connection, series))  # type: ignore[misc]

    def revision(self, company: str, tasks: Sequence[str]) -> tuple[int, ...] | None:
        def work(connection: sqlite3.Connection) -> tuple[int, ...]:
            owners = owner_rows(connection, company, tasks)
            return tuple(owners[task].revision if task in owners else 0 for task in tasks)

        return self._db.read(work)

    def oldest_pending(self, company: str) -> int | None:
        return None  # one writer: batches become visible in the order of their numbers

    def buckets(self, company: str, requests: Sequence[BucketRequest]) -> list[Buckets]:
        def work(connection: sqlite3.Connection, part: Sequence[BucketRequest]) -> list[Buckets]:
            ids = series_ids(connection, company, [request.series.key for request in part])
            return [points.read_buckets(connection, ids.get(request.series.key, 0), request) for request in part]

        answers: list[Buckets] = []
        for start in range(0, len(requests), 200):  # in parts: a reader thread is not held for a hundred tasks at once
            part = requests[start : start + 200]
            answers += self._db.read(lambda connection, part=part: work(connection, part))  # type: ignore[misc]
        return answers

    def points(
        self,
        company: str,
        keys: Sequence[SeriesKey],
        axis: Axis = "iter",
        *,
        after: Cursor | None = None,
        limit: int | None = None,
        lo: int | None = None,
        hi: int | None = None,
        until_seq: int | None = None,
    ) -> list[PointColumns]:
        def work(connection: sqlite3.Connection) -> list[PointColumns]:
            ids = series_ids(connection, company, keys)
            if axis == "iter" and after is None and limit is None and until_seq is None:  # already in order inside each series
                read = ((key, points.read_series(connection, series, lo, hi)) for key, series in ids.items())
                return [_point_columns(key, columns) for key, columns in read if len(columns.iters)]
            owner = {series: key for key, series in ids.items()}
            selected = points.select_points(connection, list(owner), points.PointRange(axis, False, after, limit, lo, hi, until_seq))
            answers = []
            for series, key in owner.items():
                mine = selected.owner == series
                if mine.any():
                    answers.append(_point_columns(key, selected.columns.take(mine)))
            return answers

        return self._db.read(work)

    def point_extras(
        self, company: str, keys: Sequence[SeriesKey], *, lo: int | None = None, hi: int | None = None, iters: Sequence[int] | None = None
    ) -> dict[SeriesKey, dict[int, dict[str, Any]]]:
        def work(connection: sqlite3.Connection) -> dict[SeriesKey, dict[int, dict[str, Any]]]:
            ids = series_ids(connection, company, keys)
            found = {
                key: points.read_extras(connection, series, lo, hi, iters, flat=TYPES[key.type].flat_extras) for key, series in ids.items()
            }
            return {key: extras for key, extras in found.items() if extras}

        return self._db.read(work)

    def latest(self, company: str, task: str) -> list[tuple[Series, LastValues | None]]:
        series = self.series(company, [task])
        scalars = [one.key for one in series if one.statistics is not None]

        def work(connection: sqlite3.Connection) -> dict[SeriesKey, LastValues]:
            ids = series_ids(connection, company, scalars)
            found = {key: points.last_values(connection, number) for key, number in ids.items()}
            return {key: last for key, last in found.items() if len(last.iters)}

        known = self._db.read(work)
        return [(one, known.get(one.key)) for one in series]

    # --- events

    def page(
        self, company: str, query: EventQuery, order: Axis, *, descending: bool = False, after: Cursor | None = None, limit: int = 500
    ) -> list[PagedEvent]:
        def work(connection: sqlite3.Connection) -> list[PagedEvent]:
            found = task_series(connection, company, query)
            if found is None or limit <= 0:
                return []
            return paging.page(connection, found, query, Paging(order, descending, after, limit))

        return self._db.read(work)

    def count(self, company: str, query: EventQuery) -> int:
        def work(connection: sqlite3.Connection) -> int:
            found = task_series(connection, company, query)
            return 0 if found is None else listing.count(connection, found, query)

        return self._db.read(work)

    def iterations(self, company: str, query: EventQuery, *, descending: bool, count: int, beyond: int | None = None) -> list[int]:
        def work(connection: sqlite3.Connection) -> list[int]:
            found = task_series(connection, company, query)
            return [] if found is None else listing.iterations(connection, found, query, descending, count, beyond)

        return self._db.read(work)

    def image_variants(self, company: str, task: str, metrics: Metrics | None = None) -> list[ImageVariant]:
        def work(connection: sqlite3.Connection) -> list[ImageVariant]:
            found = task_series(connection, company, EventQuery(task, (IMAGE,), metrics))
            return [] if found is None else listing.image_variants(connection, found)

        return self._db.read(work)

    def scan_log(
        self,
        company: str,
        query: EventQuery,
        search: LineSearch | None = None,
        *,
        after: Cursor | None = None,
        descending: bool = False,
        chunk: int = 10_000,
    ) -> Generator[LogStretch, None, None]:
        paging = Paging("timestamp", descending, after, chunk)
        while True:
            if search is None:
                nothing: tuple[list[PagedEvent], Cursor | None] = ([], None)
                stretch, stopped = LogStretch(*self._in_stretch(company, query, paging, logs.Stretch.lines, nothing)), False
            else:
                stretch, stopped = self._searched(company, query, search, paging)
            if stretch.lines or search is not None:
                yield stretch
            if stretch.end is None or stopped:
                return
            paging = replace(paging, after=stretch.end)

    def _searched(self, company: str, query: EventQuery, search: LineSearch, paging: Paging) -> tuple[LogStretch, bool]:
        """The next stretch, and whether the search stops in it."""
        nothing: tuple[list[logs.Text], Cursor | None] = ([], None)
        texts, end = self._in_stretch(company, query, paging, partial(logs.Stretch.candidates, search=search), nothing)
        # Not in a reader thread: there are four of them, and a pattern may take seconds.
        indexes, looked = search.match([text for _, _, text in texts]) if texts else ([], 0)
        lines: list[PagedEvent] = []
        if indexes:
            places = partial(logs.Stretch.picked, keys=[texts[index][:2] for index in indexes])
            lines = self._in_stretch(company, query, paging, places, lines)
        if looked == len(texts):
            return LogStretch(lines, end), False
        timestamp, seq, _ = texts[looked - 1]
        return LogStretch(lines, Cursor(timestamp, timestamp, seq)), True

    def _in_stretch(self, company: str, query: EventQuery, paging: Paging, read: Callable[[logs.Stretch], Read], nothing: Read) -> Read:
        def work(connection: sqlite3.Connection) -> Read:
            found = task_series(connection, company, query)
            return nothing if found is None else read(logs.Stretch(connection, found, query, paging))

        return self._db.read(work)

    def log_positions(self, company: str, task: str, cursors: Sequence[Cursor]) -> list[int]:
        query = EventQuery(task, (LOG,))

        def work(connection: sqlite3.Connection) -> list[int]:
            found = task_series(connection, company, query)
            if found is None or not cursors:
                return [0] * len(cursors)
            return logs.positions(connection, found.entity, listing.count(connection, found, query), cursors)

        return self._db.read(work)

    def log_slices(self, company: str, task: str, interval: int, lo: int, hi: int) -> list[LogSlice]:
        def work(connection: sqlite3.Connection) -> list[LogSlice]:
            owner = owner_rows(connection, company, [task]).get(task)
            return [] if owner is None else logs.slices(connection, owner.id, interval, lo, hi)

        return self._db.read(work)

    def storage(self, company: str, task: str) -> list[TypeStorage]:
        self.series(company, [task])  # recomputes stale rows

        def work(connection: sqlite3.Connection) -> list[TypeStorage]:
            owner = owner_rows(connection, company, [task]).get(task)
            rows = series_rows.select(connection, [owner.id]) if owner else []
            return storage_of((name_of_code(code), row) for _, _, code, _, _, row in rows)

        return self._db.read(work)

    # --- upkeep

    def companies(self) -> list[str]:
        return self._db.read(
            lambda connection: [
                row[0] for row in connection.execute("SELECT DISTINCT company FROM entities WHERE company IS NOT NULL ORDER BY company")
            ]
        )

    def retire(self, company: str, before: int, *, by: AgeOf = "arrival", dry_run: bool = False) -> Iterator[Retired]:
        def old(connection: sqlite3.Connection) -> list[tuple[str, int]]:
            return deleting.old_tasks(connection, company, before, by)

        for task, count in self._db.read(old):
            if not dry_run:
                if any(_newest(series, by) >= before for series in self.series(company, [task])):  # written to meanwhile
                    continue
                count = self.delete(company, task)
            yield (
                Retired(f"task {task}", [task], count)
                if task == shown_owner(task)
                else Retired(f"what was rewound of task {shown_owner(task)}", [], count)
            )

    def compact(self, company: str, idle_since: int, *, dry_run: bool = False) -> Iterator[Compacted]:
        return iter(())  # leaves are packed as they are written

    def check(self) -> Health:
        try:
            self._db.read(lambda connection: connection.execute("SELECT 1").fetchone())
        except (StoreBusy, StoreDamaged) as error:
            return Health(False, str(error))
        return Health(True, f"SQLite file {self._db.path} answers")

    def conditions(self) -> dict[str, Health]:
        usage = disk_usage(self._db.path.parent)
        text = f"{usage.free / 2**30:.1f} GiB ({usage.free / usage.total:.0%}) of the disk are free"
        enough = usage.free >= LEAST_FREE
        return {"disk": Health(enough, text, degraded=not enough)}

    def usage(self) -> StoreUsage:
        usage = disk_usage(self._db.path.parent)
        return StoreUsage({"data": 1 - usage.free / usage.total})

    def look_after(self) -> bool:
        return False  # nobody else touches the file

    def close(self) -> None:
        self._db.close()


def _newest(series: Series, by: AgeOf) -> int:
    return series.max_timestamp if by == "event-time" else series.last_written >> SEQ_SHIFT


def _point_columns(key: SeriesKey, columns: Columns) -> PointColumns:
    return PointColumns(key, columns.iters, columns.values, columns.timestamps, columns.seqs)
