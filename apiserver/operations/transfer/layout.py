"""Where runs lie on disk.

A run folder holds events.jsonl, logs.txt, meta.json, status.json, summary.json and media/. Storage roots have two layouts:
`root/<project>/<name>/runs/<id>/` (Runicorn 0.2 to 0.5; without projects `root/runs/<id>/`) and `root/runs/<path ...>/<id>/` (0.6 and later).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EVENTS, LOGS = "events.jsonl", "logs.txt"
FACTS = ("meta.json", "status.json", "summary.json")
ENDED = ("finished", "failed", "interrupted")
"""Statuses of a run that has ended: `ended_at` says when, else the time when its status was written."""
DELETED = ".deleted"
"""The mark of a run in Runicorn's recycle bin."""
TENSORBOARD = "events.out.tfevents."
_OPTIONAL = re.compile(r"\.(?:events\.)?jsonl$", re.IGNORECASE)


@dataclass(slots=True)
class RunFolder:
    """A run on disk. `events` and `logs` may not exist (yet); `tensorboard` are event files of TensorBoard."""

    id: str
    path: Path
    events: Path
    logs: Path
    tensorboard: list[Path] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """meta.json, status.json and summary.json as one object; missing and unreadable files are left out."""
        facts: dict[str, Any] = {}
        for name in FACTS:
            try:
                found = json.loads((self.path / name).read_bytes())
            except (OSError, ValueError, RecursionError):
                continue
            if isinstance(found, dict):
                facts.update({"summary": found} if name == "summary.json" else found)
        if facts.get("status") in ENDED and "ended_at" not in facts:
            with suppress(OSError):  # no status.json: the status is from elsewhere, and the end is not known
                facts["ended_at"] = (self.path / "status.json").stat().st_mtime
        if facts:
            placed = {**_placed(self.path), "run_dir": str(self.path)}
            facts = {**placed, **facts}
        return facts

    @property
    def boards_only(self) -> bool:
        """Whether TensorBoard wrote the run: then its id is made of its path."""
        return bool(self.tensorboard) and not self.events.is_file()

    @property
    def running(self) -> bool:
        """Whether a program may still write: a last line without its end may then be half a line."""
        return str(self.facts().get("status", "")) == "running"


def find_runs(path: Path) -> Iterator[RunFolder]:
    """The runs at a path: a file, a run folder, or everything below a storage root. Those in the recycle bin are left out. No two runs of TensorBoard
    have one id: where joined paths are equal, those that lie deeper get a digest of theirs."""
    path = path.resolve()
    if path.is_file():
        yield _file(path)
        return
    runs = list(_below(path))
    paths: dict[str, list[Path]] = {}
    for run in runs:
        paths.setdefault(run.id, []).append(run.path)
    for run in runs:
        nearest = min(paths[run.id], key=lambda found: (len(found.parts), found))
        if run.path != nearest and run.boards_only:  # `x9/b` beside `x9_b`
            run.id += "~" + hashlib.sha256(run.path.relative_to(path).as_posix().encode("utf-8", "surrogateescape")).hexdigest()[:8]
        yield run


def _below(path: Path) -> Iterator[RunFolder]:
    for folder, folders, files in os.walk(path, followlinks=True):
        folders.sort()
        here = Path(folder)
        if DELETED in files:
            folders.clear()
            continue
        boards = sorted(here / name for name in files if name.startswith(TENSORBOARD))
        if boards or not {EVENTS, LOGS, "meta.json", "status.json"}.isdisjoint(files):
            yield RunFolder(
                _board_id(here, path) if boards and EVENTS not in files else here.name, here, here / EVENTS, here / LOGS, boards
            )
            folders[:] = [name for name in folders if boards and name != "media"]


def folder_of(file: Path) -> RunFolder:
    """The run that a file in a run folder belongs to."""
    return RunFolder(file.parent.name, file.parent, file.parent / EVENTS, file.parent / LOGS)


def _file(path: Path) -> RunFolder:
    folder = path.parent
    if path.name.startswith(TENSORBOARD):
        return RunFolder(folder.name, folder, folder / EVENTS, folder / LOGS, [path])
    if path.name == EVENTS:
        return RunFolder(folder.name, folder, path, folder / LOGS)
    id = _OPTIONAL.sub("", path.name)
    return RunFolder(id, folder / f"{id}.run", path, folder / f"{id}.logs.txt")


def _board_id(folder: Path, root: Path) -> str:
    """TensorBoard has no ids: the path below the root tells runs apart."""
    return "_".join(folder.relative_to(root).parts) or folder.name


def _placed(folder: Path) -> dict[str, str]:
    """`project` and `name`, or `path`, of a run from where it lies."""
    above = folder.parent
    if above.name == "runs":
        parts = above.parent.parts
        return {"project": parts[-2], "name": parts[-1]} if len(parts) > 2 else {}
    names: list[str] = []
    while above.name and above.name != "runs":
        names.append(above.name)
        above = above.parent
    return {"path": "/".join(reversed(names))} if above.name == "runs" and names else {}
