"""Conditions, orders and pages in Elasticsearch's query language, and hits as events."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from apiserver.stores.elastic.bodies import SPECIAL_VALUES, body_of
from apiserver.stores.records import MAX_ITER, MIN_ITER, SINGLE_VALUE_ITER, Axis, Cursor, EventQuery, Metrics, StoredEvent, document

Query = dict[str, Any]
MISSING = "-Infinity"
NO_MATCH: Query = {"match_none": {}}


def series_filter(metrics: Metrics | None) -> list[Query]:
    """The metrics and variants that are let through."""
    if metrics is None:
        return []
    whole = [metric for metric, variants in metrics.items() if not variants]
    choices: list[Query] = [{"terms": {"metric": whole}}] if whole else []
    choices += named_series({metric: variants for metric, variants in metrics.items() if variants})
    return [any_of(choices)]


def named_series(variants_of: Mapping[str, Collection[str]]) -> list[Query]:
    """The named variants of each metric. Metrics with the same variants share a clause: thousands of metrics are few clauses."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for metric, variants in variants_of.items():
        alike.setdefault(tuple(sorted(variants)), []).append(metric)
    return [
        {"bool": {"filter": [{"terms": {"metric": names}}, {"terms": {"variant": list(variants)}}]}} for variants, names in alike.items()
    ]


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
        filters.append({"terms": {"iter": list(query.iters)}} if query.iters else NO_MATCH)
    if query.levels is not None and log_index is not None:
        others: Query = {"bool": {"must_not": [{"term": {"_index": log_index}}]}}
        filters.append(any_of([{"terms": {"level": list(query.levels)}} if query.levels else NO_MATCH, others]))
    if query.with_iter:
        filters.append({"exists": {"field": "iter"}})
        without.append({"term": {"iter": SINGLE_VALUE_ITER}})
    return filters, without


def order_by(order: Axis, descending: bool) -> list[dict[str, Any]]:
    """(axis, timestamp, seq); events without iteration come last on the iteration axis in both directions."""
    way = "desc" if descending else "asc"
    plain: list[dict[str, Any]] = [{"timestamp": way}, {"seq": way}]
    if order == "timestamp":
        return plain
    return [{"noiter": {"order": "asc", "missing": 0}}, {"iter": {"order": way, "missing": "_last"}}, *plain]


def search_after(order: Axis, descending: bool, after: Cursor) -> list[int]:
    """The place of a cursor in that order."""
    if order == "timestamp":
        return [after.timestamp, after.seq]
    if after.key is None:
        return [1, MIN_ITER if descending else MAX_ITER, after.timestamp, after.seq]
    return [0, after.key, after.timestamp, after.seq]


def skip_to(order: Axis, descending: bool, after: Cursor) -> list[Query]:
    """A filter that lets the search jump over what was paged through; `search_after` alone would look at all of it again."""
    key = after.timestamp if order == "timestamp" else after.key
    if key is None:
        return [{"term": {"noiter": 1}}]
    field = "timestamp" if order == "timestamp" else "iter"
    near = {"range": {field: {"lte" if descending else "gte": key}}}
    if order == "timestamp":
        return [near]
    return [any_of([near, {"term": {"noiter": 1}}])]


def stored_event(hit: Mapping[str, Any], types: Mapping[str, str], order: Axis) -> StoredEvent:
    """A hit as clients read it. `types`: index -> event type."""
    source = hit["_source"]
    type = types[hit["_index"]]
    iteration = source.get("iter")
    timestamp, seq = source["timestamp"], source["seq"]
    if "value" in source or "special" in source:
        value = source.get("value")
        body: dict[str, Any] = {"value": None if value is None else float(value)}
        if "body" in source:
            body.update(source["body"])
    elif "msg" in source or "level" in source:
        body = {name: source[name] for name in ("level", "msg") if name in source}
        if "body" in source:
            body.update(source["body"])
    else:
        body = body_of(dict(source))
    event = document(
        type=type,
        task=source["task"],
        metric=source["metric"],
        variant=source["variant"],
        timestamp=timestamp,
        worker=source["worker"],
        seq=seq,
        model_event=source.get("model_event", False),
        iter=iteration,
        body=body,
    )
    event["_cursor"] = Cursor(timestamp if order == "timestamp" else iteration, timestamp, seq)
    return event


def point_value(value: float | str | None, special: int | None) -> float:
    """A scalar's value as a float, from the two fields that hold it. `MISSING` is what a sort value says of a field that is not there."""
    return SPECIAL_VALUES[special or 0] if value is None or value == MISSING else float(value)


def wanted_types(types: Collection[str] | None, everything: Collection[str]) -> list[str]:
    return [type for type in everything if types is None or type in types]
