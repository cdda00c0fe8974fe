"""Imports run folders. An import can be repeated: events replace themselves, and log lines that were stored are skipped by their number."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import orjson

from apiserver.bll.runs.run_lines import ORDINAL
from apiserver.operations.transfer.adapters.tensorboard import BoardRun, board_run
from apiserver.operations.transfer.adapters.tensorboard import size_of as file_size
from apiserver.operations.transfer.facts import storable
from apiserver.operations.transfer.layout import RunFolder
from apiserver.operations.transfer.pieces import Facts, FoundRun, Piece, Skipped, Text
from apiserver.operations.transfer.reports import Problem, Progress, RunReports, Tally
from apiserver.operations.transfer.sinks import RunRefused, Sink
from apiserver.operations.transfer.text import LogClock, read_lines

BATCH_LINES = 10_000
BATCH_BYTES = 8 << 20


class Importer:
    """Imports whole runs into a sink."""

    def __init__(self, sink: Sink, progress: Progress = lambda size, lines: None) -> None:
        self._sink, self._progress = sink, progress
        self.tally = Tally()

    def run(self, run: RunFolder | FoundRun) -> None:
        """Import a run completely. Problems are added to `tally`, not raised."""
        self.tally.runs += 1
        if isinstance(run, RunFolder):
            self._folder(run)
        else:
            self._found(run)

    def _found(self, run: FoundRun) -> None:
        reports = self.reports(run)
        try:
            reports.describe()
            reports.take(run.adapter.read(run))
            if reports.is_empty:
                self.tally.skipped["empty runs"] += 1
        except RunRefused as error:
            self.tally.problems.append(Problem(run.origin or run.path, 0, str(error)))
        self._progress(run.size, 0)

    def reports(self, run: FoundRun) -> RunReports:
        """Stores the pieces of a run in the sink."""
        return RunReports(run, self._sink, self.tally, self._progress)

    def _folder(self, folder: RunFolder) -> None:
        running = folder.running
        before = self._found_so_far()
        try:
            self.tally.problems += [Problem(path, 0, reason) for path, reason in folder.unreadable()]
            self.describe(folder)
            self.events(folder, running)
            self.log(folder, running)
            if folder.tensorboard:
                run = board_run(folder.path, folder.tensorboard)
                run.id = folder.id
                self.reports(run).take(beside_runicorn(BoardRun(run).read(final=True)))
                self._progress(run.size, 0)
            self.describe(folder)
            if self._found_so_far() == before and not folder.facts() and not self._sink.log_lines(folder.id):
                self.tally.skipped["empty runs"] += 1
        except RunRefused as error:
            self.tally.problems.append(Problem(folder.path, 0, str(error)))

    def _found_so_far(self) -> tuple[int, ...]:
        tally = self.tally
        return tally.events, tally.log_lines, tally.images, len(tally.problems), sum(tally.skipped.values())

    def describe(self, folder: RunFolder) -> None:
        """Store the facts of a run folder: meta.json, status.json, summary.json."""
        facts = folder.facts()
        if facts:
            stored, left_out = storable(facts)
            self.tally.skipped |= left_out  # the maximum, not the sum: this is called more than once per run
            self._sink.describe(folder.id, stored)

    def events(self, folder: RunFolder, running: bool) -> None:
        """Store events.jsonl. The last line of a running run may be incomplete: it is skipped unless it is valid JSON."""
        with _opened(folder.events) as file:
            if file is None:
                return
            number = 0
            for lines, size in _batches(file):
                unfinished = running and bool(lines) and _at_end(file) and not _ends(folder.events)
                if unfinished and not _is_json(lines[-1]):
                    lines = lines[:-1]
                self.event_lines(folder, lines, number)
                number += len(lines)
                self._progress(size, len(lines))

    def event_lines(self, folder: RunFolder, lines: Sequence[bytes], before: int) -> None:
        """Store lines of an events.jsonl; the first one is line `before` + 1. Media files of images are stored before."""
        sent = [self._with_media(folder, line) if b'"image"' in line else line for line in lines]
        if not sent:
            return
        stored = self._sink.add(folder.id, sent)
        self.tally.events += stored.added
        if stored.skipped:
            self.tally.skipped["lines and values of unknown types"] += stored.skipped
        self.tally.problems += [Problem(folder.events, error.line and before + error.line, error.reason) for error in stored.refused]

    def log(self, folder: RunFolder, running: bool) -> None:
        """Store the lines of logs.txt that were not imported yet."""
        with _opened(folder.logs) as file:
            if file is None:
                return
            clock, ordinal, known = self.clock(folder), 0, self._sink.log_lines(folder.id)
            for lines, size in _batches(file, rest=not running):
                ordinal = self.log_batch(folder, lines, ordinal, clock, known)
                self._progress(size, len(lines))

    def clock(self, folder: RunFolder) -> LogClock:
        """The clock of a run's log: starts at the run's start, or at the file's mtime if that is unknown."""
        facts = folder.facts()
        for name in ("started_at", "created_at"):
            moment = facts.get(name)
            if isinstance(moment, (int, float)) and 0 < moment < 253_402_300_799:
                return LogClock(int(moment * 1000))
        return LogClock(int(folder.logs.stat().st_mtime * 1000))

    def log_batch(self, folder: RunFolder, lines: Sequence[bytes], ordinal: int, clock: LogClock, known: int = 0) -> int:
        """Store lines of a log; returns the ordinal of the last one. Lines that are not blank are numbered from `ordinal` + 1; those up to `known` are
        stored already and skipped."""
        made: list[bytes] = []
        for line in lines:
            text = line.decode("utf-8", "ignore")
            if not text or text.isspace():
                continue
            ordinal += 1
            timestamp = clock.at(text)
            if ordinal > known:
                made.append(orjson.dumps({"ts": timestamp / 1000, "type": "log", "data": {"text": text, ORDINAL: ordinal}}))
        if made:
            stored = self._sink.add(folder.id, made)
            self.tally.log_lines += stored.added
            self.tally.problems += [Problem(folder.logs, 0, error.reason) for error in stored.refused]
        return ordinal

    def _with_media(self, folder: RunFolder, line: bytes) -> bytes:
        """Store the file of an image event and add its URL to the line; returns the line unchanged when there is no such file."""
        try:
            event = orjson.loads(line)
            path = event["data"]["path"] if event["type"] == "image" else None
        except (ValueError, KeyError, TypeError):
            return line
        file = _inside(folder.path, path)
        if file is None or not isinstance(path, str):
            return line
        try:
            event["data"]["url"] = self._sink.media(folder.id, path, file)
        except (RunRefused, OSError) as error:
            self.tally.problems.append(Problem(file, 0, str(error)))
            return line
        self.tally.images += 1
        return orjson.dumps(event)


