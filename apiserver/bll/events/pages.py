"""Events and raw points page by page.

A scroll shows what was stored when it began: arrivals after that (overwrites too) are left out by their seq, so concurrent writes never
make a page repeat or skip anything. Pages are encoded in slices; a page of 200,000 events never stands in memory as Python objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import orjson

from apiserver.bll.events.scrolls import END, Scroll, Scrolls
from apiserver.bll.registry.directory import Owner
from apiserver.encoding import encode
from apiserver.errors import InvalidScroll
from apiserver.fairness import give_way
from apiserver.stores.base import EventReader
from apiserver.stores.records import EVENT_TYPES, SCALAR, Axis, Cursor, EventQuery, Metrics, PointColumns, Series, SeriesKey, events_of

LARGEST_PAGE = 200_000
DEFAULT_RAW_PAGE = 10_000
METRIC_DATA_PAGE = 500
_SLICE = 5_000

XKey = Literal["iter", "timestamp", "iso_time"]


class Pages:
    """Answers of get_task_events, scalar_metrics_iter_raw and get_scalar_metric_data, as JSON."""

    def __init__(self, events: EventReader, scrolls: Scrolls) -> None:
        self._events = events
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
        """{events, returned, total, scroll_id}: exactly `batch_size` events (at most 200,000) until the last page.

        Order: iteration, then timestamp, then arrival; events without iteration last. With a scroll id everything but the page's size comes
        from the scroll. Raises InvalidScroll.
        """
        if scroll.id == END:
            return _page([], 0, 0, END)
        payload = self._scrolls.resume("get_task_events", [owner], scroll)
        if payload is None:
            types = [event_type] if event_type else list(EVENT_TYPES)
            series = self._events.series(owner.company, [owner.id], types, metrics)
            payload = {
                "types": types,
                "metrics": _plain(metrics),
                "descending": descending,
                "until": last_arrival(series),
                "total": sum(one.count for one in series) if count_total else None,
                "position": None,
                "done": not series,
            }
        return self._page_of("get_task_events", owner, scroll, payload, min(batch_size, LARGEST_PAGE))

    def of_metric(self, owner: Owner, scroll: Scroll, metric: str, *, no_scroll: bool = False) -> bytes:
        """{events, returned, total, scroll_id}: the scalar events of a metric, newest iteration first, 500 a page.

        After an empty page the scroll id is "FFFF"; it is null with `no_scroll`. Raises InvalidScroll.
        """
        if scroll.id == END:
            return _page([], 0, 0, None)
        payload = self._scrolls.resume("get_scalar_metric_data", [owner], scroll)
        if payload is None:
            series = self._events.series(owner.company, [owner.id], [SCALAR], {metric: ()})
            payload = {
                "types": [SCALAR],
                "metrics": {metric: []},
                "descending": True,
                "until": last_arrival(series),
                "total": sum(one.count for one in series),
                "position": None,
                "done": not series,
            }
        elif metric not in payload["metrics"]:
            raise InvalidScroll("made for another metric", scroll_id=scroll.id)
        return self._page_of("get_scalar_metric_data", owner, scroll, payload, METRIC_DATA_PAGE, keep=not no_scroll, end=END)

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

        `batch_size` 0: that of the page before, at first 10,000; at most 200,000. Values are as reported, null for NaN and infinities;
        single values are included. Raises InvalidScroll.
        """
        if scroll.id == END:
            return _raw_page({}, 0, 0, END)
        payload = self._scrolls.resume("scalar_metrics_iter_raw", [owner], scroll)
        if payload is None:
            series = [one for one in self._events.series(owner.company, [owner.id], [SCALAR], {metric: variants}) if _points_of(one)]
            payload = {
                "metric": metric,
                "variants": [one.key.variant for one in series],
                "key": key,
                "batch_size": DEFAULT_RAW_PAGE,
                "until": last_arrival(series),
                "total": sum(map(_points_of, series)) if count_total else None,
                "position": None,
                "done": not series,
            }
        elif payload["metric"] != metric:
            raise InvalidScroll("made for another metric", scroll_id=scroll.id)
        limit = min(batch_size or payload["batch_size"], LARGEST_PAGE)
        if payload["done"]:
            return _raw_page({}, 0, payload["total"], scroll.id or self._scrolls.keep("scalar_metrics_iter_raw", [owner], scroll, payload))
        axis: Axis = "iter" if payload["key"] == "iter" else "timestamp"
        keys = [SeriesKey(owner.id, SCALAR, payload["metric"], variant) for variant in payload["variants"]]
        columns = self._events.points(
            owner.company, keys, axis, after=_cursor(payload["position"]), limit=limit, until_seq=payload["until"]
        )
        returned = sum(len(one.iters) for one in columns)
        position = max((_last(one, axis) for one in columns), default=_cursor(payload["position"]))
        following = {**payload, "batch_size": limit, "position": position and list(position), "done": returned < limit}
        shown = {
            one.key.variant: {
                "y": np.ascontiguousarray(one.values),
                payload["key"]: np.ascontiguousarray(one.iters if axis == "iter" else one.timestamps),
            }
            for one in sorted(columns, key=lambda one: one.key.variant.encode())
        }
        return _raw_page(shown, returned, payload["total"], self._scrolls.keep("scalar_metrics_iter_raw", [owner], scroll, following))

    def forget(self, scroll: Scroll) -> None:
        """Drop a scroll of the caller's company; anything else is ignored."""
        self._scrolls.forget(scroll)

    def _page_of(
        self,
        endpoint: str,
        owner: Owner,
        scroll: Scroll,
        payload: dict[str, Any],
        limit: int,
        *,
        keep: bool = True,
        end: str | None = None,
    ) -> bytes:
        """One page of events. `end`: the id to give after an empty page (None: one whose page is empty again)."""
        query = EventQuery(owner.id, payload["types"], payload["metrics"], until_seq=payload["until"])
        position = _cursor(payload["position"])
        slices: list[bytes] = []
        returned = 0
        while not payload["done"] and returned < limit:
            wanted = min(_SLICE, limit - returned)
            page = self._events.page(owner.company, query, "iter", descending=payload["descending"], after=position, limit=wanted)
            if page:
                position = page[-1].cursor
                slices.append(encode(events_of(page))[1:-1])
            returned += len(page)
            if len(page) < wanted:
                break
            give_way()
        following: str | None = None
        if keep and not returned and end is not None:
            following = end
        elif keep and payload["done"] and scroll.id:
            following = scroll.id
        elif keep:
            following = self._scrolls.keep(
                endpoint, [owner], scroll, {**payload, "position": position and list(position), "done": returned < limit}
            )
        return _page(slices, returned, payload["total"], following)


