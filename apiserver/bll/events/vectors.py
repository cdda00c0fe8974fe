"""Vectors: lists of numbers by iteration."""

from __future__ import annotations

from typing import Any

from apiserver.bll.registry.directory import Owner
from apiserver.common.fairness import give_way
from apiserver.errors import FieldsValueError
from apiserver.stores.base import EventReader
from apiserver.stores.records import VECTOR, Cursor, EventQuery

_PAGE = 500


class Vectors:
    """The answer of vector_metrics_iter_histogram."""

    def __init__(self, events: EventReader, most: int) -> None:
        """`most`: numbers in one answer."""
        self._events = events
        self._most = most

    def of_series(self, owner: Owner, metric: str, variant: str) -> dict[str, Any]:
        """All vectors of one series by iteration; those without an iteration are left out. Raises FieldsValueError when they are too many."""
        query = EventQuery(owner.id, [VECTOR], {metric: [variant]}, with_iter=True)
        vectors: list[Any] = []
        iterations: list[int] = []
        after: Cursor | None = None
        numbers = 0
        while True:
            page = self._events.page(owner.company, query, "iter", after=after, limit=_PAGE)
            for event, _ in page:
                value = event.get("value")
                vectors.append(value if isinstance(value, list) else [])
                iterations.append(event["iter"])
                numbers += len(vectors[-1])
            if numbers > self._most:
                raise FieldsValueError(f"the vectors of the series have more than {self._most} numbers (events.max_chart_points)")
            if len(page) < _PAGE:
                return {"metric": metric, "variant": variant, "vectors": vectors, "iterations": iterations}
            after = page[-1].cursor
            give_way()
