"""Pages of events, counts, iterations, and the debug images that navigation needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from apiserver.common.fairness import paced
from apiserver.stores.elastic.client import PAGE, ElasticClient
from apiserver.stores.elastic.generations import Generations
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.point_values import POINT_DOCUMENT, VALUE_FIELDS, source_of
from apiserver.stores.elastic.queries import (
    Query,
    Zone,
    all_of,
    any_of,
    event_filters,
    event_of,
    order_by,
    parts_of,
    search_after,
    series_filter,
    span,
    zone_filters,
    zones_of,
)
from apiserver.stores.elastic.read.windows import windows_of
from apiserver.stores.elastic.series.store import series_query
from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.event_types import TYPES
from apiserver.stores.records import (
    IMAGE,
    MAX_ITER,
    MIN_ITER,
    SINGLE_VALUE_ITER,
    Cursor,
    EventQuery,
    ImageVariant,
    PagedEvent,
    Paging,
    SeriesKey,
)
from apiserver.stores.series_row import SeriesRow

EXACT = 2**53
POINT_VALUES: Query = {
    "_source": False,
    "stored_fields": "_none_",
    "docvalue_fields": list(VALUE_FIELDS),
}
CONDITIONS = 100
"""Most conditions of a search."""
EVENTS = 500
"""Events built before yielding to other requests."""
VARIANTS = 200
"""Variants processed together: building the conditions of more delays other requests."""
WAYS = ("desc", "asc")
IMAGES: list[Query] = [{"exists": {"field": "url"}}, {"exists": {"field": "iter"}}]
"""Images that a gallery can show."""


class ElasticEventPages:
    """Reads of the events of one task."""

    def __init__(self, client: ElasticClient, layout: Layout, generations: Generations, visibility: Visibility) -> None:
        self._client, self._layout, self._generations, self._visibility = client, layout, generations, visibility

    def indices(self, company: str, task: str, types: Collection[str]) -> dict[str, str]:
        """Index -> type, for the types of a task; everything acknowledged is visible. Empty when the task never had events."""
        view = self._visibility.view(company, [task])
        generation = self._generations.for_reading(company, [task], view).get(task)
        if generation is None:
            return {}
        found = {self._layout.events(type, company, generation): type for type in dict.fromkeys(types)}
        self._visibility.make_visible(view, {index: [task] for index in found})
        return found

    def page(self, company: str, query: EventQuery, paging: Paging) -> list[PagedEvent]:
        types = self.indices(company, query.task, query.types)
        order, descending, limit = paging.order, paging.descending, paging.limit
        if not types or limit <= 0:
            return []
        events: list[PagedEvent] = []
        for zone, place in zones_of(order, paging.after):
            while len(events) < limit:
                size = min(PAGE, limit - len(events))
                hits = self._point_hits(types, query, zone, descending, place, size)
                if hits is None:
                    hits = self.page_of_hits(company, types, query, zone, descending, place, size)
                events += [event_of(hit, types, order) for hit in paced(hits, EVENTS)]
                if len(hits) < size:
                    break
                place = events[-1].cursor
        return events

    def page_of_hits(
        self,
        company: str,
        types: Mapping[str, str],
        query: EventQuery,
        zone: Zone,
        descending: bool,
        after: Cursor | None,
        size: int,
        more: Sequence[Query] = (),
    ) -> list[dict[str, Any]]:
        """As `hits`, but does not sort a whole log to find its last lines. `more` filters let few lines through, so windows would not help."""
        windows = None
        if zone == "timestamp" and descending and not more and all(TYPES[type].is_lines for type in types.values()):
            windows = windows_of(self._client, self._layout, company, query, size)
        hits: list[dict[str, Any]] = []
        for filters in windows.before(after) if windows else (more,):
            hits = self.hits(types, query, zone, descending, after, size, filters)
            if len(hits) == size:
                break
        return hits

    def hits(
        self,
        types: Mapping[str, str],
        query: EventQuery,
        zone: Zone,
        descending: bool,
        after: Cursor | None,
        size: int,
        more: Sequence[Query] = (),
        whole: bool = True,
    ) -> list[dict[str, Any]]:
        """One page of hits: complete ones (`event_of` reads them), or doc values of points."""
        parts = query_parts(query)
        if len(parts) > 1:
            pages = [self.hits(types, part, zone, descending, after, size, more, whole) for part in parts]
            return sorted((hit for page in pages for hit in page), key=lambda hit: _place(hit, zone), reverse=descending)[:size]
        filters, without = event_filters(query, _line_index(types))
        filters += [*more, *zone_filters(zone, descending, after)]
        body: Query = {"size": size, "sort": order_by(zone, descending), "track_total_hits": False}
        if not whole:
            body |= POINT_VALUES
        elif any(TYPES[type].is_points for type in types.values()):
            body |= POINT_DOCUMENT
        if after is not None:
            body["search_after"] = search_after(zone, after)
        body["query"] = all_of(filters, without)
        answer = self._client.msearch([(",".join(types), body)], "hits.hits._index,hits.hits._source,hits.hits.fields")[0]
        found: list[dict[str, Any]] = answer.get("hits", {}).get("hits", [])
        return found

    def _point_hits(
        self, types: Mapping[str, str], query: EventQuery, zone: Zone, descending: bool, after: Cursor | None, size: int
    ) -> list[dict[str, Any]] | None:
        """One page of scalars from doc values, five times as fast as from stored fields, which are compressed in blocks of hundreds in
        another order than the page. None if scalars have other stored fields."""
        if zone != "iter" or not all(TYPES[type].is_points for type in types.values()):
            return None
        hits = self.hits(types, query, zone, descending, after, size, whole=False)
        if any("more" in hit["fields"] for hit in hits):
            return None
        return hits

    def count(self, company: str, query: EventQuery) -> int:
        types = self.indices(company, query.task, query.types)
        if not types:
            return 0
        searches: list[tuple[str, Query]] = []
        for part in query_parts(query):
            filters, without = event_filters(part, _line_index(types))
            searches.append((",".join(types), {"size": 0, "track_total_hits": True, "query": all_of(filters, without)}))
        return sum(int(answer["hits"]["total"]["value"]) for answer in self._client.msearch(searches, "hits.total.value"))

    def iterations(self, company: str, query: EventQuery, descending: bool, count: int, beyond: int | None) -> list[int]:
        types = self.indices(company, query.task, query.types)
        parts = query_parts(query)
        if len(parts) > 1:
            several = {iteration for part in parts for iteration in self.iterations(company, part, descending, count, beyond)}
            return sorted(several, reverse=descending)[:count]
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
        with_url = [index for index, type in types.items() if TYPES[type].has_url]
        if with_url:
            # A gallery cannot show an image without a url.
            without.append(all_of([{"terms": {"_index": with_url}}], [{"exists": {"field": "url"}}]))
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
        keys = [key for key, row in rows.items() if row.max_iter is not None]
        slices = [keys[start : start + VARIANTS] for start in range(0, len(keys), VARIANTS)]
        return [variant for some in slices for variant in self._variants(index, some, rows)]

    def _variants(self, index: str, keys: Sequence[SeriesKey], rows: Mapping[SeriesKey, SeriesRow]) -> list[ImageVariant]:
        ends = self._first_hits(index, [(series_query(key, *IMAGES, _at(rows[key], way)), way) for key in keys for way in WAYS])
        missed = [place for place, hit in enumerate(ends) if hit is None]  # the first or last events of these have no url
        searched = self._first_hits(index, [(series_query(keys[place // 2], *IMAGES), WAYS[place % 2]) for place in missed])
        for place, hit in zip(missed, searched, strict=True):
            ends[place] = hit
        found = {key: (last, first) for key, last, first in zip(keys, ends[::2], ends[1::2], strict=True) if last and first}
        nearby: list[tuple[Query, str]] = []
        for key, (last, first) in found.items():
            nearby.append((_with_url(key, last["url"], {"lt": last["iter"]}), "desc"))
            nearby.append((_with_url(key, first["url"], {"gt": first["iter"]}), "desc"))
        hits = self._first_hits(index, nearby)
        # If the file of the oldest image was not overwritten, none was.
        valid_from = self._valid_from(index, [key for key, again in zip(found, hits[1::2], strict=True) if again], rows)
        variants = []
        for (key, (last, first)), before in zip(found.items(), hits[::2], strict=True):
            previous, since = before["iter"] if before else None, valid_from.get(key, first["iter"])
            variants.append(ImageVariant(key.metric, key.variant, last["iter"], last["url"], previous, since, rows[key].max_timestamp or 0))
        return variants

    def _first_hits(self, index: str, wanted: Sequence[tuple[Query, str]]) -> list[dict[str, Any] | None]:
        """Iteration and url of the event behind each condition with the greatest ("desc") or least ("asc") iteration, and of those with the greatest
        or least url; many conditions are one search."""
        searches: list[tuple[str, Query]] = []
        for start in range(0, len(wanted), CONDITIONS):
            aggregations: Query = {}
            some = wanted[start : start + CONDITIONS]
            for place, (condition, way) in enumerate(some):
                first = {"size": 1, "sort": [{"iter": way}, {"url": way}], "_source": False, "docvalue_fields": ["iter", "url"]}
                aggregations[str(place)] = {"filter": condition, "aggs": {"first": {"top_hits": first | {"stored_fields": "_none_"}}}}
            query = any_of([condition for condition, _ in some])
            searches.append((index, {"size": 0, "track_total_hits": False, "query": query, "aggs": aggregations}))
        found: list[dict[str, Any] | None] = []
        for answer in self._client.msearch(searches, "aggregations.*.first.hits.hits.fields"):
            parts = answer.get("aggregations", {})
            for place in range(min(CONDITIONS, len(wanted) - len(found))):
                hits = parts.get(str(place), {}).get("first", {}).get("hits", {}).get("hits")
                found.append({name: values[0] for name, values in hits[0]["fields"].items()} if hits else None)
        return found

    def _valid_from(self, index: str, rings: Sequence[SeriesKey], rows: Mapping[SeriesKey, SeriesRow]) -> dict[SeriesKey, int]:
        """For series that reuse urls: the least of the last iterations of their urls."""
        doubles = dict.fromkeys(key for key in rings if max(-(rows[key].min_iter or 0), rows[key].max_iter or 0) < EXACT)
        greatest = {"max": {"field": "iter"}}
        # A ring has few urls: counting them by name is faster than building the ordinals of all urls of the index.
        first = {"terms": {"field": "url", "size": 1, "order": {"last": "asc"}, "execution_hint": "map"}, "aggs": {"last": greatest}}
        searches: list[tuple[str, Query]] = [
            (index, {"size": 0, "query": series_query(key, *IMAGES), "track_total_hits": False, "aggs": {"first": first}})
            for key in doubles
        ]
        answers = self._client.msearch(searches, "aggregations.first.buckets.last")
        valid_from = {
            key: int(answer["aggregations"]["first"]["buckets"][0]["last"]["value"]) for key, answer in zip(doubles, answers, strict=True)
        }
        return valid_from | {key: self._valid_from_in_integers(index, key) for key in rings if key not in doubles}

    def _valid_from_in_integers(self, index: str, key: SeriesKey) -> int:
        """The same for iterations that are too great for the doubles of Elasticsearch's aggregations."""
        last: dict[str, int] = {}
        body: Query = {"query": series_query(key, *IMAGES), "_source": ["url", "iter"]}
        for hits in self._client.scan(index, body | {"sort": ["iter", "timestamp", "seq"]}):
            last.update((hit["_source"]["url"], hit["_source"]["iter"]) for hit in hits)
        return min(last.values())


def query_parts(query: EventQuery) -> list[EventQuery]:
    """The query in disjoint parts, because a search takes a limited number of clauses."""
    if query.metrics is None:
        return [query]
    parts = parts_of(query.metrics)
    return [query] if len(parts) == 1 else [replace(query, metrics=part) for part in parts]


def _place(hit: Mapping[str, Any], zone: Zone) -> tuple[int, int, int]:
    source = source_of(hit)
    return (source["iter"] if zone == "iter" else 0, source["timestamp"], source["seq"])


def _line_index(types: Mapping[str, str]) -> str | None:
    """The index of log lines among these."""
    return next((index for index, type in types.items() if TYPES[type].is_lines), None)


def _at(row: SeriesRow, way: str) -> Query:
    """Where a series ends or begins."""
    return {"term": {"iter": row.max_iter if way == "desc" else row.min_iter}}


def _with_url(key: SeriesKey, url: str, iterations: Query) -> Query:
    """The images of a series with this url, in this range of iterations."""
    return series_query(key, {"term": {"url": url}}, {"range": {"iter": iterations}})
