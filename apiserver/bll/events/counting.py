"""Counts the stored events of a batch, for `GET /metrics` and for live readers."""

from __future__ import annotations

from collections import Counter
from functools import cache

from apiserver.common.fairness import paced
from apiserver.common.metrics import EVENTS, RETRIED
from apiserver.stores.batch import Appended, EventBatch
from apiserver.stores.records import LOG

_events = cache(EVENTS.labels)
SERIES = 5_000
"""Series processed before yielding to other requests."""


def stored_events(batch: EventBatch, outcome: Appended) -> Counter[tuple[str, str]]:
    """(task, type) -> number of events, without those that the store refused."""
    refused = {refusal.line for refusal in outcome.refusals}
    stored: Counter[tuple[str, str]] = Counter()
    for key, points in paced(batch.points.items(), SERIES):
        stored[key.task, key.type] += len(points.iters) if not refused else sum(line not in refused for line in points.lines)
    stored.update((event.task, event.type) for event in batch.events if event.line not in refused)
    stored.update((line.task, LOG) for line in batch.logs if line.line not in refused)
    return +stored


def count_stored(stored: Counter[tuple[str, str]], outcome: Appended) -> None:
    """Add the sums of a batch; a batch whose log lines were stored before counts as one retry."""
    of_type: Counter[str] = Counter()
    for (_, type), count in stored.items():
        of_type[type] += count
    if outcome.logs_were_stored_before:
        RETRIED.inc()
        del of_type[LOG]
    for type, count in of_type.items():
        _events(type).inc(count)
