"""Debug images as clients older than 2.7 list them."""

from __future__ import annotations

from typing import Any

from apiserver.bll.events.logs import without_cursors
from apiserver.bll.events.newest_events import newest_first, newest_per_series
from apiserver.bll.events.pages import last_arrival
from apiserver.bll.events.scrolls import END, Scrolls
from apiserver.bll.registry.directory import OwnerKind, TaskDirectory
from apiserver.stores.base import EventStore
from apiserver.stores.records import IMAGE, Cursor, EventQuery

PAGE = 500


class Images:
    """`debug_images` below 2.7. Answers are `{task, images, returned, total, scroll_id}`; the page after the last one is empty, its scroll
    id the end mark. InvalidTask or InvalidModel for unknown ids, InvalidScroll for ids of other scrolls."""

    def __init__(self, store: EventStore, directory: TaskDirectory, scrolls: Scrolls) -> None:
        self._store = store
        self._directory = directory
        self._scrolls = scrolls

    def of_last_iterations(
        self, company: str, task: str, *, iters: int = 1, scroll_id: str | None = None, model_events: bool = False
    ) -> dict[str, Any]:
        """Versions 1.8 to 2.6: all images of the task's last `iters` iterations, newest first, 500 a page."""
        owner = self._owner(company, task, model_events)
        if scroll_id == END:
            return _page(task, [], 0, None)
        state = self._scrolls.resume("debug_images_of_iterations", company, task, scroll_id)
        if state is None:
            query = EventQuery(task, [IMAGE], with_iter=True)
            last = self._store.iterations(owner, query, descending=True, count=min(iters, 1_000_000))
            if not last:
                return _page(task, [], 0, END)
            until = last_arrival(self._store.series(owner, [task], [IMAGE]))
            query = EventQuery(task, [IMAGE], with_iter=True, min_iter=last[-1], until_seq=until)
            state = {"oldest": last[-1], "until": until, "total": self._store.count(owner, query)}
        query = EventQuery(task, [IMAGE], with_iter=True, min_iter=state["oldest"], until_seq=state["until"])
        after = Cursor(*state["after"]) if "after" in state else None
        images = self._store.page(owner, query, "iter", descending=True, after=after, limit=PAGE)
        if not images:
            return _page(task, [], state["total"], END)
        next_state = state | {"after": list(images[-1]["_cursor"])}
        next_id = self._scrolls.keep("debug_images_of_iterations", company, task, next_state)
        return _page(task, without_cursors(newest_first(images)), state["total"], next_id)

    def of_variants(
        self, company: str, task: str, *, iters: int = 1, scroll_id: str | None = None, model_events: bool = False
    ) -> dict[str, Any]:
        """Versions below 1.8: the last `iters` images of every metric and variant, newest first, in one page. `total` counts all images."""
        owner = self._owner(company, task, model_events)
        if scroll_id == END:
            return _page(task, [], 0, None)
        state = self._scrolls.resume("debug_images_of_variants", company, task, scroll_id)
        if state is not None:
            return _page(task, [], state["total"], END)
        total = sum(series.count for series in self._store.series(owner, [task], [IMAGE]))
        images = without_cursors(newest_first(newest_per_series(self._store, owner, task, IMAGE, None, iters)))
        next_id = self._scrolls.keep("debug_images_of_variants", company, task, {"total": total}) if images else END
        return _page(task, images, total, next_id)

    def _owner(self, company: str, task: str, model_events: bool) -> str:
        kind: OwnerKind = "model" if model_events else "task"
        return self._directory.readable(company, [task], kind)[task].company


def _page(task: str, images: list[dict[str, Any]], total: int, scroll_id: str | None) -> dict[str, Any]:
    return {"task": task, "images": images, "returned": len(images), "total": total, "scroll_id": scroll_id}
