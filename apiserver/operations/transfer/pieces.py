"""The interface between adapters and the importer: an adapter finds runs of another tool (`FoundRun`) and reads them as pieces (`Piece`).

An adapter is a module of `adapters/` with a class that implements `Adapter`. It reads one tool's files and does not depend on stores or servers;
`adapters/__init__.py` lists all.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

READABLE = 100
"""Most bytes of the readable part of an id, which a digest follows."""


@dataclass(slots=True)
class FoundRun:
    """A run of another tool. `key`: its name within a file of several runs. `size`: approximate bytes to read. `id`: unique for path and key. `origin`: the
    URL of a run on a server; then the adapter gives name, project and id."""

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
        """The facts of every imported run: project, name and origin."""
        return {"path": self.project, "alias": self.name, "run_dir": self.origin or printable(str(self.path))}


@dataclass(slots=True)
class Scalars:
    """Points of a metric as columns of equal length: steps, values (float64), times in epoch ms."""

    name: str
    steps: Sequence[int]
    values: Sequence[float]
    times: Sequence[int]


@dataclass(slots=True)
class Picture:
    """An image. `data`: the encoded bytes or their file; `time` in epoch ms; `number` tells images of the same name and step apart."""

    name: str
    step: int
    time: int
    data: bytes | Path
    suffix: str
    number: int = 0
    caption: str = ""


@dataclass(slots=True)
class Figure:
    """A plot as Plotly JSON; `time` in epoch ms."""

    name: str
    variant: str
    step: int
    time: int
    figure: dict[str, Any]


@dataclass(slots=True)
class Text:
    """A line of the log; `time` in epoch ms. Every import must yield them in the same order: lines stored before are recognized by their number."""

    text: str
    time: int
    level: str | None = None


@dataclass(slots=True)
class Facts:
    """Facts as in Runicorn's meta.json and status.json: created_at, started_at, ended_at (epoch s), status, tags, summary, hyperparams ..."""

    facts: dict[str, Any]


@dataclass(slots=True)
class Skipped:
    """Data that Tidemark has no place for. `kind`: a plural noun in the tool's own terms."""

    kind: str
    count: int = 1


@dataclass(slots=True)
class Damaged:
    """A part of a file, or of a server (by its URL), that could not be read. `line`: counted from 1; 0 for the file as a whole."""

    file: Path | str
    reason: str
    line: int = 0


@dataclass(slots=True)
class Restarted:
    """All events of the run so far are void: remove them. The valid ones follow."""


@dataclass(slots=True)
class Rewound:
    """Points, images and figures of this step and later so far are void; texts stay."""

    step: int


Piece = Scalars | Picture | Figure | Text | Facts | Skipped | Damaged | Restarted | Rewound


class Adapter(Protocol):
    """Reads the runs of one tool."""

    tool: str
    """The tool's name in messages."""

    def find(self, folder: Path, folders: list[str], files: list[str]) -> Iterator[FoundRun]:
        """The runs in this folder (not below it). Removes from `folders` those that need no search, and from `files` those that belong to a run. Raises OSError
        and ValueError for unreadable files."""

    def read(self, run: FoundRun) -> Iterator[Piece]:
        """The pieces of a run. Raises OSError and ValueError when the rest can't be read."""


def run_id(name: str, path: Path, key: str = "") -> str:
    """A unique id: a readable part, and a digest of the real path and the key."""
    whole = os.fsencode(path) + (b"\0" + key.encode("utf-8", "surrogateescape") if key else b"")
    readable = printable(name).encode()[:READABLE].decode("utf-8", "ignore").strip(" .")
    return f"{readable or 'run'}~{hashlib.sha256(whole).hexdigest()[:16]}"


def project_of(folder: Path) -> str:
    """The project of a run in this folder: the path, relative to the home folder if it is below."""
    home = Path(os.path.realpath(Path.home()))
    inside = folder.relative_to(home) if home != Path("/") and folder.is_relative_to(home) else folder
    return "/".join(part for part in map(printable, inside.parts) if part.strip("/ ")) or "imported"


def printable(text: str) -> str:
    """The text with control characters and invalid UTF-8 replaced by underscores."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate, from JSON
        data = text.encode("utf-8", "replace")
    clean = data.decode("utf-8", "replace").replace("\ufffd", "_")
    return "".join("_" if ord(character) < 32 or ord(character) == 127 else character for character in clean)
