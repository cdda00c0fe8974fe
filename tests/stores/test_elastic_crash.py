"""Elasticsearch dies at any step of a bulk request: what the client then sends again is stored and counted once.

Shards are independent: each keeps what reached its translog, the first part of its share of the request. So a crash is modelled by sending, of
every index's lines, only the first few to a real Elasticsearch, and by losing the answer.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson
import pytest

from apiserver.stores.base import EventStore
from apiserver.stores.elastic import ElasticEvents, ElasticRegistry
from apiserver.stores.elastic.client import BulkAnswer, ElasticClient
from apiserver.stores.elastic.installation import Installation
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.series.row import row_of, series_id
from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.errors import StoreBusy, StoreUnavailable
from apiserver.stores.options import WriteOptions
from apiserver.stores.records import LOG, SCALAR, SeriesKey
from apiserver.stores.redis import open_redis
from apiserver.stores.registry import Registry
from tests.contract.batches import Builder
from tests.servers import elasticsearch_address, elasticsearch_url, redis_address, run_prefix
from tests.stores.settings import ELASTIC, REDIS

SHARES = (0.0, 0.5, 1.0)


class DyingElastic(ElasticClient):
    """The real client, unless `kept` is set: then Elasticsearch dies in the next bulk with events, or after some more of them (`after`). `kept`: the
    share of the bulk's lines that survives, by kind of index."""

    kept: Mapping[str, float] | None = None
    after = 0
    between: Callable[[], None] | None = None
    """Called in the next bulk with events, when the shards of the statistics have done their part and those of the events have not."""

    def bulk(self, body: bytes, index: str = "", *, details: bool = False) -> BulkAnswer:
        if self.between is not None and index:
            return self._statistics_first(body, index, details=details)
        if self.kept is None or not index:  # without an index: records of earlier batches are removed
            return super().bulk(body, index, details=details)
        if self.after:
            self.after -= 1
            return super().bulk(body, index, details=details)
        kept, self.kept = self.kept, None
        by_kind: dict[str, list[bytes]] = {kind: [] for kind in kept}
        for kind, lines in self._operations(body, index):
            by_kind[kind].append(lines)
        survivors = b"".join(b"".join(of_kind[: round(kept[kind] * len(of_kind))]) for kind, of_kind in by_kind.items())
        if survivors:
            super().bulk(survivors, index)
        raise StoreUnavailable("Elasticsearch was killed")

    def _operations(self, body: bytes, index: str) -> Iterator[tuple[str, bytes]]:
        """Kind of index and lines of each operation."""
        lines = iter(body.splitlines(keepends=True))
        for line in lines:
            ((operation, target),) = orjson.loads(line).items()
            kind = target.get("_index", index).removeprefix(self.prefix).split("-")[0]
            yield kind, line if operation == "delete" else line + next(lines)

    def _statistics_first(self, body: bytes, index: str, *, details: bool) -> BulkAnswer:
        between, self.between = self.between, None
        assert between is not None
        operations = list(self._operations(body, index))
        items: dict[int, dict[str, Any]] = {}
        for with_events in (False, True):
            mine = {number: lines for number, (kind, lines) in enumerate(operations) if (kind == "events") == with_events}
            items |= zip(mine, super().bulk(b"".join(mine.values()), index, details=details).items, strict=True)
            if not with_events:
                between()
        answers = [{"index": items[number]} for number in range(len(operations))]
        return BulkAnswer(orjson.dumps({"errors": any("error" in item for item in items.values()), "items": answers}))


class Worker(NamedTuple):
    client: DyingElastic
    events: EventStore
    registry: Registry


@pytest.fixture(scope="module", params=[ELASTIC.bulk_bytes, 2_000], ids=["large bulks", "bulks of 2,000 bytes"])
def workers(request: pytest.FixtureRequest) -> Iterator[list[Worker]]:
    """Two worker processes of one server, as far as the store is concerned."""
    elasticsearch_url()  # has this run's indices removed at its end
    prefix = f"{run_prefix()}-crash{request.param}"
    state, bus, coordination = open_redis(f"{redis_address()}?prefix={prefix}", REDIS)
    settings = dataclasses.replace(ELASTIC, bulk_bytes=request.param)
    made = []
    for _ in range(2):
        client = DyingElastic(f"{elasticsearch_address()}?prefix={prefix}", settings)
        layout = Layout(client, settings)
        installation = Installation(client, layout)
        installation.prepare()
        visibility = Visibility(client, layout, coordination)
        events = ElasticEvents(client, layout, installation, visibility, settings, WriteOptions())
        made.append(Worker(client, events, ElasticRegistry(client, layout, visibility, events.series_store)))
    yield made
    for worker in made:
        worker.events.close()
    bus.close()
    state.close()


def batch(task: str, number: int) -> Builder:
    """Ten points of one series and two log lines."""
    builder = Builder(digest=f"{task} {number}".encode())
    builder.scalars(task, "loss", "train", [(iteration, iteration / 8) for iteration in range(number * 10, number * 10 + 10)])
    return builder.log(task, f"batch {number} line 0").log(task, f"batch {number} line 1")


def check(worker: Worker, company: str, batches: Mapping[str, int], steps: Mapping[str, object]) -> None:
    """The statistics say what the acknowledged batches of each task hold. `steps`: what happened to a task, for the message."""
    series = {(one.key.task, one.key.type): one for one in worker.events.series(company, list(batches))}
    documents = worker.registry.get_many("task", company, batches)
    for task, count in batches.items():
        loss, last = series[task, SCALAR], count * 10 - 1
        assert loss.statistics is not None
        said = (loss.count, loss.statistics.count, loss.max_iter, loss.statistics.max_value, documents[task].body["last_iteration"])
        assert (*said, series[task, LOG].count) == (count * 10, count * 10, last, last / 8, last, count * 2), steps[task]


