"""TensorBoard's files: which are found, what is read of damaged ones, and that the values are those of TensorBoard's own reader."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboardX import SummaryWriter  # type: ignore[import-untyped]

from apiserver.operations.transfer.adapters.tensorboard import BoardRun
from apiserver.operations.transfer.discovery import discover
from apiserver.operations.transfer.pieces import Facts, Skipped, Text
from apiserver.operations.transfer.tfrecord import RecordFile, masked
from tests.transfer.boards import EPOCH, damage, pieces_of, points, record_at, runs_below, write

LINE = [(step, float(step)) for step in range(100)]


def spoil(kind: str, data: bytearray) -> None:
    at = record_at(data, 50)
    if kind == "payload":
        data[at + 14] ^= 255
    elif kind == "length":
        data[at] ^= 255
    elif kind == "text":
        data[at:at] = b"INFO:root:epoch done\n"
    elif kind == "zeros":
        data[at : at + 20] = bytes(20)
    elif kind == "end":
        del data[at + 9 :]


@pytest.mark.parametrize(("kind", "kept"), [("payload", 99), ("length", 99), ("text", 100), ("zeros", 99), ("end", 49)])
def test_reading_goes_on_after_damage_and_says_what_is_lost(kind: str, kept: int, tmp_path: Path) -> None:
    path = write(tmp_path, LINE)
    data = bytearray(path.read_bytes())
    spoil(kind, data)
    path.write_bytes(data)
    pieces = pieces_of(tmp_path)
    assert len(points(pieces)["loss"]) == kept
    (problem,) = damage(pieces)
    assert f"from offset {record_at(path.read_bytes(), 50):,} on" in problem


def test_any_damage_costs_no_more_than_the_records_it_touches(tmp_path: Path) -> None:
    """Every kind of damage at random places: always named, and the records around it are read."""
    whole = write(tmp_path / "whole", LINE).read_bytes()
    chance = random.Random(5)
    for number in range(150):
        data = bytearray(whole)
        at, size = chance.randrange(len(data)), chance.choice([1, 3, 60])
        kind = chance.choice(["flip", "insert", "cut", "zero"])
        if kind == "flip":
            data[at] ^= 1 << chance.randrange(8)
        elif kind == "insert":
            data[at:at] = chance.randbytes(size)
        elif kind == "cut":
            del data[at : at + size]
        else:
            data[at : at + size] = bytes(min(size, len(data) - at))
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "events.out.tfevents.1").write_bytes(data)
        pieces = pieces_of(folder)
        assert len(points(pieces).get("loss", ())) >= 97, (number, kind, at)
        assert damage(pieces) or data == whole, (number, kind, at)


def test_a_record_length_beyond_memory_is_skipped(tmp_path: Path) -> None:
    path = write(tmp_path, LINE)
    head = (1 << 40).to_bytes(8, "little")
    path.write_bytes(head + masked(head).to_bytes(4, "little") + path.read_bytes())
    pieces = pieces_of(tmp_path)
    assert len(points(pieces)["loss"]) == 100 and len(damage(pieces)) == 1


def test_a_record_that_is_no_event_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, LINE)
    nonsense = b"\xff" * 30
    size = len(nonsense).to_bytes(8, "little")
    with path.open("ab") as file:
        file.write(size + masked(size).to_bytes(4, "little") + nonsense + masked(nonsense).to_bytes(4, "little"))
    pieces = pieces_of(tmp_path)
    assert len(points(pieces)["loss"]) == 100 and "1 record skipped: no TensorBoard events" in damage(pieces)[0]


# --- discovery


def test_every_real_folder_is_a_run_once(tmp_path: Path) -> None:
    write(tmp_path / "a" / "run", LINE)
    write(tmp_path / "a" / "run" / "eval", LINE)
    (tmp_path / "a" / "run" / "self").symlink_to(".")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "latest").symlink_to("run")
    assert [run.path.name for run in runs_below(tmp_path)] == ["run", "eval"]
    elsewhere = tmp_path.parent / f"{tmp_path.name}-farm"
    elsewhere.mkdir()
    (elsewhere / "linked").symlink_to(tmp_path / "a" / "run")
    assert {run.id for run in runs_below(elsewhere)} == {run.id for run in runs_below(tmp_path)}


def test_ids_are_bounded_and_say_which_folder_was_meant(tmp_path: Path) -> None:
    names = ["projA/version_0", "projB/version_0", "x9/b", "x9_b", "/".join(["deep" * 20] * 5), "\u00fc" * 100, "nl\nx", "t\tx"]
    for name in names:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "my.tfevents.log").touch()
    found = runs_below(tmp_path)
    assert len({run.id for run in found}) == len(found) == len(names)
    assert all(len(run.id.encode()) <= 128 and run.id.isprintable() for run in found)
    by_project = {(run.project.rpartition("/")[2], run.name) for run in found}
    assert {("projA", "version_0"), ("projB", "version_0")} <= by_project


def test_every_file_that_tensorboard_takes_is_taken_once(tmp_path: Path) -> None:
    path = write(tmp_path, LINE)
    path.rename(tmp_path / "mine.tfevents.v2")
    (tmp_path / "alias.tfevents").symlink_to("mine.tfevents.v2")
    (tmp_path / "events.out.tfevents.1.profile-empty").touch()
    (run,) = runs_below(tmp_path)
    assert len(run.files) == 1 and len(points(run.adapter.read(run))["loss"]) == 100


def test_one_unreadable_file_does_not_end_the_import(tmp_path: Path) -> None:
    write(tmp_path, LINE)
    (tmp_path / "gone.tfevents").symlink_to("nowhere")
    pieces = pieces_of(tmp_path)
    assert len(points(pieces)["loss"]) == 100 and damage(pieces) == ["No such file or directory"]


def test_runs_below_a_folder_that_only_looks_like_a_run_are_found(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text('{"author": "somebody"}')
    write(tmp_path / "logs" / "version_0", LINE)
    (tmp_path / "logs" / "logs.txt").write_text("a log\n")
    assert [run.path.name for run in discover(tmp_path).runs] == ["logs", "version_0"]


# --- meaning


def test_a_restart_voids_what_follows_its_step(tmp_path: Path) -> None:
    write(tmp_path, [(step, 100.0 + step) for step in range(10)], filename_suffix=".1")
    write(tmp_path, [(step, 200.0 + step) for step in range(5, 8)], purge_step=5, filename_suffix=".2")
    expected = [(step, 100.0 + step) for step in range(5)] + [(step, 200.0 + step) for step in range(5, 8)]
    assert points(pieces_of(tmp_path))["loss"] == expected


def test_dates_and_status_come_from_the_events(tmp_path: Path) -> None:
    write(tmp_path, LINE)
    facts = [piece.facts for piece in pieces_of(tmp_path) if isinstance(piece, Facts)]
    assert facts == [{"created_at": EPOCH, "started_at": EPOCH, "status": "finished", "ended_at": EPOCH + 99}]


def value(tag: str, plugin: str = "", **fields: Any) -> summary_pb2.Summary.Value:
    metadata = summary_pb2.SummaryMetadata(plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name=plugin)) if plugin else None
    return summary_pb2.Summary.Value(tag=tag, metadata=metadata, **fields)


def write_values(folder: Path, *steps: list[summary_pb2.Summary.Value]) -> None:
    writer = EventFileWriter(str(folder))
    for step, values in enumerate(steps):
        writer.add_event(event_pb2.Event(wall_time=EPOCH + step, step=step, summary=summary_pb2.Summary(value=values)))
    writer.close()


def numbers(kind: int, shape: tuple[int, ...] = (), **fields: Any) -> tensor_pb2.TensorProto:
    made = tensor_pb2.TensorProto(dtype=kind, **fields)
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


def test_numbers_of_every_type_and_of_shape_1_are_scalars(tmp_path: Path) -> None:
    half = np.array(1.5, np.float16).tobytes()
    brain = (np.array(1.5, np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
    tensors = {
        "bfloat16": numbers(types_pb2.DT_BFLOAT16, tensor_content=brain),
        "bfloat16 list": numbers(types_pb2.DT_BFLOAT16, half_val=[int.from_bytes(brain, "little")]),
        "half": numbers(types_pb2.DT_HALF, tensor_content=half),
        "float": numbers(types_pb2.DT_FLOAT, float_val=[1.5]),
        "float bytes": numbers(types_pb2.DT_FLOAT, tensor_content=np.float32(1.5).tobytes()),
        "double": numbers(types_pb2.DT_DOUBLE, double_val=[1.5]),
        "shape 1": numbers(types_pb2.DT_FLOAT, (1,), float_val=[1.5]),
        "shape 1 1": numbers(types_pb2.DT_DOUBLE, (1, 1), tensor_content=np.float64(1.5).tobytes()),
    }
    write_values(tmp_path, [value(name, tensor=tensor) for name, tensor in tensors.items()])
    assert points(pieces_of(tmp_path)) == {name: [(0, 1.5)] for name in tensors}


def test_integers_are_not_read_as_floats(tmp_path: Path) -> None:
    """The bytes of the integer 0 are those of the float 0: what surrounds it must not be taken for a float later."""
    series = [0, 7, -3]
    steps = [[value("n", tensor=numbers(types_pb2.DT_INT32, tensor_content=np.int32(one).tobytes()))] for one in series]
    write_values(tmp_path, *steps)
    assert points(pieces_of(tmp_path))["n"] == list(enumerate(map(float, series)))


def test_the_plugin_says_what_a_value_is(tmp_path: Path) -> None:
    text = numbers(types_pb2.DT_STRING, string_val=[b"12"])
    write_values(
        tmp_path,
        [value("note", "text", tensor=text), value("clip", "audio", tensor=text), value("odd", "mine", tensor=text)],
        [value("note", tensor=text)],
    )
    pieces = pieces_of(tmp_path)
    assert [piece.text for piece in pieces if isinstance(piece, Text)] == ["note [0]: 12", "note [1]: 12"]
    assert {(piece.kind, piece.count) for piece in pieces if isinstance(piece, Skipped)} == {
        ("audio", 1),
        ("summaries of the plugin mine", 1),
    }
    assert not points(pieces)


def test_the_points_are_those_of_tensorboards_own_reader(tmp_path: Path) -> None:
    chance = random.Random(7)
    for number in range(3):
        with SummaryWriter(str(tmp_path), filename_suffix=f".{number}", purge_step=chance.randrange(40, 400) if number else None) as writer:
            for step in range(300):
                for tag in ("a/loss", "b", "time"):
                    if chance.random() < 0.9:
                        writer.add_scalar(tag, chance.choice([chance.gauss(0, 9), 1e30, -0.0]), step * chance.choice([1, 1, 1000]))
    theirs = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    expected = {tag: sorted({event.step: event.value for event in theirs.Scalars(tag)}.items()) for tag in theirs.Tags()["scalars"]}
    found = points(pieces_of(tmp_path))
    assert expected == {tag: found[tag] for tag in expected} and len(expected) >= 3


# --- growing files


def test_growing_files_are_read_record_by_record(tmp_path: Path) -> None:
    path = write(tmp_path, LINE)
    whole = path.read_bytes()
    path.write_bytes(b"")
    (run,) = runs_below(tmp_path)
    reader, found = BoardRun(run), []
    for end in [*range(0, len(whole), 777), len(whole)]:
        path.write_bytes(whole[:end])
        found += list(reader.read(final=False, running=True))
    assert points(found)["loss"] == LINE and not damage(found)


def test_a_restart_is_seen_in_growing_files(tmp_path: Path) -> None:
    write(tmp_path, LINE, filename_suffix=".1")
    (run,) = runs_below(tmp_path)
    reader = BoardRun(run)
    found = list(reader.read(final=False, running=True))
    reader.add_file(write(tmp_path, [(3, 9.0)], purge_step=3, filename_suffix=".2"))
    found += list(reader.read(final=False, running=True))
    assert points(found)["loss"] == [*LINE[:3], (3, 9.0)]


def test_large_files_are_read_in_blocks(tmp_path: Path) -> None:
    path = write(tmp_path, LINE)
    path.write_bytes(path.read_bytes() * 400)
    payloads = list(RecordFile(path).read(final=True))
    assert sum(map(len, payloads)) == 400 * 101 and max(sum(map(len, some)) for some in payloads) <= 1 << 20
