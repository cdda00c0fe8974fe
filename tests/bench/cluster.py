"""The figures on Elasticsearch, each beside the bare request that Elasticsearch itself would need."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from apiserver.stores.elastic.bodies import point_chunks
from apiserver.stores.records import SCALAR, Points, SeriesKey
from tests.bench import galleries, reads, runs, tables
from tests.bench.ingest import BATCH, ingest_rate
from tests.bench.load import SERIES, ask, logs, new_id, rows, scalars, send, step_of
from tests.bench.measure import Report, median, repeated
from tests.client import Client
from tests.process import Server
from tests.servers import elasticsearch_url, redis_url


class Bare:
    """Elasticsearch without us: one kept connection a thread, nothing checked but the status."""

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

    def index_of(self, task: str) -> str:
        """The index that holds the scalars of a task."""
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


def bulk_bodies(task: str, first: int, batches: int, size: int = BATCH) -> list[bytes]:
    """The bulk requests that hold the same documents, with the same ids, as our batches of scalars."""
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


def at_once(works: Sequence[Callable[[], None]]) -> float:
    """Seconds until all have ended, each in a thread of its own."""
    threads = [threading.Thread(target=work) for work in works]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun


def ingest(report: Report, server: Server, bare: Bare, rounds: int = 3, batches: int = 16) -> None:
    report.heading(
        f"Ingest over HTTP, beside raw _bulk of the same documents ({rounds} rounds of {batches} batches of {BATCH:,}, in turns)"
    )
    client = server.client()
    warm = new_id()
    ingest_rate(client, 4, task=warm)
    twin = bare.twin_of(bare.index_of(warm))

    def send_all(bodies: list[bytes]) -> None:
        for body in bodies:
            send(client, body)

    def ours(clients: int) -> float:
        shares = []
        for _ in range(clients):
            task = new_id()
            shares.append([scalars(task, step_of(number, BATCH), BATCH) for number in range(batches // clients)])
        return batches * BATCH / at_once([lambda share=share: send_all(share) for share in shares])  # type: ignore[misc]

    def raw(clients: int) -> float:
        shares = [bulk_bodies(new_id(), 0, batches // clients) for _ in range(clients)]

        def post(share: list[bytes]) -> None:
            for body in share:
                assert not bare.call("POST", f"/{twin}/_bulk", body)["errors"]

        return batches * BATCH / at_once([lambda share=share: post(share) for share in shares])  # type: ignore[misc]

    found: dict[str, list[float]] = {"ours 1": [], "ours 4": [], "raw 1": [], "raw 4": []}
    cpu = []
    raw(1)
    for _ in range(rounds):
        found["raw 1"].append(raw(1))
        before = server.cpu_seconds()
        found["ours 1"].append(ours(1))
        cpu.append((server.cpu_seconds() - before) / (batches * BATCH) * 1e6)
        found["raw 4"].append(raw(4))
        found["ours 4"].append(ours(4))
    for name, title in (
        ("ours 1", "scalars, one client"),
        ("ours 4", "scalars, four clients"),
        ("raw 1", "raw _bulk, one client"),
        ("raw 4", "raw _bulk, four clients"),
    ):
        report.add(title, median(found[name]), "events/s")
    ratio = max(median(found["ours 1"]), median(found["ours 4"])) / max(median(found["raw 1"]), median(found["raw 4"]))
    report.add("ratio to raw _bulk, the better of both", ratio, "", least=0.7)
    report.add("server CPU", median(cpu), "µs/event", most=12)
    small(report, client, bare, twin, rounds)
    task = new_id()
    send(client, scalars(task, 0, 8))
    one = [scalars(task, 100 + number, 1) for number in range(30)]
    steps = iter(one)
    report.add("one scalar, until acknowledged", median(repeated(lambda: send(client, next(steps)), 30)) * 1000, "ms", most=15)
    lines = iter([logs(task, number, 1) for number in range(30)])
    report.add("one log line, until acknowledged", median(repeated(lambda: send(client, next(lines)), 30)) * 1000, "ms", most=15)
    many = [[scalars(new_id(), 0, BATCH) for _ in range(20)][writer::8] for writer in range(8)]
    seconds = at_once([lambda share=share: send_all(share) for share in many])  # type: ignore[misc]
    report.add("20 tasks by 8 clients, to one client", 20 * BATCH / seconds / median(found["ours 1"]), "", least=1)
    index = bare.index_of(warm)
    bare.call("POST", f"/{index}/_forcemerge?max_num_segments=1")
    total = bare.call("GET", f"/{index}/_stats/store,docs")["indices"][index]["primaries"]
    report.add("disk of a scalar, after a force merge", total["store"]["size_in_bytes"] / max(1, total["docs"]["count"]), "bytes", most=60)


def small(report: Report, client: Client, bare: Bare, twin: str, rounds: int, clients: int = 8, batches: int = 60) -> None:
    """Batches of 100, by one client and by eight, beside raw `_bulk` of the same documents by eight."""
    alone, together, raw = [], [], []
    for _ in range(rounds):
        alone.append(ingest_rate(client, 100, 100))
        shares = []
        for _ in range(clients):
            task = new_id()
            shares.append([scalars(task, step_of(number, 100), 100) for number in range(batches)])
        together.append(clients * batches * 100 / at_once([lambda share=share: [send(client, body) for body in share] for share in shares]))  # type: ignore[misc]
        prepared = [bulk_bodies(new_id(), 0, batches, 100) for _ in range(clients)]
        raw.append(
            clients
            * batches
            * 100
            / at_once([lambda share=share: [bare.call("POST", f"/{twin}/_bulk", body) for body in share] for share in prepared])  # type: ignore[misc]
        )
    report.add("scalars, batches of 100, one client", median(alone), "events/s")
    report.add(f"scalars, batches of 100, {clients} clients", median(together), "events/s", least=15_000)
    report.add(f"raw _bulk of 100, {clients} clients", median(raw), "events/s", note=f"ratio {median(together) / median(raw):.2f}")


def histograms(task: str, interval: int) -> dict[str, Any]:
    """The bare search for the buckets of all series of a task."""
    histogram = {"histogram": {"field": "iter", "interval": interval, "min_doc_count": 1}, "aggs": {"y": {"avg": {"field": "value"}}}}
    variants = {"terms": {"field": "variant", "size": 100}, "aggs": {"x": histogram}}
    metrics = {"terms": {"field": "metric", "size": 100}, "aggs": {"variants": variants}}
    return {"size": 0, "query": {"term": {"task": task}}, "aggs": {"metrics": metrics}}


def charts(report: Report, client: Client, bare: Bare) -> None:
    report.heading("Reads: 200,000 points in 8 series, a log of a million lines, beside the bare search")
    task = reads.fill_points(client)
    log_task = reads.fill_log(client)
    index = bare.index_of(task)
    own = reads.Charts(client, task)

    def aggregate(interval: int = 5) -> None:
        bare.call("POST", f"/{index}/_refresh")
        bare.call("POST", f"/{index}/_search?request_cache=false", histograms(task, interval))

    def page() -> None:
        query = {
            "size": 500,
            "query": {"term": {"task": log_task}},
            "sort": [{"timestamp": "desc"}, {"seq": "desc"}],
            "track_total_hits": True,
        }
        bare.call("POST", f"/{index.replace(SCALAR, 'log')}/_search", query)

    plain = median(repeated(aggregate, 7, own.point))
    ours = median(repeated(own.histogram, 7, own.point))
    report.add("bare aggregation, right after a write", plain * 1000, "ms")
    report.add("histogram, default samples, right after a write", ours * 1000, "ms")
    report.add("ratio to the bare aggregation", ours / plain, "", most=1.3)
    own.histogram()
    report.add("histogram, asked again without new data", median(repeated(own.histogram, 9)) * 1000, "ms", most=10)
    repeated(own.latest, 15, own.point)  # the first calls of a JVM that has just been started are interpreted
    report.add("latest values, right after a write", median(repeated(own.latest, 7, own.point)) * 1000, "ms", most=20)
    plain = median(repeated(page, 9))
    ours = median(repeated(lambda: reads.log_page(client, log_task), 9))
    report.add("bare search of 500 log lines", plain * 1000, "ms")
    report.add("last 500 log lines of a million", ours * 1000, "ms")
    report.add("ratio to the bare search", ours / plain, "", most=1.5)
    first = repeated(lambda: ask(client, "events.get_task_log", task=log_task, search="checkpoint", batch_size=100), 3)
    report.add("search: first page of a frequent match", median(first), "s", most=1)
    whole = repeated(
        lambda: ask(client, "events.get_task_log", task=log_task, search="anomal[yi] \\d+", search_regex=True, batch_size=500), 2
    )
    report.add("search: whole log, RE2", median(whole), "s", most=10)


def raw_points(report: Report, client: Client, bare: Bare, count: int = 1_000_000) -> None:
    report.heading(f"Raw download of {count:,} points, 10,000 a page, beside bare search_after")
    task = reads.fill_points(client, count)
    index = bare.index_of(task)

    def paged(fields: dict[str, Any], sort: list[str]) -> None:
        """The documents with these fields, in this order."""
        query: dict[str, Any] = {
            "size": 10_000,
            "_source": False,
            "stored_fields": "_none_",
            "docvalue_fields": ["value"],
            "query": {"bool": {"filter": [{"term": {name: value}} for name, value in {"task": task, **fields}.items()]}},
            "sort": sort,
            "track_total_hits": False,
        }
        while True:
            hits = bare.call("POST", f"/{index}/_search", query)["hits"]["hits"]
            if len(hits) < 10_000:
                return
            query["search_after"] = hits[-1]["sort"]

    def by_metric() -> None:
        """In the order that the endpoint has."""
        for metric in reads.METRICS:
            paged({"metric": metric}, ["iter", "timestamp", "seq"])

    def as_stored() -> None:
        """The fastest paging there is: the order of the index itself, a series after the other."""
        for metric, variant in SERIES:
            paged({"metric": metric, "variant": variant}, ["task", "metric", "variant", "iter"])

    def ours() -> None:
        for metric in reads.METRICS:
            for _ in reads.raw_pages(client, task, metric):
                pass

    stored, ordered, our_seconds = (min(repeated(work, 2)) for work in (as_stored, by_metric, ours))
    report.add("bare search_after, in the endpoint's order", count / ordered, "points/s")
    report.add("bare search_after, in the order of the index", count / stored, "points/s")
    report.add("scalar_metrics_iter_raw", count / our_seconds, "points/s")
    report.add("ratio to the faster of the two", min(stored, ordered) / our_seconds, "", least=0.7)
    reads.every_event_once(report, client, task, count)


def many_histograms(bare: Bare, tasks: list[str], interval: int) -> None:
    """The aggregations behind a chart of many tasks, a search for each task, all in one request."""
    index = f"{bare.prefix}*{SCALAR}-*"
    lines: list[bytes] = []
    for task in tasks:
        lines += [orjson.dumps({"index": index, "request_cache": False}), orjson.dumps(histograms(task, interval))]
    bare.call("POST", f"/{index}/_refresh")
    answers = bare.call("POST", "/_msearch", b"\n".join([*lines, b""]))["responses"]
    assert all(len(answer["aggregations"]["metrics"]["buckets"]) == len(reads.METRICS) for answer in answers)


def cluster(report: Report, folder: Path, only: set[str]) -> None:
    """Start a server on a real Elasticsearch and Redis; measure the wanted parts."""
    url = elasticsearch_url()
    server = Server(folder, {"TIDEMARK_STORE": url, "TIDEMARK_STATE": redis_url()})
    try:
        server.start()
        bare = Bare(url)
        client = server.client()
        if "ingest" in only:
            ingest(report, server, bare)
        if "reads" in only:
            charts(report, client, bare)
        if "raw" in only:
            raw_points(report, client, bare)
        if "images" in only:
            galleries.gallery(report, client, step_ms=60)
        if "multi" in only:
            galleries.many_tasks(report, client, all_most=None, few_most=1.5, bare=partial(many_histograms, bare))
        if "tasks" in only:
            tables.task_table(report, client, most=200)
        report.heading("At the end")
        report.add("worker memory", server.worker_resident_bytes() / 1e6, "MB", most=300)
    finally:
        server.stop()
    if "runs" in only:
        runs.beside_paging(report, folder, server.env, bare)
    if "sockets" in only:
        runs.sockets_of_a_cluster(report, folder, server.env)
