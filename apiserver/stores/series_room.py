"""Limits for the number of series of a task or model, and of a company. Only new series are counted: a batch of known series costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from cachetools import LRUCache

from apiserver.stores.batch import Event, EventBatch, LogLine, Refusal
from apiserver.stores.options import WriteOptions
from apiserver.stores.records import SeriesKey
from apiserver.stores.touches import touches_of

REMEMBERED = 100_000
"""Tasks and companies whose number of series is remembered."""
UNCOUNTED = 8
"""After limit / UNCOUNTED new series a process asks the store again, because other processes create series too."""

TOO_MANY = "too many series"
"""The kind of the refusals."""

_Place = tuple[str, str | None]
"""Company and task; None: the company as a whole."""


class SeriesRoom:
    """Cached numbers of series. Used by one thread, or by greenlets."""

    def __init__(self, options: WriteOptions) -> None:
        self.task_limit, self.company_limit = options.max_task_series, options.max_company_series
        self.known: LRUCache[_Place, tuple[int, int]] = LRUCache(REMEMBERED)
        """The number of series, at least; and how many of them were made since the store was asked."""

    def batch(self, company: str, count: Callable[[str | None], int]) -> BatchRoom:
        """The room for new series of one batch. `count` asks the store how many series a task (None: the company) has, without those that
        this batch makes."""
        return BatchRoom(self, company, count)

    def forget(self) -> None:
        self.known.clear()


class BatchRoom:
    """The limits for one batch. Before it refuses a series it asks the store, at most once per task and batch."""

    def __init__(self, room: SeriesRoom, company: str, count: Callable[[str | None], int]) -> None:
        self._room, self._company, self._count = room, company, count
        self._made: dict[str | None, int] = {}
        self._asked: set[str | None] = set()

    def take(self, task: str) -> str | None:
        """Take room for one more series of a task; returns the refusal when there is none."""
        room = self._room
        if self._number(task, room.task_limit) >= room.task_limit:
            return f"{task[:100]} has {room.task_limit} series, it can't have more (events.max_task_series)"
        if self._number(None, room.company_limit) >= room.company_limit:
            return f"the company has {room.company_limit} series, it can't have more (events.max_company_series)"
        for place in (task, None):
            number, made = room.known[self._company, place]
            room.known[self._company, place] = number + 1, made + 1
            self._made[place] = self._made.get(place, 0) + 1
        return None

    def _number(self, place: str | None, limit: int) -> int:
        key = (self._company, place)
        number, made = self._room.known.get(key, (0, 0))
        if place not in self._asked and (made >= limit // UNCOUNTED or number >= limit):
            self._asked.add(place)
            number, made = self._count(place) + self._made.get(place, 0), 0
        self._room.known[key] = number, made
        return number


def without(batch: EventBatch, refused: Mapping[SeriesKey, str]) -> tuple[EventBatch, list[Refusal]]:
    """The batch as if the lines of these series had never been in it, and the refusal of each of them. `refused`: series -> sentence."""
    if not refused:
        return batch, []
    singles: list[Event | LogLine] = [*batch.events, *batch.logs]
    lines = [(key, line) for key, points in batch.points.items() if key in refused for line in points.lines]
    lines += [(one.series, one.line) for one in singles if one.series in refused]
    kept = replace(
        batch,
        points={key: points for key, points in batch.points.items() if key not in refused},
        events=[event for event in batch.events if event.series not in refused],
        logs=[line for line in batch.logs if line.series not in refused],
    )
    kept.touches = touches_of(kept)
    return kept, [Refusal(line, "variant", refused[key], TOO_MANY) for key, line in lines]
