"""Event files of TensorBoard for tests, written by tensorboardX, and what the importer makes of them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter  # type: ignore[import-untyped]

from apiserver.operations.transfer.discovery import discover
from apiserver.operations.transfer.pieces import Damaged, FoundRun, Piece, Restarted, Rewound, Scalars

EPOCH = 1_600_000_000


def write(folder: Path, values: Iterable[tuple[int, float]], tag: str = "loss", **options: Any) -> Path:
    """Scalars of a tag, a second apart; the file they are in."""
    before = set(folder.glob("*tfevents*"))
    with SummaryWriter(str(folder), **options) as writer:
        for step, value in values:
            writer.add_scalar(tag, value, step, walltime=EPOCH + step)
    return next(path for path in folder.glob("*tfevents*") if path not in before)


def record_at(data: bytes, number: int) -> int:
    """Where the record with this number (from 0) begins."""
    at = 0
    for _ in range(number):
        at += 16 + struct.unpack("<Q", data[at : at + 8])[0]
    return at


def runs_below(root: Path) -> list[FoundRun]:
    """The runs that an import finds."""
    found = discover(root)
    assert all(isinstance(run, FoundRun) for run in found.runs)
    return [run for run in found.runs if isinstance(run, FoundRun)]


def pieces_of(folder: Path) -> list[Piece]:
    """All pieces of the only run below a folder."""
    (run,) = runs_below(folder)
    return list(run.adapter.read(run))


def write_frame(table: Any, path: Path) -> None:
    """Write a DataFrame in the form that its name says: csv, tsv, jsonl or parquet."""
    if path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.suffix == ".jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")


def points(pieces: Iterable[Piece]) -> dict[str, list[tuple[int, float]]]:
    """What the pieces leave of every metric: in order of step, a later value in place of an earlier one."""
    found: dict[str, dict[int, float]] = {}
    for piece in pieces:
        if isinstance(piece, Scalars):
            found.setdefault(piece.name, {}).update(zip(piece.steps, piece.values, strict=True))
        elif isinstance(piece, Restarted):
            found.clear()
        elif isinstance(piece, Rewound):
            found = {name: {step: value for step, value in values.items() if step < piece.step} for name, values in found.items()}
    return {name: sorted(values.items()) for name, values in found.items() if values}


def damage(pieces: Iterable[Piece]) -> list[str]:
    """The problems among pieces."""
    return [piece.reason for piece in pieces if isinstance(piece, Damaged)]
