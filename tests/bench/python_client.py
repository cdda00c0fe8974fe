"""The Python client: cost of a `log` call in training code, import time, reading speed."""

from __future__ import annotations

import subprocess
import sys
import time

import tidemark_events
from tests.bench.measure import Report, median
from tests.process import ROOT, Server

CALLS = 20_000


def client(report: Report, server: Server) -> None:
    """Measure `run.log` while its thread sends to a server on the same cores, the import, and reading a million points."""
    report.heading("The Python client")
    tm = tidemark_events.connect(server.url)
    rounds, cpu = [], []
    with tm.run("bench", queue=2_000_000) as run:
        for number in range(5):
            begun, used = time.perf_counter(), time.thread_time()
            for step in range(number * CALLS, (number + 1) * CALLS):
                run.log({"loss/train": 0.5, "lr": 0.1}, step=step)
            cpu.append((time.thread_time() - used) / CALLS * 1e6)
            rounds.append((time.perf_counter() - begun) / CALLS * 1e6)
            run.flush()
    report.add("one log call with two values: CPU of the calling thread, median of five rounds", median(cpu), "µs", most=5)
    report.add("the same, elapsed", median(rounds), "µs", most=5)
    report.add("the slowest round", max(rounds), "µs")
    begun = time.perf_counter()
    points = sum(len(line) for line in tm.get(run.id).scalars("loss"))
    report.add("every point read", points / (time.perf_counter() - begun), "points/s")
    times = [_import_seconds("tidemark_events") for _ in range(5)]
    report.add("import tidemark_events: CPU", median(times) * 1000, "ms")
    whole = [_import_seconds("tidemark_events, requests") for _ in range(5)]
    report.add("with requests, at the first call: CPU", median(whole) * 1000, "ms")


def _import_seconds(modules: str) -> float:
    program = f"import time; begun = time.process_time(); import {modules}; print(time.process_time() - begun)"
    return float(subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout)
