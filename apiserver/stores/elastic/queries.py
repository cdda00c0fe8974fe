"""Conditions, orders and pages in Elasticsearch's query language, and hits as events."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from apiserver.stores.elastic.names import plain
from apiserver.stores.elastic.point_values import SPECIAL_VALUES, body_of, source_of
from apiserver.stores.means import GREATEST, SCALE
from apiserver.stores.records import SINGLE_VALUE_ITER, Axis, Cursor, EventQuery, Metrics, PagedEvent, SeriesKey, stored_event

Query = dict[str, Any]
MISSING = "-Infinity"
NO_MATCH: Query = {"match_none": {}}
MAX_TERM = 32_766
"""Bytes of the longest term that Lucene can hold; a search for a longer one is an error."""


MAX_TERMS = 65_536
"""Values of one clause: `index.max_terms_count`."""
MAX_GROUPS = 300
"""Groups of metrics with the same variants in one search: each is three clauses, of which Elasticsearch takes 1,024 where it has little memory."""


def terms(field: str, values: Collection[Any]) -> Query:
    """Documents with one of these values, however many. A text that is too long for a term is in no document."""
    fitting = [value for value in values if not isinstance(value, str) or len(value.encode("utf-8", "replace")) <= MAX_TERM]
    return any_of([{"terms": {field: fitting[start : start + MAX_TERMS]}} for start in range(0, len(fitting), MAX_TERMS)])


def series_filter(metrics: Metrics | None) -> list[Query]:
    """The metrics and variants that are let through."""
    if metrics is None:
        return []
    whole = [metric for metric, variants in metrics.items() if not variants]
    choices: list[Query] = [terms("metric", whole)] if whole else []
    choices += named_series({metric: variants for metric, variants in metrics.items() if variants})
    return [any_of(choices)]


def named_series(variants_of: Mapping[str, Collection[str]]) -> list[Query]:
    """The named variants of each metric. Metrics with the same variants share a clause: thousands of metrics are few clauses."""
    return [{"bool": {"filter": [terms("metric", names), terms("variant", variants)]}} for variants, names in _alike(variants_of).items()]


def parts_of(metrics: Metrics) -> list[Metrics]:
    """A filter in parts that select no event twice, each with no more clauses than one search takes. Mostly there is one."""
    whole = {metric: variants for metric, variants in metrics.items() if not variants}
    alike = list(_alike({metric: variants for metric, variants in metrics.items() if variants}).items())
    if len(alike) <= MAX_GROUPS:
        return [metrics]
    parts: list[Metrics] = [
        {metric: variants for variants, names in alike[start : start + MAX_GROUPS] for metric in names}
        for start in range(0, len(alike), MAX_GROUPS)
    ]
    return [*parts, whole] if whole else parts


def _alike(variants_of: Mapping[str, Collection[str]]) -> dict[tuple[str, ...], list[str]]:
    """The metrics that have the same variants."""
    found: dict[tuple[str, ...], list[str]] = {}
    for metric, variants in variants_of.items():
        found.setdefault(tuple(sorted(set(variants))), []).append(metric)
    return found


def any_of(choices: list[Query]) -> Query:
    if not choices:
        return NO_MATCH
    return choices[0] if len(choices) == 1 else {"bool": {"should": choices, "minimum_should_match": 1}}


def all_of(filters: Sequence[Query], without: Sequence[Query] = ()) -> Query:
    """Every filter holds, none of `without`; nothing is scored."""
    found: Query = {"filter": list(filters)}
    if without:
        found["must_not"] = list(without)
    return {"bool": found}


def span(field: str, lo: int | None = None, hi: int | None = None) -> list[Query]:
    """lo <= field <= hi, both optional."""
    bounds = {name: value for name, value in (("gte", lo), ("lte", hi)) if value is not None}
    return [{"range": {field: bounds}}] if bounds else []


def event_filters(query: EventQuery, log_index: str | None) -> tuple[list[Query], list[Query]]:
    """What must hold and what must not. `levels` are a matter of log lines only."""
    filters: list[Query] = [{"term": {"task": query.task}}, *series_filter(query.metrics)]
    without: list[Query] = []
    filters += span("iter", query.min_iter, query.max_iter)
    filters += span("timestamp", query.min_timestamp, query.max_timestamp)
    filters += span("seq", query.from_seq, query.until_seq)
    if query.iters is not None:
        filters.append(terms("iter", query.iters))
    if query.levels is not None and log_index is not None:
        others: Query = {"bool": {"must_not": [{"term": {"_index": log_index}}]}}
        filters.append(any_of([terms("level", query.levels), others]))
    if query.with_iter:
        filters.append({"exists": {"field": "iter"}})
        without.append({"term": {"iter": SINGLE_VALUE_ITER}})
    return filters, without


Zone = Literal["iter", "noiter", "timestamp"]
"""A part of an order that one search can page through: events with an iteration by it, those without by time (they come last on the iteration axis), or all
by time. One search over both would sort by whether there is an iteration first, and look at every event of the task for every page."""


def zones_of(order: Axis, after: Cursor | None) -> list[tuple[Zone, Cursor | None]]:
    """The zones that are left behind a cursor, each with the place in it where reading goes on (None: its beginning)."""
    if order == "timestamp":
        return [("timestamp", after)]
    if after is not None and after.key is None:
        return [("noiter", after)]
    return [("iter", after), ("noiter", None)]


def order_by(zone: Zone, descending: bool) -> list[dict[str, Any]]:
    """(axis, timestamp, seq)."""
    way = "desc" if descending else "asc"
    return [{field: way} for field in (("iter", "timestamp", "seq") if zone == "iter" else ("timestamp", "seq"))]


def search_after(zone: Zone, after: Cursor) -> list[int | None]:
    """The place of a cursor in that order."""
    return [after.key, after.timestamp, after.seq] if zone == "iter" else [after.timestamp, after.seq]


def zone_filters(zone: Zone, descending: bool, after: Cursor | None) -> list[Query]:
    """What is in a zone, from a cursor on: the search jumps over what was paged through; `search_after` alone would look at all of it again."""
    known: dict[Zone, list[Query]] = {"iter": [{"exists": {"field": "iter"}}], "noiter": [{"term": {"noiter": 1}}], "timestamp": []}
    filters = known[zone]
    if after is not None:
        field, key = ("iter", after.key) if zone == "iter" else ("timestamp", after.timestamp)
        filters += span(field, hi=key) if descending else span(field, lo=key)
    return filters


def event_of(hit: Mapping[str, Any], types: Mapping[str, str], order: Axis) -> PagedEvent:
    """A hit as clients read it. `types`: index -> event type."""
    source = source_of(hit)
    iteration = source.get("iter")
    timestamp, seq = source["timestamp"], source["seq"]
    if "value" in source or "special" in source:
        value = source.get("value")
        body: dict[str, Any] = {"value": None if value is None else float(value), **body_of(source)}
    elif "msg" in source or "level" in source:
        body = {name: source[name] for name in ("level", "msg") if name in source}
        body.update(body_of(source))
    else:
        body = body_of(source)
    key = SeriesKey(source["task"], types[plain(hit["_index"])], source["metric"], source["variant"])
    event = stored_event(key, iteration, timestamp, seq, source["worker"], source.get("model_event", False), body)
    return PagedEvent(event, Cursor(timestamp if order == "timestamp" else iteration, timestamp, seq))


SCALED_MEAN: Query = {"weighted_avg": {"value": {"field": "value"}, "weight": {"field": "special", "missing": SCALE}}}
"""The mean of values whose sum does not fit into a double: each counts `SCALE` times (those with a value have no `special`)."""


def fitting_mean(mean: float | str | None) -> float:
    """The mean that `SCALED_MEAN` answered; rounding may have made it infinite."""
    return math.nan if mean is None else min(max(float(mean), -GREATEST), GREATEST)


def point_value(value: float | str | None, special: int | None) -> float:
    """A scalar's value as a float, from the two fields that hold it. `MISSING` is what a sort value says of a field that is not there."""
    return SPECIAL_VALUES[special or 0] if value is None or value == MISSING else float(value)


def wanted_types(types: Collection[str] | None, everything: Collection[str]) -> list[str]:
    return [type for type in everything if types is None or type in types]
