"""What the Python client costs training code, and how fast it reads."""

from __future__ import annotations

import subprocess
import sys
import time

import tidemark_events
from tests.bench.measure import Report, median
from tests.process import ROOT, Server

CALLS = 20_000


def client(report: Report, server: Server) -> None:
    """`run.log` while its thread sends to the server on the same cores, importing, and reading a million points."""
    report.heading("The Python client")
    tm = tidemark_events.connect(server.url)
    rounds = []
    with tm.run("bench", queue=2_000_000) as run:
        for number in range(5):
            begun = time.perf_counter()
            for step in range(number * CALLS, (number + 1) * CALLS):
                run.log({"loss/train": 0.5, "lr": 0.1}, step=step)
            rounds.append((time.perf_counter() - begun) / CALLS * 1e6)
            run.flush()
    report.add("one log call with two values, median of five rounds", median(rounds), "µs", most=5)
    report.add("the slowest round", max(rounds), "µs")
    begun = time.perf_counter()
    points = sum(len(line) for line in tm.get(run.id).scalars("loss"))
    report.add("every point read", points / (time.perf_counter() - begun), "points/s")
    times = [_import_seconds() for _ in range(5)]
    report.add("import tidemark_events", median(times) * 1000, "ms")


def _import_seconds() -> float:
    program = "import time; begun = time.perf_counter(); import tidemark_events; print(time.perf_counter() - begun)"
    return float(subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout)
