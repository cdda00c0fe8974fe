"""Finds the runs at a path: Runicorn's, and those of the tools that have an adapter."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from apiserver.operations.transfer.adapters import ADAPTERS
from apiserver.operations.transfer.adapters.mlflow_server import MlflowServer
from apiserver.operations.transfer.adapters.tables import SUFFIXES, TableOptions, Tables, is_utf16
from apiserver.operations.transfer.adapters.tensorboard import board_run, is_event_file, real_files
from apiserver.operations.transfer.adapters.wandb import joined
from apiserver.operations.transfer.layout import DELETED, EVENTS, LOGS, RunFolder, file_run, is_runicorn
from apiserver.operations.transfer.pieces import FoundRun
from apiserver.operations.transfer.reports import Problem

Run = RunFolder | FoundRun


_HEAD = 1 << 20
"""Bytes of a JSON lines file that are read to recognize it."""


@dataclass(slots=True)
class Discovered:
    """The runs that were found, and the problems on the way."""

    runs: list[Run] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


_USUAL = TableOptions()


def discover(*places: Path | str, options: TableOptions = _USUAL) -> Discovered:
    """The runs at some places, each real folder once for a place, however many links lead to it: paths, and addresses of running MLflow servers.
    `options`: columns of a table, as given on the command line."""
    found = Discovered()
    for place in places:
        if isinstance(place, str):
            _on_server(place, found)
        else:
            _at(Path(os.path.realpath(place)), options, found)
    found.runs = joined(found.runs)
    return found


def _at(path: Path, options: TableOptions, found: Discovered) -> None:
    if path.is_file():
        try:
            for run in _file(path, options, found.problems):
                found.runs.append(run)
        except (OSError, ValueError) as error:
            found.problems.append(Problem(path, 0, str(error)))
        return
    for here, folders, files in real_folders(path, found.problems):
        found.runs += _in_folder(here, folders, files, found.problems)


def _on_server(address: str, found: Discovered) -> None:
    server = MlflowServer(address)
    try:
        found.runs += server.runs()
    except ValueError as error:
        found.problems.append(Problem(server.url, 0, str(error)))


def real_folders(root: Path, problems: list[Problem]) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Every folder below a root once: real path, names of folders, names of files. Folders that the caller removes from the list are not visited. Unreadable
    folders are added to `problems`."""
    visited: set[tuple[int, int]] = set()

    def failed(error: OSError) -> None:
        problems.append(Problem(Path(error.filename or root), 0, f"can't be read: {error.strerror}"))

    for name, folders, files in os.walk(root, followlinks=True, onerror=failed):
        try:
            there = Path(name).stat()
        except OSError as error:
            failed(error)
            folders.clear()
            continue
        if (there.st_dev, there.st_ino) in visited or DELETED in files:
            folders.clear()
            continue
        visited.add((there.st_dev, there.st_ino))
        folders.sort()
        yield Path(os.path.realpath(name)), folders, files


def _in_folder(here: Path, folders: list[str], files: list[str], problems: list[Problem]) -> Iterator[Run]:
    if is_runicorn(here, files):
        boards = [name for name in files if is_event_file(name)]
        run = RunFolder(here.name, here, here / EVENTS, here / LOGS, real_files(here, boards))
        if boards and EVENTS not in files:
            run.id = board_run(here, run.tensorboard).id
        yield run
        if "media" in folders:
            folders.remove("media")
        return
    for adapter in ADAPTERS:
        try:
            yield from adapter.find(here, folders, files)
        except (OSError, ValueError) as error:
            problems.append(Problem(here, 0, f"{adapter.tool}: {error}"))


def _file(path: Path, options: TableOptions, problems: list[Problem]) -> Iterator[Run]:
    if is_event_file(path.name):
        yield board_run(path.parent, [path])
        return
    if options.given or (path.suffix.lower() in SUFFIXES and path.name != EVENTS and not _has_events(path)):
        yield from Tables(options).of_file(path)
        return
    if path.name != EVENTS and path.suffix != ".jsonl":
        runs = list(_in_folder(path.parent, [], [path.name], problems))
        if runs or problems:
            yield from runs
            return
    yield file_run(path)


def _has_events(path: Path) -> bool:
    """Whether a JSON lines file is an events.jsonl rather than a table, by its first line that is JSON."""
    if path.suffix.lower() not in (".jsonl", ".ndjson") or is_utf16(path):
        return False
    with path.open("rb") as file:
        for data in file.read(_HEAD).splitlines():
            try:
                line = json.loads(data)
            except (ValueError, RecursionError):  # damaged: try the next line
                continue
            if isinstance(line, dict):
                return "type" in line and "data" in line
    return True
