"""TensorBoard: the event files of a folder are a run, whatever lies around it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from apiserver.common.words import many
from apiserver.operations.transfer.board_events import BoardEvents, session_starts
from apiserver.operations.transfer.pieces import Damaged, Facts, FoundRun, PassedOver, Piece, Restarted
from apiserver.operations.transfer.tfrecord import RecordFile

HELD = 100_000
"""Points that are collected before they are given out."""
DRAW_SECONDS = 30.0
"""Seconds between two plots of a distribution that changes."""
_MARK = "tfevents"
_EMPTY = ".profile-empty"
"""The end of the name of a file that only says that a profile was made; TensorBoard passes it over too."""


def is_event_file(name: str) -> bool:
    """Whether TensorBoard takes a file of this name."""
    return _MARK in name and not name.endswith(_EMPTY)


class TensorBoard:
    """Finds folders with event files."""

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
    """The run that these files of a folder hold."""
    return FoundRun(TensorBoard(), folder, size=sum(map(size_of, files)), files=files)


def real_files(folder: Path, names: list[str]) -> list[Path]:
    """The files of these names in TensorBoard's order, each file once."""
    found: dict[str, Path] = {}
    for name in sorted(names):
        path = folder / name
        if path.is_file() or not path.exists():  # what can't be read is named when it is read
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def size_of(path: Path) -> int:
    """Bytes of a file; 0 when it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


class BoardRun:
    """The event files of a run. `read` can be called again when they have grown."""

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
                continue  # it is named when it is read
        self._restarts = any(starts) or len(starts) > 1
        self._events = BoardEvents()
        self._described: dict[str, object] = {}
        self._drawn = 0.0
        self._new = True

    def add_file(self, path: Path) -> None:
        """A file that was not there before."""
        if path not in self._records:
            self._run.files = sorted([*self._run.files, path])
            self._records[path] = RecordFile(path)

    def read(self, *, final: bool, running: bool = False) -> Iterator[Piece]:
        """What was not given out yet. With `final` the files do not grow any more. `running`: the run is described as running."""
        if any(size_of(path) < records.offset for path, records in self._records.items()):
            self._start()  # a file was cut or replaced
        if self._new and self._restarts:
            yield Restarted()  # an earlier import stored points of a later session, which the start of an earlier one would make void
        self._new = False
        events = self._events
        for path in list(self._run.files):
            if final and path.is_file() and not size_of(path):
                yield PassedOver("empty files")
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
        for kind, count in sorted(events.passed_over.items()):
            yield PassedOver(kind, count)
        events.passed_over.clear()

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
