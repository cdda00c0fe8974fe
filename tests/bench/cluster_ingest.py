"""CPU cost of ingest into Elasticsearch, compared with raw `_bulk` of the same documents."""

from __future__ import annotations

import time

from tests.bench.bare import Bare, bulk_bodies
from tests.bench.cpu import Work, add_turns, in_turns, turn_of
from tests.bench.ingest import BATCH, ingest_rate, many_clients, sending
from tests.bench.load import logs, new_id, scalars, send
from tests.bench.measure import Report, in_ms, repeated
from tests.client import Client
from tests.process import Server

BATCHES = 16
LEAST_ROUNDS, WARM_SECONDS = 6, 240.0


class Load:
    """Makes batches for us, and the same documents for raw `_bulk`. Each method prepares the work of a turn; `batches` is the number for all clients."""

    def __init__(self, client: Client, bare: Bare) -> None:
        self.client, self.bare = client, bare
        warm = new_id()
        ingest_rate(client, 4, task=warm)
        self.index = bare.index_of(warm)
        self.twin = bare.twin_of(self.index)

    def ours(self, clients: int, batches: int, size: int = BATCH) -> Work:
        return many_clients(self.client, clients, batches, size)

    def raw(self, clients: int, batches: int, size: int = BATCH) -> Work:
        def post(body: bytes) -> None:
            assert not self.bare.call("POST", f"/{self.twin}/_bulk", body)["errors"]

        return sending([bulk_bodies(new_id(), 0, batches // clients, size) for _ in range(clients)], post, size)

    def tasks_at_once(self, tasks: int, clients: int) -> Work:
        """A batch for each of `tasks` tasks."""
        bodies = [scalars(new_id(), 0, BATCH) for _ in range(tasks)]
        return sending([bodies[writer::clients] for writer in range(clients)], lambda body: send(self.client, body), BATCH)


def rate(work: Work) -> float:
    """Units of work per second."""
    begun = time.perf_counter()
    return work() / (time.perf_counter() - begun)


def warm_up(report: Report, load: Load) -> None:
    """Write on both sides in turns until raw `_bulk` gets no faster: the JIT compilers of a fresh JVM take time and cores."""
    begun = time.perf_counter()
    rates: list[float] = []
    while len(rates) < LEAST_ROUNDS or (max(rates[-3:]) > 1.05 * max(rates[:-3]) and time.perf_counter() - begun < WARM_SECONDS):
        load.ours(4, BATCHES)()
        rates.append(rate(load.raw(4, BATCHES)))
    seconds = time.perf_counter() - begun
    note = f"raw _bulk went from {rates[0]:,.0f} to {max(rates[-3:]):,.0f} documents/s"
    report.add("warmed up for", seconds, "s", note=note)


def ingest(report: Report, server: Server, bare: Bare, redis_url: str, rounds: int) -> None:
    report.heading(f"Ingest over HTTP, beside raw _bulk of the same documents (CPU of all processes, {rounds} rounds in turns)")
    client = server.client()
    load = Load(client, bare)
    processes = bare.processes([server], redis_url)
    warm_up(report, load)
    for clients, size, batches, most, server_most in (
        (1, BATCH, BATCHES, 1.25, 4.0),
        (4, BATCH, BATCHES, 1.25, 4.0),
        (8, 100, 480, 2.0, 12.0),
    ):
        turns = in_turns(
            lambda load_of=(clients, batches, size): turn_of(processes, load.raw(*load_of), bare.settle),  # type: ignore[misc]
            lambda load_of=(clients, batches, size): turn_of(processes, load.ours(*load_of), bare.settle),  # type: ignore[misc]
            rounds,
        )
        of = "one client" if clients == 1 else f"{clients} clients"
        add_turns(report, f"scalars, batches of {size:,}, {of}", "event", turns, most=most, server_most=server_most)
    alone = [rate(load.ours(1, 100, 100)) for _ in range(rounds)]
    report.spread("scalars, batches of 100, one client", alone, "events/s")
    one, many = [], []
    for _ in range(5):
        one.append(rate(load.ours(1, BATCHES)))
        many.append(rate(load.tasks_at_once(20, 8)))
    report.spread("20 tasks by 8 clients, to one client", [b / a for a, b in zip(one, many, strict=True)], "", least=1)
    single(report, client)
    report.add("disk of a scalar, after a force merge", bare.bytes_per_document(load.index), "bytes", most=35)


def single(report: Report, client: Client) -> None:
    """Latency of a single scalar, and of a single log line."""
    task = new_id()
    send(client, scalars(task, 0, 8))
    steps = iter([scalars(task, 100 + number, 1) for number in range(30)])
    report.spread("one scalar, until acknowledged", in_ms(repeated(lambda: send(client, next(steps)), 30)), "ms", most=15)
    lines = iter([logs(task, number, 1) for number in range(30)])
    report.spread("one log line, until acknowledged", in_ms(repeated(lambda: send(client, next(lines)), 30)), "ms", most=15)
