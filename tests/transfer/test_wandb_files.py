"""W&B's files: resumed runs, values that were removed, and names that W&B's own resemble."""

from __future__ import annotations

import json
import math
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

from apiserver.operations.transfer.importer import Importer
from apiserver.operations.transfer.pieces import Picture, Skipped, Text
from tests.fuzz.test_imports import Lines
from tests.runs.conftest import tidemark
from tests.transfer.boards import damage, pieces_of, points, runs_below
from tests.transfer.conftest import Copy
from tests.transfer.test_recorded import facts_of

HISTORY, SUMMARY, CONFIG, STATS, OUTPUT, RUN, EXIT = 2, 3, 5, 7, 13, 17, 18


def field(number: int, value: bytes | str | int) -> bytes:
    """A field of a protocol buffer message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes((*made, value))


def item(key: str | tuple[str, ...], value: Any, number: int = 1) -> bytes:
    """An entry of a row, a summary or a configuration; `number` 2: one that was removed."""
    path = (field(1, key),) if isinstance(key, str) else tuple(field(2, part) for part in key)
    return field(number, b"".join(path) + (field(16, json.dumps(value)) if number == 1 else b""))


def row(step: int, **values: Any) -> bytes:
    return field(HISTORY, b"".join(item(name, value) for name, value in values.items()) + field(2, field(1, step)))


def moment(seconds: int) -> bytes:
    return field(1, seconds)


def wandb_file(folder: Path, *records: bytes, id: str = "abc") -> Path:
    """A file with these records, in blocks of one size as long as they are short."""
    folder.mkdir(parents=True, exist_ok=True)
    data = bytearray(b":W&B" + struct.pack("<HB", 0xBEE1, 0))
    for body in records:
        data += struct.pack("<IHB", zlib.crc32(body, zlib.crc32(b"\1")), len(body), 1) + body
    assert len(data) < 32_768
    path = folder / f"run-{id}.wandb"
    path.write_bytes(data)
    return path


def start(seconds: int, *more: bytes) -> bytes:
    return field(RUN, field(1, "abc") + field(3, "vision") + field(17, moment(seconds)) + b"".join(more))


def test_the_folders_of_a_resumed_run_are_one_run_in_the_order_of_their_dates(tmp_path: Path) -> None:
    """`latest-run` leads to the last folder, and is found first."""
    stats = [
        field(STATS, field(2, moment(1_600_000_000 + at)) + field(3, field(1, "cpu") + field(16, str(at)))) for at in (0, 10, 100, 110)
    ]
    line = [field(OUTPUT, field(2, moment(1_600_000_000)) + field(3, f"{text}\n")) for text in ("one", "two")]
    first = wandb_file(
        tmp_path / "run-20200913_122640-abc",
        start(1_600_000_000),
        row(0, loss=4.0),
        row(1, loss=3.0),
        *stats[:2],
        line[0],
        field(EXIT, field(1, 1)),
    )
    second = wandb_file(
        tmp_path / "run-20200913_122820-abc", start(1_600_000_100), row(2, loss=2.0), *stats[2:], line[1], field(EXIT, field(1, 0))
    )
    (tmp_path / "latest-run").symlink_to(second.parent.name)
    (run,) = runs_below(tmp_path)
    pieces = list(run.adapter.read(run))
    assert run.files == [first, second]
    assert points(pieces) == {"loss": [(0, 4.0), (1, 3.0), (2, 2.0)], "system/cpu": [(0, 0.0), (1, 10.0), (2, 100.0), (3, 110.0)]}
    assert [piece.text for piece in pieces if isinstance(piece, Text)] == ["one", "two"]
    facts = facts_of(pieces)
    assert facts["status"] == "finished" and facts["started_at"] == 1_600_000_000


def test_folders_of_a_resumed_run_that_are_named_one_by_one_are_one_run(tmp_path: Path) -> None:
    folders = [tmp_path / f"offline-run-{date}-abc" for date in ("20200913_122820", "20200913_122640")]
    for place, folder in enumerate(folders):
        wandb_file(folder, start(1_600_000_000), row(place, loss=1.0))
    done = tidemark("import", *map(str, folders), "--data", str(tmp_path / "data"), "--json")
    report = json.loads(done.stdout)
    assert (report["runs"], report["events"], [found["path"] for found in report["ids"]]) == (1, 2, [str(folders[1] / "run-abc.wandb")])


def test_a_copy_of_a_run_is_read_once(copy: Copy, tmp_path: Path) -> None:
    folder = copy("wandb")
    once = len(pieces_of(folder))
    shutil.copytree(folder, tmp_path / "backup" / "wandb")
    assert len(pieces_of(tmp_path)) == once


def test_a_resumed_offline_run_that_counts_its_steps_again_is_said(tmp_path: Path) -> None:
    for date in ("20200913_122640", "20200913_122820"):
        wandb_file(tmp_path / f"offline-run-{date}-abc", start(1_600_000_000), row(0, loss=1.0), row(1, loss=2.0))
    importer = Importer(Lines())
    for run in runs_below(tmp_path):
        importer.run(run)
    assert importer.tally.skipped == {"points that a later one of the same metric and step replaces": 2}


def test_zeros_and_half_a_head_in_place_of_a_record_are_named(tmp_path: Path) -> None:
    """After a power failure the end of a file may be zeros."""
    path = wandb_file(tmp_path / "run-1-abc", start(1_600_000_000), row(0, loss=1.0))
    whole = path.read_bytes()
    for end, reason in ((bytes(100_000), "zeros in place of a record"), (b"\1\2\3", "the file ends in the middle of a record")):
        path.write_bytes(whole + end)
        pieces = pieces_of(tmp_path)
        assert points(pieces) == {"loss": [(0, 1.0)]}
        assert damage(pieces) == [f"data from offset {len(whole):,} on are lost: {reason}"]


def test_what_was_removed_is_gone(tmp_path: Path) -> None:
    wandb_file(
        tmp_path / "run-1-abc",
        start(1_600_000_000),
        field(CONFIG, item("lr", 0.1) + item("old", 1) + item(("model", "depth"), 18) + item(("model", "width"), 4)),
        field(SUMMARY, item("best", 0.5) + item("draft", 1)),
        field(CONFIG, item("old", None, 2) + item(("model", "width"), None, 2)),
        field(SUMMARY, item("draft", None, 2) + item(("never", "there"), None, 2)),
    )
    pieces = pieces_of(tmp_path)
    assert not damage(pieces)
    facts = facts_of(pieces)
    assert facts["hyperparams"]["General"] == {"lr": 0.1, "model/depth": 18} and facts["summary"] == {"best": 0.5}


def test_names_that_begin_with_an_underscore_are_the_users(tmp_path: Path) -> None:
    own = {"_step": 3, "_timestamp": 1_600_000_000.5, "_runtime": 7}
    wandb_file(
        tmp_path / "run-1-abc",
        start(1_600_000_000, field(12, "sweep-7")),
        row(3, **own, _private=2.0, loss=1.0),
        field(SUMMARY, b"".join(item(name, value) for name, value in {**own, "_best": 0.5, "_wandb": {"runtime": 7}}.items())),
    )
    pieces = pieces_of(tmp_path)
    assert points(pieces) == {"_private": [(3, 2.0)], "loss": [(3, 1.0)]}
    facts = facts_of(pieces)
    assert facts["summary"] == {"_best": 0.5} and facts["hyperparams"]["wandb"] == {"sweep": "sweep-7"}


def test_files_that_were_saved_are_counted_and_those_of_the_tool_are_not(tmp_path: Path) -> None:
    names = ("saved.txt", "models/net.pt", "requirements.txt", "media/images/a.png")
    saved = b"".join(field(1, field(1, name)) for name in names)
    wandb_file(tmp_path / "run-1-abc", start(1_600_000_000), field(6, saved))
    assert Skipped("files", 2) in pieces_of(tmp_path)


def test_values_of_a_summary_that_json_has_no_number_for_keep_their_names(tmp_path: Path) -> None:
    wandb_file(tmp_path / "run-1-abc", start(1_600_000_000), field(SUMMARY, item("loss", math.nan) + item("best", -math.inf)))
    assert facts_of(pieces_of(tmp_path))["summary"] == {"loss": "nan", "best": "-inf"}


def test_masks_and_boxes_of_images_are_counted(tmp_path: Path) -> None:
    image = {"_type": "image-file", "path": "media/images/a.png", "boxes": {"predictions": {}}}
    path = wandb_file(tmp_path / "run-1-abc", start(1_600_000_000), row(0, image=image))
    (path.parent / "files" / "media" / "images").mkdir(parents=True)
    (path.parent / "files" / "media" / "images" / "a.png").write_bytes(b"\x89PNG")
    pieces = pieces_of(tmp_path)
    assert any(isinstance(piece, Picture) for piece in pieces) and Skipped("masks and boxes of images", 1) in pieces
