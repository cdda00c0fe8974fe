"""The log of a task: in order, searched, counted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from apiserver.stores.elastic.client import PAGE, ElasticClient
from apiserver.stores.elastic.queries import Query, all_of, any_of, event_filters, event_of, span
from apiserver.stores.elastic.read.events import ElasticEventPages
from apiserver.stores.records import LOG, Cursor, EventQuery, LineSearch, PagedEvent, Paging

MAX_WORDS = 3
"""Words of a literal that narrow the search; the longest ones say most."""


class ElasticLogLines:
    """Reads of log lines."""

    def __init__(self, client: ElasticClient, reader: ElasticEventPages) -> None:
        self._client, self._reader = client, reader

    def scan(self, company: str, query: EventQuery, paging: Paging, search: LineSearch | None) -> Iterator[list[PagedEvent]]:
        """`paging.limit`: lines a list, at most."""
        types = self._reader.indices(company, query.task, [LOG])
        if search is None:
            for hits in self._stretches(types, query, paging, []):
                yield [event_of(hit, types, "timestamp") for hit in hits]
            return
        for hits in self._stretches(types, query, paging, [{"exists": {"field": "msg"}}, *_narrowed(search.narrowing)]):
            found = search.match([hit["_source"]["msg"] for hit in hits])
            yield [event_of(hits[place], types, "timestamp") for place in found]

    def _stretches(
        self, types: Mapping[str, str], query: EventQuery, paging: Paging, more: Sequence[Query]
    ) -> Iterator[list[dict[str, Any]]]:
        size = max(1, min(paging.limit, PAGE))
        after = paging.after
        while types:
            hits = self._reader.hits(types, query, "timestamp", paging.descending, after, size, more)
            if hits:
                yield hits
            if len(hits) < size:
                return
            last = hits[-1]["_source"]
            after = Cursor(last["timestamp"], last["timestamp"], last["seq"])

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


def _at(cursor: Cursor, relation: str) -> Query:
    return all_of([{"term": {"timestamp": cursor.timestamp}}, {"range": {"seq": {relation: cursor.seq}}}])


def _narrowed(literal: str | None) -> list[Query]:
    """Filters that let every line through which contains the literal.

    A run of ASCII letters and digits is never divided by the analyser, so it lies inside one indexed word, in lower case. The caller
    matches again, so letting more through is no harm; messages with overlong words are always let through.
    """
    runs = sorted(set(re.findall(r"[a-z0-9]+", literal.lower())) if literal and literal.isascii() else (), key=len, reverse=True)[
        :MAX_WORDS
    ]
    words: list[Query] = [{"wildcard": {"msg": {"value": f"*{run}*"}}} for run in runs]
    return [any_of([all_of(words), {"term": {"long": True}}])] if words else []
