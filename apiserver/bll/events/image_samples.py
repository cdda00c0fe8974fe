"""One debug image at a time, with steps to the neighbours (spec C.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from apiserver.bll.events.iterations import Variant, at_iterations, best_per_variant, exists, metrics_of, nearest, up_to, valid_iterations
from apiserver.bll.events.logs import without_cursors
from apiserver.bll.events.walks import SECONDS, Walk, Walks, first_place, fits
from apiserver.bll.registry.directory import EntityKind, TaskDirectory
from apiserver.stores.base import EventStore, State
from apiserver.stores.records import IMAGE, EventQuery, StoredEvent


class ImageSamples:
    """`get_debug_image_sample` and `next_debug_image_sample`. A walk visits valid images in the order (iteration, metric, variant)."""

    def __init__(self, store: EventStore, directory: TaskDirectory, state: State, ttl: float = SECONDS) -> None:
        self._store = store
        self._directory = directory
        self._walks = Walks(state, "image_samples", ttl)

    def get(
        self,
        company: str,
        task: str,
        metric: str,
        variant: str,
        *,
        iteration: int | None = None,
        refresh: bool = False,
        navigate_current_metric: bool = True,
        scroll_id: str | None = None,
        model_events: bool = False,
    ) -> dict[str, Any]:
        """`{scroll_id, event, min_iteration, max_iteration}`: the newest valid image of the variant, up to `iteration` if given.

        The event is null if there is none; the iterations are those of the variant, null if it is unknown. An unknown scroll id starts a
        new walk. Raises InvalidTask or InvalidModel; InvalidScroll when the walk is another company's, of another task, or through other
        metrics.
        """
        entity: EntityKind = "model" if model_events else "task"
        owner = self._directory.readable(company, [task], entity)[task].company
        walk = self._walks.find(company, entity, [task], scroll_id)
        if walk is not None and not fits(walk, metric, navigate_current_metric):
            raise self._walks.invalid(scroll_id, "walks through other metrics")
        if walk is None or refresh:
            variants = self._variants(owner, task, metric if navigate_current_metric else None)
        else:
            variants = walk.known["variants"]
        place = walk.place if walk is not None else first_place(metric, navigate_current_metric) | {"variant": variant}
        event: StoredEvent | None = None
        bounds = variants.get(metric, {}).get(variant)
        if bounds is not None:
            query = EventQuery(task, [IMAGE], metrics={metric: [variant]}, min_iter=bounds[0])
            newest = self._store.iterations(owner, query, descending=True, count=1, beyond=up_to(iteration))
            event = self._image(owner, task, (metric, variant), newest[0]) if newest else None
        if event is not None:
            place = place | {"metric": metric, "variant": variant, "iteration": event["iter"]}
        if walk is None or refresh:
            next_id = self._walks.begin(company, entity, [task], {"variants": variants}, place)
        else:
            next_id = self._walks.go_on(walk, company, entity, [task], place)
        return _answer(next_id, event, bounds)

    def next(
        self,
        company: str,
        task: str,
        *,
        scroll_id: str | None,
        earlier: bool = True,
        next_iteration: bool = False,
        model_events: bool = False,
    ) -> dict[str, Any]:
        """The image before (`earlier`) or after the current one; with `next_iteration` in another iteration. At an end everything is null
        and the walk stays where it is, under the same id. Raises InvalidTask or InvalidModel; InvalidScroll when there is no such walk through this task."""
        entity: EntityKind = "model" if model_events else "task"
        owner = self._directory.readable(company, [task], entity)[task].company
        walk = self._walks.find(company, entity, [task], scroll_id)
        if walk is None:
            raise self._walks.invalid(scroll_id)
        found = self._neighbour(owner, task, walk, earlier, next_iteration)
        event = self._image(owner, task, found[1], found[0]) if found is not None else None
        if event is None:
            return _answer(self._walks.go_on(walk, company, entity, [task], walk.place), None, None)
        metric, variant = event["metric"], event["variant"]
        place = walk.place | {"metric": metric, "variant": variant, "iteration": event["iter"]}
        return _answer(self._walks.go_on(walk, company, entity, [task], place), event, walk.known["variants"][metric][variant])

    def _neighbour(self, owner: str, task: str, walk: Walk, earlier: bool, next_iteration: bool) -> tuple[int, Variant] | None:
        """Iteration and variant of the next image."""
        current = walk.place["iteration"]
        if current is None:
            return None  # the walk has not shown anything yet
        only = walk.place["metric"] if walk.place["inside"] else None
        borders = {
            (metric, variant): bounds[0]
            for metric, variants in walk.known["variants"].items()
            if only in (None, metric)
            for variant, bounds in variants.items()
        }
        here = (walk.place["metric"], walk.place["variant"])
        if not next_iteration:
            beside = [
                variant for variant, border in borders.items() if border <= current and (variant < here if earlier else variant > here)
            ]
            found = self._first(owner, task, sorted(beside, reverse=earlier), current)
            if found is not None:
                return current, found
        other = valid_iterations(self._store, owner, task, borders, beyond=current, descending=earlier, count=1)
        if not other:
            return None
        valid = [variant for variant, border in borders.items() if border <= other[0]]
        found = self._first(owner, task, sorted(valid, reverse=earlier), other[0])
        return None if found is None else (other[0], found)

    def _first(self, owner: str, task: str, variants: Sequence[Variant], iteration: int) -> Variant | None:
        def found_in(some: Iterable[Variant]) -> bool:
            return exists(self._store, owner, task, IMAGE, metrics_of(some), iteration)

        return nearest(variants, found_in)

    def _image(self, owner: str, task: str, variant: Variant, iteration: int) -> StoredEvent | None:
        events = at_iterations(self._store, owner, task, IMAGE, metrics_of([variant]), [iteration])
        best = best_per_variant(IMAGE, events)
        return without_cursors(list(best.values()))[0] if best else None

    def _variants(self, owner: str, task: str, metric: str | None) -> dict[str, dict[str, list[int]]]:
        """metric -> variant -> [oldest valid iteration, newest iteration]."""
        variants: dict[str, dict[str, list[int]]] = {}
        for image in self._store.image_variants(owner, task, None if metric is None else {metric: ()}):
            variants.setdefault(image.metric, {})[image.variant] = [image.valid_from, image.max_iter]
        return variants


def _answer(scroll_id: str, event: StoredEvent | None, bounds: list[int] | None) -> dict[str, Any]:
    oldest, newest = bounds or (None, None)
    return {"scroll_id": scroll_id, "event": event, "min_iteration": oldest, "max_iteration": newest}
