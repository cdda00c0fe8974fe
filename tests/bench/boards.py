"""Reading TensorBoard event files, compared with TensorBoard's own loader and tbparse; importing them."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from apiserver.operations.transfer.discovery import discover
from apiserver.operations.transfer.pieces import FoundRun, Scalars
from apiserver.operations.transfer.tfrecord import masked
from tests.bench.measure import Report, median
from tests.process import ROOT

TAGS = [f"train/metric_{number}" for number in range(10)]
POINTS, PEER_POINTS = 2_000_000, 100_000
ROUNDS = 3
_IMPORT = """
import json, resource, sys, time
from pathlib import Path
from apiserver.operations.transfer.discovery import discover
from apiserver.operations.transfer.importer import Importer
from apiserver.operations.transfer.sinks import open_sink
from apiserver.settings import from_environment
sink = open_sink(from_environment({"server.data": sys.argv[2]}), None)
importer = Importer(sink)
begun = time.perf_counter()
for run in discover(Path(sys.argv[1])).runs:
    importer.run(run)
seconds = time.perf_counter() - begun
sink.close()
print(json.dumps({"rate": importer.tally.events / seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def event_file(folder: Path, points: int) -> Path:
    """Scalars of ten tags, each in an event of its own, as torch.utils.tensorboard and tensorboardX write them."""
    folder.mkdir(parents=True)
    path = folder / "events.out.tfevents.1"
    with path.open("wb") as file:
        file.write(_record(b"\t" + struct.pack("<d", 1.6e9) + b"\x1a\x0dbrain.Event:2"))
        for step in range(points // len(TAGS)):
            head = b"\t" + struct.pack("<d", 1.6e9 + step / 10) + b"\x10" + _varint(step)
            for tag in TAGS:
                value = b"\x0a" + _varint(len(tag)) + tag.encode() + b"\x15" + struct.pack("<f", step * 7919 % 1000 / 5000)
                summary = b"\x0a" + _varint(len(value)) + value
                file.write(_record(head + b"*" + _varint(len(summary)) + summary))
    return path


def boards(report: Report, folder: Path) -> None:
    """Read in turns with the peers, then import into an embedded store."""
    report.heading("TensorBoard's files")
    event_file(folder / "peers" / "run", PEER_POINTS)
    event_file(folder / "board" / "run", POINTS)
    seconds: dict[str, list[float]] = {"ours": [], "tensorboard": [], "tbparse": []}
    readers: dict[str, Callable[[Path], int]] = {"ours": _ours, "tensorboard": _tensorboard, "tbparse": _tbparse}
    for _ in range(ROUNDS):
        for name, read in readers.items():
            begun = time.perf_counter()
            assert read(folder / "peers" / "run") == PEER_POINTS, name
            seconds[name].append(time.perf_counter() - begun)
    rates = {name: PEER_POINTS / median(taken) for name, taken in seconds.items()}
    report.add(
        "reading", rates["ours"], "points/s", note=f"TensorBoard's loader {rates['tensorboard']:,.0f}, tbparse {rates['tbparse']:,.0f}"
    )
    report.add("reading: times faster than TensorBoard's loader", rates["ours"] / rates["tensorboard"], "x", least=5)
    command = [sys.executable, "-c", _IMPORT, str(folder / "board"), str(folder / "board-data")]
    done = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=600).stdout)
    size = (folder / "board" / "run" / "events.out.tfevents.1").stat().st_size
    report.add(f"import of {POINTS:,} points ({size / 1e6:,.0f} MB)", done["rate"], "points/s", least=300_000)
    report.add("memory of the import", done["peak"], "MB", most=300)


def _ours(folder: Path) -> int:
    (run,) = discover(folder).runs
    assert isinstance(run, FoundRun)
    return sum(len(piece.steps) for piece in run.adapter.read(run) if isinstance(piece, Scalars))


def _tensorboard(folder: Path) -> int:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    (path,) = folder.iterdir()
    return sum(len(event.summary.value) for event in EventFileLoader(str(path)).Load())


def _tbparse(folder: Path) -> int:
    from tbparse import SummaryReader  # type: ignore[import-untyped]

    return len(SummaryReader(str(folder)).scalars)


def _record(payload: bytes) -> bytes:
    head = struct.pack("<Q", len(payload))
    return head + struct.pack("<I", masked(head)) + payload + struct.pack("<I", masked(payload))


def _varint(number: int) -> bytes:
    made = b""
    while number > 127:
        made += bytes((number & 127 | 128,))
        number >>= 7
    return made + bytes((number,))
