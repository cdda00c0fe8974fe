"""TensorBoard: the event files of a folder are a run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from apiserver.common.words import many
from apiserver.operations.transfer.board_events import BoardEvents, session_starts
from apiserver.operations.transfer.pieces import Damaged, Facts, FoundRun, Piece, Restarted, Skipped
from apiserver.operations.transfer.tfrecord import RecordFile

HELD = 100_000
"""Points collected before they become pieces."""
DRAW_SECONDS = 30.0
"""Seconds between two plots of a distribution while the run grows."""
_MARK = "tfevents"
_EMPTY = ".profile-empty"
"""Suffix of files that only mark a profile; TensorBoard ignores them too."""


def is_event_file(name: str) -> bool:
    """Whether TensorBoard reads files of this name."""
    return _MARK in name and not name.endswith(_EMPTY)


class TensorBoard:
    """Reads folders with event files."""

    tool = "TensorBoard"

    def find(self, folder: Path, folders: list[str], files: list[str]) -> Iterator[FoundRun]:
        mine = [name for name in files if is_event_file(name)]
        files[:] = [name for name in files if name not in mine]
        paths = real_files(folder, mine)
        if paths:
            yield board_run(folder, paths)

    def read(self, run: FoundRun) -> Iterator[Piece]:
        return BoardRun(run).read(final=True)


def board_run(folder: Path, files: list[Path]) -> FoundRun:
    """The run of these event files of a folder."""
    return FoundRun(TensorBoard(), folder, size=sum(map(size_of, files)), files=files)


def real_files(folder: Path, names: list[str]) -> list[Path]:
    """The files with these names in TensorBoard's order, each real file once."""
    found: dict[str, Path] = {}
    for name in sorted(names):
        path = folder / name
        if path.is_file() or not path.exists():  # a file that can't be read is reported when it is read
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def size_of(path: Path) -> int:
    """The size of a file in bytes; 0 when it does not exist."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


class BoardRun:
    """Reads the event files of a run. `read` can be called again when they have grown."""

    def __init__(self, run: FoundRun) -> None:
        self._run = run
        self._start()

    def _start(self) -> None:
        self._records = {path: RecordFile(path) for path in self._run.files}
        starts: list[int] = []
        self._failed: set[Path] = set()
        for path in self._run.files:
            try:
                starts += session_starts(path, RecordFile(path).read(final=False))
            except OSError:
                continue  # reported when it is read
        self._restarts = any(starts) or len(starts) > 1
        self._events = BoardEvents()
        self._described: dict[str, object] = {}
        self._drawn = 0.0
        self._new = True

    def add_file(self, path: Path) -> None:
        """Add a new file of the run; a known one is ignored."""
        if path not in self._records:
            self._run.files = sorted([*self._run.files, path])
            self._records[path] = RecordFile(path)

    def read(self, *, final: bool, running: bool = False) -> Iterator[Piece]:
        """The pieces since the last call. `final`: the files do not grow any more. `running`: give the run the status "running"."""
        if any(size_of(path) < records.offset for path, records in self._records.items()):
            self._start()  # a file was truncated or replaced
        if self._new and self._restarts:
            yield Restarted()  # otherwise an earlier session's start would make points void that an earlier import stored for a later session
        self._new = False
        events = self._events
        for path in list(self._run.files):
            if final and path.is_file() and not size_of(path):
                yield Skipped("empty files")
            try:
                for payloads in self._records[path].read(final=final):
                    yield from events.take(payloads)
                    if events.held >= HELD:
                        yield from events.scalars()
            except OSError as error:
                if path not in self._failed:
                    self._failed.add(path)
                    yield Damaged(path, error.strerror or str(error))
            yield from events.scalars()
            yield from self._problems(path)
        if not running or time.monotonic() - self._drawn >= DRAW_SECONDS:
            yield from events.distributions.figures()
            self._drawn = time.monotonic()
        yield from self._facts(running)
        for kind, count in sorted(events.skipped.items()):
            yield Skipped(kind, count)
        events.skipped.clear()

    def _problems(self, path: Path) -> Iterator[Piece]:
        lost = self._records[path].lost
        for one in lost:
            yield Damaged(path, str(one))
        lost.clear()
        if self._events.unread:
            yield Damaged(path, f"{many(self._events.unread, 'record')} skipped: no TensorBoard events")
            self._events.unread = 0

    def _facts(self, running: bool) -> Iterator[Piece]:
        events = self._events
        session = events.session
        facts: dict[str, object] = {}
        start, end = session.start or events.started, session.end or events.ended
        if start is not None:
            facts |= {"created_at": start, "started_at": start}
        facts["status"] = "running" if running else session.status if session.status in ("finished", "failed") else "finished"
        if end is not None and not running:
            facts["ended_at"] = max(end, start or end)
        if session.params:
            facts["hyperparams"] = {"hparams": session.params}
        if facts != self._described:
            self._described = facts
            yield Facts(facts)
