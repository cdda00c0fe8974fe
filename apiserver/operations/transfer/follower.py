"""Follows a storage root: imports files as they grow.

Only complete lines are read; an incomplete last line waits for its end. When a file is replaced (rotation), the rest of the old one is read first; when it
is truncated, reading starts at its beginning. Positions are saved after stored batches. After a restart a few lines may be sent again, which changes
nothing.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import IO

from watchfiles import watch

from apiserver.operations.notes import Notes
from apiserver.operations.transfer.adapters.tensorboard import is_event_file
from apiserver.operations.transfer.board_follower import BoardFollower
from apiserver.operations.transfer.discovery import real_folders
from apiserver.operations.transfer.importer import Importer
from apiserver.operations.transfer.layout import DELETED, EVENTS, FACTS, LOGS, RunFolder, folder_of
from apiserver.operations.transfer.reports import Problem
from apiserver.operations.transfer.sinks import RunRefused
from apiserver.operations.transfer.text import LogClock, read_lines

OPEN_FILES = 256
SAVE_SECONDS = 0.5
LOOK_SECONDS = 5.0
"""Seconds between two scans of all files (network file systems send no notifications)."""


@dataclass(slots=True)
class FilePosition:
    """The read position in a file: inode, byte offset, lines read; for logs also the last ordinal and the log clock (epoch ms)."""

    inode: int = 0
    offset: int = 0
    line: int = 0
    ordinal: int = 0
    clock: int = 0


class Follower:
    """Imports the runs below a root as they grow. `notes`: the folder for saved positions."""

    def __init__(self, root: Path, importer: Importer, notes: Path) -> None:
        self._root = root.resolve()
        self._importer = importer
        self._notes = Notes(notes, str(self._root))
        self._positions = self._load()
        self._files: OrderedDict[Path, IO[bytes]] = OrderedDict()
        self._facts: dict[Path, tuple[int, ...]] = {}
        self._changed = False
        self._report: Callable[[Problem], None] = lambda problem: None
        self.tally = importer.tally
        self._boards = BoardFollower(importer)

    def run(self, stop: Event, report: Callable[[Problem], None]) -> None:
        """Import existing files, then follow until `stop` is set. `report` is called for each problem at once."""
        self._report = report
        try:
            self.look()
            looked = time.monotonic()
            for changes in watch(
                self._root,
                debounce=100,
                step=20,
                rust_timeout=500,
                yield_on_timeout=True,
                stop_event=stop,
                raise_interrupt=False,
                ignore_permission_denied=True,
            ):
                self._take({Path(path) for _, path in changes})
                if time.monotonic() - looked >= LOOK_SECONDS:
                    self.look()
                    looked = time.monotonic()
        finally:
            self._save()
            for file in self._files.values():
                file.close()

    def look(self) -> None:
        """Scan all files below the root once."""
        unreadable: list[Problem] = []  # not reported: every scan would report them again
        for folder, folders, files in real_folders(self._root, unreadable):
            folders[:] = [name for name in folders if name != "media"]
            self._take({folder / name for name in files})

    def _take(self, paths: Iterable[Path]) -> None:
        folders: dict[Path, RunFolder] = {}
        boards: set[Path] = set()
        for path in paths:
            if is_event_file(path.name):
                boards.add(Path(os.path.realpath(path.parent)))
            if path.name in (EVENTS, LOGS, *FACTS) and not (path.parent / DELETED).exists():
                folders.setdefault(path.parent, folder_of(path))
        for folder in folders.values():
            try:
                self._run(folder)
            except RunRefused as error:
                self.tally.problems.append(Problem(folder.path, 0, str(error)))
            except OSError as error:  # deleted before it was read
                self.tally.problems.append(Problem(folder.path, 0, str(error)))
        for board in boards:
            self._boards.look(board)
        for problem in self.tally.problems:
            self._report(problem)
        self.tally.problems.clear()
        if self._changed and self._notes.age >= SAVE_SECONDS:
            self._save()

    def _run(self, folder: RunFolder) -> None:
        stamp = tuple(_stamp(folder.path / name) for name in FACTS)
        if any(stamp) and self._facts.get(folder.path) != stamp:
            self._importer.describe(folder)
            self._facts[folder.path] = stamp
        ended = any(stamp) and not folder.running
        self._grown(folder, folder.events, ended)
        self._grown(folder, folder.logs, ended)

    def _grown(self, folder: RunFolder, path: Path, ended: bool) -> None:
        """Import the new part of a file that has grown, was replaced, or was truncated."""
        position = self._positions.setdefault(path, FilePosition())
        try:
            now = path.stat()
        except FileNotFoundError:
            self._finish(folder, path, position)
            if position.inode:
                position.inode = position.offset = position.line = 0
                self._changed = True
            return
        if position.inode and now.st_ino != position.inode:
            self._finish(folder, path, position)
            position.offset = position.line = 0
        elif now.st_size < position.offset:
            position.offset = position.line = 0
        if now.st_size == position.offset and now.st_ino == position.inode:
            return
        file = self._opened(path, now.st_ino)
        if file is not None:
            position.inode = now.st_ino
            self._read(folder, path, file, position, rest=ended)

    def _finish(self, folder: RunFolder, path: Path, position: FilePosition) -> None:
        """Read the rest of a file that is no longer at its path."""
        file = self._files.pop(path, None)
        if file is not None:
            self._read(folder, path, file, position, rest=True)
            file.close()

    def _read(self, folder: RunFolder, path: Path, file: IO[bytes], position: FilePosition, *, rest: bool) -> None:
        file.seek(position.offset)
        for lines, size in read_lines(file, rest=rest):
            if path.name == EVENTS:
                self._importer.event_lines(folder, lines, position.line)
            else:
                clock = LogClock(position.clock) if position.clock else self._importer.clock(folder)
                position.ordinal = self._importer.log_batch(folder, lines, position.ordinal, clock)
                position.clock = clock.last
            position.offset += size
            position.line += len(lines)
            self._changed = True

    def _opened(self, path: Path, inode: int) -> IO[bytes] | None:
        """The file, kept open so that it can be read to its end after rotation; None when it is gone."""
        file = self._files.get(path)
        if file is not None and os.fstat(file.fileno()).st_ino != inode:
            file.close()
            file = None
        if file is None:
            try:
                file = path.open("rb")
            except FileNotFoundError:
                return None
            self._files[path] = file
        self._files.move_to_end(path)
        while len(self._files) > OPEN_FILES:
            self._files.popitem(last=False)[1].close()
        return file

    # --- saved positions

    def _load(self) -> dict[Path, FilePosition]:
        try:
            return {self._root / name: FilePosition(**position) for name, position in self._notes.read().items()}
        except TypeError:
            return {}  # saved by another version: all files are read again, which changes nothing

    def _save(self) -> None:
        kept = {
            str(path.relative_to(self._root)): asdict(position)
            for path, position in self._positions.items()
            if position.inode or position.ordinal
        }
        self._notes.write(kept)
        self._changed = False


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
