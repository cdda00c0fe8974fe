"""Searches the whole log of a task, page by page, and gives each match's position."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple, Protocol

import msgspec

from apiserver.bll.events.logs import MAX_PAGE, Order, clamped_time, starting_time
from apiserver.bll.events.metric_filter import Selection
from apiserver.bll.events.scrolls import Scroll, Scrolls, ScrollState
from apiserver.bll.events.search_budget import SearchBudget
from apiserver.bll.events.text_match import Matcher, plain_matcher, regex_matcher
from apiserver.bll.registry.directory import Owner
from apiserver.common.fairness import give_way
from apiserver.errors import InvalidScroll
from apiserver.stores.base import EventReader, LogReader
from apiserver.stores.records import LOG, MAX_ITER, MIN_ITER, Cursor, EventQuery, LineSearch, PagedEvent, StoredEvent, events_of


class SearchQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A search. The direction is part of it: a search goes on in the direction in which it began."""

    text: str
    regex: bool = False
    ignore_case: bool = False
    levels: list[str] | None = None
    metrics: Selection = None
    earlier: bool = True
    from_timestamp: int | None = None

    def matcher(self) -> Matcher:
        """Raises InvalidRegex."""
        return regex_matcher(self.text, self.ignore_case) if self.regex else plain_matcher(self.text, self.ignore_case)


class SearchScroll(ScrollState, frozen=True, forbid_unknown_fields=True):
    """`cursor`: of the last match shown; `matched`: how many matches were shown; `total`: lines that are searched."""

    endpoint: ClassVar[str] = "search_log"
    query: SearchQuery
    cursor: Cursor
    matched: int
    total: int


class FoundPage(NamedTuple):
    """Matching lines. `positions[i]`: position of `events[i]` in the log, 0 is the oldest line. `total`: lines of the log that are searched. `matched`:
    the matching lines of all pages, None until the search is complete. `searched_to`: time (ms) up to which the log has been searched, None at its end.
    `scroll_id`: for the next page, None if this is the last."""

    events: list[StoredEvent]
    positions: list[int]
    total: int
    matched: int | None
    searched_to: int | None
    scroll_id: str | None


PAGE_CHARACTERS = 32_000_000
"""Characters of text after which a page of matches ends."""


class _Scanned(NamedTuple):
    """The matches of a page, and the cursor behind which the search goes on; None: there are no more."""

    found: list[PagedEvent]
    after: Cursor | None


class SearchedEvents(EventReader, LogReader, Protocol):
    """The stores that logs are searched in."""


class LogSearch:
    """Searches logs."""

    def __init__(self, events: SearchedEvents, scrolls: Scrolls, seconds: float) -> None:
        """`seconds`: the time that one call may take, at most."""
        self._seconds = seconds
        self._events = events
        self._scrolls = scrolls

    def page(
        self,
        owner: Owner,
        scroll: Scroll,
        query: SearchQuery,
        *,
        size: int,
        order: Order | None = None,
        budget: float | None = None,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> FoundPage:
        """The next `size` matching lines (and those of the last one's millisecond), newest first when going to earlier lines.

        `total` counts the lines that are searched. The log is read until the page is full and one more match is known, to its end, or until `budget`
        seconds are over (or the time that one call may take, or `is_gone` says that nobody waits): then the page is short, or empty.
        Raises InvalidRegex; InvalidScroll when the id was made for another search.
        """
        matcher = query.matcher()
        state = self._scrolls.resume(SearchScroll, [owner], scroll)
        if state is None:
            after, before = _start(starting_time(self._events, owner, query.from_timestamp), query.earlier), 0
            total = self._events.count(owner.company, EventQuery(owner.id, [LOG], metrics=query.metrics, levels=query.levels))
        else:
            if state.query != query:
                raise InvalidScroll("made for another search", scroll_id=str(scroll.id)[:64])
            after, before, total = state.cursor, state.matched, state.total
        seconds = self._seconds if budget is None else min(budget, self._seconds)
        found, last = (
            self._scan(owner, query, matcher, SearchBudget(matcher.match, seconds, is_gone), after, size) if size else _Scanned([], None)
        )
        cursors = [cursor for _, cursor in found]
        ascending = self._events.log_positions(owner.company, owner.id, cursors[::-1] if query.earlier else cursors) if cursors else []
        positions = ascending[::-1] if query.earlier else ascending
        next_id = None
        if last is not None:
            next_id = self._scrolls.keep(SearchScroll(query, last, before + len(found), total), [owner], scroll)
        if order is not None and (order == "desc") != query.earlier:
            found.reverse()
            positions.reverse()
        matched = before + len(found) if size and last is None else None
        return FoundPage(events_of(found), positions, total, matched, None if last is None else last.timestamp, next_id)

    def _scan(self, owner: Owner, query: SearchQuery, matcher: Matcher, budget: SearchBudget, after: Cursor | None, size: int) -> _Scanned:
        """A page of matches."""
        found: list[PagedEvent] = []
        stretches = self._events.scan_log(
            owner.company,
            EventQuery(owner.id, (LOG,), metrics=query.metrics, levels=query.levels),
            LineSearch(budget.match, matcher.literal, matcher.ignore_case),
            after=after,
            descending=query.earlier,
            chunk=min(max(2 * size, 2_000), 10_000),
        )
        for stretch in stretches:
            found += stretch.lines
            end = _page_end(found, size)
            if end < len(found):
                return _Scanned(found[:end], found[end - 1].cursor)
            if stretch.end is not None and budget.is_over():
                return _Scanned(found, stretch.end)
            give_way()
        return _Scanned(found, None)


def _page_end(found: list[PagedEvent], size: int) -> int:
    """Where the page ends: after `size` lines and the rest of the last one's millisecond; earlier where the lines are long."""
    end = min(size, len(found))
    most = min(size + MAX_PAGE, len(found))
    while 0 < end < most and found[end].cursor.timestamp == found[end - 1].cursor.timestamp:
        end += 1
    characters = 0
    for number, (event, _) in enumerate(found[:end], 1):
        characters += len(event.get("msg") or "")
        if characters > PAGE_CHARACTERS:
            return number
    return end


def _start(from_timestamp: int | None, earlier: bool) -> Cursor | None:
    """The cursor that leaves out everything at `from_timestamp` itself."""
    if from_timestamp is None:
        return None
    moment = clamped_time(from_timestamp)
    return Cursor(moment, moment, MIN_ITER if earlier else MAX_ITER)
