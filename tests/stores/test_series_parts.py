"""The series of many tasks are read in parts whose size follows what tasks have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apiserver.stores.series_parts import FIRST_TASKS, SERIES_AT_ONCE, series_in_parts


class Tasks:
    """A store in which every task has so many series."""

    def __init__(self, series: int) -> None:
        self.series_of_each = series
        self.asked: list[int] = []

    def series(self, company: str, tasks: Sequence[str], types: Any = None, metrics: Any = None) -> list[Any]:
        self.asked.append(len(tasks))
        return [(task, number) for task in tasks for number in range(self.series_of_each)]


def read(series: int, tasks: int) -> list[int]:
    store = Tasks(series)
    found = [one for part in series_in_parts(store, "company", list(map(str, range(tasks)))) for one in part]  # type: ignore[arg-type]
    assert found == [(str(task), number) for task in range(tasks) for number in range(series)]
    return store.asked


def test_tasks_of_few_series_take_two_requests() -> None:
    assert read(8, FIRST_TASKS) == [FIRST_TASKS]
    assert read(8, 500) == [FIRST_TASKS, 500 - FIRST_TASKS]
    assert read(0, 1_100) == [FIRST_TASKS, 1_000, 75]


def test_tasks_of_many_series_are_read_few_at_a_time() -> None:
    assert max(read(2_000, 100)[1:]) * 2_000 <= SERIES_AT_ONCE
