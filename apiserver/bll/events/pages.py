"""Events and raw points page by page.

A scroll shows what was stored when it began: arrivals after that (overwrites too) are left out by their seq, so concurrent writes never
make a page repeat or skip anything. Pages are encoded in slices; a page of 200,000 events is never held in memory as Python objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

import msgspec
import numpy as np
import orjson

from apiserver.bll.events.metric_filter import Selection, selection_of
from apiserver.bll.events.plot_text import make_readable
from apiserver.bll.events.scrolls import END, Scroll, Scrolls, ScrollState
from apiserver.bll.registry.directory import Owner
from apiserver.common.encoding import encode
from apiserver.common.fairness import give_way
from apiserver.errors import InvalidScroll
from apiserver.stores.base import EventReader
from apiserver.stores.event_types import EVENT_TYPES
from apiserver.stores.records import SCALAR, Axis, Cursor, EventQuery, Metrics, PointColumns, Series, SeriesKey, events_of, shown_owner

DEFAULT_RAW_PAGE = 10_000
METRIC_DATA_PAGE = 500
_SLICE = 5_000

XKey = Literal["iter", "timestamp", "iso_time"]


class EventsScroll(ScrollState, frozen=True, forbid_unknown_fields=True):
    """`until`: the greatest seq that is shown; `cursor`: of the last event shown; `done`: it was the last one."""

    endpoint: ClassVar[str] = "get_task_events"
    types: list[str]
    metrics: Selection
    descending: bool
    until: int
    total: int | None
    done: bool
    cursor: Cursor | None = None


class MetricEventsScroll(EventsScroll, frozen=True, forbid_unknown_fields=True):
    endpoint: ClassVar[str] = "get_scalar_metric_data"


class RawScroll(ScrollState, frozen=True, forbid_unknown_fields=True):
    """As EventsScroll, of the points of a metric. `batch_size`: that of the page before."""

    endpoint: ClassVar[str] = "scalar_metrics_iter_raw"
    metric: str
    variants: list[str]
    key: XKey
    batch_size: int
    until: int
    total: int | None
    done: bool
    cursor: Cursor | None = None


class EventPages:
    """Answers of get_task_events, scalar_metrics_iter_raw and get_scalar_metric_data, as JSON."""

    def __init__(self, events: EventReader, scrolls: Scrolls, largest: int) -> None:
        """`largest`: the most events or points of a page."""
        self._events = events
        self._largest = largest
        self._scrolls = scrolls

    def of_events(
        self,
        owner: Owner,
        scroll: Scroll,
        *,
        event_type: str | None = None,
        metrics: Metrics | None = None,
        descending: bool = False,
        batch_size: int = 500,
        count_total: bool = True,
    ) -> bytes:
        """{events, returned, total, scroll_id}: exactly `batch_size` events (at most the largest page) until the last page.

        Order: iteration, then timestamp, then arrival; events without iteration last. With a scroll id everything but the page's size comes
        from the scroll. Raises InvalidScroll.
        """
        if scroll.id == END:
            return _page([], 0, 0, END)
        state = self._scrolls.resume(EventsScroll, [owner], scroll)
        if state is None:
            types = [event_type] if event_type else list(EVENT_TYPES)
            series = self._events.series(owner.company, [owner.id], types, metrics)
            total = sum(one.count for one in series) if count_total else None
            state = EventsScroll(types, selection_of(metrics), descending, last_arrival(series), total, not series)
        return self._page_of(owner, scroll, state, min(batch_size, self._largest))

    def of_metric(self, owner: Owner, scroll: Scroll, metric: str, *, no_scroll: bool = False) -> bytes:
        """{events, returned, total, scroll_id}: the scalar events of a metric, newest iteration first, 500 a page.

        After an empty page the scroll id is "FFFF"; it is null with `no_scroll`. Raises InvalidScroll.
        """
        if scroll.id == END:
            return _page([], 0, 0, None)
        state = self._scrolls.resume(MetricEventsScroll, [owner], scroll)
        if state is None:
            series = self._events.series(owner.company, [owner.id], [SCALAR], {metric: ()})
            total = sum(one.count for one in series)
            state = MetricEventsScroll([SCALAR], {metric: []}, True, last_arrival(series), total, not series)
        elif metric not in (state.metrics or ()):
            raise InvalidScroll("made for another metric", scroll_id=scroll.id)
        return self._page_of(owner, scroll, state, METRIC_DATA_PAGE, keep=not no_scroll, end=END)

    def raw(
        self,
        owner: Owner,
        scroll: Scroll,
        metric: str,
        variants: Sequence[str] = (),
        *,
        key: XKey = "iter",
        batch_size: int = 0,
        count_total: bool = False,
    ) -> bytes:
        """{variants: {variant: {y, <key>}}, returned, total, scroll_id}: the points of a metric in the order of the key, ascending.

        `batch_size` 0: that of the page before, at first 10,000; at most the largest page. Values are as reported, null for NaN and infinities;
        single values are included. Raises InvalidScroll.
        """
        if scroll.id == END:
            return _raw_page({}, 0, 0, END)
        state = self._scrolls.resume(RawScroll, [owner], scroll)
        if state is None:
            series = [one for one in self._events.series(owner.company, [owner.id], [SCALAR], {metric: variants}) if _points_of(one)]
            total = sum(map(_points_of, series)) if count_total else None
            names = [one.key.variant for one in series]
            state = RawScroll(metric, names, key, DEFAULT_RAW_PAGE, last_arrival(series), total, not series)
        elif state.metric != metric:
            raise InvalidScroll("made for another metric", scroll_id=scroll.id)
        limit = min(batch_size or state.batch_size, self._largest)
        if state.done:
            return _raw_page({}, 0, state.total, scroll.id or self._scrolls.keep(state, [owner], scroll))
        axis: Axis = "iter" if state.key == "iter" else "timestamp"
        keys = [SeriesKey(owner.id, SCALAR, state.metric, variant) for variant in state.variants]
        columns = self._events.points(owner.company, keys, axis, after=state.cursor, limit=limit, until_seq=state.until)
        returned = sum(len(one.iters) for one in columns)
        cursor = max((_last(one, axis) for one in columns), default=state.cursor)
        following = msgspec.structs.replace(state, batch_size=limit, cursor=cursor, done=returned < limit)
        shown = {
            one.key.variant: {
                "y": np.ascontiguousarray(one.values),
                state.key: np.ascontiguousarray(one.iters if axis == "iter" else one.timestamps),
            }
            for one in sorted(columns, key=lambda one: one.key.variant.encode())
        }
        return _raw_page(shown, returned, state.total, self._scrolls.keep(following, [owner], scroll))

    def forget(self, scroll: Scroll) -> None:
        """Drop a scroll of the caller's company; anything else is ignored."""
        self._scrolls.forget(scroll)

    def _page_of(
        self,
        owner: Owner,
        scroll: Scroll,
        state: EventsScroll,
        limit: int,
        *,
        keep: bool = True,
        end: str | None = None,
    ) -> bytes:
        """One page of events. `end`: the id to give after an empty page (None: one whose page is empty again)."""
        query = EventQuery(owner.id, state.types, state.metrics, until_seq=state.until)
        cursor = state.cursor
        slices: list[bytes] = []
        returned = 0
        while not state.done and returned < limit:
            wanted = min(_SLICE, limit - returned)
            page = self._events.page(owner.company, query, "iter", descending=state.descending, after=cursor, limit=wanted)
            if page:
                cursor = page[-1].cursor
                events = events_of(page)
                if shown_owner(owner.id) != owner.id:
                    for event in events:
                        event["task"] = shown_owner(owner.id)
                make_readable(events)
                slices.append(encode(events)[1:-1])
            returned += len(page)
            if len(page) < wanted:
                break
            give_way()
        following: str | None = None
        if keep and not returned and end is not None:
            following = end
        elif keep and state.done and scroll.id:
            following = scroll.id
        elif keep:
            following = self._scrolls.keep(msgspec.structs.replace(state, cursor=cursor, done=returned < limit), [owner], scroll)
        return _page(slices, returned, state.total, following)


