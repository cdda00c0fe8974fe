"""How fast events go into Elasticsearch through us, beside raw `_bulk` of the same documents."""

from __future__ import annotations

import time

from tests.bench.bare import Bare, at_once, bulk_bodies
from tests.bench.ingest import BATCH, ingest_rate
from tests.bench.load import logs, new_id, scalars, send, step_of
from tests.bench.measure import Report, median, repeated
from tests.client import Client
from tests.process import Server

BATCHES = 16
LEAST_ROUNDS, WARM_SECONDS = 6, 240.0


class Load:
    """Batches for us, and the same documents for raw `_bulk`; each method gives events a second. `batches` are those of all clients."""

    def __init__(self, client: Client, bare: Bare) -> None:
        self.client, self.bare = client, bare
        warm = new_id()
        ingest_rate(client, 4, task=warm)
        self.index = bare.index_of(warm)
        self.twin = bare.twin_of(self.index)

    def ours(self, clients: int, batches: int, size: int = BATCH) -> float:
        shares = []
        for _ in range(clients):
            task = new_id()
            shares.append([scalars(task, step_of(number, size), size) for number in range(batches // clients)])
        return batches * size / self.seconds(shares)

    def raw(self, clients: int, batches: int, size: int = BATCH) -> float:
        shares = [bulk_bodies(new_id(), 0, batches // clients, size) for _ in range(clients)]

        def post(share: list[bytes]) -> None:
            for body in share:
                assert not self.bare.call("POST", f"/{self.twin}/_bulk", body)["errors"]

        return batches * size / at_once([lambda share=share: post(share) for share in shares])  # type: ignore[misc]

    def tasks_at_once(self, tasks: int, clients: int) -> float:
        """A batch for each of many tasks."""
        bodies = [scalars(new_id(), 0, BATCH) for _ in range(tasks)]
        return tasks * BATCH / self.seconds([bodies[writer::clients] for writer in range(clients)])

    def seconds(self, shares: list[list[bytes]]) -> float:
        """How long it takes to send these bodies, each list by a client of its own."""
        return at_once([lambda share=share: [send(self.client, body) for body in share] for share in shares])  # type: ignore[misc]


def warm_up(report: Report, load: Load) -> None:
    """Write until raw `_bulk` gets no faster: the compilers of a JVM that has just been started take time, and cores, for what they do. Both
    sides are warmed up, in turns."""
    begun = time.perf_counter()
    rates: list[float] = []
    while len(rates) < LEAST_ROUNDS or (max(rates[-3:]) > 1.05 * max(rates[:-3]) and time.perf_counter() - begun < WARM_SECONDS):
        load.ours(4, BATCHES)
        rates.append(load.raw(4, BATCHES))
    seconds = time.perf_counter() - begun
    note = f"raw _bulk went from {rates[0]:,.0f} to {max(rates[-3:]):,.0f} documents/s"
    report.add("warmed up for", seconds, "s", note=note)


def ingest(report: Report, server: Server, bare: Bare, rounds: int = 5, batches: int = BATCHES) -> None:
    report.heading(
        f"Ingest over HTTP, beside raw _bulk of the same documents ({rounds} rounds of {batches} batches of {BATCH:,}, in turns)"
    )
    client = server.client()
    load = Load(client, bare)
    warm_up(report, load)
    ours: dict[int, list[float]] = {1: [], 4: []}
    raw: dict[int, list[float]] = {1: [], 4: []}
    cpu, many = [], []
    for _ in range(rounds):
        raw[1].append(load.raw(1, batches))
        before = server.cpu_seconds()
        ours[1].append(load.ours(1, batches))
        cpu.append((server.cpu_seconds() - before) / (batches * BATCH) * 1e6)
        many.append(load.tasks_at_once(20, 8))
        raw[4].append(load.raw(4, batches))
        ours[4].append(load.ours(4, batches))
    names = {1: "one client", 4: "four clients"}
    for clients, found in ours.items():
        report.add(f"scalars, {names[clients]}", median(found), "events/s")
    for clients, found in raw.items():
        report.add(f"raw _bulk, {names[clients]}", median(found), "events/s")
    ratio = max(map(median, ours.values())) / max(map(median, raw.values()))
    report.add("ratio to raw _bulk, the better of both", ratio, "", least=0.7)
    report.add("server CPU", median(cpu), "µs/event", most=12)
    report.add("20 tasks by 8 clients, to one client", median(many) / median(ours[1]), "", least=1)
    small(report, load, rounds)
    single(report, client)
    report.add("disk of a scalar, after a force merge", bare.bytes_per_document(load.index), "bytes", most=35)


def single(report: Report, client: Client) -> None:
    """One scalar, one log line."""
    task = new_id()
    send(client, scalars(task, 0, 8))
    steps = iter([scalars(task, 100 + number, 1) for number in range(30)])
    report.add("one scalar, until acknowledged", median(repeated(lambda: send(client, next(steps)), 30)) * 1000, "ms", most=15)
    lines = iter([logs(task, number, 1) for number in range(30)])
    report.add("one log line, until acknowledged", median(repeated(lambda: send(client, next(lines)), 30)) * 1000, "ms", most=15)


def small(report: Report, load: Load, rounds: int, clients: int = 8, batches: int = 960) -> None:
    """Batches of 100, by one client and by eight, beside raw `_bulk` of the same documents by eight."""
    alone, together, raw = [], [], []
    for _ in range(rounds):
        alone.append(load.ours(1, 100, 100))
        together.append(load.ours(clients, batches, 100))
        raw.append(load.raw(clients, batches, 100))
    report.add("scalars, batches of 100, one client", median(alone), "events/s")
    report.add(f"scalars, batches of 100, {clients} clients", median(together), "events/s", least=15_000)
    report.add(f"raw _bulk of 100, {clients} clients", median(raw), "events/s", note=f"ratio {median(together) / median(raw):.2f}")
