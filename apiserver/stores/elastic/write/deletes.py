"""Deletes remove every event acknowledged before the call, and none of a batch acknowledged later.

They page through a point in time (delete-by-query has no such guarantee). A document replaced since the call has another version and stays.
Pending batches are excluded by their arrival numbers: they are acknowledged later, so they must stay complete.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from elasticsearch import ApiError

from apiserver.common.fairness import let_go, paced
from apiserver.stores.elastic.bulk_actions import action
from apiserver.stores.elastic.client import ElasticClient, IndexGone, busy_reason, is_index_gone, reason
from apiserver.stores.elastic.generations import Generations
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.queries import Query, all_of, terms
from apiserver.stores.elastic.series.group_commit import GroupCommit
from apiserver.stores.elastic.series.row import key_of
from apiserver.stores.elastic.series.store import SERIES, SeriesStore
from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.errors import StoreBusy
from apiserver.stores.event_types import TYPES
from apiserver.stores.records import LOG, SINGLE_VALUE_ITER, SeriesKey

SLICE = 2_000
KEY_FIELDS = ["task", "metric", "variant", "type"]
KEEP_ALIVE = "2m"


class Deleter:
    """Deletes of one store."""

    def __init__(
        self,
        client: ElasticClient,
        layout: Layout,
        generations: Generations,
        visibility: Visibility,
        group_commit: GroupCommit,
        series: SeriesStore,
    ) -> None:
        self._client, self._layout, self._generations = client, layout, generations
        self._visibility, self._group_commit, self._series = visibility, group_commit, series

    def delete(self, company: str, tasks: Sequence[str]) -> dict[str, int]:
        """Delete all events of some tasks; returns their number by task. Raises StateUnavailable without Redis, because pending batches are unknown
        then."""
        since = self._visibility.clock()
        of_generation: dict[int, list[str]] = {}
        for task, number in self._generations.for_reading(company, tasks, self._visibility.view(company, tasks)).items():
            of_generation.setdefault(number, []).append(task)
        removed: Counter[str] = Counter()
        for number, some in of_generation.items():
            removed += self._delete_all(company, number, some, since)
        return {task: removed[task] for task in tasks}

    def _delete_all(self, company: str, generation: int, tasks: Sequence[str], since: float) -> Counter[str]:
        statistics = self._layout.statistics(company)
        indices = [self._layout.events(type, company, generation) for type in TYPES]
        # Versions of the series' documents are read first: a document that changes after this fails the removal below.
        self._visibility.make_all_visible([*indices, statistics])
        known = self._series_documents(statistics, tasks)
        removed, left_out = self._remove(company, indices, terms("task", tasks), since)
        again = self._forget_series(statistics, known, everything=not left_out)
        let_go(known)
        touched = (*indices, statistics)
        self._visibility.record_writes(company, dict.fromkeys(tasks, touched))
        if again:
            self._series.recompute(company, again)
        return removed

    def delete_logs(
        self, company: str, task: str, *, before: int | None, include: Collection[str] | None, exclude: Collection[str] | None
    ) -> int:
        since = self._visibility.clock()
        generation = self._generations.for_reading(company, [task], self._visibility.view(company, [task])).get(task)
        if generation is None:
            return 0
        index = self._layout.events(LOG, company, generation)
        self._visibility.make_all_visible([index])
        filters: list[Query] = [{"term": {"task": task}}]
        if include:
            filters.append(terms("metric", include))
        if before is not None:
            filters.append({"range": {"timestamp": {"lt": before}}})
        without: list[Query] = [terms("metric", exclude)] if exclude else []
        removed, _ = self._remove(company, [index], all_of(filters, without), since)
        self._visibility.record_writes(company, {task: [index]})
        if removed:
            keys = list(self._series.rows(company, [task], [LOG]))
            self._series.recompute(company, keys)
            self._visibility.record_writes(company, {task: [self._layout.statistics(company)]})
        return removed.total()

    def cut(self, company: str, task: str, after: int, until_seq: int) -> int:
        """Delete events after an iteration; log lines, single values and events that arrived after `until_seq` stay. Returns their number."""
        since = self._visibility.clock()
        generation = self._generations.for_reading(company, [task], self._visibility.view(company, [task])).get(task)
        if generation is None:
            return 0
        types = [type.name for type in TYPES.values() if not type.is_lines]
        rows = self._series.rows(company, [task], types)
        keys = [key for key, row in rows.items() if row.max_iter is not None and row.max_iter > after]
        indices = sorted({self._layout.events(key.type, company, generation) for key in keys})
        if not indices:
            return 0
        self._visibility.make_all_visible(indices)
        later: list[Query] = [{"term": {"task": task}}, {"range": {"iter": {"gt": after}}}, {"range": {"seq": {"lte": until_seq}}}]
        removed, _ = self._remove(company, indices, all_of(later, [{"term": {"iter": SINGLE_VALUE_ITER}}]), since)
        self._visibility.record_writes(company, {task: indices})
        if removed:
            self._series.recompute(company, keys)
            self._visibility.record_writes(company, {task: [self._layout.statistics(company)]})
        return removed.total()

    def _remove(self, company: str, indices: Sequence[str], query: Query, since: float) -> tuple[Counter[str], bool]:
        """Delete the documents that the query finds now. Returns their number by task, and whether pending batches were excluded."""
        names = ",".join(indices)
        try:
            pit = self._client.call("POST", f"/{names}/_pit?keep_alive={KEEP_ALIVE}&ignore_unavailable=true&allow_no_indices=true")["id"]
        except ApiError as error:
            if error.meta.status == 404:
                return Counter(), False
            raise
        removed: Counter[str] = Counter()
        try:
            pending = self._visibility.pending_batches(company, since)
            without: list[Query] = [{"range": {"seq": {"gte": first, "lte": last}}} for first, last in pending]
            after: list[Any] | None = None
            while True:
                body: Query = {
                    "size": SLICE,
                    "query": all_of([query], without),
                    "pit": {"id": pit, "keep_alive": KEEP_ALIVE},
                    "sort": ["_shard_doc"],
                    "_source": False,
                    "docvalue_fields": ["task"],
                    "seq_no_primary_term": True,
                    "track_total_hits": False,
                }
                if after is not None:
                    body["search_after"] = after
                try:
                    answer = self._client.call("POST", "/_search", body)
                except ApiError as error:
                    raise (_gone() if error.meta.status == 404 else error) from error
                hits = answer["hits"]["hits"]
                removed += self._remove_hits(hits)
                if len(hits) < SLICE:
                    return removed, bool(pending)
                after, pit = hits[-1]["sort"], answer.get("pit_id", pit)
        finally:
            self._client.call("DELETE", "/_pit", {"id": pit})

    def _remove_hits(self, hits: Sequence[dict[str, Any]]) -> Counter[str]:
        removed: Counter[str] = Counter()
        if not hits:
            return removed
        items = self._client.bulk(b"".join(action("delete", hit["_index"], hit["_id"], seen=hit) for hit in hits)).items
        for hit, item in zip(hits, items, strict=True):
            if item["status"] == 200:
                removed[hit["fields"]["task"][0]] += 1
            elif is_index_gone(item):
                raise _gone()
            elif item["status"] not in (404, 409):
                raise busy_reason(item["status"], item) or StoreBusy(f"Elasticsearch refuses a delete: {reason(item)}")
        return removed

    def _series_documents(self, index: str, tasks: Sequence[str]) -> list[dict[str, Any]]:
        query = all_of([terms("task", tasks), {"term": {"kind": "series"}}])
        body: Query = {"query": query, "sort": KEY_FIELDS, "_source": KEY_FIELDS, "seq_no_primary_term": True}
        return [hit for hits in self._client.scan(index, body, SLICE) for hit in hits]

    def _forget_series(self, index: str, known: Sequence[dict[str, Any]], *, everything: bool) -> list[SeriesKey]:
        """Delete the documents of a task's series. Returns the series to recompute, because some of their events are left or arrived since."""
        for hit in paced(known, SERIES):
            self._group_commit.forget(index, hit["_id"])
        if not everything:
            return [key_of(hit["_source"]) for hit in known]
        again: list[SeriesKey] = []
        for start in range(0, len(known), SLICE):
            part = known[start : start + SLICE]
            items = self._client.bulk(b"".join(action("delete", index, hit["_id"], seen=hit) for hit in part)).items
            again += [key_of(hit["_source"]) for hit, item in zip(part, items, strict=True) if item["status"] == 409]
        return again


def _gone() -> IndexGone:
    """The retry looks the indices up again."""
    return IndexGone("the events were moved or dropped meanwhile", 1.0)
