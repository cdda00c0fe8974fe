"""Issue 3 on the embedded store: images, many tasks, deletes."""

from __future__ import annotations

import time
from typing import Any

from tests.bench.load import SERIES, ask, data, images, new_id, scalars, send, watching
from tests.bench.measure import Report, median, percentile, repeated
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
    pages = repeated(lambda: ask(client, "events.debug_images", metrics=[{"task": task}], iters=5), 5)
    report.add("first page of debug images", median(pages) * 1000, "ms", most=100)
    shown = data(client, "events.get_debug_image_sample", task=task, metric="img", variant="v5")
    state: dict[str, Any] = {"scroll_id": shown["scroll_id"]}

    def step() -> None:
        found = data(client, "events.next_debug_image_sample", task=task, scroll_id=state["scroll_id"], navigate_earlier=True)
        assert found["event"] is not None
        state["scroll_id"] = found["scroll_id"]

    seconds = repeated(step, 60)
    report.add("next image, p95", percentile(seconds, 95) * 1000, "ms", most=step_ms, note=f"median {median(seconds) * 1000:.1f}")


def many_tasks(
    report: Report, client: Client, tasks: int = 100, points: int = 1000, *, all_most: float | None = 0.6, few_most: float | None = None
) -> None:
    """One chart call over many tasks."""
    report.heading(f"Multi-task histogram: {tasks} tasks × 8 series × {points:,} points")
    ids = [new_id() for _ in range(tasks)]
    for task in ids:
        send(client, scalars(task, 0, points * len(SERIES)))
    next_iter = [points]

    def touch() -> None:
        for task in ids:  # nothing may come from a cache
            send(client, scalars(task, next_iter[0], 1))
        next_iter[0] += 1

    def compare(**request: Any) -> None:
        ask(client, "events.multi_task_scalar_metrics_iter_histogram", tasks=ids, **request)

    report.add("all points", median(repeated(compare, 3, touch)), "s", most=all_most)
    report.add("50 samples", median(repeated(lambda: compare(samples=50), 3, touch)), "s", most=few_most)
    compare(samples=50)
    report.add("50 samples, asked again without new data", median(repeated(lambda: compare(samples=50), 9)) * 1000, "ms", most=10)
    size = len(ask(client, "events.multi_task_scalar_metrics_iter_histogram", tasks=ids)) / 1e6
    report.add(
        "all points, asked again without new data", median(repeated(compare, 5)) * 1000, "ms", note=f"{size:.1f} MB go through the socket"
    )


def deleting(report: Report, server: Server, task: str, count: int) -> None:
    """Delete the events of a task with a million points while others ping."""
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
