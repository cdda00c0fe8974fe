"""Read latency: charts, last values and log pages, also with millions of other events in the store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from tests.bench.ingest import BATCH, ingest_rate
from tests.bench.load import SERIES, ask, data, logs, new_id, scalars, send
from tests.bench.measure import Report, in_ms, median, paired, percentile, repeated
from tests.client import Client
from tests.process import Server

POINTS = 200_000
MILLION = 1_000_000
METRICS = list(dict.fromkeys(metric for metric, _ in SERIES))


def fill_points(client: Client, count: int = POINTS) -> str:
    """A task with `count` points in eight series."""
    task = new_id()
    for first in range(0, count, 40_000):
        send(client, scalars(task, first // len(SERIES), min(40_000, count - first)))
    return task


def fill_log(client: Client, count: int = MILLION) -> str:
    task = new_id()
    for first in range(0, count, 50_000):
        send(client, logs(task, first, min(50_000, count - first)))
    return task


class Charts:
    """Reads of one task; `point` writes a point to it, so that the next read can't come from a cache."""

    def __init__(self, client: Client, task: str, points: int = POINTS) -> None:
        self.client, self.task = client, task
        self._next = points // len(SERIES)

    def point(self) -> None:
        send(self.client, scalars(self.task, self._next, 1))
        self._next += 1

    def histogram(self, **request: object) -> None:
        ask(self.client, "events.scalar_metrics_iter_histogram", task=self.task, **request)

    def series(self) -> None:
        """The same series as the page reads them: on its grid, with times and NaN counts."""
        wanted = [{"task": self.task, "metric": metric} for metric in METRICS]
        ask(self.client, "events.get_series", series=wanted, buckets=800)

    def latest(self) -> None:
        ask(self.client, "events.get_task_latest_scalar_values", task=self.task)


def log_page(client: Client, task: str) -> None:
    ask(client, "events.get_task_log", task=task, batch_size=500)


def reads(report: Report, charts: Charts, log_task: str, title: str, times: int = 11) -> dict[str, float]:
    """Report the read figures; returns milliseconds by name."""
    report.heading(title)
    client = charts.client
    found: dict[str, float] = {}

    def figure(name: str, seconds: list[float], most: float | None) -> None:
        found[name] = median(seconds) * 1000
        report.spread(name, in_ms(seconds), "ms", most=most, note=f"worst {max(seconds) * 1000:.0f}")

    figure("histogram, default samples, right after a write", repeated(charts.histogram, times, charts.point), 150)
    figure("histogram, 2,500 samples, right after a write", repeated(lambda: charts.histogram(samples=2500), times, charts.point), 100)
    figure(
        "histogram with envelope, right after a write",
        repeated(lambda: charts.histogram(aggregation="envelope"), times, charts.point),
        None,
    )
    figure("get_series, 800 buckets, right after a write", repeated(charts.series, times, charts.point), None)
    charts.histogram()
    figure("histogram, asked again without new data", repeated(charts.histogram, times), 10)
    figure("latest values, right after a write", repeated(charts.latest, times, charts.point), 20)
    figure("last 500 log lines of a million", repeated(lambda: log_page(client, log_task), times), 20)
    return found


