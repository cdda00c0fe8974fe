"""Points of scalars as columns, read by pages whose hits carry nothing but sort values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from apiserver.common.fairness import paced
from apiserver.stores.elastic.client import PAGE, SEARCHES, ElasticClient
from apiserver.stores.elastic.point_values import POINT_DOCUMENT, body_of, source_of
from apiserver.stores.elastic.queries import MISSING, NO_MATCH, Query, all_of, any_of, named_series, parts_of, point_value, span
from apiserver.stores.elastic.series.store import SERIES, SeriesStore, series_query
from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.records import Axis, Cursor, Ints, PointColumns, SeriesKey

MAX_TERMS = 1_000
"""Most iterations that a query lists one by one."""


@dataclass(slots=True)
class _Rows:
    """Points in the order in which they are read, as columns of equal length."""

    iters: list[int]
    timestamps: list[int]
    seqs: list[int]
    values: list[float]

    def take(self, found: Sequence[Sequence[Any]]) -> None:
        """Add points: iteration and `_payload` of each."""
        if found:
            iters, timestamps, seqs, values, specials = zip(*found, strict=True)
            self.iters += iters
            self.timestamps += timestamps
            self.seqs += seqs
            self.values += map(point_value, values, specials) if any(specials) or MISSING in values else values

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
            if lo is not None and hi is not None and hi - lo < PAGE:
                return self._stretch(indices, filters, hi - lo + 1)
            whole = {key: self.all_points(key, index, filters) for key, index in indices.items()}
            return [rows.columns(key) for key, rows in paced(whole.items(), SERIES) if rows.iters]
        # Numbers and attributes (the other values of rows) are in separate indices.
        found = _Taken()
        for index, part in _parts(indices):
            bound = found.last(axis) if limit is not None and len(found) >= limit else None
            found.add(*self._first_points(index, part, axis, after, limit, [*filters, *span(axis, None, bound)]))
            found.cut(axis, limit)
        return found.columns()

    def _stretch(self, indices: Mapping[SeriesKey, str], filters: list[Query], width: int) -> list[PointColumns]:
        """The points of series at so few iterations that a page holds those of each; several series share a search."""
        found: list[PointColumns] = []
        body: Query = {"size": PAGE, "_source": False, "stored_fields": "_none_", "sort": [{"iter": "asc"}, *_payload()]}
        body["track_total_hits"] = False
        asked = list(indices.items())
        for start in range(0, len(asked), at_once := max(1, min(SEARCHES, PAGE // width))):
            some = asked[start : start + at_once]
            searches = [(index, {**body, "query": series_query(key, {"exists": {"field": "iter"}}, *filters)}) for key, index in some]
            for (key, _), answer in zip(some, self._client.msearch(searches, "hits.hits.sort"), strict=True):
                rows = _Rows([], [], [], [])
                rows.take([hit["sort"] for hit in answer.get("hits", {}).get("hits", [])])
                if rows.iters:
                    found.append(rows.columns(key))
        return found

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
            rows.take([hit["sort"][3:] for hit in hits])
            if len(hits) < PAGE:
                return rows
            after = hits[-1]["sort"]

    def _first_points(
        self, index: str, keys: Sequence[SeriesKey], axis: Axis, after: Cursor | None, limit: int | None, filters: list[Query]
    ) -> tuple[list[SeriesKey], PointColumns]:
        """The first points of many series of one task and index in the order (axis, timestamp, seq), and the series of each."""
        names = {(key.metric, key.variant): key for key in keys}
        sort: list[Any] = [{axis: "asc"}, *_payload(), {"iter": "asc"}, {"metric": "asc"}, {"variant": "asc"}]
        choices = choices_of(keys)
        owners: list[SeriesKey] = []
        rows = _Rows([], [], [], [])
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
                owners.append(names[metric, variant])
                rows.iters.append(iteration)
                rows.timestamps.append(timestamp)
                rows.seqs.append(seq)
                rows.values.append(point_value(value, special))
            if len(hits) < size:
                break
            place = hits[-1]["sort"]
            left = None if left is None else left - len(hits)
        return owners, rows.columns(keys[0])

    def extras(
        self, company: str, keys: Sequence[SeriesKey], lo: int | None, hi: int | None, iters: Sequence[int] | None
    ) -> dict[SeriesKey, dict[int, dict[str, Any]]]:
        """The fields kept with points, by iteration."""
        indices = self._indices(company, keys)
        found: dict[SeriesKey, dict[int, dict[str, Any]]] = {}
        for index, mine in _parts(indices):
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


class _Taken:
    """The first points found so far, of many series in one order."""

    def __init__(self) -> None:
        self._keys: list[SeriesKey] = []
        self._owners = np.empty(0, np.int64)
        self._iters, self._timestamps, self._seqs = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64)
        self._values = np.empty(0)

    def __len__(self) -> int:
        return len(self._owners)

    def add(self, owners: Sequence[SeriesKey], points: PointColumns) -> None:
        """Points and the series of each."""
        numbers = {key: number for number, key in enumerate(dict.fromkeys(owners), len(self._keys))}
        self._keys += numbers
        self._owners = np.append(self._owners, np.array([numbers[key] for key in owners], np.int64))
        self._iters, self._values = np.append(self._iters, points.iters), np.append(self._values, points.values)
        self._timestamps, self._seqs = np.append(self._timestamps, points.timestamps), np.append(self._seqs, points.seqs)

    def last(self, axis: Axis) -> int:
        """The cursor of the last point."""
        return int(self._along(axis)[-1])

    def cut(self, axis: Axis, limit: int | None) -> None:
        """Sort the points and keep the first."""
        order = np.lexsort((self._seqs, self._timestamps, self._along(axis)))[:limit]
        self._owners, self._iters, self._values = self._owners[order], self._iters[order], self._values[order]
        self._timestamps, self._seqs = self._timestamps[order], self._seqs[order]

    def columns(self) -> list[PointColumns]:
        """By series."""
        order = np.argsort(self._owners, kind="stable")
        found = []
        for places in np.split(order, np.flatnonzero(np.diff(self._owners[order])) + 1):
            if len(places):
                key = self._keys[int(self._owners[places[0]])]
                found.append(PointColumns(key, self._iters[places], self._values[places], self._timestamps[places], self._seqs[places]))
        return found

    def _along(self, axis: Axis) -> Ints:
        return self._iters if axis == "iter" else self._timestamps


def _parts(indices: Mapping[SeriesKey, str]) -> Iterator[tuple[str, list[SeriesKey]]]:
    """The series of an index, in parts that are small enough for a search."""
    by_index: dict[str, dict[str, dict[str, list[SeriesKey]]]] = {}
    for key, index in indices.items():
        by_index.setdefault(index, {}).setdefault(key.metric, {}).setdefault(key.variant, []).append(key)
    for index, metrics in by_index.items():
        for part in parts_of(metrics):
            yield index, [key for metric in part for keys in metrics[metric].values() for key in keys]


def _payload() -> list[Any]:
    """Timestamp, seq and value as sort values: hits then carry nothing else, and most of a page's time is spent on hits."""
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
