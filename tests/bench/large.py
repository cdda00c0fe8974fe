"""`python -m tests.bench.large`: the reads of docs/performance.md on a cluster with few scalars, and again with a hundred million.

Charts, last values, a page of a log, searches and the task table, each before and after filling the store; the last table has the ratios.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench.bare import Bare
from tests.bench.load import LINES, SERIES, new_id, scalars
from tests.bench.measure import ROOT, Report
from tests.bench.reads import POINTS, Charts, fill_log, fill_points, reads, search
from tests.bench.tables import fill_table, table_queries
from tests.client import Client
from tests.process import Server
from tests.servers import ElasticsearchServer, RedisServer

SIZE = 40_000
CLIENTS = 4
PLACE = b"0" * 32
"""Placeholder for the task's id in a prepared body."""
NEWS_SECONDS = 30.0
TABLE_MS = 200.0
"""Target for a query of the task table in ms, the same as in `make bench` for this engine."""


class Filling:
    """Stores scalars as runs of 200,000 points in eight series; prints its progress every half minute."""

    def __init__(self, client: Client, count: int) -> None:
        self._client, self._count = client, count
        self._bodies = [scalars(PLACE.decode(), first // len(SERIES), SIZE) for first in range(0, POINTS, SIZE)]
        self._lock = threading.Lock()
        self._stored = self._late = 0

    def run(self) -> float:
        """Store all; returns events/s."""
        begun = self._said = time.monotonic()
        self._begun = begun
        tasks = itertools.repeat(None, -(-self._count // POINTS))
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda _: self._task(), tasks))
        if self._late:
            print(f"  {self._late} batches were sent again after a 503", flush=True)
        return self._stored / (time.monotonic() - begun)

    def _task(self) -> None:
        task = new_id().encode()
        for body in self._bodies:
            while (answer := self._client.send("POST", "/v2.23/events.add_batch", body.replace(PLACE, task), LINES)).status != 200:
                assert answer.status == 503, answer.body[:500]
                self._late += 1
                time.sleep(1)
            self._count_in(SIZE)

    def _count_in(self, events: int) -> None:
        with self._lock:
            self._stored += events
            now = time.monotonic()
            if now - self._said >= NEWS_SECONDS:
                self._said = now
                rate = self._stored / (now - self._begun)
                left = max(self._count - self._stored, 0) / rate / 60
                print(f"  {self._stored:,} of {self._count:,} scalars, {rate:,.0f} a second, {left:.0f} minutes left", flush=True)


def large(report: Report, folder: Path, count: int, lines: int, tasks: int, heap: str, workers: int) -> None:
    elastic, redis = ElasticsearchServer(heap=heap), RedisServer()
    server: Server | None = None
    try:
        elastic.start()
        redis.start()
        env = {"TIDEMARK_STORE": f"{elastic.url}?prefix=large", "TIDEMARK_STATE": redis.url}
        server = Server(folder / "server", env, ["--workers", str(workers)])
        client = server.start().client(timeout=120)
        bare = Bare(f"{elastic.url}?prefix=large-")
        report.heading(f"Filling: a log of {lines:,} lines, {tasks:,} tasks")
        log_task = fill_log(client, lines)
        projects = fill_table(client, tasks)

        def measure(title: str) -> dict[str, float]:
            bare.settle()
            charts = Charts(client, fill_points(client))
            for _ in range(15):  # warm-up of the JVM
                charts.point()
                charts.histogram()
                charts.latest()
            found = reads(report, charts, log_task, title)
            found |= search(report, client, log_task)
            report.heading(f"The task table: {tasks:,} tasks")
            return found | table_queries(report, client, projects, tasks, TABLE_MS)

        before = measure("With few scalars")
        report.heading(f"Filling: {count:,} scalars, {CLIENTS} clients, batches of {SIZE:,}")
        report.add("stored (bodies made meanwhile)", Filling(client, count).run(), "events/s")
        bare.settle()
        stats = bare.call("GET", f"/{bare.prefix}events-training_stats_scalar-*/_stats/docs,store")["_all"]["primaries"]
        report.add("scalars in the indices", stats["docs"]["count"], "")
        report.add("disk of a scalar, as it is", stats["store"]["size_in_bytes"] / stats["docs"]["count"], "bytes")
        after = measure(f"With {count:,} scalars")
        report.heading(f"The times with {count:,} scalars, to those with few")
        for name, value in after.items():
            report.add(name, value / before[name], "", note=f"{before[name]:.1f} -> {value:.1f} ms")
        report.add("worker memory", server.worker_resident_bytes() / 1e6, "MB")
    finally:
        if server is not None:
            server.stop()
        elastic.close()
        redis.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.large", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scalars", type=int, default=100_000_000, help="that are stored (default: %(default)s)")
    parser.add_argument("--lines", type=int, default=1_000_000, help="of the log (default: %(default)s)")
    parser.add_argument("--tasks", type=int, default=10_000, help="of the task table (default: %(default)s)")
    parser.add_argument("--heap", default="2g", help="of Elasticsearch (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="of the server (default: %(default)s)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tidemark-large-"))
    report = Report()
    report.engine("elastic")
    try:
        large(report, folder, options.scalars, options.lines, options.tasks, options.heap, options.workers)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        report.write(ROOT / "build" / "large.json")


if __name__ == "__main__":
    main()
