"""The figures on Elasticsearch, each compared with the minimal request that does the same work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from apiserver.stores.records import SCALAR
from tests.bench import galleries, many, overload, reads, runs, tables
from tests.bench.bare import Bare
from tests.bench.cluster_ingest import ingest
from tests.bench.cpu import add_turns, in_turns, turn_of, turn_of_calls
from tests.bench.known_series import known_series
from tests.bench.load import SERIES, ask
from tests.bench.measure import Report, in_ms, paired, repeated
from tests.bench.upkeep import upkeep
from tests.process import Server
from tests.servers import elasticsearch_url, redis_url

WARM = 15
"""Warm-up calls before the measured ones: a JVM that has just started interprets its code."""


def histograms(task: str, interval: int) -> dict[str, Any]:
    """The bare search for the buckets of all series of a task."""
    histogram = {"histogram": {"field": "iter", "interval": interval, "min_doc_count": 1}, "aggs": {"y": {"avg": {"field": "value"}}}}
    variants = {"terms": {"field": "variant", "size": 100}, "aggs": {"x": histogram}}
    metrics = {"terms": {"field": "metric", "size": 100}, "aggs": {"variants": variants}}
    return {"size": 0, "query": {"term": {"task": task}}, "aggs": {"metrics": metrics}}


def last_values(task: str) -> dict[str, Any]:
    """The bare search for the last point of all series of a task."""
    newest = {"top_hits": {"size": 1, "sort": [{"iter": "desc"}], "_source": False, "docvalue_fields": ["iter", "value", "timestamp"]}}
    variants = {"terms": {"field": "variant", "size": 100}, "aggs": {"last": newest}}
    metrics = {"terms": {"field": "metric", "size": 100}, "aggs": {"variants": variants}}
    return {"size": 0, "query": {"term": {"task": task}}, "aggs": {"metrics": metrics}}


def charts(report: Report, server: Server, bare: Bare, redis_url: str, rounds: int) -> None:
    report.heading(f"Reads: 200,000 points in 8 series, a log of a million lines, beside the bare search ({rounds} rounds in turns)")
    client = server.client()
    task = reads.fill_points(client)
    log_task = reads.fill_log(client)
    index = bare.index_of(task)
    own = reads.Charts(client, task)
    processes = bare.processes([server], redis_url)

    def search(body: dict[str, Any], *, of: str = index, refresh: bool = True) -> None:
        if refresh:
            bare.call("POST", f"/{of}/_refresh")
        bare.call("POST", f"/{of}/_search?request_cache=false", body)

    lines = {"size": 500, "query": {"term": {"task": log_task}}, "sort": [{"timestamp": "desc"}, {"seq": "desc"}], "track_total_hits": True}
    log_index = index.replace(SCALAR, "log")
    beside: list[tuple[str, Callable[[], None], Callable[[], None], Callable[[], None], int, float]] = [
        ("histogram, right after a write", lambda: search(histograms(task, 5)), own.histogram, own.point, 3, 1.25),
        ("last values, right after a write", lambda: search(last_values(task)), own.latest, own.point, 5, 1.25),
        (
            "last 500 log lines of a million",
            lambda: search(lines, of=log_index, refresh=False),
            lambda: reads.log_page(client, log_task),
            lambda: None,
            10,
            1.25,
        ),
    ]
    for name, plain, ours, before, times, most in beside:
        repeated(plain, WARM, before)
        repeated(ours, WARM, before)
        turns = in_turns(
            partial(turn_of_calls, processes, plain, times, before), partial(turn_of_calls, processes, ours, times, before), rounds
        )
        add_turns(report, name, "call", turns, most=most)
    page_seconds = repeated(own.series, 9, own.point)
    report.spread("get_series of the same series, right after a write", in_ms(page_seconds), "ms")
    report.spread("  ratio to the histogram", paired(page_seconds, repeated(own.histogram, 9, own.point)), "", most=1.5)
    own.histogram()
    report.spread("histogram, asked again without new data", in_ms(repeated(own.histogram, 9)), "ms", most=10)
    report.spread("latest values, right after a write", in_ms(repeated(own.latest, 7, own.point)), "ms", most=20)
    first = repeated(lambda: ask(client, "events.get_task_log", task=log_task, search="checkpoint", batch_size=100), 3)
    report.spread("search: first page of a frequent match", first, "s", most=1)
    whole = repeated(
        lambda: ask(client, "events.get_task_log", task=log_task, search="anomal[yi] \\d+", search_regex=True, batch_size=500), 2
    )
    report.spread("search: whole log, RE2", whole, "s", most=10)


def raw_points(report: Report, server: Server, bare: Bare, redis_url: str, count: int = 1_000_000) -> None:
    report.heading(f"Raw download of {count:,} points, 10,000 a page, beside bare search_after")
    client, processes = server.client(), bare.processes([server], redis_url)
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
        """In the endpoint's order."""
        for metric in reads.METRICS:
            paged({"metric": metric}, ["iter", "timestamp", "seq"])

    def as_stored() -> int:
        """In the index' own order, series by series: the fastest paging there is."""
        for metric, variant in SERIES:
            paged({"metric": metric, "variant": variant}, ["task", "metric", "variant", "iter"])
        return count

    def ours() -> int:
        for metric in reads.METRICS:
            for _ in reads.raw_pages(client, task, metric):
                pass
        return count

    turns = in_turns(partial(turn_of, processes, as_stored), partial(turn_of, processes, ours), 5)
    add_turns(report, "every point, beside the order of the index", "point", turns, most=1.25)
    report.add("bare search_after, in the endpoint's order", count / min(repeated(by_metric, 2)), "points/s")
    reads.every_event_once(report, client, task, count)


