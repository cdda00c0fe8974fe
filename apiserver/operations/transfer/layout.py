"""Runicorn's layout of runs on disk.

A run folder has events.jsonl, logs.txt, meta.json, status.json, summary.json and media/. Storage roots have two layouts:
`root/<project>/<name>/runs/<id>/` (Runicorn 0.2 to 0.5; without projects `root/runs/<id>/`) and `root/runs/<path ...>/<id>/` (0.6 and later).
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apiserver.operations.transfer.adapters.rows import json_object

EVENTS, LOGS = "events.jsonl", "logs.txt"
FACTS = ("meta.json", "status.json", "summary.json", "assets.json")
SILENT = 86_400.0
"""A run with the status "running" that has not written for this many seconds counts as interrupted: its program died."""
ENDED = ("finished", "failed", "interrupted")
"""Statuses of ended runs. Their end is `ended_at`, or the mtime of status.json."""
DELETED = ".deleted"
"""The marker file of a run in Runicorn's recycle bin."""
_MARKS = frozenset(("id", "path", "project", "created_at", "started_at", "status"))
_OPTIONAL = re.compile(r"\.(?:events\.)?jsonl$", re.IGNORECASE)


@dataclass(slots=True)
class RunFolder:
    """A Runicorn run on disk. `events` and `logs` may not exist (yet); `tensorboard`: TensorBoard event files in the folder."""

    id: str
    path: Path
    events: Path
    logs: Path
    tensorboard: list[Path] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """meta.json, status.json, summary.json and the parameters of assets.json as one object; missing and unreadable files are left out."""
        facts: dict[str, Any] = {}
        for name in FACTS:
            try:
                found = json_object((self.path / name).read_bytes())
            except (OSError, ValueError):  # `unreadable` names it
                continue
            facts.update({"summary": found} if name == "summary.json" else _parameters(found) if name == "assets.json" else found)
        if facts.get("status") == "running":
            self._find_silence(facts)
        if facts.get("status") in ENDED and "ended_at" not in facts:
            with suppress(OSError):  # without status.json the end is unknown
                facts["ended_at"] = (self.path / "status.json").stat().st_mtime
        if facts:
            placed = {**_placed(self.path), "run_dir": str(self.path)}
            facts = {**placed, **facts}
        return facts

    def unreadable(self) -> Iterator[tuple[Path, str]]:
        """The files of the facts that are there and can't be read, with the reason."""
        for name in FACTS:
            try:
                json_object((self.path / name).read_bytes())
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                yield self.path / name, error.strerror or str(error)
            except ValueError as error:
                yield self.path / name, str(error)

    def _find_silence(self, facts: dict[str, Any]) -> None:
        """Set the status "interrupted" if nothing was written for SILENT seconds: after a crash status.json says "running" for ever."""
        written = [
            path.stat().st_mtime for path in (self.events, self.logs, self.path / "status.json", *self.tensorboard) if path.is_file()
        ]
        if written and max(written) < time.time() - SILENT:
            facts |= {"status": "interrupted", "exit_reason": "nothing was written for a day", "ended_at": max(written)}

    @property
    def running(self) -> bool:
        """Whether a program may still write, so that the last line may be incomplete."""
        return str(self.facts().get("status", "")) == "running"


def folder_of(file: Path) -> RunFolder:
    """The run of a file in a run folder."""
    return RunFolder(file.parent.name, file.parent, file.parent / EVENTS, file.parent / LOGS)


def file_run(path: Path) -> RunFolder:
    """A single JSON lines file as a run; a `<id>.logs.txt` beside it is its log."""
    folder = path.parent
    if path.name == EVENTS:
        return RunFolder(folder.name, folder, path, folder / LOGS)
    id = _OPTIONAL.sub("", path.name)
    return RunFolder(id, folder / f"{id}.run", path, folder / f"{id}.logs.txt")


def is_runicorn(folder: Path, files: Collection[str]) -> bool:
    """Whether a folder with these files is a Runicorn run. Other tools write a meta.json or status.json too, so one of them alone must have Runicorn's keys."""
    if EVENTS in files or LOGS in files:
        return True
    for name in ("meta.json", "status.json"):
        if name in files:
            try:
                found = json_object((folder / name).read_bytes())
            except (OSError, ValueError):
                continue
            if not _MARKS.isdisjoint(found):
                return True
    return False


def _parameters(assets: dict[str, Any]) -> dict[str, Any]:
    """The output of Runicorn's `log_config` as hyper-parameters: sections "Args" and "General"."""
    config = assets.get("config")
    if not isinstance(config, dict):
        return {}
    sections = {"Args": config.get("args"), "General": config.get("extra")}
    found = {section: values for section, values in sections.items() if isinstance(values, dict) and values}
    if config.get("config_files"):
        found.setdefault("General", {})["config_files"] = config["config_files"]
    return {"hyperparams": found} if found else {}


def _placed(folder: Path) -> dict[str, str]:
    """`project` and `name` (layout up to 0.5), or `path` (from 0.6 on), from a run folder's path."""
    above = folder.parent
    if above.name == "runs":
        parts = above.parent.parts
        return {"project": parts[-2], "name": parts[-1]} if len(parts) > 2 else {}
    names: list[str] = []
    while above.name and above.name != "runs":
        names.append(above.name)
        above = above.parent
    return {"path": "/".join(reversed(names))} if above.name == "runs" and names else {}
