"""The log of a task: pages before and after a time, scrolling, clearing.

Lines are ordered by timestamp, then by arrival.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import ClassVar, Literal, NamedTuple, Protocol

import msgspec

from apiserver.bll.events.metric_filter import Selection, selection_of
from apiserver.bll.events.pages import last_arrival
from apiserver.bll.events.progress_bars import fold_page, is_bar
from apiserver.bll.events.scrolls import END, Scroll, Scrolls, ScrollState
from apiserver.bll.registry.directory import Owner
from apiserver.common.fairness import give_way
from apiserver.stores.base import EventReader, EventWriter
from apiserver.stores.records import LOG, Cursor, EventQuery, Metrics, PagedEvent, StoredEvent, events_of

Order = Literal["asc", "desc"]

MAX_PAGE = 10_000
MAX_FOLDED = 50_000
"""Lines that are read for one folded page."""


class LogPage(NamedTuple):
    """Lines without their cursors; `total` counts the lines of the whole log (under the filter)."""

    events: list[StoredEvent]
    total: int
    scroll_id: str | None = None
    next_timestamp: int | None = None
    """Folded pages: where the next page starts; None at the end of the log."""


class LogScroll(ScrollState, frozen=True, forbid_unknown_fields=True):
    """`until`: the greatest seq shown; `size`: lines a page; `cursor`: of the last line shown."""

    endpoint: ClassVar[str] = "get_task_log"
    metrics: Selection
    until: int
    total: int
    descending: bool
    size: int
    cursor: Cursor | None = None


class LogEvents(EventReader, EventWriter, Protocol):
    """The stores that logs are read from and cleared in."""


class Logs:
    """Reads and clears logs."""

    def __init__(self, events: LogEvents, scrolls: Scrolls) -> None:
        self._events = events
        self._scrolls = scrolls

    def page(
        self,
        owner: Owner,
        *,
        size: int,
        earlier: bool = True,
        from_timestamp: int | None = None,
        order: Order | None = None,
        metrics: Metrics | None = None,
        levels: Sequence[str] | None = None,
        folded: bool = False,
    ) -> LogPage:
        """Up to `size` lines before (`earlier`) or after `from_timestamp`, exclusive; None: from the end or the beginning.

        A page that is cut is extended by the other lines of its last millisecond, as clients go on from that time. Newest first when
        going to earlier lines, oldest first otherwise, unless `order` says something else.

        `folded`: a progress bar is one line. Then it is read on until there are `size` lines and no bar is cut, but not for ever: a bar that is redrawn
        more than `MAX_FOLDED` times is shown once for each page of so many redraws.
        """
        whole = EventQuery(owner.id, [LOG], metrics=metrics, levels=levels or None)
        total = self._events.count(owner.company, whole)
        if not size or not total:
            return LogPage([], total)
        if folded:
            lines, following = self._folded(owner, whole, size, earlier, from_timestamp)
        else:
            lines, following = self._lines(owner, whole, size, earlier, from_timestamp), None
        if order is not None and (order == "desc") != earlier:
            lines.reverse()
        return LogPage(lines, total, next_timestamp=following)

    def _lines(self, owner: Owner, whole: EventQuery, size: int, earlier: bool, from_timestamp: int | None) -> list[StoredEvent]:
        query = bounded(whole, starting_time(self._events, owner, from_timestamp), earlier)
        page = self._events.page(owner.company, query, "timestamp", descending=earlier, limit=size)
        if len(page) == size:
            page += self._rest_of_millisecond(owner, query, page[-1].cursor, earlier)
        return events_of(page)

    def _rest_of_millisecond(self, owner: Owner, query: EventQuery, last: Cursor, descending: bool) -> list[PagedEvent]:
        moment = replace(query, min_timestamp=last.timestamp, max_timestamp=last.timestamp)
        rest: list[PagedEvent] = []
        while True:
            more = self._events.page(owner.company, moment, "timestamp", descending=descending, after=last, limit=MAX_PAGE)
            rest += more
            if len(more) < MAX_PAGE:
                return rest
            last = more[-1].cursor

    def _folded(
        self, owner: Owner, whole: EventQuery, size: int, earlier: bool, following: int | None
    ) -> tuple[list[StoredEvent], int | None]:
        """Lines, and the time from which the next page goes on."""
        lines: list[StoredEvent] = []
        shown = 0
        while True:
            more = self._lines(owner, whole, size, earlier, following)
            lines += more
            shown += len(fold_page(more, newest_first=earlier))
            following = int(more[-1]["timestamp"]) if len(more) >= size else None
            if following is None or (shown >= size and not is_bar(lines[-1])) or len(lines) >= MAX_FOLDED:
                return fold_page(lines, newest_first=earlier), following
            give_way()

    def scroll(
        self,
        owner: Owner,
        scroll: Scroll,
        *,
        size: int,
        order: Order = "desc",
        start: str | None = None,
        metrics: Metrics | None = None,
    ) -> LogPage:
        """The next page of a scroll, as clients older than 2.9 read a log.

        `start` "head" reads from the oldest line on, any other word from the newest; each page is then given in `order`. Without `start`
        the order of reading is `order`. A scroll goes on as it began (only `order` may change on the way) and shows no line that came later.
        The page after the last one is empty and ends the scroll. Raises InvalidScroll.
        """
        if scroll.id == END:
            return LogPage([], 0, END)
        state = self._scrolls.resume(LogScroll, [owner], scroll)
        if state is None:
            series = self._events.series(owner.company, [owner.id], [LOG], metrics)
            total = sum(one.count for one in series)
            descending = order == "desc" if start is None else start != "head"
            state = LogScroll(selection_of(metrics), last_arrival(series), total, descending, min(size, MAX_PAGE))
        query = EventQuery(owner.id, [LOG], metrics=state.metrics, until_seq=state.until)
        page: list[PagedEvent] = []
        if state.size:
            page = self._events.page(owner.company, query, "timestamp", descending=state.descending, after=state.cursor, limit=state.size)
        if not page:
            return LogPage([], state.total, END)
        next_id = self._scrolls.keep(msgspec.structs.replace(state, cursor=page[-1].cursor), [owner], scroll)
        if start is not None and (order == "desc") != state.descending:
            page.reverse()
        return LogPage(events_of(page), state.total, next_id)

    def clear(
        self,
        owner: Owner,
        *,
        older_than: int = 0,
        include: Collection[str] | None = None,
        exclude: Collection[str] | None = None,
    ) -> int:
        """Delete lines and return how many: those older than `older_than` seconds (0 and less: of any age), of the metrics in `include`,
        not of those in `exclude`."""
        before = clamped_time(time.time_ns() // 1_000_000 - older_than * 1000) if older_than > 0 else None
        return self._events.delete_logs(owner.company, owner.id, before=before, include=include or None, exclude=exclude or None)


def starting_time(events: EventReader, owner: Owner, from_timestamp: int | None) -> int | None:
    """Where a page starts. 0 is what some clients send for "no time"; it is a time only in a log that goes back so far."""
    if from_timestamp == 0 and not events.page(owner.company, EventQuery(owner.id, [LOG], max_timestamp=0), "timestamp", limit=1):
        return None
    return from_timestamp


def bounded(query: EventQuery, from_timestamp: int | None, earlier: bool) -> EventQuery:
    """The query on one side of a time, which is left out itself."""
    if from_timestamp is None:
        return query
    from_timestamp = clamped_time(from_timestamp)
    return replace(query, max_timestamp=from_timestamp - 1) if earlier else replace(query, min_timestamp=from_timestamp + 1)


def clamped_time(timestamp: int) -> int:
    """Every event's time (years 1 to 9999) is inside these bounds, and one more or less stays a 64-bit integer."""
    return min(max(timestamp, -(10**15)), 10**15)