def many_histograms(bare: Bare, tasks: list[str], interval: int) -> None:
    """The aggregations behind a chart of many tasks: a search per task, all in one request."""
    index = f"{bare.prefix}*{SCALAR}-*"
    lines: list[bytes] = []
    for task in tasks:
        lines += [orjson.dumps({"index": index, "request_cache": False}), orjson.dumps(histograms(task, interval))]
    bare.call("POST", f"/{index}/_refresh")
    answers = bare.call("POST", "/_msearch", b"\n".join([*lines, b""]))["responses"]
    assert all(len(answer["aggregations"]["metrics"]["buckets"]) == len(reads.METRICS) for answer in answers)


def cluster(report: Report, folder: Path, only: set[str], rounds: int) -> None:
    """Start a server on a real Elasticsearch and Redis; measure the wanted parts."""
    url, state = elasticsearch_url(), redis_url()
    server = Server(folder, {"TIDEMARK_STORE": url, "TIDEMARK_STATE": state})
    try:
        server.start()
        bare = Bare(url)
        client = server.client()
        if "ingest" in only:
            ingest(report, server, bare, state, rounds)
        if "reads" in only:
            charts(report, server, bare, state, rounds)
        if "raw" in only:
            raw_points(report, server, bare, state)
        if "images" in only:
            galleries.gallery(report, client, step_ms=60)
        if "multi" in only:
            galleries.many_tasks(report, client, all_most=None, few_most=1.5, bare=partial(many_histograms, bare))
        report.heading("Memory")
        report.add("worker memory", server.worker_resident_bytes() / 1e6, "MB", most=300)
        if "tasks" in only:
            tables.task_table(report, client, most=200)
            report.add("worker memory, with the columns of 10,000 tasks", server.worker_resident_bytes() / 1e6, "MB")
        if "many" in only:
            many.many(report, client)
    finally:
        server.stop()
    if "series" in only:
        known_series(report, folder / "series", server.env)
    if "runs" in only:
        runs.beside_paging(report, folder, server.env, bare)
    if "overload" in only:
        overload.overload(report, folder / "overload", server.env)
    if "upkeep" in only:
        upkeep(report, folder, rounds)
    if "sockets" in only:
        runs.sockets_of_a_cluster(report, folder, server.env)
