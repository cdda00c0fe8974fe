"""How fast events go in, beside a bare `executemany`, and what it costs the server."""

from __future__ import annotations

import os
import resource
import sqlite3
import tempfile
import time
from pathlib import Path

from tests.bench.load import LINES, logs, new_id, rows, scalars, send, step_of, watching
from tests.bench.measure import Report, median, percentile
from tests.client import Client
from tests.process import Server

BATCH = 5000


def ingest_rate(client: Client, batches: int, size: int = BATCH, task: str | None = None, first: int = 0) -> float:
    """Events a second of one client that sends prepared batches one after the other."""
    task = task or new_id()
    bodies = [scalars(task, first + step_of(number, size), size) for number in range(batches)]
    begun = time.perf_counter()
    for body in bodies:
        send(client, body)
    return batches * size / (time.perf_counter() - begun)


def sqlite_rate(batches: int, folder: str | None = None) -> float:
    """Rows a second of a bare `executemany`, a durable transaction a batch, into a table clustered by series and iteration."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        connection = sqlite3.connect(Path(place) / "bare.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(
            "CREATE TABLE points (task TEXT, series INTEGER, iter INTEGER, timestamp INTEGER, value REAL, PRIMARY KEY (task, series, iter)) WITHOUT ROWID"
        )
        task = new_id()
        prepared = [[(task, *row) for row in rows(number * BATCH // 8, BATCH)] for number in range(batches)]
        begun = time.perf_counter()
        for batch in prepared:
            connection.execute("BEGIN")
            connection.executemany("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, ?)", batch)
            connection.execute("COMMIT")
        rate = batches * BATCH / (time.perf_counter() - begun)
        connection.close()
        return rate


def rates(report: Report, server: Server, rounds: int, batches: int) -> None:
    """The main figure: HTTP ingest and the yardstick in turns."""
    report.heading(f"Ingest over HTTP, one client ({rounds} rounds of {batches} batches of {BATCH:,}, in turns with the yardstick)")
    client = server.client()
    ingest_rate(client, 2)
    ours, bare, cpu, client_cpu = [], [], [], []
    for _ in range(rounds):
        bare.append(sqlite_rate(batches, os.fspath(server.folder)))
        before, own = server.cpu_seconds(), _own_cpu()
        ours.append(ingest_rate(client, batches))
        cpu.append((server.cpu_seconds() - before) / (batches * BATCH) * 1e6)
        client_cpu.append((_own_cpu() - own) / (batches * BATCH) * 1e6)
    report.add("scalars, batches of 5,000", median(ours), "events/s", least=80_000)
    report.add("bare executemany of the same rows", median(bare), "rows/s")
    report.add("ratio to executemany", median(ours) / median(bare), "", least=0.25)
    report.add(
        "server CPU, SQLite included", median(cpu), "µs/event", most=12, note=f"client {median(client_cpu):.1f} µs with making bodies"
    )
    small = [ingest_rate(client, 200, 100) for _ in range(rounds)]
    report.add("scalars, batches of 100", median(small), "events/s", least=15_000)
    task = new_id()
    begun = time.perf_counter()
    for number in range(10):
        send(client, logs(task, number * BATCH, BATCH))
    report.add("log lines, batches of 5,000 (bodies made meanwhile)", 10 * BATCH / (time.perf_counter() - begun), "lines/s")
    one = []
    for number in range(50):
        body = scalars(task, 100_000 + number, 1)
        begun = time.perf_counter()
        send(client, body)
        one.append(time.perf_counter() - begun)
    report.add("one scalar, until acknowledged", median(one) * 1000, "ms")


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def big_batch(report: Report, server: Server, rounds: int = 10) -> None:
    """One batch of 15 MB while others ping, read and write."""
    report.heading(f"One batch of 15 MB (68,000 lines) while others call ({rounds} batches)")
    client = server.client()
    reader, writer = new_id(), new_id()
    send(client, scalars(reader, 0, 800))
    bodies = [scalars(new_id(), 0, 68_000) for _ in range(rounds)]
    small_log = b'{"type": "log", "task": "%s", "msg": "line %%NUMBER%%"}' % writer.encode()
    calls = {
        "ping": ("/debug.ping", b"{}", {}),
        "read": (
            "/v999.0/events.scalar_metrics_iter_histogram",
            b'{"task": "%s", "samples": 50}' % reader.encode(),
            {"Content-Type": "application/json"},
        ),
        "write": ("/v2.23/events.add_batch", small_log, LINES),
    }
    spans: list[tuple[float, float]] = []
    idle = server.worker_resident_bytes()
    peak = 0
    with watching(client, calls) as watchers:
        for body in bodies:
            span, memory = _sent_watching_memory(server, client, body)
            spans.append(span)
            peak = max(peak, memory)
    alone = []
    for _ in range(rounds):
        body = scalars(new_id(), 0, 68_000)
        begun = time.perf_counter()
        send(client, body)
        alone.append(time.perf_counter() - begun)

    def latencies(name: str) -> list[float]:
        return [seconds for span in spans for seconds in watchers[name].between(*span)]

    report.add("the batch alone", median(alone), "s", most=2, note=f"{len(bodies[0]) / 1e6:.1f} MB")
    report.add("the batch, with the others", median([end - begin for begin, end in spans]), "s")
    report.add("worker memory at its peak", peak / 1e6, "MB", most=250, note=f"{idle / 1e6:.0f} MB before")
    for name, most in (("ping", 50), ("read", 50), ("write", 500)):
        seconds = latencies(name)
        report.add(
            f"others' {name} meanwhile, p99",
            percentile(seconds, 99) * 1000,
            "ms",
            most=most,
            note=f"{len(seconds)} calls, median {median(seconds) * 1000:.1f}",
        )


def _sent_watching_memory(server: Server, client: Client, body: bytes) -> tuple[tuple[float, float], int]:
    """Send; when it began and ended (monotonic), and the greatest resident size of a worker meanwhile."""
    import threading

    done = threading.Event()
    peak = [0]

    def watch() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], server.worker_resident_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.monotonic()
    send(client, body)
    ended = time.monotonic()
    done.set()
    watcher.join()
    return (begun, ended), peak[0]


def idle_memory(report: Report, server: Server) -> None:
    """Right after the start, before any batch."""
    report.heading("Memory")
    server.client().raw("/debug.ping")
    report.add(
        "all processes, idle (shared pages counted once)",
        server.resident_bytes() / 1e6,
        "MB",
        most=120,
        note=f"RSS of the worker {server.worker_resident_bytes() / 1e6:.0f}",
    )