class Crash(NamedTuple):
    """`before`: batches before it; `events`, `statistics`: the share of them that survives; `meanwhile`: what happens before the batch comes again, to
    worker `retried_by`."""

    before: int
    events: float
    statistics: float
    meanwhile: str
    retried_by: int


CRASHES = [
    Crash(before, events, statistics, meanwhile, retried_by)
    for before, events, statistics in itertools.product((0, 1), SHARES, SHARES)
    for meanwhile, retried_by in (("nothing", 0), ("nothing", 1), ("a read", 0), ("another batch", 1))
]


@pytest.mark.parametrize("workers", [ELASTIC.bulk_bytes], ids=["large bulks"], indirect=True)
def test_a_batch_that_comes_again_after_a_crash_is_counted_once(workers: list[Worker]) -> None:
    company = uuid.uuid4().hex
    tasks = [uuid.uuid4().hex for _ in CRASHES]
    workers[0].registry.create_many("task", company, {task: {"name": task} for task in tasks})
    for number, (task, crash) in enumerate(zip(tasks, CRASHES, strict=True)):
        if crash.before:
            workers[0].events.append(company, batch(task, 0).build())
        workers[0].client.kept = {"events": crash.events, "statistics": crash.statistics, "registry": number % 2}
        with pytest.raises(StoreBusy):
            workers[0].events.append(company, batch(task, crash.before).build())
        if crash.meanwhile == "another batch":
            workers[1].events.append(company, batch(task, crash.before + 1).build())
    workers[1].events.series(company, [task for task, crash in zip(tasks, CRASHES, strict=True) if crash.meanwhile == "a read"])
    for task, crash in zip(tasks, CRASHES, strict=True):
        workers[crash.retried_by].events.append(company, batch(task, crash.before).build())
    batches = {task: crash.before + 1 + (crash.meanwhile == "another batch") for task, crash in zip(tasks, CRASHES, strict=True)}
    for worker in reversed(workers):
        check(worker, company, batches, dict(zip(tasks, CRASHES, strict=True)))


@pytest.mark.parametrize("workers", [ELASTIC.bulk_bytes], ids=["large bulks"], indirect=True)
def test_statistics_that_are_recomputed_while_a_batch_is_half_stored_count_it(workers: list[Worker]) -> None:
    writer, reader = workers
    company, task = uuid.uuid4().hex, uuid.uuid4().hex
    writer.registry.create("task", company, task, {"name": task})
    writer.events.append(company, batch(task, 0).build())
    writer.client.kept = {"events": 1.0, "statistics": 0.0, "registry": 0}
    with pytest.raises(StoreBusy):
        writer.events.append(company, batch(task, 1).build())
    writer.events.append(company, batch(task, 1).build())  # it replaces what is there: the series are stale

    seen: list[int] = []
    writer.client.between = lambda: seen.extend(one.count for one in reader.events.series(company, [task], [SCALAR]))
    writer.events.append(company, batch(task, 2).build())
    assert seen == [20], "what is acknowledged"
    for worker in workers:
        check(worker, company, {task: 3}, {task: "afterwards"})


@pytest.mark.parametrize("workers", [ELASTIC.bulk_bytes], ids=["large bulks"], indirect=True)
def test_statistics_are_recomputed_without_regard_to_batches_of_other_tasks(workers: list[Worker]) -> None:
    writer, reader = workers
    company, task, other = uuid.uuid4().hex, uuid.uuid4().hex, uuid.uuid4().hex
    writer.registry.create_many("task", company, {id: {"name": id} for id in (task, other)})
    key = SeriesKey(task, SCALAR, "loss", "train")
    for _ in range(2):  # the second time it replaces points: the series is stale
        writer.events.append(company, batch(task, 0).scalar(task, "loss", "train", 0, 7.0).build())

    def stale() -> bool:
        index, id = Layout(reader.client, ELASTIC).statistics(company), series_id(company, key)
        return row_of(reader.client.get_many(index, [id])[id]["_source"]).stale

    assert stale()
    seen: list[bool] = []
    writer.client.between = lambda: seen.append(bool(reader.events.series(company, [task], [SCALAR])) and stale())
    writer.events.append(company, batch(other, 0).build())
    assert seen == [False], "the batch of the other task is still being stored"


def test_many_crashes_in_a_row(workers: list[Worker]) -> None:
    rng = random.Random(20_261_130)
    company = uuid.uuid4().hex
    tasks = [uuid.uuid4().hex for _ in range(3)]
    for task in tasks:
        workers[0].registry.create("task", company, task, {"name": task})
    acknowledged = dict.fromkeys(tasks, 0)
    for number in range(30):
        task = rng.choice(tasks)
        while True:
            worker = rng.choice(workers)
            worker.client.kept = None
            if rng.random() < 0.6:
                worker.client.after = rng.choice([0, 0, 0, 1, 2])
                worker.client.kept = {kind: rng.choice([0.0, 0.0, 0.5, 1.0, 1.0]) for kind in ("events", "statistics", "registry")}
            try:
                worker.events.append(company, batch(task, acknowledged[task]).build())
            except StoreBusy:
                continue
            break
        acknowledged[task] += 1
        for worker in workers:
            worker.client.kept = None
        if rng.random() < 0.5:
            check(rng.choice(workers), company, {task: acknowledged[task]}, {task: f"batch {number}"})
    check(workers[0], company, acknowledged, dict.fromkeys(tasks, "at the end"))
