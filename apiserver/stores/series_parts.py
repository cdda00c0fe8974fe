"""The series of many tasks, read in parts: the number of a task's series is known only after reading it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from apiserver.stores.base import SeriesReader
from apiserver.stores.records import Metrics, Series

FIRST_TASKS, MOST_TASKS = 25, 1_000
SERIES_AT_ONCE = 50_000
"""About so many series are asked for at a time, by what the tasks before had; a single task may have more."""


def series_in_parts(
    events: SeriesReader, company: str, tasks: Sequence[str], types: Collection[str] | None = None, metrics: Metrics | None = None
) -> Iterator[list[Series]]:
    """The answer of `SeriesReader.series`, in parts."""
    start, size, seen = 0, FIRST_TASKS, 0
    while start < len(tasks):
        found = events.series(company, tasks[start : start + size], types, metrics)
        yield found
        start, seen = start + size, seen + len(found)
        size = min(MOST_TASKS, max(1, SERIES_AT_ONCE * start // max(seen, 1)))
