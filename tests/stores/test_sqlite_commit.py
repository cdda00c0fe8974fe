"""Small writes on SQLite that wait for the disk share a transaction: which do, and what becomes of them when one of them fails."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from apiserver.stores.errors import StoreBusy
from apiserver.stores.sqlite.database import GROUP_LINES, Database


class Watched(Database):
    """A database with a table of notes, whose transactions are counted."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.commits = 0
        self.write(lambda connection: connection.execute("CREATE TABLE notes(text UNIQUE)"))
        self.write(lambda connection: connection.set_trace_callback(self._traced))
        self.commits = 0

    def _traced(self, statement: str) -> None:
        self.commits += statement == "COMMIT"

    def notes(self) -> list[str]:
        """What another connection sees."""
        return [row[0] for row in self.read(lambda connection: connection.execute("SELECT text FROM notes ORDER BY rowid").fetchall())]

    def note(self, text: str, lines: int | None = 1) -> gevent.Greenlet:
        return gevent.spawn(self.write, self.noting(text), lines=lines)

    @staticmethod
    def noting(text: str) -> Callable[[sqlite3.Connection], str]:
        def work(connection: sqlite3.Connection) -> str:
            connection.execute("INSERT INTO notes VALUES(?)", (text,))
            return text

        return work


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Watched]:
    database = Watched(tmp_path / "test.db")
    yield database
    database.close()


class Slow:
    """A write that stays in the writer thread until it is let go."""

    def __init__(self, database: Database, lines: int | None = None) -> None:
        self.inside, self.go = threading.Event(), threading.Event()
        self.done = gevent.spawn(database.write, self._work, lines=lines)
        gevent.sleep(0)

    def wait(self) -> None:
        """Until it is in the thread."""
        with gevent.Timeout(10):
            while not self.inside.is_set():
                gevent.sleep(0.001)

    def _work(self, _: sqlite3.Connection) -> None:
        self.inside.set()
        assert self.go.wait(10)

    def release(self) -> None:
        self.go.set()
        self.done.get(timeout=10)


def held(database: Database) -> Slow:
    """A write that is in the thread: what comes now has to wait."""
    slow = Slow(database)
    slow.wait()
    return slow


def outcomes(writes: list[gevent.Greenlet]) -> list[Any]:
    """What each returned, or the exception that it raised."""
    gevent.joinall(writes, timeout=10)
    assert all(write.ready() for write in writes)
    return [write.value if write.successful() else write.exception for write in writes]


def waiting_behind(database: Watched, *notes: tuple[str, int | None]) -> list[gevent.Greenlet]:
    """The outcomes of notes (text, lines) that arrive, in this order, while another write is under way."""
    before = held(database)
    writes = [database.note(*note) for note in notes]
    gevent.sleep(0)
    before.release()
    return writes


def test_writes_that_wait_share_one_transaction(database: Watched) -> None:
    writes = waiting_behind(database, *((f"n{number}", 1) for number in range(20)))
    assert outcomes(writes) == database.notes() == [f"n{number}" for number in range(20)]
    assert database.commits == 2


def test_a_write_alone_has_a_transaction_at_once(database: Watched) -> None:
    assert [database.write(database.noting(text), lines=1) for text in "ab"] == ["a", "b"]
    assert database.commits == 2


def test_no_write_returns_before_the_transaction_is_stored(database: Watched) -> None:
    before = held(database)
    first = database.note("first")
    gevent.sleep(0)
    second = Slow(database, lines=1)
    before.release()
    second.wait()  # the first one has done its part by now
    assert not first.ready()
    assert database.notes() == []
    second.release()
    assert outcomes([first]) == ["first"]
    assert database.notes() == ["first"]


def test_one_that_raises_takes_nothing_of_the_others_back(database: Watched) -> None:
    forgotten: list[str] = []
    database.on_rollback(lambda: forgotten.append("rolled back"))

    def bad(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO notes VALUES('bad')")
        raise ValueError("refused")

    before = held(database)
    writes = [database.note("a"), gevent.spawn(database.write, bad, lines=1), database.note("b")]
    gevent.sleep(0)
    before.release()
    first, refused, last = outcomes(writes)
    assert (first, last) == ("a", "b")
    assert isinstance(refused, ValueError)
    assert database.notes() == ["a", "b"]
    assert database.commits == 2
    assert forgotten


def test_what_sqlite_refuses_is_the_fault_of_one(database: Watched) -> None:
    writes = waiting_behind(database, ("a", 1), ("a", 1), ("b", 1))
    first, refused, last = outcomes(writes)
    assert (first, last) == ("a", "b")
    assert isinstance(refused, sqlite3.IntegrityError)
    assert database.notes() == ["a", "b"]


def test_a_write_that_fills_the_disk_takes_nothing_of_the_others_back(database: Watched) -> None:
    pages = database.write(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    database.write(lambda connection: connection.execute(f"PRAGMA max_page_count={pages + 4}").fetchall())
    first, refused, last = outcomes(waiting_behind(database, ("a", 1), ("x" * 100_000, 1), ("b", 1)))
    assert (first, last) == ("a", "b")
    assert isinstance(refused, StoreBusy)
    assert "full" in str(refused)
    assert database.notes() == ["a", "b"]


def test_a_large_write_keeps_nobody_waiting_who_came_before_it(database: Watched) -> None:
    before = held(database)
    small = [database.note("a"), database.note("b")]
    gevent.sleep(0)
    large = Slow(database, lines=GROUP_LINES)
    before.release()
    assert outcomes(small) == ["a", "b"]
    assert not large.done.ready()
    large.release()


def test_writes_that_say_nothing_of_their_size_share_with_no_other(database: Watched) -> None:
    assert outcomes(waiting_behind(database, ("a", None), ("b", 1), ("c", 1), ("d", None))) == ["a", "b", "c", "d"]
    assert database.commits == 4  # the held one, a, b with c, d


def test_a_caller_that_is_killed_keeps_nobody_from_an_outcome(database: Watched) -> None:
    before = held(database)
    writes = [database.note("a"), database.note("b")]
    gevent.sleep(0)
    gevent.kill(before.done)
    gevent.kill(writes[0])
    before.go.set()
    assert writes[1].get(timeout=10) == "b"
    assert database.notes() == ["a", "b"]


def test_closing_waits_for_what_was_written(tmp_path: Path) -> None:
    database = Watched(tmp_path / "closing.db")
    writes = [database.note(f"n{number}", None) for number in range(5)]
    gevent.sleep(0)
    database.close()
    assert outcomes(writes) == [f"n{number}" for number in range(5)]
