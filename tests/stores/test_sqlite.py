"""SQLite as an engine, and what is particular to its file."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import gevent
import pytest

from apiserver.stores.base import EventStore
from apiserver.stores.batch import EventBatch, LogLine, Touch
from apiserver.stores.errors import StoreBusy
from apiserver.stores.records import LOG, Cursor, EventQuery
from apiserver.stores.registry import Condition, Registry
from apiserver.stores.sqlite import logs, open_sqlite
from tests.contract.batches import Builder
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


def test_the_texts_of_a_pattern_filter_are_not_all_in_memory_at_once(tmp_path: Path) -> None:
    """59 MB of comments took 820 MB (most of it while their JSON was read), twenty times as many stopped the call."""
    events, registry = open_sqlite(tmp_path / "texts.db")
    try:
        for part in range(6):
            bodies = {f"{part}-{number}": {"comment": f"{number} " + "x" * 49_000} for number in range(200)}
            registry.create_many("project", "c", bodies)
        where = [Condition("comment", "matches", ("^7 x", False))]
        tracemalloc.start()
        found = registry.count("project", ["c"], where)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    finally:
        events.close()
    assert found == 6 and peak < 200_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=False).returncode:
        pytest.skip("a disk of its own needs the right to mount one")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_does_not_stop_the_start_and_reads_work(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    events, _ = open_sqlite(small_disk / "tidemark.db")
    events.append("c", Builder().scalars("t", "loss", "train", [(step, 1.0) for step in range(500)]).build())
    events.close()
    place = os.statvfs(small_disk)
    # What SQLite shares between its connections needs 32 kB; a log of changes needs more than the 4 kB that are left.
    (small_disk / "other").write_bytes(b"x" * (place.f_bavail * place.f_frsize - 36_864))
    events, registry = open_sqlite(small_disk / "tidemark.db")
    assert events.series("c", ["t"])[0].count == 500
    assert not events.conditions()["disk"].ok
    caplog.clear()
    for _ in range(3):
        with pytest.raises(StoreBusy, match="full"):
            registry.create("project", "c", "p", {"name": "x" * 10_000})
    (small_disk / "other").unlink()
    assert registry.create("project", "c", "p", {"name": "x" * 10_000}).id == "p"
    began, over = caplog.messages
    assert "database or disk is full" in began and "a full disk is over after" in over
    events.close()


@pytest.mark.parametrize("line", [5, 19_995])
def test_the_position_of_a_line_near_an_end_does_not_read_the_whole_log(line: int) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE TABLE logs (entity INTEGER, timestamp INTEGER, seq INTEGER, PRIMARY KEY (entity, timestamp, seq)) WITHOUT ROWID"
    )
    connection.executemany("INSERT INTO logs VALUES (1, ?, ?)", [(number, number) for number in range(20_000)])
    hundreds: list[int] = []
    connection.set_progress_handler(lambda: hundreds.append(1), 100)  # called after every 100 instructions of SQLite
    assert logs.positions(connection, 1, 20_000, [Cursor(line, line, line)]) == [line]
    assert len(hundreds) < 20
