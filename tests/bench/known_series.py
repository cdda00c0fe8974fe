"""Memory of a worker's cache of series: it saves the next batch from reading their statistics."""

from __future__ import annotations

from pathlib import Path

from tests.bench.load import new_id, scalars, send
from tests.bench.measure import Report
from tests.process import Server

TASKS, SERIES, POINTS = 40, 500, 40
BATCH = 10_000


def known_series(report: Report, folder: Path, env: dict[str, str]) -> None:
    """The memory of a worker after its start, and after storing 20,000 series."""
    report.heading(f"Memory of a worker that stores {TASKS * SERIES:,} series of {POINTS} points, in batches of {BATCH:,}")
    names = [(f"metric{number // 10}", f"variant{number % 10}") for number in range(SERIES)]
    server = Server(folder, env)
    try:
        client = server.start().client()
        before = server.worker_resident_bytes() / 1e6
        for _ in range(TASKS):
            task = new_id()
            for first in range(0, POINTS, BATCH // SERIES):
                send(client, scalars(task, first, BATCH, names))
        report.add("worker memory", server.worker_resident_bytes() / 1e6, "MB", most=200, note=f"{before:.0f} MB before")
    finally:
        server.stop()