def growth(report: Report, server: Server, charts: Charts, log_task: str, before: dict[str, float], stored: int, already: int) -> None:
    """Fill up to `stored` events, then measure ingest in turns with a server that has 10,000, and the reads again."""
    report.heading(f"With {stored:,} events stored, ingest in turns with a server that holds 10,000")
    client = server.client()
    begun = time.perf_counter()
    filled = already
    size = 40_000
    while filled < stored:
        task = new_id()
        for first in range(0, 200_000, size):
            send(client, scalars(task, first // len(SERIES), size))
            filled += size
    report.add("filling, batches of 40,000 (bodies made meanwhile)", (filled - already) / (time.perf_counter() - begun), "events/s")
    other = Server(server.folder / "small")
    try:
        few = other.start().client()
        ingest_rate(few, 2)
        small, large = [], []
        for _ in range(5):
            small.append(ingest_rate(few, 10))
            large.append(ingest_rate(client, 10))
    finally:
        other.stop()
    report.spread("ingest with 10,000 events stored (and what these rounds add)", small, "events/s")
    report.spread(f"ingest with {stored:,} events stored", large, "events/s")
    report.spread("ratio of the two", paired(large, small), "", least=0.8)
    old = [ingest_rate(client, 10, task=charts.task, first=charts._next + 1 + round_ * 10 * BATCH) for round_ in range(3)]
    report.spread("ingest into the task that has the most points", old, "events/s")
    after = reads(report, Charts(client, fill_points(client)), log_task, f"Reads with {stored:,} events stored")
    for name, value in after.items():
        if before.get(name):
            report.add(f"ratio: {name}", value / before[name], "", note="to the same with few events stored")


def search(report: Report, client: Client, task: str) -> dict[str, float]:
    """Report whole-log search; returns milliseconds by name."""
    report.heading("Search in a log of a million lines")
    found: dict[str, float] = {}
    cases: list[tuple[str, dict[str, Any], float]] = [
        ("plain text, rare", {"search": "anomaly"}, 1.0),
        ("plain text, frequent", {"search": "checkpoint"}, 1.0),
        ("plain text, ignoring case", {"search": "ANOMALY", "search_ignore_case": True}, 1.0),
        ("RE2, rare", {"search": "anomal[yi] \\d+", "search_regex": True}, 3.0),
    ]
    for name, fields, most in cases:
        seconds = repeated(lambda fields=fields: ask(client, "events.get_task_log", task=task, batch_size=100, **fields), 3)
        report.spread(name, seconds, "s", most=most)
        found[f"search: {name}"] = median(seconds) * 1000
    return found


def pages_of(client: Client, endpoint: str, size: int = 10_000, **request: Any) -> Iterator[dict[str, Any]]:
    """All pages of a scroll."""
    while True:
        page = data(client, endpoint, batch_size=size, **request)
        yield page
        if page["returned"] < size:
            return
        request["scroll_id"] = page["scroll_id"]


def raw_pages(client: Client, task: str, metric: str) -> Iterator[dict[str, Any]]:
    return pages_of(client, "events.scalar_metrics_iter_raw", task=task, metric={"metric": metric})


def raw_points(report: Report, client: Client, task: str) -> None:
    """Download a million points of one metric, page by page."""
    report.heading("Raw download of 1,000,000 points, 10,000 a page")
    begun = started = time.perf_counter()
    count, pages = 0, list[float]()
    for page in raw_pages(client, task, "loss"):
        pages.append(time.perf_counter() - started)
        count += page["returned"]
        started = time.perf_counter()
    seconds = time.perf_counter() - begun
    assert count == MILLION, count
    report.add(
        "scalar_metrics_iter_raw", count / seconds, "points/s", least=200_000, note=f"page p95 {percentile(pages, 95) * 1000:.0f} ms"
    )


def every_event_once(report: Report, client: Client, task: str, count: int) -> None:
    """Page through all events of a task of `fill_points` with both paging endpoints; fails if one is missing or comes twice."""
    last = count // len(SERIES)
    events: dict[tuple[str, str], list[int]] = {series: [] for series in SERIES}
    begun = time.perf_counter()
    for page in pages_of(client, "events.get_task_events", task=task, event_type="training_stats_scalar", order="asc"):
        for event in page["events"]:
            events[event["metric"], event["variant"]].append(event["iter"])
        assert page["total"] == count, page["total"]
    report.add("get_task_events, every event once (read by the client)", count / (time.perf_counter() - begun), "events/s")
    assert all(iters == list(range(last)) for iters in events.values())
    for metric in METRICS:
        points: dict[str, list[int]] = {}
        for page in raw_pages(client, task, metric):
            for variant, columns in page["variants"].items():
                points.setdefault(variant, []).extend(columns["iter"])
        assert points == {variant: list(range(last)) for variant in points} and len(points) == 2, metric
