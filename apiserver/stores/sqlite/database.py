"""One SQLite file shared by events and registry: a single writer thread, a few reader threads, snapshots for readers (WAL).

Callers are greenlets; the work runs in gevent's own thread pool, so that a write or a long read never blocks other requests.

Group commit: small writes that wait while another transaction is being synced share the next one and its sync. Each has its own
savepoint, so a write that fails does not roll back the others. A write returns when its transaction is on disk.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import gevent
from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool

from apiserver.common import tracing
from apiserver.common.outages import Outages
from apiserver.stores.errors import DISK_TROUBLE, StoreBusy, StoreDamaged, StoreReadOnly
from apiserver.stores.sqlite.registry_schema import REGISTRY_SCHEMA
from apiserver.stores.sqlite.schema import EVENT_SCHEMA, MIGRATIONS, VERSION

log = logging.getLogger("tidemark")

T = TypeVar("T")

READERS = 4
VACUUM_PAGES = 500
"""Pages released at a time: 2 MB, a few milliseconds."""
GIVE_BACK_AFTER = 0.25
"""Seconds after a delete."""
GROUP_LINES = 2_000
"""Most lines of a shared transaction: some milliseconds of work."""

_Work = Callable[[sqlite3.Connection], Any]
_Outcome = tuple[Any, BaseException | None]
"""The result or the exception of a function."""


@dataclass(slots=True, eq=False)
class _Write:
    """One call of `write`."""

    work: _Work
    lines: int | None
    outcome: AsyncResult = field(default_factory=AsyncResult)
    """Set when its transaction is on disk or rolled back."""


class Database:
    """`write` and `read` run a function with a connection in a thread and return its result.

    A write is committed and on disk when `write` returns, rolled back when the function raises. A read sees one snapshot. Raises StoreBusy when
    the disk is full or another process holds the file, StoreDamaged when the file is not usable.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._writers = ThreadPool(1)
        self._readers = ThreadPool(READERS)
        self._write_connection: sqlite3.Connection | None = None
        self._idle: deque[sqlite3.Connection] = deque()
        self._on_rollback: list[Callable[[], None]] = []
        self._waiting: deque[_Write] = deque()
        self._writing = False
        self._closed = False
        self._giving_back = False
        self._outages = Outages("SQLite")
        _apply(self._writers, self._prepare)

    def on_rollback(self, forget: Callable[[], None]) -> None:
        """Call `forget` after a failed write, to drop values cached during it."""
        self._on_rollback.append(forget)

    def write(self, work: Callable[[sqlite3.Connection], T], *, lines: int | None = None) -> T:
        """Run `work` in a durable transaction. `lines`: how much it writes; small writes that wait share a transaction. None: a
        transaction of its own.

        A shared transaction that fails as a whole is rolled back, and each of its writes is retried alone: `work` may run twice.
        """
        with tracing.span("sqlite write"):
            try:
                result = self._written(work, lines)
            except StoreReadOnly as error:
                self._outages.began(DISK_TROUBLE, f"{self.path} can be read, not written now: {error.__cause__}")
                raise
        if self._outages:
            self._outages.ended(DISK_TROUBLE)
        return result

    def _written(self, work: Callable[[sqlite3.Connection], T], lines: int | None) -> T:
        result: T
        if self._writing:
            mine = _Write(work, lines)
            self._waiting.append(mine)
            result = mine.outcome.get()
            return result
        self._writing = True
        try:
            result, error = _apply(self._writers, self._transaction, [work])[0]
        finally:
            self._go_on()
        if error is not None:
            raise error
        return result

    def _go_on(self) -> None:
        if self._waiting:
            # In its own greenlet: if this caller is killed, the others still get their outcomes.
            gevent.spawn(self._commit_waiting)
        else:
            self._writing = False

    def _commit_waiting(self) -> None:
        """Store the waiting writes in order of arrival."""
        try:
            self._commit_groups()
        finally:
            self._go_on()

    def _commit_groups(self) -> None:
        while self._waiting:
            group = self._next_group()
            outcomes: Sequence[_Outcome] = [(None, StoreBusy("the write was interrupted"))] * len(group)
            try:
                outcomes = _apply(self._writers, self._transaction, [write.work for write in group])
            finally:
                for write, (result, error) in zip(group, outcomes, strict=True):
                    if error is None:
                        write.outcome.set(result)
                    else:
                        write.outcome.set_exception(error)

    def _next_group(self) -> list[_Write]:
        """The oldest write and the next ones that may share its transaction. A large write never delays those that came before it."""
        group = [self._waiting.popleft()]
        left = GROUP_LINES - (GROUP_LINES if group[0].lines is None else group[0].lines)
        while self._waiting and (lines := self._waiting[0].lines) is not None and lines <= left:
            group.append(self._waiting.popleft())
            left -= lines
        return group

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on a snapshot."""
        with tracing.span("sqlite read"):
            result: T = _apply(self._readers, self._snapshot, work)
        return result

    def maintain(self) -> None:
        """Give freed pages back to the file system, in the background and some milliseconds at a time."""
        if not self._giving_back:
            self._giving_back = True
            gevent.spawn(self._give_back)

    def _give_back(self) -> None:
        gevent.sleep(GIVE_BACK_AFTER)  # once for many deletes: each pass takes a transaction of the writer and a checkpoint
        try:
            while not self._closed and _apply(self._writers, self._vacuum):
                gevent.sleep(0.005)
        except sqlite3.Error as error:  # the pages stay free inside the file, and are used again
            log.warning("freed pages are not given back now: %s", error)
        finally:
            self._giving_back = False

    def _vacuum(self) -> int:
        """Release some free pages to the file system; returns the number of pages left."""
        connection = self._writer()
        # `execute` would step this statement once, which is one page.
        connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
        left = int(connection.execute("PRAGMA freelist_count").fetchone()[0])
        if not left:  # the file shrinks when the WAL is written back into it
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        return left

    def close(self) -> None:
        """Stop the threads and close the connections."""
        if self._closed:
            return
        self._closed = True
        while self._writing:
            gevent.sleep(0.001)
        self._writers.join()
        self._readers.join()
        while self._idle:
            self._idle.pop().close()
        if self._write_connection is not None:
            self._write_connection.close()
            self._write_connection = None
        self._writers.kill()
        self._readers.kill()

    # --- in the threads ---

    def _transaction(self, works: Sequence[_Work]) -> list[_Outcome]:
        """Run each write; the changes of one that raises are rolled back."""
        together = self._together(works) if len(works) > 1 else None
        return together or [self._alone(work) for work in works]

    def _alone(self, work: _Work) -> _Outcome:
        connection = self._writer()
        try:
            connection.execute("BEGIN IMMEDIATE")
            result = work(connection)
            connection.execute("COMMIT")
            return result, None
        except BaseException as error:
            self._roll_back(connection)
            return None, self._shown(error)

    def _together(self, works: Sequence[_Work]) -> list[_Outcome] | None:
        """Run all writes in one transaction. None: SQLite refused one of them, and nothing is stored."""
        connection = self._writer()
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._in_savepoint(connection, work) for work in works]
            connection.execute("COMMIT")
            return outcomes
        except sqlite3.DatabaseError:  # a full disk, for example: each write is tried alone to find the one that fails
            self._roll_back(connection)
            return None

    def _in_savepoint(self, connection: sqlite3.Connection, work: _Work) -> _Outcome:
        connection.execute("SAVEPOINT one")
        try:
            outcome: _Outcome = (work(connection), None)
        except sqlite3.DatabaseError:
            raise
        except BaseException as error:
            connection.execute("ROLLBACK TO one")
            self._forget()
            outcome = None, error
        connection.execute("RELEASE one")
        return outcome

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        self._forget()

    def _forget(self) -> None:
        for forget in self._on_rollback:
            forget()

    def _shown(self, error: BaseException) -> BaseException:
        """The outcome of a write for its caller."""
        if not isinstance(error, sqlite3.DatabaseError):
            return error
        shown = _translated(error, self.path)
        if shown is not error:
            shown.__cause__ = error
        return shown

    def _snapshot(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._idle.pop() if self._idle else self._connect()
        try:
            connection.execute("BEGIN")
            return work(connection)
        except sqlite3.DatabaseError as error:
            raise _translated(error, self.path) from error
        finally:
            if connection.in_transaction:
                connection.execute("COMMIT")
            self._idle.append(connection)

    def _writer(self) -> sqlite3.Connection:
        if self._write_connection is None:
            self._write_connection = self._connect()
        return self._write_connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=5, isolation_level=None, check_same_thread=False, cached_statements=256)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-16000")
        connection.execute("PRAGMA temp_store=MEMORY")
        return connection

    def _prepare(self) -> None:
        """Create or migrate the file; raises StoreDamaged with one sentence when it cannot be used."""
        _close_to_others(self.path)
        version = 0
        try:
            connection = self._writer()
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise StoreDamaged(
                    f"{self.path} was written by a newer Tidemark (layout {version}, this one knows {VERSION}): start that version"
                )
            if version == 0:
                if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    raise StoreDamaged(f"{self.path} is an SQLite database of another program")
                connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")
            for step in MIGRATIONS[version:VERSION] if version else ():
                connection.execute(step)
            for statement in (*EVENT_SCHEMA, *REGISTRY_SCHEMA):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={VERSION}")
            connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            if version == VERSION and "full" in str(error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                log.warning("%s can be read, not written now: %s", self.path, error)  # nothing had to be written
                return
            raise StoreDamaged(f"{self.path} can't be opened as a database: {error}") from error


def _apply(pool: ThreadPool, function: Callable[..., T], *args: Any) -> T:
    """Run in a thread of the pool. An exception comes back as a value and is raised here: gevent would also print it to stderr."""
    result, error = pool.apply(_outcome, (function, args))
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


def _outcome(function: Callable[..., T], args: tuple[Any, ...]) -> tuple[T | None, BaseException | None]:
    try:
        return function(*args), None
    except BaseException as error:
        return None, error


def _translated(error: sqlite3.DatabaseError, path: Path) -> Exception:
    text = str(error)
    if isinstance(error, sqlite3.OperationalError) and "full" in text:
        return StoreReadOnly("the database can't be written now, its disk is full: free some space, removing events needs some too", 5.0)
    if isinstance(error, sqlite3.OperationalError) and ("locked" in text or "I/O" in text or "readonly" in text):
        return StoreBusy(f"the database can't be written now: {text}")
    if "malformed" in text or "not a database" in text:
        return StoreDamaged(f"{path} is damaged: {text}")
    return error


def _close_to_others(path: Path) -> None:
    """Make the file readable by its owner only; SQLite gives -wal and -shm the mode of the file."""
    with contextlib.suppress(FileExistsError, FileNotFoundError, NotADirectoryError, PermissionError):  # sqlite3 says what is wrong
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            found = file.stat()
            if found.st_uid == os.geteuid() and found.st_mode & 0o077:
                file.chmod(0o600)
