"""Debug images, charts of many tasks, and deletes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.bench.load import SERIES, ask, data, images, new_id, scalars, send, watching
from tests.bench.measure import Report, in_ms, median, paired, percentile, repeated
from tests.client import Client
from tests.process import Server

IMAGES = 100_000
MILLION = 1_000_000


def gallery(report: Report, client: Client, step_ms: float = 20) -> None:
    """Navigation in a task with 100,000 images (10,000 iterations of ten variants)."""
    report.heading(f"A task with {IMAGES:,} debug images")
    task = new_id()
    for first in range(0, IMAGES, 20_000):
        send(client, images(task, first, 20_000))
    # Warm-up: a JVM that has just started interprets its code.
    pages = repeated(lambda: ask(client, "events.debug_images", metrics=[{"task": task}], iters=5), 25)
    report.spread("first page of debug images", in_ms(pages[15:]), "ms", most=100, note=f"the first time {pages[0] * 1000:.0f}")
    shown = data(client, "events.get_debug_image_sample", task=task, metric="img", variant="v5")
    state: dict[str, Any] = {"scroll_id": shown["scroll_id"]}

    def step() -> None:
        found = data(client, "events.next_debug_image_sample", task=task, scroll_id=state["scroll_id"], navigate_earlier=True)
        assert found["event"] is not None
        state["scroll_id"] = found["scroll_id"]

    repeated(step, 20)
    seconds = repeated(step, 60)
    report.add("next image, p95", percentile(seconds, 95) * 1000, "ms", most=step_ms, note=f"median {median(seconds) * 1000:.1f}")


def many_tasks(
    report: Report,
    client: Client,
    tasks: int = 100,
    points: int = 1000,
    *,
    all_most: float | None = 0.6,
    few_most: float | None = None,
    bare: Callable[[list[str], int], None] | None = None,
) -> None:
    """One chart call over many tasks. `bare(tasks, interval)`: the minimal request that the store needs for it."""
    report.heading(f"Multi-task histogram: {tasks} tasks × 8 series × {points:,} points")
    ids = [new_id() for _ in range(tasks)]
    for task in ids:
        send(client, scalars(task, 0, points * len(SERIES)))
    next_iter = [points]

    def touch() -> None:
        for task in ids:  # a new point invalidates the cached answer
            send(client, scalars(task, next_iter[0], 1))
        next_iter[0] += 1

    def compare(**request: Any) -> None:
        ask(client, "events.multi_task_scalar_metrics_iter_histogram", tasks=ids, **request)

    for name, interval, request, most in (("all points", 1, {}, all_most), ("50 samples", points // 50, {"samples": 50}, few_most)):
        plain: list[float] = []
        ours: list[float] = []
        for _ in range(3):
            if bare is not None:
                plain += repeated(lambda interval=interval: bare(ids, interval), 1, touch)  # type: ignore[misc]
            ours += repeated(lambda request=request: compare(**request), 1, touch)  # type: ignore[misc]
        report.spread(name, ours, "s", most=most)
        if plain:
            report.spread(f"{name}: ratio to the bare aggregations", paired(ours, plain), "", most=None if most else 1.3)
    compare(samples=50)
    report.spread("50 samples, asked again without new data", in_ms(repeated(lambda: compare(samples=50), 9)), "ms", most=10)
    size = len(ask(client, "events.multi_task_scalar_metrics_iter_histogram", tasks=ids)) / 1e6
    report.spread("all points, asked again without new data", in_ms(repeated(compare, 5)), "ms", note=f"{size:.1f} MB are sent")


def deleting(report: Report, server: Server, task: str, count: int) -> None:
    """Delete the events of a task with a million points while another client pings."""
    report.heading(f"Deleting {count:,} events of one task")
    client = server.client()
    size = _disk(server)
    with watching(client, {"ping": ("/debug.ping", b"{}", {})}) as watchers:
        begun = time.monotonic()
        answer = data(client, "events.delete_for_task", task=task)
        ended = time.monotonic()
    assert answer["deleted_count"] >= count, answer
    seconds = watchers["ping"].between(begun, ended)
    report.add("delete_for_task", ended - begun, "s")
    report.add("others' ping meanwhile, p99", percentile(seconds, 99) * 1000, "ms", most=50, note=f"{len(seconds)} calls")
    report.add("disk before / after", size / max(1, _disk(server)), "", note=f"{size / 1e6:.0f} MB before; given back in the background")


def _disk(server: Server) -> int:
    return sum(path.stat().st_size for path in server.data.glob("tidemark.db*"))
