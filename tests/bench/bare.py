"""The baseline on Elasticsearch: the same documents and searches, sent directly."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson
import redis

from apiserver.stores.batch import Points
from apiserver.stores.elastic.write.bulk_lines import point_chunks
from apiserver.stores.records import SCALAR, SeriesKey
from tests.bench.cpu import Processes
from tests.bench.ingest import BATCH
from tests.bench.load import SERIES, new_id, rows, step_of
from tests.process import Server


class Bare:
    """A minimal Elasticsearch client: one keep-alive connection a thread, checks only the status."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname and parts.port
        self.host, self.port = parts.hostname, parts.port
        self.prefix = parts.query.removeprefix("prefix=")
        self._local = threading.local()

    def call(self, method: str, path: str, body: bytes | dict[str, Any] | None = None) -> dict[str, Any]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = http.client.HTTPConnection(self.host, self.port, timeout=120)
        kind = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
        connection.request(method, path, orjson.dumps(body) if isinstance(body, dict) else body, {"Content-Type": kind})
        response = connection.getresponse()
        content = response.read()
        assert response.status < 300, content[:500]
        return orjson.loads(content)  # type: ignore[no-any-return]

    def process(self) -> int:
        """Elasticsearch's process id."""
        (node,) = self.call("GET", "/_nodes/_local/process")["nodes"].values()
        return int(node["process"]["id"])

    def processes(self, servers: Sequence[Server], redis_url: str) -> Processes:
        """The client (this process), the servers, Elasticsearch and Redis, which must run on this machine and not in containers."""
        elastic = self.process()
        with redis.Redis.from_url(redis_url.partition("?")[0]) as connection:
            state = int(connection.info("server")["process_id"])
        return Processes(
            {
                "server": lambda: [pid for server in servers for pid in server.pids()],
                "Elasticsearch": lambda: [elastic],
                "Redis": lambda: [state],
            }
        )

    def settle(self) -> None:
        """Refresh, and wait for the merges that follow: the deferred cost of writes."""
        self.call("POST", f"/{self.prefix}*,bench-*/_refresh?allow_no_indices=true")
        while (
            self.call("GET", "/_stats/merge?filter_path=_all.total.merges.current")
            .get("_all", {})
            .get("total", {})
            .get("merges", {})
            .get("current")
        ):
            time.sleep(0.01)

    def index_of(self, task: str) -> str:
        """The index with the scalars of a task."""
        self.call("POST", f"/{self.prefix}*/_refresh")
        found = self.call("POST", f"/{self.prefix}*{SCALAR}*/_search", {"size": 1, "query": {"term": {"task": task}}})
        return str(found["hits"]["hits"][0]["_index"])

    def twin_of(self, index: str) -> str:
        """A new index with the settings and the mapping of `index`."""
        known = self.call("GET", f"/{index}")[index]
        settings = {
            name: value
            for name, value in known["settings"]["index"].items()
            if name in ("number_of_shards", "number_of_replicas", "sort", "analysis", "refresh_interval", "codec")
        }
        twin = f"bench-{new_id()}"
        self.call("PUT", f"/{twin}", {"settings": {"index": settings}, "mappings": known["mappings"]})
        return twin

    def bytes_per_document(self, index: str) -> float:
        """Bytes on disk per document after a force merge, summed over the searchable segments: the index statistics are up to ten seconds old and count
        segments that the merge has replaced. Waits half a minute without writes before the merge, until Elasticsearch no longer keeps soft-deleted
        documents for recoveries."""
        self.wait_for_leases(index)
        self.call("POST", f"/{index}/_forcemerge?max_num_segments=1")
        self.call("POST", f"/{index}/_refresh")
        shards = self.call("GET", f"/{index}/_segments")["indices"][index]["shards"]
        segments = [segment for copies in shards.values() for copy in copies for segment in copy["segments"].values() if segment["search"]]
        return float(sum(segment["size_in_bytes"] for segment in segments) / sum(segment["num_docs"] for segment in segments))

    def wait_for_leases(self, index: str, seconds: float = 90.0) -> None:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            self.call("POST", f"/{index}/_flush?force=true")
            shards = self.call("GET", f"/{index}/_stats?level=shards")["indices"][index]["shards"]
            copies = [copy for copies in shards.values() for copy in copies]
            leases = [
                (lease["retaining_seq_no"], copy["seq_no"]["max_seq_no"]) for copy in copies for lease in copy["retention_leases"]["leases"]
            ]
            if all(retained > newest for retained, newest in leases):
                return
            time.sleep(1)


def bulk_bodies(task: str, first: int, batches: int, size: int = BATCH) -> list[bytes]:
    """Bulk requests with the same documents, under the same ids, as our batches of scalars."""
    bodies = []
    for number in range(batches):
        columns: dict[int, Points] = {}
        for series, iter, timestamp, value in rows(first + step_of(number, size), size):
            points = columns.setdefault(series, Points())
            points.iters.append(iter)
            points.values.append(value)
            points.timestamps.append(timestamp)
            points.lines.append(0)
            points.sizes.append(220)
        chunks: list[bytes] = []
        for series, points in columns.items():
            key = SeriesKey(task, SCALAR, *SERIES[series])
            made = point_chunks("", "bench", key, points, "w", number << 20, range(len(points.iters)), 10_000_000)
            chunks += [chunk.data for chunk in made]
        bodies.append(b"".join(chunks))
    return bodies
