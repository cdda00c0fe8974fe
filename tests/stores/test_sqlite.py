"""SQLite as an engine, and what is particular to its file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import gevent
import pytest

from apiserver.stores.base import EventStore, Registry
from apiserver.stores.records import LOG, EventBatch, EventQuery, LogLine, Touch
from apiserver.stores.sqlite import open_sqlite
from tests.contract.events import EventStoreContract
from tests.contract.registry import RegistryContract
from tests.contract.series import SeriesContract
from tests.contract.stores import in_greenlets


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EventStore, Registry]]:
    events, registry = open_sqlite(str(tmp_path_factory.mktemp("store") / "test.db"))
    yield events, registry
    events.close()


class InGreenlets:
    """SQLite's blocking calls run in gevent's own threads."""

    def at_once(self, work: Sequence[Callable[[], None]]) -> None:
        in_greenlets(work)


class TestEvents(InGreenlets, EventStoreContract):
    pass


class TestSeries(InGreenlets, SeriesContract):
    pass


class TestRegistry(InGreenlets, RegistryContract):
    pass


def test_the_file_shrinks_after_a_delete(tmp_path: Path) -> None:
    file = tmp_path / "events.db"
    events, _ = open_sqlite(file)
    try:
        for batch in range(8):
            lines = [LogLine("task", 1000 * batch + n, "info", "w", f"{batch} {n} " * 60, "", "", None, n, 500) for n in range(1000)]
            events.append("company", EventBatch(now=1_700_000_000_000, worker="w", lines=1000, logs=lines, touches={"task": Touch()}))
        before = file.stat().st_size
        assert events.delete("company", "task") == 8000
        assert events.count("company", EventQuery("task", (LOG,))) == 0
        with gevent.Timeout(30):
            while file.stat().st_size > before / 2:
                # A write now and then, as a live server has them, moves the log into the file.
                events.append("company", EventBatch(now=1_700_000_000_000, worker="w", lines=1, touches={"other": Touch()}))
                gevent.sleep(0.01)
    finally:
        events.close()
