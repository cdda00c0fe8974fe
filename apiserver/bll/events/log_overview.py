"""The log of a task as a whole: how many lines of each level there are over time, and the lines at any position.

A log is counted once in slices of time and kept. While it grows, only the last slice and what comes after it are counted again, if the sum is the
number of lines that the store knows; else all of it (late lines, cleared logs).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from cachetools import LRUCache

from apiserver.bll.events.ladder import ladder_width
from apiserver.bll.events.logs import MAX_PAGE
from apiserver.bll.registry.directory import Owner
from apiserver.common.fairness import KeyedLocks
from apiserver.stores.base import EventReader, LogReader
from apiserver.stores.records import LOG, Cursor, EventQuery, LogSlice, StoredEvent

SLICES = 1_000
"""Slices that positions are looked up in."""
FEW = 5_000
"""Lines that are read to get to a position; slices with more are divided further."""
LEVELS = 20
KEPT = 2_000_000
"""Slices in memory."""


@dataclass(frozen=True, slots=True)
class LogOverview:
    """All lines of a log in slices of `interval` ms, ascending, each with the position of its first line (0: the oldest of the log)."""

    interval: int
    total: int
    slices: list[LogSlice]
    positions: list[int]
    first_timestamp: int | None
    last_timestamp: int | None

    def levels(self) -> list[str | None]:
        """The most frequent levels; None: lines without one."""
        counts: Counter[str | None] = Counter()
        for one in self.slices:
            counts.update(one.levels)
        return [level for level, _ in counts.most_common(LEVELS)]


class LogLines(NamedTuple):
    """Lines from a position on; `total` counts the lines of the log."""

    position: int
    events: list[StoredEvent]
    total: int


class OverviewEvents(EventReader, LogReader, Protocol):
    """The stores that logs are counted in and read from."""


class LogOverviews:
    """Answers of get_task_log_overview and get_task_log_lines."""

    def __init__(self, events: OverviewEvents) -> None:
        self._events = events
        self._kept: LRUCache[tuple[str, str, int], LogOverview] = LRUCache(KEPT, lambda overview: len(overview.slices) + 1)
        self._locks = KeyedLocks()

    def overview(self, owner: Owner, slices: int) -> LogOverview:
        """The log in at most `slices` slices."""
        key = (owner.company, owner.id, slices)
        with self._locks.hold(key):
            series = self._events.series(owner.company, [owner.id], [LOG])
            total = sum(one.count for one in series)
            if not total:
                return LogOverview(1, 0, [], [], None, None)
            first, last = min(one.min_timestamp for one in series), max(one.max_timestamp for one in series)
            interval = ladder_width(first, last, slices, "timestamp")
            found = self._continued(owner, self._kept.get(key), first, last, interval, total)
            if found is None:
                found = self._counted(owner, [], first, last, interval)
            self._kept[key] = found
            return found

    def lines(self, owner: Owner, position: int, count: int) -> LogLines:
        """Up to `count` lines; a position beyond the ends is moved to them."""
        overview = self.overview(owner, SLICES)
        position = min(max(position, 0), max(overview.total - count, 0))
        if not overview.total or not count:
            return LogLines(position, [], overview.total)
        start, skip = self._near(owner, overview, position)
        query = EventQuery(owner.id, (LOG,), min_timestamp=start)
        after: Cursor | None = None
        events: list[StoredEvent] = []
        while len(events) < count:
            limit = min(skip + count - len(events), MAX_PAGE)
            page = self._events.page(owner.company, query, "timestamp", after=after, limit=limit)
            events += (event for event, _ in page[skip:])
            skip = max(skip - len(page), 0)
            if len(page) < limit:
                break
            after = page[-1].cursor
        return LogLines(position, events, overview.total)

    def _near(self, owner: Owner, overview: LogOverview, position: int) -> tuple[int, int]:
        """A time, and how many of the lines from then on come before the position: few, unless they are all of one millisecond."""
        place = bisect_right(overview.positions, position) - 1
        found, skip = overview.slices[place], position - overview.positions[place]
        if skip <= FEW or overview.interval == 1:
            return found.start, skip
        end = found.start + overview.interval - 1
        interval = ladder_width(found.start, end, SLICES, "timestamp")
        return self._near(owner, self._counted(owner, [], found.start, end, interval), skip)

    def _continued(self, owner: Owner, old: LogOverview | None, first: int, last: int, interval: int, total: int) -> LogOverview | None:
        """The cached overview, extended by the lines that came after it; None when it must be counted again."""
        if old is None or (old.interval, old.first_timestamp) != (interval, first) or not old.slices:
            return None
        if (old.total, old.last_timestamp) == (total, last):
            return old
        found = self._counted(owner, old.slices[:-1], old.slices[-1].start, last, interval)
        return replace(found, first_timestamp=first) if found.total == total else None

    def _counted(self, owner: Owner, before: list[LogSlice], first: int, last: int, interval: int) -> LogOverview:
        slices = before + self._events.log_slices(owner.company, owner.id, interval, first, last)
        positions, total = [], 0
        for one in slices:
            positions.append(total)
            total += one.lines
        return LogOverview(interval, total, slices, positions, first, last)
