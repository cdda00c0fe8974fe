"""Pages of events, counts, iterations, and what navigation needs of debug images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.stores.elastic.client import PAGE, ElasticClient
from apiserver.stores.elastic.freshness import Freshness
from apiserver.stores.elastic.generations import Generations
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.queries import (
    Query,
    all_of,
    event_filters,
    order_by,
    search_after,
    series_filter,
    skip_to,
    span,
    stored_event,
)
from apiserver.stores.elastic.series_store import series_query
from apiserver.stores.records import (
    IMAGE,
    LOG,
    MAX_ITER,
    MIN_ITER,
    SINGLE_VALUE_ITER,
    Axis,
    Cursor,
    EventQuery,
    ImageVariant,
    SeriesKey,
    StoredEvent,
)
from apiserver.stores.series_row import SeriesRow

EXACT = 2**53


class Reader:
    """Reads of the events of one task."""

    def __init__(self, client: ElasticClient, layout: Layout, generations: Generations, freshness: Freshness) -> None:
        self._client, self._layout, self._generations, self._freshness = client, layout, generations, freshness

    def indices(self, company: str, task: str, types: Sequence[str]) -> dict[str, str]:
        """Index -> type, for the types of a task; everything acknowledged is visible. Empty when the task never had events."""
        view = self._freshness.view(company, [task])
        generation = self._generations.for_reading(company, [task], view).get(task)
        if generation is None:
            return {}
        found = {self._layout.events(type, company, generation): type for type in dict.fromkeys(types)}
        self._freshness.see(view, {index: [task] for index in found})
        return found

    def page(self, company: str, query: EventQuery, order: Axis, descending: bool, after: Cursor | None, limit: int) -> list[StoredEvent]:
        types = self.indices(company, query.task, query.types)
        if not types or limit <= 0:
            return []
        events: list[StoredEvent] = []
        while len(events) < limit:
            size = min(PAGE, limit - len(events))
            hits = self.hits(types, query, order, descending, after, size)
            events += [stored_event(hit, types, order) for hit in hits]
            if len(hits) < size:
                break
            after = events[-1]["_cursor"]
        return events

    def hits(
        self,
        types: Mapping[str, str],
        query: EventQuery,
        order: Axis,
        descending: bool,
        after: Cursor | None,
        size: int,
        more: Sequence[Query] = (),
    ) -> list[dict[str, Any]]:
        """One page of hits."""
        filters, without = event_filters(query, next((index for index, type in types.items() if type == LOG), None))
        filters += more
        body: Query = {"size": size, "sort": order_by(order, descending), "track_total_hits": False}
        if after is not None:
            body["search_after"] = search_after(order, descending, after)
            filters += skip_to(order, descending, after)
        body["query"] = all_of(filters, without)
        answer = self._client.msearch([(",".join(types), body)], "hits.hits._index,hits.hits._source")[0]
        found: list[dict[str, Any]] = answer.get("hits", {}).get("hits", [])
        return found

    def count(self, company: str, query: EventQuery) -> int:
        types = self.indices(company, query.task, query.types)
        if not types:
            return 0
        filters, without = event_filters(query, next((index for index, type in types.items() if type == LOG), None))
        body: Query = {"size": 0, "track_total_hits": True, "query": all_of(filters, without)}
        return int(self._client.msearch([(",".join(types), body)], "hits.total.value")[0]["hits"]["total"]["value"])

    def iterations(self, company: str, query: EventQuery, descending: bool, count: int, beyond: int | None) -> list[int]:
        types = self.indices(company, query.task, query.types)
        found: list[int] = []
        while types and len(found) < count:
            size = min(PAGE, count - len(found))
            more = self._some_iterations(types, query, descending, size, beyond)
            found += more
            if len(more) < size:
                break
            beyond = more[-1]
        return found

    def _some_iterations(self, types: Mapping[str, str], query: EventQuery, descending: bool, size: int, beyond: int | None) -> list[int]:
        lo, hi = query.min_iter, query.max_iter
        if beyond is not None:
            if beyond == (MIN_ITER if descending else MAX_ITER):
                return []
            lo, hi = (
                (lo, min(MAX_ITER if hi is None else hi, beyond - 1))
                if descending
                else (max(MIN_ITER if lo is None else lo, beyond + 1), hi)
            )
        filters: list[Query] = [{"term": {"task": query.task}}, *series_filter(query.metrics), {"exists": {"field": "iter"}}]
        filters += span("iter", lo, hi) + span("seq", None, query.until_seq)
        without: list[Query] = [{"term": {"iter": SINGLE_VALUE_ITER}}]
        images = [index for index, type in types.items() if type == IMAGE]
        if images:
            # A gallery can't show what has no url.
            without.append(all_of([{"term": {"_index": images[0]}}], [{"exists": {"field": "url"}}]))
        # The nearest ones, each once: collapsing keeps 64-bit integers exact, aggregations would compute in doubles.
        body: Query = {
            "size": size,
            "query": all_of(filters, without),
            "sort": [{"iter": "desc" if descending else "asc"}],
            "collapse": {"field": "iter"},
            "_source": False,
            "track_total_hits": False,
        }
        answer = self._client.msearch([(",".join(types), body)], "hits.hits.sort")[0]
        return [hit["sort"][0] for hit in answer.get("hits", {}).get("hits", [])]

    # --- debug images

    def image_variants(self, company: str, task: str, rows: Mapping[SeriesKey, SeriesRow]) -> list[ImageVariant]:
        """`rows`: the image series of the task, in order."""
        types = self.indices(company, task, [IMAGE])
        if not types or not rows:
            return []
        index = next(iter(types))
        big = [row for row in rows.values() if max(-(row.min_iter or 0), row.max_iter or 0) >= EXACT]
        with_url: list[Query] = [{"exists": {"field": "url"}}, {"exists": {"field": "iter"}}]
        greatest = {"max": {"field": "iter"}}
        oldest = {"terms": {"field": "url", "size": 1, "order": {"last": "asc"}}, "aggs": {"last": greatest}}
        searches: list[tuple[str, Query]] = []
        for key in rows:
            body: Query = {"size": 1, "_source": ["iter", "url"], "query": series_query(key, *with_url), "track_total_hits": False}
            body |= {"sort": [{"iter": "desc"}, {"url": "desc"}]}
            searches.append((index, body if big else body | {"aggs": {"oldest": oldest}}))
        newest = self._client.msearch(searches, "hits.hits._source,aggregations.oldest.buckets.last")
        found: list[tuple[SeriesKey, int, str, int]] = []
        for key, answer in zip(rows, newest, strict=True):
            hits = answer.get("hits", {}).get("hits")
            if hits:
                source = hits[0]["_source"]
                valid_from = self._valid_from(index, key) if big else int(answer["aggregations"]["oldest"]["buckets"][0]["last"]["value"])
                found.append((key, source["iter"], source["url"], valid_from))
        searches = []
        for key, iteration, url, _ in found:
            query = series_query(key, {"term": {"url": url}}, {"range": {"iter": {"lt": iteration}}})
            searches.append((index, {"size": 1, "_source": False, "query": query, "sort": [{"iter": "desc"}], "track_total_hits": False}))
        variants = []
        for (key, iteration, url, valid_from), answer in zip(found, self._client.msearch(searches, "hits.hits.sort"), strict=True):
            hits = answer.get("hits", {}).get("hits")
            previous = hits[0]["sort"][0] if hits else None
            variants.append(ImageVariant(key.metric, key.variant, iteration, url, previous, valid_from, rows[key].max_timestamp or 0))
        return variants

    def _valid_from(self, index: str, key: SeriesKey) -> int:
        """The least of the greatest iterations of every url, in integers."""
        last: dict[str, int] = {}
        body: Query = {"query": series_query(key, {"exists": {"field": "url"}}, {"exists": {"field": "iter"}}), "_source": ["url", "iter"]}
        for hits in self._client.scan(index, body | {"sort": ["iter", "timestamp", "seq"]}):
            last.update((hit["_source"]["url"], hit["_source"]["iter"]) for hit in hits)
        return min(last.values())
