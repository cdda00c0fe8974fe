"""Work beside another checkout of Tidemark, in turns: `python -m tests.bench.versus ../old [--engines elastic] [--rounds 9]`.

What is compared is the CPU time of the server (its processes, from /proc), not throughput: the same work takes the same CPU seconds within some
percent, also while other programs run, where throughput changes by a factor of two. Each figure is the median of the paired ratios of all rounds, with
their quartiles; where these lie further apart than `--within`, it says "too noisy to tell" instead of better or worse.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.load import ask, logs, new_id, scalars, send, step_of
from tests.bench.measure import ROOT
from tests.client import Client
from tests.process import Server

Work = Callable[[Client], int]


def ingest(size: int, batches: int) -> Work:
    def work(client: Client) -> int:
        task = new_id()
        for number in range(batches):
            send(client, scalars(task, step_of(number, size), size))
        return size * batches

    return work


def log_lines(client: Client) -> int:
    task = new_id()
    for number in range(10):
        send(client, logs(task, number * 5_000, 5_000))
    return 50_000


def pings(client: Client) -> int:
    for _ in range(300):
        ask(client, "debug.ping")
    return 300


class Reads:
    """Reads of one task with 80,000 points and 50,000 lines; a point arrives before each, so that no answer is one kept from before."""

    def __init__(self, client: Client) -> None:
        self.task = new_id()
        for number in range(16):
            send(client, scalars(self.task, step_of(number, 5_000), 5_000))
        for number in range(10):
            send(client, logs(self.task, number * 5_000, 5_000))
        self.next = 100_000

    def call(self, endpoint: str, times: int, **more: object) -> Work:
        body = (
            {"tasks": [self.task], "event_type": "training_stats_scalar"}
            if endpoint == "events.get_task_metrics"
            else {"task": self.task, **more}
        )

        def work(client: Client) -> int:
            for _ in range(times):
                self.next += 1
                send(client, scalars(self.task, self.next, 1))
                ask(client, endpoint, **body)
            return times

        return work


def works(reads: Reads) -> Iterator[tuple[str, str, Work]]:
    yield "scalars, batches of 5,000", "event", ingest(5_000, 40)
    yield "scalars, batches of 100", "event", ingest(100, 150)
    yield "log lines, batches of 5,000", "event", log_lines
    yield "pings", "call", pings
    yield "one scalar", "call", ingest(1, 150)
    yield "histogram of 80,000 points", "call", reads.call("events.scalar_metrics_iter_histogram", 30)
    yield "last values", "call", reads.call("events.get_task_latest_scalar_values", 40)
    yield "page of 500 log lines", "call", reads.call("events.get_task_log", 40, batch_size=500)
    yield "page of 500 events", "call", reads.call("events.get_task_events", 40, event_type="training_stats_scalar", batch_size=500)
    yield "metrics of a task", "call", reads.call("events.get_task_metrics", 40)


def measured(server: Server, client: Client, work: Work) -> float:
    """Microseconds of the server's CPU a unit."""
    before = server.cpu_seconds()
    done = work(client)
    return (server.cpu_seconds() - before) / done * 1e6


def compare(folder: Path, env: list[dict[str, str]], options: argparse.Namespace) -> None:
    ours, theirs = (
        Server(folder / name, one, program=["env", f"PYTHONPATH={checkout.resolve()}", sys.executable, "-m", "apiserver"])
        for name, one, checkout in (("ours", env[0], options.ours), ("theirs", env[1], options.other))
    )
    try:
        pair = [(server.start(), server.client()) for server in (theirs, ours)]
        kept = [list(works(Reads(client))) for _, client in pair]
        for place, (name, unit, _) in enumerate(kept[0]):
            if options.only not in name:
                continue
            ratios, figures = [], []
            for number in range(options.rounds + 1):
                order = (0, 1) if number % 2 else (1, 0)  # whoever comes second finds a warmer machine
                taken = {side: measured(*pair[side], kept[side][place][2]) for side in order}
                if number:  # the first round warms up
                    ratios.append(taken[1] / taken[0])
                    figures.append((taken[0], taken[1]))
            low, middle, high = statistics.quantiles(ratios, n=4)
            before, after = (statistics.median(side) for side in zip(*figures, strict=True))
            verdict = (
                "too noisy to tell"
                if high - low > 2 * options.within
                else "same"
                if abs(middle - 1) <= options.within
                else "less"
                if middle < 1
                else "MORE"
            )
            print(
                f"  {name:<32} {before:>9.1f} -> {after:>9.1f} µs/{unit:<6} × {middle:.3f} ({low:.3f} to {high:.3f})  {verdict}", flush=True
            )
    finally:
        ours.stop()
        theirs.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.versus", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="the other checkout; it runs with this one's packages")
    parser.add_argument("--engines", nargs="+", choices=["sqlite", "elastic"], default=["sqlite", "elastic"], help="default: both")
    parser.add_argument("--ours", type=Path, default=ROOT, help="compare another checkout than this one")
    parser.add_argument("--only", default="", help="figures whose name contains this")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--within", type=float, default=0.05, help="what counts as the same (default: %(default)s)")
    options = parser.parse_args()
    for engine in options.engines:
        folder = Path(tempfile.mkdtemp(prefix="tidemark-versus-"))
        print(f"\n{engine}: server CPU, {options.other} -> {options.ours}")
        env: list[dict[str, str]] = [{}, {}]
        if engine == "elastic":
            from tests.servers import elasticsearch_url, redis_url

            for one in env:
                mark = new_id()[:8]
                one |= {name: value + mark for name, value in (("TIDEMARK_STORE", elasticsearch_url()), ("TIDEMARK_STATE", redis_url()))}
        try:
            compare(folder, env, options)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
