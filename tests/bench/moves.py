"""Migration: `tidemark migrate clearml` from a server into an embedded store, and an import of 1 GB of TensorBoard event files."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.boards import TAGS, event_file
from tests.bench.load import SERIES, logs, new_id, scalars, send
from tests.bench.measure import Report
from tests.process import ROOT, Server

TASKS, BATCH = 40, 40_000
_POINT_BYTES = 56
_MEASURED = """
import resource, runpy, sys, atexit, json
def say():
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1024}), file=sys.stderr)
atexit.register(say)
sys.argv[0] = "tidemark"
runpy.run_module("apiserver", run_name="__main__", alter_sys=True)
"""


def migration(report: Report, folder: Path, events: int) -> None:
    """Migrate scalars and log lines (9:1) of 40 tasks."""
    report.heading(f"migrate clearml: {events:,} events of {TASKS} tasks")
    old = Server(folder / "old")
    old.start()
    try:
        client, each = old.client(), events // TASKS
        for _ in range(TASKS):
            task, points = new_id(), each * 9 // 10
            for first in range(0, points, BATCH):
                send(client, scalars(task, first // len(SERIES), min(BATCH, points - first)))
            for first in range(0, each - points, BATCH):
                send(client, logs(task, first, min(BATCH, each - points - first)))
        kept = json.loads((old.data / "credentials.json").read_text())
        keys = ("--key", kept["access_key"], "--secret", kept["secret_key"])
        begun = time.perf_counter()
        done, used = _command("migrate", "clearml", old.url, *keys, "--data", str(folder / "new"), "--json")
        seconds = time.perf_counter() - begun
    finally:
        old.stop()
    assert done["events"] == each * TASKS and not done["differences"] and not done["problems"], done
    report.add(
        "migrate",
        done["events"] / seconds,
        "events/s",
        least=20_000,
        note=f"{seconds:.1f} s, {used['cpu']:.1f} s of CPU without the old server",
    )
    report.add("memory of migrate", used["peak"], "MB", most=500)


def gigabyte(report: Report, folder: Path, size: int) -> None:
    """Import event files of `size` bytes together, in four runs."""
    report.heading(f"import of {size / 1e6:,.0f} MB of TensorBoard's files")
    points = size // 4 // _POINT_BYTES // len(TAGS) * len(TAGS)
    files = [event_file(folder / "many" / f"run{number}", points) for number in range(4)]
    found = sum(file.stat().st_size for file in files)
    begun = time.perf_counter()
    done, used = _command("import", str(folder / "many"), "--data", str(folder / "many-data"), "--json")
    seconds = time.perf_counter() - begun
    assert done["events"] == 4 * points and not done["problems"], {**done, "ids": ()}
    report.add("import", done["events"] / seconds, "points/s", note=f"{found / 1e6:,.0f} MB in {seconds:.1f} s, {used['cpu']:.1f} s of CPU")
    report.add("memory of the import", used["peak"], "MB", most=300)


def _command(*args: str) -> tuple[dict[str, object], dict[str, float]]:
    """Run a command: its JSON report, and the CPU seconds and peak memory (MB) of its process."""
    done = subprocess.run([sys.executable, "-c", _MEASURED, *args], cwd=ROOT, check=True, capture_output=True, text=True, timeout=3600)
    return json.loads(done.stdout), json.loads(done.stderr.splitlines()[-1])
