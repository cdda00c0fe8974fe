"""Debug images for clients of API versions before 2.7."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from apiserver.bll.events.newest_events import newest_first, newest_per_series
from apiserver.bll.events.pages import last_arrival
from apiserver.bll.events.scrolls import END, LastPage, Scroll, Scrolls, ScrollState
from apiserver.bll.registry.directory import Owner
from apiserver.stores.base import EventReader
from apiserver.stores.records import IMAGE, Cursor, EventQuery

PAGE = 500


class IterationsScroll(ScrollState, frozen=True, forbid_unknown_fields=True):
    """`oldest`: the first iteration shown; `until`: the greatest seq shown; `cursor`: of the last image shown."""

    endpoint: ClassVar[str] = "debug_images_of_iterations"
    oldest: int
    until: int
    total: int
    cursor: Cursor | None = None


class VariantsScroll(LastPage, frozen=True, forbid_unknown_fields=True):
    endpoint: ClassVar[str] = "debug_images_of_variants"


class Images:
    """`debug_images` below 2.7. Answers are `{task, images, returned, total, scroll_id}`; the page after the last one is empty, its scroll
    id the end mark. InvalidScroll for ids of other scrolls."""

    def __init__(self, events: EventReader, scrolls: Scrolls) -> None:
        self._events = events
        self._scrolls = scrolls

    def of_last_iterations(self, owner: Owner, scroll: Scroll, *, iters: int = 1) -> dict[str, Any]:
        """Versions 1.8 to 2.6: all images of the task's last `iters` iterations, newest first, 500 a page."""
        if scroll.id == END:
            return _page(owner, [], 0, None)
        state = self._scrolls.resume(IterationsScroll, [owner], scroll)
        if state is None:
            query = EventQuery(owner.id, [IMAGE], with_iter=True)
            last = self._events.iterations(owner.company, query, descending=True, count=min(iters, 1_000_000))
            if not last:
                return _page(owner, [], 0, END)
            until = last_arrival(self._events.series(owner.company, [owner.id], [IMAGE]))
            query = EventQuery(owner.id, [IMAGE], with_iter=True, min_iter=last[-1], until_seq=until)
            state = IterationsScroll(last[-1], until, self._events.count(owner.company, query))
        query = EventQuery(owner.id, [IMAGE], with_iter=True, min_iter=state.oldest, until_seq=state.until)
        images = self._events.page(owner.company, query, "iter", descending=True, after=state.cursor, limit=PAGE)
        if not images:
            return _page(owner, [], state.total, END)
        next_state = msgspec.structs.replace(state, cursor=images[-1].cursor)
        next_id = self._scrolls.keep(next_state, [owner], scroll)
        return _page(owner, newest_first(images), state.total, next_id)

    def of_variants(self, owner: Owner, scroll: Scroll, *, iters: int = 1) -> dict[str, Any]:
        """Versions below 1.8: the last `iters` images of every metric and variant, newest first, in one page. `total` counts all images."""
        if scroll.id == END:
            return _page(owner, [], 0, None)
        state = self._scrolls.resume(VariantsScroll, [owner], scroll)
        if state is not None:
            return _page(owner, [], state.total, END)
        total = sum(series.count for series in self._events.series(owner.company, [owner.id], [IMAGE]))
        images = newest_first(newest_per_series(self._events, owner, IMAGE, None, iters))
        next_id = self._scrolls.keep(VariantsScroll(total), [owner], scroll) if images else END
        return _page(owner, images, total, next_id)


def _page(owner: Owner, images: list[dict[str, Any]], total: int, scroll_id: str | None) -> dict[str, Any]:
    return {"task": owner.id, "images": images, "returned": len(images), "total": total, "scroll_id": scroll_id}