def last_arrival(series: Iterable[Series]) -> int:
    """The greatest seq that an event of these series can have: what a scroll that begins now shows."""
    # Elasticsearch finds the greatest seq in doubles, which are off by up to 256 here.
    return max((one.last_written for one in series), default=0) + 1024


def _points_of(series: Series) -> int:
    return series.statistics.count if series.statistics else 0


def _last(columns: PointColumns, axis: Axis) -> Cursor:
    x = columns.iters if axis == "iter" else columns.timestamps
    return Cursor(int(x[-1]), int(columns.timestamps[-1]), int(columns.seqs[-1]))


def _page(slices: Sequence[bytes], returned: int, total: int | None, scroll_id: str | None) -> bytes:
    tail = orjson.dumps({"returned": returned, "total": total, "scroll_id": scroll_id})
    # One join: a page of 200,000 events is 50 MB, and every further copy of it would be too.
    between = [piece for events in slices for piece in (b",", events)][1:]
    return b"".join([b'{"events":[', *between, b"],", tail[1:]])


def _raw_page(variants: dict[str, Any], returned: int, total: int | None, scroll_id: str) -> bytes:
    return orjson.dumps(
        {"variants": variants, "returned": returned, "total": total, "scroll_id": scroll_id}, option=orjson.OPT_SERIALIZE_NUMPY
    )
