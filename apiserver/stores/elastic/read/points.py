"""Points of scalars as columns, read by pages whose hits carry nothing but sort values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from apiserver.stores.elastic.client import PAGE, ElasticClient
from apiserver.stores.elastic.point_values import POINT_DOCUMENT, body_of, source_of
from apiserver.stores.elastic.queries import MISSING, NO_MATCH, Query, all_of, any_of, named_series, point_value, span
from apiserver.stores.elastic.series.store import SeriesStore, series_query
from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.records import Axis, Cursor, PointColumns, SeriesKey

MAX_TERMS = 1_000
"""Iterations that are worth naming one by one."""


@dataclass(slots=True)
class _Rows:
    """Points as they come: equal lengths."""

    iters: list[int]
    timestamps: list[int]
    seqs: list[int]
    values: list[float]

    def columns(self, key: SeriesKey) -> PointColumns:
        return PointColumns(
            key,
            np.array(self.iters, np.int64),
            np.array(self.values, np.float64),
            np.array(self.timestamps, np.int64),
            np.array(self.seqs, np.int64),
        )


class ElasticPoints:
    """Reads of scalar series."""

    def __init__(self, client: ElasticClient, visibility: Visibility, series: SeriesStore) -> None:
        self._client, self._visibility, self._series = client, visibility, series

    def _indices(self, company: str, keys: Sequence[SeriesKey]) -> Mapping[SeriesKey, str]:
        view = self._visibility.view(company, list(dict.fromkeys(key.task for key in keys)))
        return self._series.event_indices(company, dict.fromkeys(keys), view)

    # --- points

    def points(
        self,
        company: str,
        keys: Sequence[SeriesKey],
        axis: Axis,
        after: Cursor | None,
        limit: int | None,
        lo: int | None,
        hi: int | None,
        until_seq: int | None,
    ) -> list[PointColumns]:
        indices = self._indices(company, keys)
        filters = span(axis, lo, hi) + span("seq", None, until_seq)
        if limit is None and after is None and axis == "iter":
            found = {key: self.all_points(key, index, filters) for key, index in indices.items()}
            return [rows.columns(key) for key, rows in found.items() if rows.iters]
        by_index: dict[str, list[SeriesKey]] = {}
        for key, index in indices.items():
            by_index.setdefault(index, []).append(key)
        if not by_index:
            return []
        index, wanted = next(iter(by_index.items()))
        return self._merged(index, wanted, axis, after, limit, filters)

    def all_points(self, key: SeriesKey, index: str, filters: list[Query]) -> _Rows:
        """All points of one series by iteration: the order of the index itself, so a page ends as soon as it is full."""
        rows = _Rows([], [], [], [])
        sort = [{"task": "asc"}, {"metric": "asc"}, {"variant": "asc"}, {"iter": "asc"}, *_payload()]
        after: list[Any] | None = None
        while True:
            bound = [] if after is None else span("iter", after[3])
            query = series_query(key, {"exists": {"field": "iter"}}, *filters, *bound)
            body: Query = {
                "size": PAGE,
                "_source": False,
                "stored_fields": "_none_",
                "query": query,
                "sort": sort,
                "track_total_hits": False,
            }
            if after is not None:
                body["search_after"] = after
            hits = self._client.msearch([(index, body)], "hits.hits.sort")[0].get("hits", {}).get("hits", [])
            if hits:
                _, _, _, iters, timestamps, seqs, values, specials = zip(*(hit["sort"] for hit in hits), strict=True)
                rows.iters += iters
                rows.timestamps += timestamps
                rows.seqs += seqs
                rows.values += map(point_value, values, specials) if any(specials) or MISSING in values else values
            if len(hits) < PAGE:
                return rows
            after = hits[-1]["sort"]

    def _merged(
        self, index: str, keys: Sequence[SeriesKey], axis: Axis, after: Cursor | None, limit: int | None, filters: list[Query]
    ) -> list[PointColumns]:
        """The first points of many series of one task in the order (axis, timestamp, seq)."""
        found: dict[tuple[str, str], _Rows] = {(key.metric, key.variant): _Rows([], [], [], []) for key in keys}
        names = {(key.metric, key.variant): key for key in keys}
        sort: list[Any] = [{axis: "asc"}, *_payload(), {"iter": "asc"}, {"metric": "asc"}, {"variant": "asc"}]
        choices = choices_of(keys)
        place: list[Any] | None = None
        left = limit
        while left is None or left > 0:
            bound: list[Query] = []
            if place is not None:
                bound = span(axis, place[0])
            elif after is not None and after.key is not None:
                bound = span(axis, after.key)
            query = all_of([{"term": {"task": keys[0].task}}, {"exists": {"field": "iter"}}, choices, *filters, *bound])
            size = PAGE if left is None else min(PAGE, left)
            body: Query = {
                "size": size,
                "_source": False,
                "stored_fields": "_none_",
                "query": query,
                "sort": sort,
                "track_total_hits": False,
            }
            if place is not None:
                body["search_after"] = place
            elif after is not None and after.key is not None:
                # After every value that can stand beside this seq.
                body["search_after"] = [after.key, after.timestamp, after.seq, "Infinity", 127, 2**63 - 1, "\U0010ffff", "\U0010ffff"]
            hits = self._client.msearch([(index, body)], "hits.hits.sort")[0].get("hits", {}).get("hits", [])
            for hit in hits:
                _, timestamp, seq, value, special, iteration, metric, variant = hit["sort"]
                rows = found[metric, variant]
                rows.iters.append(iteration)
                rows.timestamps.append(timestamp)
                rows.seqs.append(seq)
                rows.values.append(point_value(value, special))
            if len(hits) < size:
                break
            place = hits[-1]["sort"]
            left = None if left is None else left - len(hits)
        return [rows.columns(names[name]) for name, rows in found.items() if rows.iters]

    def extras(
        self, company: str, keys: Sequence[SeriesKey], lo: int | None, hi: int | None, iters: Sequence[int] | None
    ) -> dict[SeriesKey, dict[int, dict[str, Any]]]:
        """The fields kept with points, by iteration."""
        indices = self._indices(company, keys)
        found: dict[SeriesKey, dict[int, dict[str, Any]]] = {}
        for index in dict.fromkeys(indices.values()):
            mine = [key for key, where in indices.items() if where == index]
            names = {(key.task, key.metric, key.variant): key for key in mine}
            tasks = list({key.task for key in mine})
            bounds = span("iter", lo, hi)
            if iters is not None:
                bounds += span("iter", min(iters), max(iters)) if iters else [NO_MATCH]
                if len(iters) <= MAX_TERMS:
                    bounds.append({"terms": {"iter": list(iters)}})
            query = all_of([{"terms": {"task": tasks}}, {"term": {"more": 1}}, {"exists": {"field": "iter"}}, choices_of(mine), *bounds])
            sort = ["task", "metric", "variant", "iter"]
            for hits in self._client.scan(index, {"query": query, "sort": sort} | POINT_DOCUMENT):
                for hit in hits:
                    source = source_of(hit)
                    key = names.get((source["task"], source["metric"], source["variant"]))
                    if key is not None and (body := body_of(source)):
                        found.setdefault(key, {})[source["iter"]] = body
        return found


def _payload() -> list[Any]:
    """Timestamp, seq and value as sort values: a hit then carries nothing else, and hits are what a page costs."""
    return [
        {"timestamp": "asc"},
        {"seq": "asc"},
        {"value": {"order": "asc", "missing": "_first"}},
        {"special": {"order": "asc", "missing": 0}},
    ]


def choices_of(keys: Sequence[SeriesKey]) -> Query:
    """The series of these metrics and variants, whatever their task."""
    by_metric: dict[str, set[str]] = {}
    for key in keys:
        by_metric.setdefault(key.metric, set()).add(key.variant)
    return any_of(named_series(by_metric))
