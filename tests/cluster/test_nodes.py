"""A cluster of three nodes under load, of which one is slow, then full, then lost; and a host that is cut off from Redis."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import StartWorker
from tests.cluster.roads import Road
from tests.cluster.sending import Reader, Sender, keep_reading, keep_sending
from tests.process import Server, wait_until
from tests.servers import ElasticsearchServer, elasticsearch_address, redis_address

TIMEOUT = 10
GIVEN_UP = TIMEOUT + 10.0
"""Seconds within which a call has its answer: the time-out, and what a loaded machine adds."""
SHARED_MEMORY = Path("/dev/shm")
"""A file system of its own, so that a node with its data there has a disk of its own."""
MARKS = "cluster.routing.allocation.disk."


class Nodes:
    """Three nodes; the data of the last is on another disk."""

    def __init__(self) -> None:
        names = ["node1", "node2", "node3"]
        self.all = [ElasticsearchServer(heap="512m", node=name, masters=names, seeds=["-"], brief=True) for name in names]
        self.full = self.all[-1]
        self.full.data = SHARED_MEMORY / self.full.folder.name

    def start(self) -> None:
        for node in self.all:
            node.seeds = [f"127.0.0.1:{other.transport_port}" for other in self.all]
            node.start(wait=False)
        for node in self.all:
            node.wait()
        wait_until(lambda: self.call("GET", "/_cluster/health")["number_of_nodes"] == 3, 120, "three nodes did not meet")

    def store(self, prefix: str) -> str:
        return f"http://{','.join(node.url.removeprefix('http://') for node in self.all)}?prefix={prefix}"

    def call(self, method: str, path: str, body: Any = None, timeout: float = 30.0) -> Any:
        return self.all[0].call(method, path, body, timeout)

    def holder(self, prefix: str) -> ElasticsearchServer:
        """A node with a primary shard of log lines."""
        shards = self.call("GET", f"/_cat/shards/{prefix}-events-log-*?format=json&h=prirep,node")
        return next(node for node in self.all if any(s["prirep"] == "p" and s["node"] == node.node for s in shards))

    def green(self, prefix: str) -> None:
        health = f"/_cluster/health/{prefix}-*?wait_for_status=green&timeout=60s"
        assert self.call("GET", health, timeout=70)["status"] == "green"

    def close(self) -> None:
        for node in self.all:
            node.close()
        shutil.rmtree(self.full.data, ignore_errors=True)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    nodes = Nodes()
    try:
        nodes.start()
        yield nodes
    finally:
        nodes.close()


class Load:
    """Clients that send and read all the while."""

    def __init__(self, servers: list[Server]) -> None:
        clients = [server.client(timeout=60) for server in servers]
        self.senders = [Sender([client]) for client in clients for _ in range(2)]
        self.readers = [Reader(client, sender.task) for client, sender in zip(clients, self.senders, strict=False)]
        self._stop = threading.Event()
        self._threads = keep_sending(self.senders, self._stop)
        self._reading: list[Reader] = []

    def go_on(self, what: str) -> None:
        """Until every sender had some batches accepted from now on, and every reader an answer."""
        sent, read = [sender.acknowledged for sender in self.senders], [reader.reads for reader in self._reading]

        def went_on() -> bool:
            senders = all(sender.acknowledged > count + 2 or sender.problems for sender, count in zip(self.senders, sent, strict=True))
            return senders and all(reader.reads > count + 1 or reader.problems for reader, count in zip(self._reading, read, strict=True))

        wait_until(went_on, 120, what)

    def read(self) -> None:
        """From now on there are readers too."""
        self._reading = self.readers
        self._threads += keep_reading(self.readers, self._stop)

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def check(self) -> None:
        """Nothing was lost, and nobody waited too long."""
        for sender in self.senders:
            sender.check(sender.clients[0])
        for reader in self.readers:
            assert not reader.problems and reader.reads > 1, reader.problems
        longest = max(one.longest for one in (*self.senders, *self.readers))
        assert longest < GIVEN_UP, f"a call took {longest:.1f} s"


@contextlib.contextmanager
def under_load(nodes: Nodes, start_worker: StartWorker, prefix: str) -> Iterator[Load]:
    """Two servers that are used."""
    env = {"TIDEMARK__elastic__timeout": str(TIMEOUT), "TIDEMARK__elastic__replicas": "1", "TIDEMARK__elastic__shards": "3"}
    servers = [start_worker(nodes.store(prefix), f"{redis_address()}?prefix={prefix}", **env) for _ in range(2)]
    load = Load(servers)
    try:
        load.go_on("no batch was accepted")
        nodes.green(prefix)
        load.read()
        yield load
    finally:
        load.close()
    load.check()


def test_a_slow_node_delays_and_loses_nothing(nodes: Nodes, start_worker: StartWorker, prefix: str) -> None:
    with under_load(nodes, start_worker, prefix) as load:
        slow = nodes.holder(prefix)
        over = threading.Event()

        def hold_up() -> None:
            """It works a fifth of the time, as on a machine with too much to do."""
            while not over.is_set():
                slow.freeze()
                over.wait(0.4)
                slow.thaw()
                over.wait(0.1)

        thread = threading.Thread(target=hold_up)
        thread.start()
        try:
            for _ in range(3):
                load.go_on("a slow node stops everything")
        finally:
            over.set()
            thread.join()


def test_a_full_node_hands_its_shards_over_and_writes_go_on(nodes: Nodes, start_worker: StartWorker, prefix: str) -> None:
    free = shutil.disk_usage(SHARED_MEMORY).free
    assert shutil.disk_usage(nodes.all[0].folder).free > free + 4e9, "the disk of temporary files has less space than the shared memory"
    marks = {f"{MARKS}watermark.{name}": f"{int(free + 2e9)}b" for name in ("low", "high", "flood_stage")}
    settings = {f"{MARKS}threshold_enabled": True, "cluster.info.update.interval": "10s", **marks}

    def on_it() -> int:
        return sum(row["node"] == nodes.full.node for row in nodes.call("GET", f"/_cat/shards/{prefix}-*?format=json&h=node"))

    with under_load(nodes, start_worker, prefix) as load:
        assert on_it() > 0
        nodes.call("PUT", "/_cluster/settings", {"persistent": settings})
        try:
            wait_until(lambda: any(sender.refused for sender in load.senders), 60, "writes are taken by a full node")
            wait_until(lambda: on_it() == 0, 120, "the full node keeps its shards")
            load.go_on("writes did not go on without the full node")
        finally:
            nodes.call("PUT", "/_cluster/settings", {"persistent": dict.fromkeys(settings)})


def test_a_lost_node_loses_nothing(nodes: Nodes, start_worker: StartWorker, prefix: str) -> None:
    with under_load(nodes, start_worker, prefix) as load:
        nodes.holder(prefix).kill()
        load.go_on("writes did not go on with two nodes")


def test_a_host_that_is_cut_off_from_redis_stores_and_reads_on(start_worker: StartWorker, prefix: str) -> None:
    store, state = f"{elasticsearch_address()}?prefix={prefix}", redis_address()
    with Road(state) as road:
        env = {"TIDEMARK__elastic__timeout": str(TIMEOUT)}
        away = start_worker(store, f"redis://127.0.0.1:{road.port}/0?prefix={prefix}", **env)
        other = start_worker(store, f"{state}?prefix={prefix}", **env)
        load = Load([away, other])
        try:
            load.go_on("no batch was accepted")
            load.read()
            road.close()
            load.go_on("writes stop at the host that is cut off")
            shared = Sender([away.client(timeout=60)])
            for number in range(2):
                shared.send(number)
                last = other.client().call("events.get_task_log", task=shared.task, batch_size=1)["events"][0]
                assert last["msg"] == f"batch {number} line 9", "the other host does not see what was acknowledged"
            health = away.client().send("GET", "/readyz")
            assert health.status == 200 and health.json["status"] == "degraded", health.body
            road.open()
            wait_until(lambda: away.client().send("GET", "/readyz").json["status"] == "ok", 30, "Redis was not found again")
            load.go_on("writes stop when the host has Redis again")
        finally:
            road.open()
            load.close()
        load.check()
        for reader in load.readers:
            assert not reader.refused, "reads of events need no Redis"
        shared.check(other.client())
