"""A statistic of one series in all tasks of a company, kept by a worker: what tables are sorted and filtered by.

Elasticsearch numbers the writes of a shard: a search for greater numbers gives the documents that were written since the last search. A
deletion has no number, but the same search counts the documents: if some are missing, everything is read again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from cachetools import LRUCache

from apiserver.stores.conditions import STATISTICS, Path
from apiserver.stores.elastic.client import PAGE, ElasticClient
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.queries import Query, all_of, terms
from apiserver.stores.elastic.series.store import SeriesStore
from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.records import SCALAR

MAX_AGE = 900.0
"""Seconds. After a replica was promoted, numbers of unacknowledged writes may be used again."""
MAX_COLUMNS = 32


class _StatisticColumn:
    """Values by task (None: there is a series, but no such value), and the tasks whose series are stale."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        self.values: dict[str, Any] = {}
        self.stale: set[str] = set()
        self.number = -1
        self.made = time.monotonic()


class StatisticColumns:
    """A cache of recently used statistics."""

    def __init__(self, client: ElasticClient, layout: Layout, visibility: Visibility, series: SeriesStore) -> None:
        self._client, self._layout, self._visibility, self._series = client, layout, visibility, series
        self._lock = threading.Lock()
        self._columns: LRUCache[tuple[str, Path], _StatisticColumn] = LRUCache(MAX_COLUMNS)

    def values(self, company: str, path: Path) -> Mapping[str, Any]:
        """The statistic of `("last_metrics", metric hash, variant hash, name)` by task; including every acknowledged write."""
        with self._lock:
            column = self._columns.setdefault((company, path), _StatisticColumn())
        _, metric, variant, name = path
        wanted = {"kind": "series", "type": SCALAR, "metric_hash": metric, "variant_hash": variant}
        series = all_of([terms(field, [value]) for field, value in wanted.items()])
        index = self._layout.statistics(company)
        self._visibility.make_all_visible([index])
        with column.lock:
            numbered = self._client.settings.shards == 1
            if not numbered or time.monotonic() - column.made > MAX_AGE or not self._read(index, series, STATISTICS[name], column):
                column.clear()
                self._read(index, series, STATISTICS[name], column)
            values = dict(column.values)
            stale = sorted(column.stale)
        if stale:
            names = self._client.search(index, {"size": 1, "query": series, "_source": ["metric", "variant"]})
            for hit in names["hits"]["hits"]:
                metrics = {hit["_source"]["metric"]: [hit["_source"]["variant"]]}
                rows = self._series.rows(company, stale, [SCALAR], metrics)
                values |= dict.fromkeys(stale) | {key.task: getattr(row, STATISTICS[name]) for key, row in rows.items()}
        return values

    def _read(self, index: str, series: Query, field: str, column: _StatisticColumn) -> bool:
        """Read what was written since the column's number; False when something was deleted."""
        after: list[Any] = []
        while True:
            body: Query = {
                "size": PAGE,
                "query": series,
                "post_filter": {"range": {"_seq_no": {"gt": column.number if not after else after[0] - 1}}},
                "sort": ["_seq_no", "task"],
                "_source": False,
                "stored_fields": "_none_",
                "docvalue_fields": ["task", field, "stale"],
                "track_total_hits": False,
                "aggs": {"all": {"value_count": {"field": "task"}}},
            }
            if after:
                body["search_after"] = after
            answer = self._client.search(index, body)
            hits = answer.get("hits", {}).get("hits", [])
            for hit in hits:
                fields = hit["fields"]
                task = fields["task"][0]
                column.values[task] = fields[field][0] if field in fields else None
                if fields.get("stale") == [True]:
                    column.stale.add(task)
                else:
                    column.stale.discard(task)
            if len(hits) < PAGE:
                if hits:
                    column.number = hits[-1]["sort"][0]
                elif after:
                    column.number = after[0]
                total = answer.get("aggregations", {}).get("all", {}).get("value", 0)
                return len(column.values) == int(total)
            after = hits[-1]["sort"]
