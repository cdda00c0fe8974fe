"""One debug image at a time, with steps to the neighbours (spec C.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from apiserver.bll.events.iterations import Variant, at_iterations, best_per_variant, exists, metrics_of, nearest, up_to, valid_iterations
from apiserver.bll.events.logs import without_cursors
from apiserver.bll.events.navigation_sessions import SECONDS, Walk
from apiserver.bll.events.sample_navigation import Known, Place, Samples
from apiserver.bll.registry.directory import TaskDirectory
from apiserver.stores.base import EventStore, State
from apiserver.stores.records import IMAGE, EventQuery, StoredEvent


class ImageSamples(Samples):
    """`get_debug_image_sample` and `next_debug_image_sample`. A walk visits valid images in the order (iteration, metric, variant)."""

    def __init__(self, store: EventStore, directory: TaskDirectory, state: State, ttl: float = SECONDS) -> None:
        super().__init__(store, directory, state, "image_samples", ttl)

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
        return _answer(
            *self._show(
                company,
                task,
                {"metric": metric, "variant": variant},
                iteration=iteration,
                refresh=refresh,
                navigate_current_metric=navigate_current_metric,
                scroll_id=scroll_id,
                model_events=model_events,
            )
        )

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
        return _answer(
            *self._step(company, task, scroll_id=scroll_id, earlier=earlier, next_iteration=next_iteration, model_events=model_events)
        )

    def _neighbour(self, owner: str, task: str, walk: Walk, earlier: bool, next_iteration: bool) -> list[StoredEvent]:
        current, here = walk.place["iteration"], (walk.place["metric"], walk.place["variant"])
        only = walk.place["metric"] if walk.place["inside"] else None
        borders = {
            (metric, variant): bounds[0]
            for metric, variants in walk.known["variants"].items()
            if only in (None, metric)
            for variant, bounds in variants.items()
        }
        if not next_iteration:
            beside = [
                variant for variant, border in borders.items() if border <= current and (variant < here if earlier else variant > here)
            ]
            found = self._first(owner, task, sorted(beside, reverse=earlier), current)
            if found is not None:
                return self._image(owner, task, found, current)
        other = valid_iterations(self._store, owner, task, borders, beyond=current, descending=earlier, count=1)
        valid = [variant for variant, border in borders.items() if other and border <= other[0]]
        found = self._first(owner, task, sorted(valid, reverse=earlier), other[0]) if other else None
        return [] if found is None else self._image(owner, task, found, other[0])

    def _newest(self, owner: str, task: str, place: Place, oldest: int, iteration: int | None) -> list[StoredEvent]:
        query = EventQuery(task, [IMAGE], metrics={place["metric"]: [place["variant"]]}, min_iter=oldest)
        newest = self._store.iterations(owner, query, descending=True, count=1, beyond=up_to(iteration))
        return self._image(owner, task, (place["metric"], place["variant"]), newest[0]) if newest else []

    def _bounds(self, known: Known, place: Place) -> list[int] | None:
        found: list[int] | None = known["variants"].get(place["metric"], {}).get(place["variant"])
        return found

    def _placed(self, event: StoredEvent) -> Place:
        return super()._placed(event) | {"variant": event["variant"]}

    def _first(self, owner: str, task: str, variants: Sequence[Variant], iteration: int) -> Variant | None:
        def found_in(some: Iterable[Variant]) -> bool:
            return exists(self._store, owner, task, IMAGE, metrics_of(some), iteration)

        return nearest(variants, found_in)

    def _image(self, owner: str, task: str, variant: Variant, iteration: int) -> list[StoredEvent]:
        """The image; empty when it was deleted meanwhile."""
        events = at_iterations(self._store, owner, task, IMAGE, metrics_of([variant]), [iteration])
        best = best_per_variant(IMAGE, events)
        return without_cursors(list(best.values()))[:1]

    def _survey(self, owner: str, task: str, metric: str | None) -> Known:
        """`variants`: metric -> variant -> [oldest valid iteration, newest iteration]."""
        variants: dict[str, dict[str, list[int]]] = {}
        for image in self._store.image_variants(owner, task, None if metric is None else {metric: ()}):
            variants.setdefault(image.metric, {})[image.variant] = [image.valid_from, image.max_iter]
        return {"variants": variants}


def _answer(scroll_id: str, events: list[StoredEvent], bounds: list[int] | None) -> dict[str, Any]:
    oldest, newest = bounds or (None, None)
    return {"scroll_id": scroll_id, "event": events[0] if events else None, "min_iteration": oldest, "max_iteration": newest}
