"""The event store on Elasticsearch."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence
from typing import Any

from apiserver.common.fairness import paced
from apiserver.common.metrics import BULK_WAITING
from apiserver.settings import ElasticSettings
from apiserver.stores.base import AgeOf, Compacted, Health, Retired, StoreUsage
from apiserver.stores.batch import Appended, EventBatch
from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.generations import Generations
from apiserver.stores.elastic.installation import Installation
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.read.charts import ElasticBuckets
from apiserver.stores.elastic.read.events import ElasticEventPages
from apiserver.stores.elastic.read.logs import ElasticLogLines
from apiserver.stores.elastic.read.points import ElasticPoints
from apiserver.stores.elastic.series.group_commit import GroupCommit
from apiserver.stores.elastic.series.store import SERIES, SeriesStore
from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.elastic.write.batches import BatchWriter
from apiserver.stores.elastic.write.compaction import Compaction
from apiserver.stores.elastic.write.deletes import Deleter
from apiserver.stores.elastic.write.retention import Retention
from apiserver.stores.event_types import EVENT_TYPES
from apiserver.stores.options import WriteOptions
from apiserver.stores.records import (
    IMAGE,
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
)
from apiserver.stores.series_row import series_of, storage_of


class ElasticEvents:
    """EventStore over Elasticsearch; see `stores.base.EventStore` for what each method promises."""

    def __init__(
        self,
        client: ElasticClient,
        layout: Layout,
        installation: Installation,
        visibility: Visibility,
        settings: ElasticSettings,
        options: WriteOptions,
    ) -> None:
        self._client, self._visibility, self._installation = client, visibility, installation
        self.layout = layout
        self.generations = Generations(client, layout, visibility, settings)
        self._group_commit = group_commit = GroupCommit(client)
        self._writer = BatchWriter(client, layout, self.generations, visibility, group_commit, settings, options)
        self.series_store = SeriesStore(client, layout, self.generations, visibility, group_commit)
        self._points = ElasticPoints(client, visibility, self.series_store)
        self._charts = ElasticBuckets(client, visibility, self.series_store, self._points)
        self._reader = ElasticEventPages(client, layout, self.generations, visibility)
        self._logs = ElasticLogLines(client, self._reader)
        self._deleter = Deleter(client, layout, self.generations, visibility, group_commit, self.series_store)
        self._retention = Retention(client, layout, self.generations, visibility, self._deleter)
        self._compaction = Compaction(client, layout, self.generations, visibility, installation.shrinking, settings)

    # --- writing

    def append(self, company: str, batch: EventBatch) -> Appended:
        return self._writer.append(company, batch)

    def delete(self, company: str, task: str) -> int:
        return self.delete_many(company, [task])[task]

    def delete_many(self, company: str, tasks: Sequence[str]) -> dict[str, int]:
        removed = self._deleter.delete(company, [*tasks, *map(rewound, tasks)])
        return {task: removed[task] for task in tasks}

    def delete_logs(
        self, company: str, task: str, *, before: int | None, include: Collection[str] | None, exclude: Collection[str] | None
    ) -> int:
        return self._deleter.delete_logs(company, task, before=before, include=include, exclude=exclude)

    def cut(self, company: str, task: str, *, after: int, until_seq: int) -> int:
        return self._deleter.cut(company, task, after, until_seq)

    # --- series and charts

    def series(
        self, company: str, tasks: Sequence[str], types: Collection[str] | None = None, metrics: Metrics | None = None
    ) -> list[Series]:
        rows = self.series_store.rows(company, tasks, EVENT_TYPES if types is None else types, metrics)
        by_task: dict[str, list[Series]] = {task: [] for task in tasks}
        for key, row in paced(rows.items(), SERIES):
            by_task[key.task].append(series_of(key, row))
        return [series for found in by_task.values() for series in found]

    def series_names(self, company: str, tasks: Sequence[str], type: str) -> list[tuple[str, str]]:
        return self.series_store.names(company, tasks, type)

    def revision(self, company: str, tasks: Sequence[str]) -> tuple[int, ...] | None:
        revisions = self._visibility.revisions(company, tasks)
        return None if revisions is None else revisions.events

    def oldest_pending(self, company: str) -> int | None:
        return self._visibility.oldest_pending(company)

    def buckets(self, company: str, requests: Sequence[BucketRequest]) -> list[Buckets]:
        return self._charts.buckets(company, requests)

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
        return self._points.points(company, keys, axis, after, limit, lo, hi, until_seq)

    def point_extras(
        self,
        company: str,
        keys: Sequence[SeriesKey],
        *,
        lo: int | None = None,
        hi: int | None = None,
        iters: Sequence[int] | None = None,
    ) -> dict[SeriesKey, dict[int, dict[str, Any]]]:
        return self._points.extras(company, keys, lo, hi, iters)

    def latest(self, company: str, task: str) -> list[tuple[Series, LastValues | None]]:
        rows = self.series_store.rows(company, [task], EVENT_TYPES, with_last=True)
        return [(series_of(key, row), row.last.arrays() if row.last else None) for key, row in paced(rows.items(), SERIES)]

    # --- events

    def page(
        self, company: str, query: EventQuery, order: Axis, *, descending: bool = False, after: Cursor | None = None, limit: int = 500
    ) -> list[PagedEvent]:
        return self._reader.page(company, query, Paging(order, descending, after, limit))

    def count(self, company: str, query: EventQuery) -> int:
        return self._reader.count(company, query)

    def iterations(self, company: str, query: EventQuery, *, descending: bool, count: int, beyond: int | None = None) -> list[int]:
        return self._reader.iterations(company, query, descending, count, beyond)

    def image_variants(self, company: str, task: str, metrics: Metrics | None = None) -> list[ImageVariant]:
        rows = self.series_store.rows(company, [task], [IMAGE], metrics)
        return self._reader.image_variants(company, task, rows)

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
        return self._logs.scan(company, query, Paging("timestamp", descending, after, chunk), search)

    def log_positions(self, company: str, task: str, cursors: Sequence[Cursor]) -> list[int]:
        return self._logs.positions(company, task, cursors)

    def log_slices(self, company: str, task: str, interval: int, lo: int, hi: int) -> list[LogSlice]:
        return self._logs.slices(company, task, interval, lo, hi)

    def storage(self, company: str, task: str) -> list[TypeStorage]:
        return storage_of((key.type, row) for key, row in self.series_store.rows(company, [task], EVENT_TYPES).items())

    # --- upkeep

    def companies(self) -> list[str]:
        self._visibility.make_all_visible([self.layout.objects])
        body = {"query": {"term": {"kind": "generation"}}, "sort": ["company", "id"], "_source": ["company"]}
        return sorted({hit["_source"]["company"] for hits in self._client.scan(self.layout.objects, body) for hit in hits})

    def retire(self, company: str, before: int, *, by: AgeOf = "arrival", dry_run: bool = False) -> Iterator[Retired]:
        return self._retention.retire(company, before, by, dry_run)

    def compact(self, company: str, idle_since: int, *, dry_run: bool = False) -> Iterator[Compacted]:
        return self._compaction.compact(company, idle_since, dry_run)

    def check(self) -> Health:
        return self._client.check()

    def conditions(self) -> dict[str, Health]:
        return self._installation.conditions()

    def usage(self) -> StoreUsage:
        return self._installation.usage()

    def look_after(self) -> bool:
        BULK_WAITING.set(self._group_commit.waiting)
        return self._installation.look_after()

    def close(self) -> None:
        self._group_commit.close()
        self._client.close()
