"""The newest events of every series of a task, and paging through a task's last iterations of images: what older clients ask for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from apiserver.bll.events.iterations import EVENTS_A_QUERY, metrics_of
from apiserver.bll.registry.directory import Owner
from apiserver.stores.base import EventStore
from apiserver.stores.records import EventQuery, Metrics, Series, StoredEvent

Accept = Callable[[StoredEvent], bool]

SERIES_A_QUERY = 500


def newest_per_series(
    events: EventStore, owner: Owner, kind: str, metrics: Metrics | None, count: int, accept: Accept | None = None
) -> list[StoredEvent]:
    """Of every series the `count` events with the greatest iterations (then the latest) that `accept` lets through: metric and variant
    ascending, iteration descending. Events without iteration come after all others of their series."""
    series = events.series(owner.company, [owner.id], [kind], metrics)
    best: dict[tuple[str, str], list[StoredEvent]] = {}
    if count == 1:
        # Most series end at the same iteration: one question for all that do.
        by_end: dict[int, list[Series]] = defaultdict(list)
        for one in series:
            if one.max_iter is not None:
                by_end[one.max_iter].append(one)
        for iteration, ending in by_end.items():
            for start in range(0, len(ending), SERIES_A_QUERY):
                some = metrics_of((one.key.metric, one.key.variant) for one in ending[start : start + SERIES_A_QUERY])
                for event in _pages(events, owner, EventQuery(owner.id, [kind], metrics=some, iters=[iteration])):
                    if accept is None or accept(event):
                        best.setdefault((event["metric"], event["variant"]), [event])
    for one in series:
        name = (one.key.metric, one.key.variant)
        if name not in best:
            best[name] = _newest_of(events, owner, EventQuery(owner.id, [kind], metrics=metrics_of([name])), count, accept)
    return [event for one in series for event in best[one.key.metric, one.key.variant]]


def _pages(events: EventStore, owner: Owner, query: EventQuery) -> list[StoredEvent]:
    """All events of a query, newest first."""
    found: list[StoredEvent] = []
    after = None
    while True:
        page = events.page(owner.company, query, "iter", descending=True, after=after, limit=EVENTS_A_QUERY)
        found += page
        if len(page) < EVENTS_A_QUERY:
            return found
        after = page[-1]["_cursor"]


def _newest_of(events: EventStore, owner: Owner, query: EventQuery, count: int, accept: Accept | None) -> list[StoredEvent]:
    found: list[StoredEvent] = []
    after = None
    size = min(count, EVENTS_A_QUERY)
    while len(found) < count:
        page = events.page(owner.company, query, "iter", descending=True, after=after, limit=size)
        found += [event for event in page if accept is None or accept(event)]
        if len(page) < size:
            break
        after = page[-1]["_cursor"]
        size = min(max(size, 10), EVENTS_A_QUERY)
    return found[:count]


def newest_first(events: list[StoredEvent]) -> list[StoredEvent]:
    """By iteration descending (those without one last), then by time and arrival."""
    return sorted(events, key=lambda event: (event["_cursor"].key is None, -(event["_cursor"].key or 0), *event["_cursor"][1:]))
