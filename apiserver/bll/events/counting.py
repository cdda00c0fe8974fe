"""What is counted of a stored batch, for `GET /metrics`."""

from __future__ import annotations

from collections import Counter

from apiserver.common.metrics import EVENTS, RETRIED
from apiserver.stores.batch import Appended, EventBatch
from apiserver.stores.records import LOG


def count_stored(batch: EventBatch, outcome: Appended) -> None:
    """Add the sums of a batch."""
    stored = Counter(event.series.type for event in batch.events)
    for key, points in batch.points.items():
        stored[key.type] += len(points.iters)
    if batch.logs and outcome.logs_were_stored_before:
        RETRIED.inc()
    elif batch.logs:
        stored[LOG] += len(batch.logs)
    for type, count in stored.items():
        EVENTS.labels(type).inc(count)