def beside_runicorn(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The pieces that TensorBoard files add to a Runicorn run: no facts (status.json has them) and no texts (the log's ordinals are those of logs.txt)."""
    for piece in pieces:
        if isinstance(piece, Text):
            yield Skipped("TensorBoard texts of runs with a logs.txt")
        elif not isinstance(piece, Facts):
            yield piece


def size_of(run: RunFolder | FoundRun) -> int:
    """The bytes that an import of the run reads."""
    if isinstance(run, FoundRun):
        return run.size
    return sum(map(file_size, (run.events, run.logs, *run.tensorboard)))


def _batches(file: IO[bytes], *, rest: bool = True) -> Iterator[tuple[list[bytes], int]]:
    """Lines and the bytes read for them, in batches of the size of a transaction."""
    held: list[bytes] = []
    size = 0
    for lines, taken in read_lines(file, rest=rest):
        held += lines
        size += taken
        while len(held) >= BATCH_LINES or size >= BATCH_BYTES:
            part, held = held[:BATCH_LINES], held[BATCH_LINES:]
            done = size if not held else size * len(part) // (len(part) + len(held))
            size -= done
            yield part, done
    if held or size:
        yield held, size


class _opened:
    """Context manager: a file for reading, or None when it does not exist."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def __enter__(self) -> IO[bytes] | None:
        try:
            self._file = self._path.open("rb")
        except FileNotFoundError:
            return None
        return self._file

    def __exit__(self, *error: Any) -> None:
        if self._file is not None:
            self._file.close()


def _at_end(file: IO[bytes]) -> bool:
    here = file.tell()
    end = file.seek(0, 2)
    file.seek(here)
    return here >= end


def _ends(path: Path) -> bool:
    """Whether a file is empty or ends with a line end."""
    with path.open("rb") as file:
        if not file.seek(0, 2):
            return True
        file.seek(-1, 2)
        return file.read(1) in (b"\n", b"\r")


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _inside(folder: Path, path: Any) -> Path | None:
    """The file at a relative path in a run folder; None when it does not exist or the path leads out of the folder."""
    if not isinstance(path, str) or not path or "\x00" in path:
        return None
    root = folder.resolve()
    file = (root / path).resolve()
    return file if file.is_relative_to(root) and file.is_file() else None
