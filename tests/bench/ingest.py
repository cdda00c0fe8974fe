"""Ingest: throughput and server CPU, compared with a bare `executemany`."""

from __future__ import annotations

import itertools
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tests.bench.cpu import Processes, Work, add_turns, in_turns, parts, turn_of
from tests.bench.load import LINES, logs, new_id, rows, scalars, send, step_of, watching
from tests.bench.measure import Report, in_ms, median, paired, percentile
from tests.client import Client
from tests.process import Server

BATCH = 5000


def ingest_rate(client: Client, batches: int, size: int = BATCH, task: str | None = None, first: int = 0) -> float:
    """Events/s of one client that sends prepared batches one after the other."""
    task = task or new_id()
    bodies = [scalars(task, first + step_of(number, size), size) for number in range(batches)]
    begun = time.perf_counter()
    for body in bodies:
        send(client, body)
    return batches * size / (time.perf_counter() - begun)


def many_clients(client: Client, clients: int, batches: int, size: int, rate: float | None = None) -> Work:
    """Work: `clients` clients send at once, each to its own task; `batches` is the number for all clients. `rate`: events/s of all together at most
    (None: as fast as they can)."""
    shares = []
    for _ in range(clients):
        task = new_id()
        shares.append([scalars(task, step_of(number, size), size) for number in range(batches // clients)])
    numbers, begun = itertools.count(), time.monotonic()

    def post(body: bytes) -> None:
        if rate is not None:
            nonlocal begun
            number = next(numbers)
            begun = begun if number else time.monotonic()
            time.sleep(max(0.0, begun + number * size / rate - time.monotonic()))
        send(client, body)

    return sending(shares, post, size)


def sending(shares: list[list[bytes]], post: Callable[[bytes], None], size: int) -> Work:
    """Work: send the bodies of `size` events, each list by its own client."""

    def send_all(share: list[bytes]) -> None:
        for body in share:
            post(body)

    def work() -> int:
        at_once([partial(send_all, share) for share in shares])
        return size * sum(map(len, shares))

    return work


def at_once(works: Sequence[Callable[[], object]]) -> None:
    """Run each work in its own thread; return when all have ended."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def bare_insert(batches: int, folder: str) -> Work:
    """Work: a bare `executemany` into a table clustered by series and iteration, a durable transaction per batch."""
    task = new_id()
    prepared = [[(task, *row) for row in rows(number * BATCH // 8, BATCH)] for number in range(batches)]

    def work() -> int:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            connection = sqlite3.connect(Path(place) / "bare.db", isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(
                "CREATE TABLE points (task TEXT, series INTEGER, iter INTEGER, timestamp INTEGER, value REAL,"
                " PRIMARY KEY (task, series, iter)) WITHOUT ROWID"
            )
            for batch in prepared:
                connection.execute("BEGIN")
                connection.executemany("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, ?)", batch)
                connection.execute("COMMIT")
            connection.close()
        return BATCH * batches

    return work


def rates(report: Report, server: Server, rounds: int, batches: int) -> None:
    """The main figure: HTTP ingest and `executemany` in turns."""
    report.heading(f"Ingest over HTTP, beside a bare executemany of the same rows ({rounds} rounds of {batches} batches of {BATCH:,})")
    client = server.client()
    processes = Processes({"server": server.pids})
    folder = os.fspath(server.folder)
    turns = in_turns(
        lambda: turn_of(processes, bare_insert(batches, folder)),
        lambda: turn_of(processes, many_clients(client, 1, batches, BATCH)),
        rounds,
    )
    add_turns(report, "scalars, batches of 5,000", "event", turns, server_most=4)
    report.spread("scalars, batches of 5,000", [turn.rate for turn in turns.ours], "events/s", least=80_000)
    report.spread("ratio to executemany", paired([turn.rate for turn in turns.ours], [turn.rate for turn in turns.theirs]), "", least=0.25)
    small = [turn_of(processes, many_clients(client, 1, 200, 100)) for _ in range(rounds)]
    report.spread("scalars, batches of 100", [turn.rate for turn in small], "events/s", least=15_000)
    report.spread("  the server's CPU", [turn.cpu["server"] for turn in small], "µs/event", most=12)
    single = [turn_of(processes, many_clients(client, 16, 640, 1)) for _ in range(rounds)]
    report.spread("one scalar a batch, 16 clients", [turn.rate for turn in single], "batches/s", note=parts(single))
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
    report.spread("one scalar, until acknowledged", in_ms(one), "ms")


def big_batch(report: Report, server: Server, rounds: int = 10) -> None:
    """A batch of 15 MB while other clients ping, read and write."""
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

    report.spread("the batch alone", alone, "s", most=2, note=f"{len(bodies[0]) / 1e6:.1f} MB")
    report.spread("the batch, with the others", [end - begin for begin, end in spans], "s")
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
    """Send a batch. Returns its start and end (monotonic clock), and the peak resident size of a worker in between."""
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
    """Memory right after the start, before any batch."""
    report.heading("Memory")
    server.client().raw("/debug.ping")
    report.add(
        "all processes, idle (shared pages counted once)",
        server.resident_bytes() / 1e6,
        "MB",
        most=120,
        note=f"RSS of the worker {server.worker_resident_bytes() / 1e6:.0f}",
    )
