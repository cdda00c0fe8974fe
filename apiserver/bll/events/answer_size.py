"""Limits the bytes of one answer. Pages are limited in events, but one event may have megabytes, and a task thousands of series."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextvars import ContextVar
from typing import Any, cast

from apiserver.errors import FieldsValueError, ValidationFailed
from apiserver.stores.base import EventStore
from apiserver.stores.records import Metrics, PagedEvent, Series
from apiserver.stores.series_parts import series_in_parts

_bytes: ContextVar[int] = ContextVar("answer_bytes", default=0)


def begin() -> None:
    """Call at the start of a call: its answer has 0 bytes so far."""
    _bytes.set(0)


def bounded(events: EventStore, most: int, most_series: int) -> EventStore:
    """The store with limits, for handlers that put what they read into their answer: all pages of one call together have at most `most` bytes (else
    FieldsValueError), and a query for several tasks returns at most `most_series` series (else ValidationFailed)."""
    return cast(EventStore, _Bounded(events, most, most_series))


class _Bounded:
    """Other attributes are those of the wrapped store."""

    def __init__(self, events: EventStore, most: int, most_series: int) -> None:
        self._events, self._most, self._most_series = events, most, most_series

    def series(
        self, company: str, tasks: Sequence[str], types: Collection[str] | None = None, metrics: Metrics | None = None
    ) -> list[Series]:
        if len(tasks) <= 1:
            return self._events.series(company, tasks, types, metrics)
        found: list[Series] = []
        for part in series_in_parts(self._events, company, tasks, types, metrics):
            found += part
            if len(found) > self._most_series:
                raise ValidationFailed("tasks", f"tasks that have at most {self._most_series} series together (events.max_list_series)")
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._events, name)

    def page(self, *args: Any, **kwargs: Any) -> list[PagedEvent]:
        found = self._events.page(*args, **kwargs)
        _bytes.set(_bytes.get() + _size(found))
        if _bytes.get() > self._most:
            raise FieldsValueError(f"the answer would have more than {self._most} bytes (events.max_answer_bytes): ask for fewer events")
        return found


def _size(found: Iterable[PagedEvent]) -> int:
    """Estimated bytes: the lengths of strings and of nested values."""
    size = 0
    for event, _ in found:
        for value in event.values():
            kind = type(value)
            if kind is str:
                size += len(value)
            elif kind is dict or kind is list:
                size += _nested(value)
    return size


def _nested(value: Any) -> int:
    """Without recursion and without encoding it: unknown fields may be nested deeper, and hold larger integers, than encoders take."""
    size, left = 0, [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            size += len(one)
        elif isinstance(one, dict):
            left += one.keys()
            left += one.values()
        elif isinstance(one, list):
            left += one
        else:
            size += one.bit_length() // 3 if type(one) is int else 8
        size += 1
    return size
