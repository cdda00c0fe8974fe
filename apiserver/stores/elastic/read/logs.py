"""The log of a task: in order, searched, counted."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from apiserver.stores.elastic.client import PAGE, ElasticClient
from apiserver.stores.elastic.queries import Query, all_of, any_of, event_filters, event_of, span
from apiserver.stores.elastic.read.events import ElasticEventPages
from apiserver.stores.records import LOG, Cursor, EventQuery, LineSearch, LogSlice, LogStretch, Paging

LEVELS = 30
"""Levels that are counted one by one."""
MAX_WORDS = 3
"""Most words of a literal that narrow the search: the longest, which match fewest lines."""
MAX_LETTERS = 32
"""Most letters of such a word. Elasticsearch refuses wildcards of a hundred letters, and takes quadratic time for letters that repeat."""


class ElasticLogLines:
    """Reads of log lines."""

    def __init__(self, client: ElasticClient, reader: ElasticEventPages) -> None:
        self._client, self._reader = client, reader

    def scan(self, company: str, query: EventQuery, paging: Paging, search: LineSearch | None) -> Generator[LogStretch, None, None]:
        """`paging.limit`: most lines that are read for a stretch."""
        types = self._reader.indices(company, query.task, [LOG])
        if search is None:
            for hits, end in self._stretches(company, types, query, paging, []):
                if hits:
                    yield LogStretch([event_of(hit, types, "timestamp") for hit in hits], end)
            return
        for hits, end in self._stretches(company, types, query, paging, [{"exists": {"field": "msg"}}, *_narrowed(search.narrowing)]):
            indexes, looked = search.match([hit["_source"]["msg"] for hit in hits]) if hits else ([], 0)
            lines = [event_of(hits[place], types, "timestamp") for place in indexes]
            if looked < len(hits):
                last = hits[looked - 1]["_source"]
                yield LogStretch(lines, Cursor(last["timestamp"], last["timestamp"], last["seq"]))
                return
            yield LogStretch(lines, end)

    def _stretches(
        self, company: str, types: Mapping[str, str], query: EventQuery, paging: Paging, more: Sequence[Query]
    ) -> Iterator[tuple[list[dict[str, Any]], Cursor | None]]:
        """Hits, and the last of them unless the log ends there."""
        size = max(1, min(paging.limit, PAGE))
        after = paging.after
        while types:
            hits = self._reader.page_of_hits(company, types, query, "timestamp", paging.descending, after, size, more)
            last = hits[-1]["_source"] if len(hits) == size else None
            after = None if last is None else Cursor(last["timestamp"], last["timestamp"], last["seq"])
            yield hits, after
            if after is None:
                return

    def positions(self, company: str, task: str, cursors: Sequence[Cursor]) -> list[int]:
        types = self._reader.indices(company, task, [LOG])
        if not types or not cursors:
            return [0] * len(cursors)
        index = next(iter(types))
        filters, _ = event_filters(EventQuery(task, (LOG,)), None)
        searches: list[tuple[str, Query]] = []
        before: Cursor | None = None
        for cursor in cursors:  # each is counted from the one before it
            bounds = [any_of([{"range": {"timestamp": {"lt": cursor.timestamp}}}, _at(cursor, "lt")])]
            if before is not None:
                bounds.append(any_of([{"range": {"timestamp": {"gt": before.timestamp}}}, _at(before, "gte")]))
                bounds += span("timestamp", before.timestamp)
            searches.append((index, {"size": 0, "track_total_hits": True, "query": all_of([*filters, *bounds])}))
            before = cursor
        total = 0
        positions = []
        for answer in self._client.msearch(searches, "hits.total.value"):
            total += answer["hits"]["total"]["value"]
            positions.append(total)
        return positions

    def slices(self, company: str, task: str, interval: int, lo: int, hi: int) -> list[LogSlice]:
        types = self._reader.indices(company, task, [LOG])
        if not types:
            return []
        filters, _ = event_filters(EventQuery(task, (LOG,), min_timestamp=lo, max_timestamp=hi), None)
        by_level: Query = {"terms": {"field": "level", "size": LEVELS}}
        by_time: Query = {"histogram": {"field": "timestamp", "interval": interval, "min_doc_count": 1}, "aggs": {"level": by_level}}
        body: Query = {"size": 0, "track_total_hits": False, "query": all_of(filters), "aggs": {"time": by_time}}
        [answer] = self._client.msearch([(next(iter(types)), body)], "aggregations")
        return [_slice(bucket) for bucket in answer.get("aggregations", {}).get("time", {}).get("buckets", [])]


def _slice(bucket: Mapping[str, Any]) -> LogSlice:
    of_level = bucket["level"]
    levels: dict[str | None, int] = {item["key"]: item["doc_count"] for item in of_level["buckets"]}
    without = bucket["doc_count"] - sum(levels.values()) - of_level["sum_other_doc_count"]
    return LogSlice(int(bucket["key"]), bucket["doc_count"], levels | ({None: without} if without else {}))


def _at(cursor: Cursor, relation: str) -> Query:
    return all_of([{"term": {"timestamp": cursor.timestamp}}, {"range": {"seq": {relation: cursor.seq}}}])


def _narrowed(literal: str | None) -> list[Query]:
    """Filters that match every line that contains the literal.

    A run of ASCII letters and digits is never divided by the analyser, so it lies inside one indexed word, in lower case. The caller
    matches again, so other lines may match too; messages with overlong words always match.
    """
    runs = sorted(set(re.findall(r"[a-z0-9]+", literal.lower())) if literal and literal.isascii() else (), key=len, reverse=True)[
        :MAX_WORDS
    ]
    words: list[Query] = [{"wildcard": {"msg": {"value": f"*{run[:MAX_LETTERS]}*"}}} for run in runs]
    return [any_of([all_of(words), {"term": {"long": True}}])] if words else []