def last_arrival(series: Iterable[Series]) -> int:
    """The greatest seq that an event of these series can have: what a scroll that begins now shows."""
    # Elasticsearch finds the greatest seq in doubles, which are off by up to 256 here.
    return max((one.last_written for one in series), default=0) + 1024


def _points_of(series: Series) -> int:
    return series.statistics.count if series.statistics else 0


def _last(columns: PointColumns, axis: Axis) -> Cursor:
    x = columns.iters if axis == "iter" else columns.timestamps
    return Cursor(int(x[-1]), int(columns.timestamps[-1]), int(columns.seqs[-1]))


def _cursor(position: Sequence[Any] | None) -> Cursor | None:
    return Cursor(*position) if position else None


def _plain(metrics: Metrics | None) -> dict[str, list[str]] | None:
    return None if metrics is None else {metric: list(variants) for metric, variants in metrics.items()}


def _page(slices: Sequence[bytes], returned: int, total: int | None, scroll_id: str | None) -> bytes:
    tail = orjson.dumps({"returned": returned, "total": total, "scroll_id": scroll_id})
    # One join: a page of 200,000 events is 50 MB, and every further copy of it would be too.
    between = [piece for events in slices for piece in (b",", events)][1:]
    return b"".join([b'{"events":[', *between, b"],", tail[1:]])


def _raw_page(variants: dict[str, Any], returned: int, total: int | None, scroll_id: str) -> bytes:
    return orjson.dumps(
        {"variants": variants, "returned": returned, "total": total, "scroll_id": scroll_id}, option=orjson.OPT_SERIALIZE_NUMPY
    )
