"""`python -m tests.bench.nodes`: ingest and reads with one, two and three Elasticsearch data nodes, on one machine.

Needs root, cgroups and network namespaces. Two Tidemark servers run in namespaces of their own; each server and each node gets a share of a CPU, small
enough that the machine is not the limit. Start and warm-up run without the limit: a JVM on a fifth of a core takes minutes to start.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench.load import LINES, new_id, scalars, step_of
from tests.bench.measure import median, percentile
from tests.bench.network import network
from tests.client import Client
from tests.process import ROOT, Server, wait_until
from tests.servers import ElasticsearchServer, RedisServer

CGROUPS = Path("/sys/fs/cgroup/cpu")
PERIOD = 20_000
"""CFS period in µs: short, so that a process that has used up its share is not paused for long."""
BATCH = 1_000
TASK_BATCHES = 20
SHARDS = 6
"""Shards of an index: divisible by one, two and three nodes."""


class Share:
    """A cgroup: a share of a CPU for some processes, with priority over others when the machine is busy."""

    def __init__(self, name: str, cores: float) -> None:
        self.folder = CGROUPS / f"tidemark-{os.getpid()}-{name}"
        self.folder.mkdir()
        (self.folder / "cpu.shares").write_text("8192")
        (self.folder / "cpu.cfs_period_us").write_text(str(PERIOD))
        self._quota = int(cores * PERIOD)

    def take(self, pids: list[int]) -> None:
        self._pids = pids
        for pid in pids:
            (self.folder / "cgroup.procs").write_text(str(pid))

    def limit(self, on: bool) -> None:
        (self.folder / "cpu.cfs_quota_us").write_text(str(self._quota if on else -1))

    def used(self) -> float:
        """CPU seconds of its processes so far (clock_getcpuclockid(3))."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self._pids)

    def close(self) -> None:
        for pid in (self.folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (CGROUPS / "cgroup.procs").write_text(pid)
        self.folder.rmdir()


@contextlib.contextmanager
def installation(count: int, node_share: float, server_share: float, folder: Path) -> Iterator[tuple[list[Client], list[Share], list[int]]]:
    """Two servers in their own namespaces with `count` Elasticsearch nodes: a client for each server, the shares of all processes, and the nodes'
    process ids."""
    names = [f"node{number}" for number in range(count)]
    with contextlib.ExitStack() as stack:
        here, hosts = stack.enter_context(network(2))
        redis = RedisServer(also=here)
        stack.callback(redis.close)
        redis.start()
        nodes = []
        for name in names:
            nodes.append(ElasticsearchServer(heap="768m", node=name, masters=names, seeds=["-"] if count > 1 else ()))
            stack.callback(nodes[-1].close)
        for node in nodes:
            node.also = here
            node.seeds = [f"127.0.0.1:{other.transport_port}" for other in nodes] if count > 1 else []
            node.start(wait=False)
        for node in nodes:
            node.wait()
        wait_until(lambda: nodes[0].call("GET", "/_cluster/health")["number_of_nodes"] == count, 120, "the nodes did not meet")
        store = f"http://{','.join(f'{here}:{node.port}' for node in nodes)}?prefix=n{uuid.uuid4().hex[:6]}"
        env = {"TIDEMARK_STORE": store, "TIDEMARK_STATE": f"redis://{here}:{redis.port}/0", "TIDEMARK__elastic__shards": str(SHARDS)}
        env |= {"TIDEMARK_AUTH": "open", "TIDEMARK_ALLOW_OPEN": "true"}  # nobody else is on this network
        servers: list[Server] = []
        for host in hosts:
            program = [*host.before, sys.executable, "-m", "apiserver"]
            servers.append(Server(folder / f"{count}-{host.name}", env | {"PYTHONPATH": str(ROOT)}, program=program, host=host.address))
            stack.callback(servers[-1].kill)
            servers[-1].start()
        shares: list[Share] = []
        pids = [[node.running.pid] for node in nodes] + [server.pids() for server in servers]  # type: ignore[union-attr]
        for number, (mine, share) in enumerate(zip(pids, [node_share] * count + [server_share] * 2, strict=True)):
            shares.append(Share(f"{count}{number}", share))
            stack.callback(shares[-1].close)
            shares[-1].take(mine)
        yield [server.client(timeout=120) for server in servers], shares, [pid for [pid] in pids[:count]]


def threads(pid: int) -> Counter[str]:
    """CPU seconds of a JVM's threads so far, by what they do: pools of Elasticsearch, and the JVM's own threads by name."""
    printed = subprocess.run(["jcmd", str(pid), "Thread.print"], capture_output=True, text=True, check=False).stdout
    names = {int(number, 0): name for name, number in re.findall(r'^"(.*?)" .*?nid=(\w+)', printed, re.MULTILINE)}
    found: Counter[str] = Counter()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # it has ended
            fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
            name = names.get(int(task.name), (task / "comm").read_text().strip())
            pool = re.match(r"elasticsearch\[[^]]*\]\[([^]]+)\]", name)
            seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            found[pool[1] if pool else re.sub(r"[#\d\s]+$", "", name)] += seconds
    return found


def deliver(client: Client, body: bytes) -> None:
    """Send a batch until it is accepted: a node that has used up its share answers late."""
    while True:
        answer = client.send("POST", "/v2.23/events.add_batch", body, LINES)
        if answer.status == 200:
            return
        assert answer.status == 503, answer.body[:500]
        time.sleep(0.2)


def ingest(clients: list[Client], seconds: float, writers: int) -> float:
    """Acknowledged events/s. Each writer starts a new task now and then: a task is stored in one shard, and a few tasks would be distributed unevenly
    over the nodes."""
    end = time.monotonic() + seconds

    def write(number: int) -> int:
        client, task = clients[number % len(clients)], new_id()
        batch = 0
        while time.monotonic() < end:
            if batch % TASK_BATCHES == 0:
                task = new_id()
            deliver(client, scalars(task, step_of(batch, BATCH), BATCH))
            batch += 1
        return batch * BATCH

    began = time.monotonic()
    with ThreadPoolExecutor(writers) as pool:
        sent = sum(pool.map(write, range(writers)))
    return sent / (time.monotonic() - began)


def reads(client: Client, task: str, times: int) -> list[float]:
    """Durations of a chart of one task in seconds, never from the server's cache."""
    taken = []
    for number in range(times):
        began = time.perf_counter()
        client.call("events.scalar_metrics_iter_histogram", task=task, samples=1000 + number)
        taken.append(time.perf_counter() - began)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.nodes", description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--node-share", type=float, default=0.2, help="cores of a node (default: %(default)s)")
    parser.add_argument("--server-share", type=float, default=0.35, help="cores of a Tidemark server (default: %(default)s)")
    parser.add_argument("--warm-up", type=float, default=120, help="seconds (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="of a measurement (default: %(default)s)")
    parser.add_argument("--writers", type=int, default=24, help="at once (default: %(default)s)")
    options = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in options.nodes:
            with installation(count, options.node_share, options.server_share, Path(folder)) as (clients, shares, nodes):
                ingest(clients, options.warm_up, options.writers)
                for share in shares:
                    share.limit(True)
                ingest(clients, 5, options.writers)
                busy = sum((threads(pid) for pid in nodes), Counter[str]())
                before = [share.used() for share in shares]
                began = time.monotonic()
                rate = ingest(clients, options.seconds, options.writers)
                taken = time.monotonic() - began
                used = [round((share.used() - old) / taken, 3) for share, old in zip(shares, before, strict=True)]
                busy = sum((threads(pid) for pid in nodes), Counter[str]()) - busy
                task = new_id()
                for batch in range(40):
                    deliver(clients[0], scalars(task, step_of(batch, BATCH), BATCH))
                reads(clients[1], task, 3)
                charts = reads(clients[1], task, 20)
                found[count] = {
                    "events_per_second": round(rate),
                    "chart_ms": round(median(charts) * 1000, 1),
                    "chart_p95_ms": round(percentile(charts, 95) * 1000, 1),
                    "cores_of_nodes": used[:count],
                    "cores_of_servers": used[count:],
                    "us_per_event_by_thread": {name: round(seconds / taken / rate * 1e6, 1) for name, seconds in busy.most_common(12)},
                }
                print(count, "nodes:", json.dumps(found[count]), flush=True)
    first = found[min(found)]["events_per_second"]
    for count, one in found.items():
        print(f"{count} nodes: {one['events_per_second']:,} events/s, {one['events_per_second'] / first:.2f} times one node")  # type: ignore[operator, str-format]


if __name__ == "__main__":
    main()
