"""How many series there may be, and how seldom the store is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from apiserver.stores.base import EventStore
from apiserver.stores.batch import EventBatch, Points, Touch
from apiserver.stores.options import WriteOptions
from apiserver.stores.records import SCALAR, SeriesKey
from apiserver.stores.series_room import SeriesRoom
from apiserver.stores.sqlite import open_sqlite


class Counts:
    """A store with numbers of series; it says how often it was asked."""

    def __init__(self, **numbers: int) -> None:
        self.numbers = numbers
        self.asked: list[str | None] = []

    def __call__(self, task: str | None) -> int:
        self.asked.append(task)
        return sum(self.numbers.values()) if task is None else self.numbers.get(task, 0)


def fill(room: SeriesRoom, counts: Counts, task: str, wanted: int) -> int:
    """How many of so many new series one batch gets."""
    batch = room.batch("company", counts)
    got = sum(batch.take(task) is None for _ in range(wanted))
    counts.numbers[task] = counts.numbers.get(task, 0) + got
    return got


def test_small_tasks_never_ask_the_store() -> None:
    room, counts = SeriesRoom(WriteOptions(max_task_series=800)), Counts()
    for number in range(50):
        assert fill(room, counts, f"t{number}", 90) == 90
    assert counts.asked == []


def test_a_task_gets_as_many_series_as_the_limit_and_a_batch_asks_once() -> None:
    room, counts = SeriesRoom(WriteOptions(max_task_series=800)), Counts()
    assert [fill(room, counts, "t", 150) for _ in range(7)] == [150, 150, 150, 150, 150, 50, 0]
    assert len(counts.asked) <= 8
    counts.numbers["t"] = 700  # some were deleted
    assert fill(room, counts, "t", 150) == 100


def test_what_other_processes_made_is_seen_after_an_eighth_of_the_limit() -> None:
    room, counts = SeriesRoom(WriteOptions(max_task_series=800)), Counts(t=780)
    assert fill(room, counts, "t", 10) == 10
    assert sum(fill(room, counts, "t", 50) for _ in range(10)) <= 100


def test_a_company_has_a_limit_too() -> None:
    room, counts = SeriesRoom(WriteOptions(max_task_series=100, max_company_series=160)), Counts()
    assert [fill(room, counts, f"t{number}", 50) for number in range(4)] == [50, 50, 50, 10]
    batch = room.batch("company", counts)
    assert "events.max_company_series" in str(batch.take("t9"))
    assert room.batch("other", Counts()).take("t") is None


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    events, _ = open_sqlite(tmp_path / "events.db", WriteOptions(max_task_series=10, max_company_series=15))
    yield events
    events.close()


def test_sqlite_counts_the_series_of_a_company(store: EventStore) -> None:
    def append(company: str, task: str, numbers: range) -> int:
        points = {SeriesKey(task, SCALAR, f"m{number}", "v"): Points([1], [1.0], [1], [number], [10]) for number in numbers}
        batch = EventBatch(now=1_700_000_000_000, worker="w", lines=len(numbers), points=points, touches={task: Touch()})
        return len(store.append(company, batch).refusals)

    assert append("a", "t1", range(9)) == 0
    assert append("a", "t2", range(9)) == 3
    assert append("a", "t1", range(9)) == 0
    assert append("b", "t1", range(12)) == 2
    store.delete("a", "t1")
    assert append("a", "t2", range(9)) == 0
