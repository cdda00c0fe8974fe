"""Vectors: lists of numbers by iteration."""

from __future__ import annotations

from typing import Any

from apiserver.bll.registry.directory import Owner
from apiserver.fairness import give_way
from apiserver.stores.base import EventReader
from apiserver.stores.records import VECTOR, Cursor, EventQuery

_PAGE = 2000


class Vectors:
    """The answer of vector_metrics_iter_histogram."""

    def __init__(self, events: EventReader) -> None:
        self._events = events

    def of_series(self, owner: Owner, metric: str, variant: str) -> dict[str, Any]:
        """All vectors of one series by iteration; those without an iteration are left out."""
        query = EventQuery(owner.id, [VECTOR], {metric: [variant]}, with_iter=True)
        vectors: list[Any] = []
        iterations: list[int] = []
        after: Cursor | None = None
        while True:
            page = self._events.page(owner.company, query, "iter", after=after, limit=_PAGE)
            for event, _ in page:
                value = event.get("value")
                vectors.append(value if isinstance(value, list) else [])
                iterations.append(event["iter"])
            if len(page) < _PAGE:
                return {"metric": metric, "variant": variant, "vectors": vectors, "iterations": iterations}
            after = page[-1].cursor
            give_way()
