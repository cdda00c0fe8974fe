"""Reads all events of an owner and makes them into batches again, to copy them to another owner or store."""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from apiserver.common.fairness import give_way
from apiserver.stores.base import EventReader, LogReader
from apiserver.stores.batch import Event, EventBatch, LogLine, Points, Touch
from apiserver.stores.codec import encode_json
from apiserver.stores.event_types import TYPES
from apiserver.stores.records import (
    LOG,
    SINGLE_VALUE_ITER,
    Cursor,
    EventQuery,
    Series,
    SeriesKey,
    StoredEvent,
)

PAGE = 2_000
"""Events that are read at a time: plots may be large."""
_COMMON = frozenset(("type", "task", "metric", "variant", "timestamp", "worker", "model_event", "@timestamp", "iter"))


class CopySource(EventReader, LogReader, Protocol):
    """The stores that events are read from."""


@dataclass(frozen=True, slots=True)
class Part:
    """Which events of an owner, log lines excepted: those of some series, from an iteration on, that arrived up to `until_seq`."""

    series: Sequence[Series]
    min_iter: int | None = None
    until_seq: int | None = None


def events_of_part(source: EventReader, company: str, owner: str, part: Part) -> Iterator[list[StoredEvent]]:
    """The events in order of iteration, time and arrival. A single value that was reported after the points of its series comes last, as it did."""
    metrics: dict[str, list[str]] = {}
    for one in part.series:
        metrics.setdefault(one.key.metric, []).append(one.key.variant)
    last = {one.key for one in part.series if one.statistics is not None and one.statistics.value_iter == SINGLE_VALUE_ITER}
    types = sorted({one.key.type for one in part.series})
    query = EventQuery(owner, types, metrics, min_iter=part.min_iter, until_seq=part.until_seq, with_iter=part.min_iter is not None)
    held: list[StoredEvent] = []
    after: Cursor | None = None
    while part.series and (page := source.page(company, query, "iter", after=after, limit=PAGE)):
        events = [event for event, _ in page]
        _complete(source, company, owner, events)
        if last:
            late, events = _divided(events, lambda event: event.get("iter") == SINGLE_VALUE_ITER and _key(event, owner) in last)
            held += late
        yield events
        after = page[-1].cursor
        give_way()
    if held:
        yield held


def _divided(events: Iterable[StoredEvent], chosen: Callable[[StoredEvent], bool]) -> tuple[list[StoredEvent], list[StoredEvent]]:
    """The events that `chosen` picks, and the others, each in order."""
    parts: tuple[list[StoredEvent], list[StoredEvent]] = ([], [])
    for event in events:
        parts[0 if chosen(event) else 1].append(event)
    return parts


def log_of(source: LogReader, company: str, owner: str) -> Iterator[list[StoredEvent]]:
    """The log lines in order of time and arrival."""
    for stretch in source.scan_log(company, EventQuery(owner, (LOG,)), chunk=PAGE):
        yield [event for event, _ in stretch.lines]
        give_way()


def batch_of(events: Sequence[StoredEvent], owner: str, *, is_model: bool, labels: Mapping[SeriesKey, str] | None = None) -> EventBatch:
    """Events, which may be those of another owner, as a batch of this one. `labels`: the x axis labels of its series."""
    worker = Counter(event["worker"] for event in events).most_common(1)[0][0] if events else ""
    batch = EventBatch(time.time_ns() // 1_000_000, worker, lines=len(events), touches={owner: Touch(is_model=is_model)})
    for line, event in enumerate(events):
        key = _key(event, owner)
        body = {name: value for name, value in event.items() if name not in _COMMON}
        size, time_ = len(encode_json(event)), event["timestamp"]
        if key.type == LOG:
            level, message = body.pop("level", None), body.pop("msg", None)
            names = (event["worker"], message, key.metric, key.variant, event.get("iter"), line, size)
            batch.logs.append(LogLine(owner, time_, level, *names, body or None, is_model))
        elif TYPES[key.type].is_points and event.get("iter") is not None:
            points = batch.points.get(key)
            if points is None:
                points = batch.points[key] = Points(model_event=is_model, x_axis_label=(labels or {}).get(key))
            value = body.pop("value", None)
            if event["worker"] != worker:
                body["worker"] = event["worker"]
            if body:
                points.extra[len(points.iters)] = body
            points.iters.append(event["iter"])
            points.values.append(math.nan if value is None else value)
            points.timestamps.append(time_)
            points.lines.append(line)
            points.sizes.append(size)
        else:
            name = body.get("key")
            place = (key.metric, key.variant, event.get("iter"), name if isinstance(name, str) else None)
            batch.events.append(Event(key.type, owner, *place, time_, event["worker"], line, size, body, is_model))
    return batch


class Digest:
    """A digest of events that does not depend on their order: their number and the sum of their hashes."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, events: Iterable[StoredEvent]) -> None:
        """The time of arrival is left out: it differs in every store."""
        for event in events:
            value = event.get("value")
            number = b"" if value is None or not isinstance(value, float) or math.isfinite(value) else repr(value).encode()
            plain = sorted((name, item) for name, item in event.items() if name != "@timestamp")
            self._sum += int.from_bytes(hashlib.blake2b(encode_json(plain) + number, digest_size=16).digest())
            self.count += 1

    @property
    def value(self) -> str:
        """As text."""
        return f"{self.count}:{self._sum % (1 << 128):032x}"


def _key(event: StoredEvent, owner: str) -> SeriesKey:
    return SeriesKey(owner, event["type"], event["metric"], event["variant"])


def _complete(source: EventReader, company: str, owner: str, events: Sequence[StoredEvent]) -> None:
    """Restore values that are no finite numbers, which pages leave out."""
    missing: dict[str, list[StoredEvent]] = {}
    for event in events:
        if TYPES[event["type"]].is_points and event.get("iter") is not None and event.get("value") is None:
            missing.setdefault(event["type"], []).append(event)
    for some in missing.values():
        keys = list(dict.fromkeys(_key(event, owner) for event in some))
        iters = [event["iter"] for event in some]
        values: dict[tuple[str, str, int], Any] = {}
        for columns in source.points(company, keys, lo=min(iters), hi=max(iters)):
            for iteration, value in zip(columns.iters.tolist(), columns.values.tolist(), strict=True):
                values[columns.key.metric, columns.key.variant, iteration] = value
        for event in some:
            event["value"] = values.get((event["metric"], event["variant"], event["iter"]))
