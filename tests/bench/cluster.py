"""The figures on Elasticsearch, each beside the bare request that Elasticsearch itself would need."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import orjson

from apiserver.stores.records import SCALAR
from tests.bench import galleries, reads, runs, tables
from tests.bench.bare import Bare
from tests.bench.cluster_ingest import ingest
from tests.bench.load import SERIES, ask
from tests.bench.measure import Report, median, repeated
from tests.client import Client
from tests.process import Server
from tests.servers import elasticsearch_url, redis_url

WARM = 15
"""Calls before those that are measured: the first ones in a JVM that has just been started are interpreted."""


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

    repeated(aggregate, WARM, own.point)
    repeated(own.histogram, WARM, own.point)
    bare_seconds, our_seconds = [], []
    for _ in range(9):
        bare_seconds += repeated(aggregate, 1, own.point)
        our_seconds += repeated(own.histogram, 1, own.point)
    plain, ours = median(bare_seconds), median(our_seconds)
    report.add("bare aggregation, right after a write", plain * 1000, "ms")
    report.add("histogram, default samples, right after a write", ours * 1000, "ms")
    page_seconds = repeated(own.series, 9, own.point)
    report.add("get_series of the same series, right after a write", median(page_seconds) * 1000, "ms")
    report.add("  ratio to the histogram", median(page_seconds) / ours, "", most=1.5)
    report.add("ratio to the bare aggregation", ours / plain, "", most=1.3)
    own.histogram()
    report.add("histogram, asked again without new data", median(repeated(own.histogram, 9)) * 1000, "ms", most=10)
    repeated(own.latest, WARM, own.point)
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
        report.heading("Memory")
        report.add("worker memory", server.worker_resident_bytes() / 1e6, "MB", most=300)
        if "tasks" in only:
            tables.task_table(report, client, most=200)
            report.add("worker memory, with the columns of 10,000 tasks", server.worker_resident_bytes() / 1e6, "MB")
    finally:
        server.stop()
    if "runs" in only:
        runs.beside_paging(report, folder, server.env, bare)
    if "sockets" in only:
        runs.sockets_of_a_cluster(report, folder, server.env)
