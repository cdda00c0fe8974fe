"""For older clients: the newest events of every series of a task, and pages of a task's last iterations of images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from apiserver.bll.events.iterations import EVENTS_A_QUERY, metrics_of
from apiserver.bll.registry.directory import Owner
from apiserver.stores.base import EventReader
from apiserver.stores.records import EventQuery, Metrics, PagedEvent, Series, StoredEvent, events_of

Accept = Callable[[StoredEvent], bool]

SERIES_A_QUERY = 500


def newest_per_series(
    events: EventReader, owner: Owner, kind: str, metrics: Metrics | None, count: int, accept: Accept | None = None
) -> list[PagedEvent]:
    """Of every series the `count` events with the greatest iterations (then the latest) that `accept` lets through: metric and variant
    ascending, iteration descending. Events without iteration come after all others of their series."""
    series = events.series(owner.company, [owner.id], [kind], metrics)
    best: dict[tuple[str, str], list[PagedEvent]] = {}
    if count == 1:
        # Most series end at the same iteration: one query covers them.
        by_end: dict[int, list[Series]] = defaultdict(list)
        for one in series:
            if one.max_iter is not None:
                by_end[one.max_iter].append(one)
        for iteration, ending in by_end.items():
            for start in range(0, len(ending), SERIES_A_QUERY):
                some = metrics_of((one.key.metric, one.key.variant) for one in ending[start : start + SERIES_A_QUERY])
                for found in _pages(events, owner, EventQuery(owner.id, [kind], metrics=some, iters=[iteration])):
                    if accept is None or accept(found.event):
                        best.setdefault((found.event["metric"], found.event["variant"]), [found])
    for one in series:
        name = (one.key.metric, one.key.variant)
        if name not in best:
            best[name] = _newest_of(events, owner, EventQuery(owner.id, [kind], metrics=metrics_of([name])), count, accept)
    return [event for one in series for event in best[one.key.metric, one.key.variant]]


def _pages(events: EventReader, owner: Owner, query: EventQuery) -> list[PagedEvent]:
    """All events of a query, newest first."""
    found: list[PagedEvent] = []
    after = None
    while True:
        page = events.page(owner.company, query, "iter", descending=True, after=after, limit=EVENTS_A_QUERY)
        found += page
        if len(page) < EVENTS_A_QUERY:
            return found
        after = page[-1].cursor


def _newest_of(events: EventReader, owner: Owner, query: EventQuery, count: int, accept: Accept | None) -> list[PagedEvent]:
    found: list[PagedEvent] = []
    after = None
    size = min(count, EVENTS_A_QUERY)
    while len(found) < count:
        page = events.page(owner.company, query, "iter", descending=True, after=after, limit=size)
        found += [one for one in page if accept is None or accept(one.event)]
        if len(page) < size:
            break
        after = page[-1].cursor
        size = min(max(size, 10), EVENTS_A_QUERY)
    return found[:count]


def newest_first(found: list[PagedEvent]) -> list[StoredEvent]:
    """By iteration descending (those without one last), then by time and arrival."""
    return events_of(sorted(found, key=lambda one: (one.cursor.key is None, -(one.cursor.key or 0), *one.cursor[1:])))
