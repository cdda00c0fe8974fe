"""Follows growing TensorBoard event files. After a restart all files are read again: that is fast, and stores nothing twice."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from apiserver.operations.transfer.adapters.tensorboard import BoardRun, board_run, is_event_file, real_files
from apiserver.operations.transfer.importer import Importer, beside_runicorn
from apiserver.operations.transfer.layout import DELETED, EVENTS, LOGS
from apiserver.operations.transfer.reports import Problem, RunReports
from apiserver.operations.transfer.sinks import RunRefused

QUIET_SECONDS = 3600.0
"""A run whose files have not grown for this long gets the status "finished"."""


@dataclass(slots=True)
class _Followed:
    reader: BoardRun
    reports: RunReports
    mixed: bool
    seen: tuple[object, ...] = field(default=())


class BoardFollower:
    """Imports TensorBoard runs as they grow."""

    def __init__(self, importer: Importer) -> None:
        self._importer = importer
        self._runs: dict[Path, _Followed] = {}
        self._refused: dict[Path, str] = {}

    def look(self, folder: Path) -> None:
        """Import the new events of a folder's event files."""
        try:
            names = [entry.name for entry in folder.iterdir()]
        except OSError:
            return  # deleted meanwhile
        if DELETED in names:
            return
        paths = real_files(folder, [name for name in names if is_event_file(name)])
        states: list[tuple[str, int, float]] = []
        for path in paths:
            try:
                state = path.stat()
            except OSError:
                continue
            states.append((path.name, state.st_size, state.st_mtime))
        if not states:
            return
        running = max(state[2] for state in states) > time.time() - QUIET_SECONDS
        run = self._runs.get(folder)
        if run is None:
            run = self._runs[folder] = self._new(folder, paths, names)
        for path in paths:
            run.reader.add_file(path)
        seen = (running, *states)
        if seen == run.seen:
            return
        pieces = run.reader.read(final=False, running=running)
        try:
            if not run.mixed and not run.seen:
                run.reports.describe()
            run.reports.take(beside_runicorn(pieces) if run.mixed else pieces)
        except RunRefused as error:
            if str(error) != self._refused.get(folder):
                self._refused[folder] = str(error)
                self._importer.tally.problems.append(Problem(folder, 0, str(error)))
            self._runs.pop(folder)  # read from the start again, until the run can be written
            return
        run.seen = seen

    def _new(self, folder: Path, paths: list[Path], names: list[str]) -> _Followed:
        found = board_run(folder, list(paths))
        if EVENTS in names:
            found.id = folder.name
        self._importer.tally.runs += 1
        return _Followed(BoardRun(found), self._importer.reports(found), EVENTS in names or LOGS in names)
