"""One debug image at a time, with steps to its neighbours (docs/protocol.md, "Debug images")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from apiserver.bll.events.iterations import Variant, at_iterations, best_per_variant, exists, metrics_of, nearest, up_to, valid_iterations
from apiserver.bll.events.sample_navigation import SampleCursor, SampleNavigation, Span
from apiserver.bll.events.scrolls import Scroll
from apiserver.bll.registry.directory import Owner
from apiserver.stores.base import EventReader
from apiserver.stores.records import IMAGE, EventQuery, StoredEvent
from apiserver.stores.state import State


class ImageSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`variants`: metric -> variant -> (oldest valid iteration, newest iteration)."""

    variants: dict[str, dict[str, Span]]


class ImageSamples(SampleNavigation[ImageSnapshot]):
    """`get_debug_image_sample` and `next_debug_image_sample`: valid images in the order (iteration, metric, variant)."""

    def __init__(self, events: EventReader, state: State, ttl: float) -> None:
        super().__init__(events, state, "image_samples", ImageSnapshot, ttl)

    def get(
        self,
        owner: Owner,
        scroll: Scroll,
        metric: str,
        variant: str,
        *,
        iteration: int | None = None,
        refresh: bool = False,
        navigate_current_metric: bool = True,
    ) -> dict[str, Any]:
        """`{scroll_id, event, min_iteration, max_iteration}`: the newest valid image of the variant, up to `iteration` if given.

        The event is null if there is none; the iterations are those of the variant, null if it is unknown. An unknown scroll id starts a
        new session. Raises InvalidScroll when the session is another company's, of another task, or navigates other metrics.
        """
        asked = SampleCursor(metric, navigate_current_metric, variant)
        return _answer(*self._show(owner, scroll, asked, iteration=iteration, refresh=refresh))

    def next(self, owner: Owner, scroll: Scroll, *, earlier: bool = True, next_iteration: bool = False) -> dict[str, Any]:
        """The image before (`earlier`) or after the current one; with `next_iteration` in another iteration. At an end everything is null
        and the session stays where it is, under the same id. Raises InvalidScroll when the task has no such session."""
        return _answer(*self._step(owner, scroll, earlier=earlier, next_iteration=next_iteration))

    def _neighbour(
        self, owner: Owner, snapshot: ImageSnapshot, cursor: SampleCursor, earlier: bool, next_iteration: bool
    ) -> list[StoredEvent]:
        current, here = cursor.iteration or 0, (cursor.metric, cursor.variant)
        valid_from = {
            (metric, variant): span[0]
            for metric, variants in snapshot.variants.items()
            if metric == cursor.metric or not cursor.within_metric
            for variant, span in variants.items()
        }
        if not next_iteration:
            beside = [
                variant for variant, oldest in valid_from.items() if oldest <= current and (variant < here if earlier else variant > here)
            ]
            found = self._first(owner, sorted(beside, reverse=earlier), current)
            if found is not None:
                return self._image(owner, found, current)
        other = valid_iterations(self._events, owner, valid_from, beyond=current, descending=earlier, count=1)
        valid = [variant for variant, oldest in valid_from.items() if other and oldest <= other[0]]
        found = self._first(owner, sorted(valid, reverse=earlier), other[0]) if other else None
        return [] if found is None else self._image(owner, found, other[0])

    def _newest(self, owner: Owner, cursor: SampleCursor, oldest: int, iteration: int | None) -> list[StoredEvent]:
        query = EventQuery(owner.id, [IMAGE], metrics={cursor.metric: [cursor.variant]}, min_iter=oldest)
        newest = self._events.iterations(owner.company, query, descending=True, count=1, beyond=up_to(iteration))
        return self._image(owner, (cursor.metric, cursor.variant), newest[0]) if newest else []

    def _span(self, snapshot: ImageSnapshot, cursor: SampleCursor) -> Span | None:
        return snapshot.variants.get(cursor.metric, {}).get(cursor.variant)

    def _moved(self, cursor: SampleCursor, event: StoredEvent) -> SampleCursor:
        return SampleCursor(event["metric"], cursor.within_metric, event["variant"], event["iter"])

    def _first(self, owner: Owner, variants: Sequence[Variant], iteration: int) -> Variant | None:
        def found_in(some: Iterable[Variant]) -> bool:
            return exists(self._events, owner, IMAGE, metrics_of(some), iteration)

        return nearest(variants, found_in)

    def _image(self, owner: Owner, variant: Variant, iteration: int) -> list[StoredEvent]:
        """The image; empty when it was deleted meanwhile."""
        events = at_iterations(self._events, owner, IMAGE, metrics_of([variant]), [iteration])
        best = best_per_variant(IMAGE, events)
        return list(best.values())[:1]

    def _survey(self, owner: Owner, metric: str | None) -> ImageSnapshot:
        variants: dict[str, dict[str, Span]] = {}
        for image in self._events.image_variants(owner.company, owner.id, None if metric is None else {metric: ()}):
            variants.setdefault(image.metric, {})[image.variant] = image.valid_from, image.max_iter
        return ImageSnapshot(variants)


def _answer(scroll_id: str, events: list[StoredEvent], span: Span | None) -> dict[str, Any]:
    oldest, newest = span or (None, None)
    return {"scroll_id": scroll_id, "event": events[0] if events else None, "min_iteration": oldest, "max_iteration": newest}
