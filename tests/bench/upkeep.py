"""Ingest during retention, compaction and a snapshot, in turns with ingest alone: as fast as clients can, and at half of that rate."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.bare import Bare
from tests.bench.cpu import Turn, in_turns, turn_of
from tests.bench.ingest import BATCH, many_clients
from tests.bench.measure import Report, median, paired
from tests.process import ROOT, Server
from tests.servers import ElasticsearchServer, RedisServer

CLIENTS = 4
BATCHES = 80
"""Batches of a turn."""
OLD_EVENTS = 1_500_000
"""Events in the generation that a round compacts and the next one removes: enough to last longer than a turn."""


class Upkeep:
    """Runs the three jobs repeatedly, as timers of an operator would."""

    def __init__(self, env: dict[str, str], bare: Bare, repository: Path) -> None:
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK")} | env
        self._bare = bare
        bare.call("PUT", "/_snapshot/bench", {"type": "fs", "settings": {"location": str(repository)}})
        self.done: Counter[str] = Counter()
        self.old = time.time()
        """Events before this time are removed."""

    def command(self, *words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "apiserver", *words], cwd=ROOT, env=self._env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.done[words[0]] += 1

    def compact(self) -> None:
        self.command("compact", "--idle", "0.000001h")

    def retention(self) -> None:
        self.command("retention", "--older-than", f"{(time.time() - self.old) / 3600:.6f}h")

    def snapshot(self) -> None:
        name = f"/_snapshot/bench/{time.time_ns()}"
        self._bare.call("PUT", f"{name}?wait_for_completion=true", {"indices": f"{self._bare.prefix}*", "include_global_state": False})
        self._bare.call("DELETE", name)
        self.done["snapshot"] += 1

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run all three at once until the block ends, then wait for those under way."""
        over = threading.Event()
        failed: list[BaseException] = []

        def repeat(job: Callable[[], None]) -> None:
            try:
                while not over.is_set():
                    job()
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=repeat, args=(job,)) for job in (self.compact, self.retention, self.snapshot)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()
        if failed:
            raise failed[0]


def upkeep(report: Report, folder: Path, rounds: int, old_events: int = OLD_EVENTS, batches: int = BATCHES) -> None:
    report.heading(f"Ingest of {CLIENTS} clients while retention, compact and a snapshot run, in turns with ingest alone ({rounds} rounds)")
    elastic, redis = ElasticsearchServer(heap="2g"), RedisServer()
    server: Server | None = None
    try:
        elastic.start()
        redis.start()
        env = {"TIDEMARK_STORE": f"{elastic.url}?prefix=bench", "TIDEMARK_STATE": redis.url}
        server = Server(folder / "upkeep", {**env, "TIDEMARK__elastic__generation_documents": str(old_events // 2)})
        client = server.start().client()
        bare = Bare(f"{elastic.url}?prefix=bench-")
        jobs = Upkeep({**env, "TIDEMARK_DATA": str(server.data)}, bare, elastic.snapshots)
        processes = bare.processes([server], redis.url)

        def alone() -> Turn:
            return turn_of(processes, many_clients(client, CLIENTS, batches, BATCH), bare.settle)

        def beside(rate: float | None = None) -> Turn:
            jobs.old = time.time()
            for _ in range(0, old_events, batches * BATCH):
                many_clients(client, CLIENTS, batches, BATCH)()
            server.stop()  # at its start, a process checks the size of the open generation and begins a new one
            server.start()
            work = many_clients(client, CLIENTS, batches, BATCH, rate)
            bare.settle()
            with jobs.running():
                return turn_of(processes, work)

        turns = in_turns(alone, beside, rounds)
        for name, of_side in (("ingest alone", turns.theirs), ("ingest with upkeep", turns.ours)):
            idle = median([turn.idle for turn in of_side])
            report.spread(name, [turn.rate for turn in of_side], "events/s", note=f"cores {idle:.0%} idle")
        kept = paired([turn.rate for turn in turns.ours], [turn.rate for turn in turns.theirs])
        note = ", ".join(f"{name} {count} times" for name, count in sorted(jobs.done.items()))
        report.spread("ingest with upkeep, to ingest alone", kept, "", least=0.8, note=note)
        half = median([turn.rate for turn in turns.theirs]) / 2
        kept = [beside(half).rate / half for _ in range(rounds)]
        report.spread(
            "ingest at half of that rate with upkeep, to what is sent", kept, "", least=0.8, note=f"{half:,.0f} events/s are sent"
        )
    finally:
        if server is not None:
            server.stop()
        elastic.close()
        redis.close()
