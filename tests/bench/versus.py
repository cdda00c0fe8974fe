"""Comparison with another checkout of Tidemark, in turns: `python -m tests.bench.versus ../old [--engines elastic] [--rounds 9]`.

Compares CPU time, not throughput: that of the server and, on Elasticsearch, also that of server, Elasticsearch and Redis together. The same work takes the
same CPU seconds within some percent even while other programs run, when throughput varies by a factor of two. Each figure is the median of the paired ratios
of all rounds, with quartiles. The verdict is "less" or "more" when both quartiles differ from 1 by more than `--within`, "the same" when both differ by
less, else "too noisy to tell".
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.cpu import Processes, Turn, in_turns, turn_of
from tests.bench.ingest import many_clients
from tests.bench.load import ask, logs, new_id, scalars, send, step_of
from tests.bench.measure import ROOT, median, paired, quartiles
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
    """Reads of one task with 80,000 points and 50,000 lines; a point is written before each, so that no answer comes from a cache."""

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
    yield "batches of 100, 8 clients", "event", lambda client: many_clients(client, 8, 480, 100)()
    yield "one scalar, 16 clients", "call", lambda client: many_clients(client, 16, 640, 1)()
    yield "log lines, batches of 5,000", "event", log_lines
    yield "pings", "call", pings
    yield "one scalar", "call", ingest(1, 150)
    yield "histogram of 80,000 points", "call", reads.call("events.scalar_metrics_iter_histogram", 30)
    yield "last values", "call", reads.call("events.get_task_latest_scalar_values", 40)
    yield "page of 500 log lines", "call", reads.call("events.get_task_log", 40, batch_size=500)
    yield "page of 500 events", "call", reads.call("events.get_task_events", 40, event_type="training_stats_scalar", batch_size=500)
    yield "metrics of a task", "call", reads.call("events.get_task_metrics", 40)


Side = Callable[[Work], Turn]
"""Does some work on one of the two servers."""


def compare(name: str, unit: str, sides: tuple[Side, Side], works: tuple[Work, Work], rounds: int, within: float) -> None:
    """Measure and print a figure of both servers. `sides`, `works`: theirs, ours."""
    theirs, ours = sides
    turns = in_turns(lambda: theirs(works[0]), lambda: ours(works[1]), rounds)
    everything = [("the server", [turn.cpu["server"] for turn in turns.theirs], [turn.cpu["server"] for turn in turns.ours])]
    if len(turns.ours[0].cpu) > 2:  # with Elasticsearch and Redis; the client is the same on both sides
        everything.append(("all", *([turn.whole - turn.cpu["client"] for turn in side] for side in (turns.theirs, turns.ours))))  # type: ignore[arg-type]
    for process, before, after in everything:
        low, middle, high = quartiles(paired(after, before))
        said = (
            "less"
            if high < 1 - within
            else "MORE"
            if low > 1 + within
            else "same"
            if 1 - within <= low and high <= 1 + within
            else "too noisy to tell"
        )
        costs = f"{median(before):>9.1f} -> {median(after):>9.1f} µs/{unit:<6}"
        print(f"  {name:<32} {process:<10} {costs} × {middle:.3f} ({low:.3f} to {high:.3f})  {said}", flush=True)


def run(engine: str, folder: Path, options: argparse.Namespace) -> None:
    """Start both servers on the same store, compare, stop them."""
    env: list[dict[str, str]] = [{}, {}]
    if engine == "elastic":
        from tests.servers import elasticsearch_url, redis_url

        for one in env:
            mark = new_id()[:8]
            one |= {"TIDEMARK_STORE": elasticsearch_url() + mark, "TIDEMARK_STATE": redis_url() + mark}
    pair = [
        Server(folder / name, one, program=["env", f"PYTHONPATH={checkout.resolve()}", sys.executable, "-m", "apiserver"])
        for name, one, checkout in (("theirs", env[0], options.other), ("ours", env[1], options.ours))
    ]
    try:
        clients = [server.start().client() for server in pair]
        sides = tuple(
            _side(engine, one["TIDEMARK_STORE"] if one else "", one.get("TIDEMARK_STATE", ""), server, client)
            for one, server, client in zip(env, pair, clients, strict=True)
        )
        kept = [list(works(Reads(client))) for client in clients]
        for (name, unit, theirs), (_, _, ours) in zip(*kept, strict=True):
            if options.only in name:
                compare(name, unit, sides, (theirs, ours), options.rounds, options.within)  # type: ignore[arg-type]
    finally:
        for server in pair:
            server.stop()


def _side(engine: str, store: str, state: str, server: Server, client: Client) -> Side:
    if engine == "sqlite":
        processes = Processes({"server": server.pids})
        return lambda work: turn_of(processes, lambda: work(client))
    from tests.bench.bare import Bare

    bare = Bare(store)
    processes = bare.processes([server], state)
    return lambda work: turn_of(processes, lambda: work(client), bare.settle)


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
        print(f"\n{engine}: CPU, {options.other} -> {options.ours}")
        try:
            run(engine, folder, options)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
