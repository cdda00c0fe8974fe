"""Lists debug images: the iterations that have images (for a slider), and the images of many tasks and variants at one iteration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from apiserver.bll.answer_cache import AnswerCache
from apiserver.bll.events.charts import ids_by_company, revision_of
from apiserver.bll.events.iterations import at_iterations, best_per_variant, metrics_of, up_to
from apiserver.bll.registry.directory import Owner
from apiserver.common.fairness import give_way
from apiserver.errors import ValidationFailed
from apiserver.stores.base import EventReader
from apiserver.stores.records import IMAGE, EventQuery, ImageVariant, Metrics

CACHE_BYTES = 8 * 1024 * 1024
MAX_VARIANTS = 1_000
MAX_STOPS = 100_000
"""Iterations of a variant, the newest ones."""


class ImageIndex:
    """Answers of get_image_index and get_debug_image_samples. Only valid images count: those whose file was not overwritten by a later one."""

    def __init__(self, events: EventReader, cache_bytes: int = CACHE_BYTES) -> None:
        self._events = events
        self._cache: AnswerCache[bytes] = AnswerCache(cache_bytes, len)

    def stops(self, owners: Mapping[str, Owner], metrics: Metrics | None) -> bytes:
        """{variants: [{task, metric, variant, runs, count}]}; `runs` are the iterations as [first, last, step]."""

        def build() -> bytes:
            found = []
            for owner, image in self._variants(owners, metrics):
                query = EventQuery(owner.id, [IMAGE], metrics={image.metric: [image.variant]}, min_iter=image.valid_from)
                iterations = self._events.iterations(owner.company, query, descending=True, count=MAX_STOPS)
                fields = {"task": owner.id, "metric": image.metric, "variant": image.variant}
                found.append({**fields, "runs": runs_of(iterations[::-1]), "count": len(iterations)})
                give_way()
            return orjson.dumps({"variants": found})

        return self._cached("stops", owners, metrics, build)

    def at(self, owners: Mapping[str, Owner], metrics: Metrics | None, iteration: int | None) -> list[dict[str, Any]]:
        """[{task, metric, variant, event}]: of every variant the newest image up to the iteration (None: of all); null when there is none."""
        found = []
        for owner in owners.values():
            images = [image for one, image in self._variants({owner.id: owner}, metrics)]
            at: dict[int, list[tuple[str, str]]] = {}
            for image in images:
                query = EventQuery(owner.id, [IMAGE], metrics={image.metric: [image.variant]}, min_iter=image.valid_from)
                for newest in self._events.iterations(owner.company, query, descending=True, count=1, beyond=up_to(iteration)):
                    at.setdefault(newest, []).append((image.metric, image.variant))
            events: dict[tuple[str, str], dict[str, Any]] = {}
            for newest, variants in at.items():
                best = best_per_variant(IMAGE, at_iterations(self._events, owner, IMAGE, metrics_of(variants), [newest]))
                events |= {(metric, variant): event for (_, metric, variant), event in best.items()}
            for image in images:
                fields = {"task": owner.id, "metric": image.metric, "variant": image.variant}
                found.append({**fields, "event": events.get((image.metric, image.variant))})
            give_way()
        return found

    def _variants(self, owners: Mapping[str, Owner], metrics: Metrics | None) -> Iterator[tuple[Owner, ImageVariant]]:
        found = [(owner, image) for owner in owners.values() for image in self._events.image_variants(owner.company, owner.id, metrics)]
        if len(found) > MAX_VARIANTS:
            raise ValidationFailed("metrics", f"a filter that matches at most {MAX_VARIANTS:,} variants; it matches {len(found):,}")
        return iter(found)

    def _cached(self, form: str, owners: Mapping[str, Owner], metrics: Metrics | None, build: Callable[[], bytes]) -> bytes:
        chosen = None if metrics is None else tuple((metric, tuple(variants)) for metric, variants in metrics.items())
        key = (form, tuple((company, *ids) for company, ids in ids_by_company(owners.values()).items()), tuple(owners), chosen)
        return self._cache.get(key, revision_of(self._events, owners.values()), build)


def runs_of(ascending: Sequence[int]) -> list[list[int]]:
    """The numbers as [first, last, step], step 0 for a single one: evenly spaced iterations are one run."""
    runs: list[list[int]] = []
    for number in ascending:
        if runs:
            first, last, step = runs[-1]
            if step in (0, number - last):
                runs[-1] = [first, number, number - last]
                continue
        runs.append([number, number, 0])
    return runs
