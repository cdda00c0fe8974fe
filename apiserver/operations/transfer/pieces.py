"""What an adapter makes of a run of another tool: a run that was found, and the pieces it consists of.

An adapter is a module of `adapters/` with a class that has `find` and `read` (`Adapter`). It knows one tool's files and nothing of stores, servers
and lines; `adapters/__init__.py` lists them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

READABLE = 100
"""Bytes of an id that can be read; a digest follows."""


@dataclass(slots=True)
class FoundRun:
    """A run of another tool. `key`: which one, where a file holds several. `size`: bytes to read, about. `id` is unique for path and key.
    `origin`: where the run is from when that is no path; then name, project and id are given."""

    adapter: Adapter
    path: Path
    size: int = 0
    key: str = ""
    name: str = ""
    project: str = ""
    id: str = ""
    files: list[Path] = field(default_factory=list)
    origin: str = ""

    def __post_init__(self) -> None:
        if self.origin:
            return
        self.path = Path(os.path.realpath(self.path))
        self.name = self.name or (self.path.stem if self.path.is_file() else self.path.name)
        self.project = self.project or project_of(self.path.parent)
        self.id = self.id or run_id(self.name, self.path, self.key)

    @property
    def facts(self) -> dict[str, Any]:
        """What the catalogue says of every run: where it is from."""
        return {"path": self.project, "alias": self.name, "run_dir": self.origin or printable(str(self.path))}


@dataclass(slots=True)
class Scalars:
    """Points of one metric in columns of equal length: steps, values, and times in ms since the epoch."""

    name: str
    steps: Sequence[int]
    values: Sequence[float]
    times: Sequence[int]


@dataclass(slots=True)
class Picture:
    """An image. `data`: its bytes, or the file that holds them. `number` tells images of one name and step apart."""

    name: str
    step: int
    time: int
    data: bytes | Path
    suffix: str
    number: int = 0
    caption: str = ""


@dataclass(slots=True)
class Figure:
    """A plot, as Plotly's JSON."""

    name: str
    variant: str
    step: int
    time: int
    figure: dict[str, Any]


@dataclass(slots=True)
class Text:
    """A line of the log. Lines of a run come in the same order in every import: their number tells which are stored already."""

    text: str
    time: int
    level: str | None = None


@dataclass(slots=True)
class Facts:
    """What meta.json and status.json of a Runicorn run hold: created_at, started_at, ended_at (s), status, tags, summary, hyperparams ..."""

    facts: dict[str, Any]


@dataclass(slots=True)
class PassedOver:
    """Something that has no counterpart here, by its kind in the tool's own words."""

    kind: str
    count: int = 1


@dataclass(slots=True)
class Damaged:
    """A part of a file (or of a server, by its address) that could not be read. `line`: from 1, where the file has lines."""

    file: Path | str
    reason: str
    line: int = 0


@dataclass(slots=True)
class Restarted:
    """Points that were given before are void: everything of the run is removed, and all that counts follows."""


@dataclass(slots=True)
class Rewound:
    """Points, images and figures of this step and later that were given before are void; texts stay."""

    step: int


Piece = Scalars | Picture | Figure | Text | Facts | PassedOver | Damaged | Restarted | Rewound


class Adapter(Protocol):
    """Reads the runs of one tool."""

    tool: str
    """The name of the tool, for people."""

    def find(self, folder: Path, folders: list[str], files: list[str]) -> Iterator[FoundRun]:
        """The runs that lie in this folder (not below it). Takes out of `folders` those that belong to a run and hold none themselves, and out of
        `files` those that are dealt with."""

    def read(self, run: FoundRun) -> Iterator[Piece]:
        """A run in pieces. Raises OSError and ValueError when nothing more of it can be read."""


def run_id(name: str, path: Path, key: str = "") -> str:
    """An id that no other run has: a part that can be read, and a digest of the real path (and the key inside of it)."""
    whole = os.fsencode(path) + (b"\0" + key.encode("utf-8", "surrogateescape") if key else b"")
    readable = printable(name).encode()[:READABLE].decode("utf-8", "ignore").strip(" .")
    return f"{readable or 'run'}~{hashlib.sha256(whole).hexdigest()[:16]}"


def project_of(folder: Path) -> str:
    """The project of a run that lies in this folder: its path, below the home folder where it is there."""
    home = Path(os.path.realpath(Path.home()))
    inside = folder.relative_to(home) if home != Path("/") and folder.is_relative_to(home) else folder
    return "/".join(part for part in map(printable, inside.parts) if part.strip("/ ")) or "imported"


def printable(text: str) -> str:
    """A text without control characters and bytes that are no UTF-8."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a character, from JSON
        data = text.encode("utf-8", "replace")
    clean = data.decode("utf-8", "replace").replace("\ufffd", "_")
    return "".join("_" if ord(character) < 32 or ord(character) == 127 else character for character in clean)
