"""How much a task holds: `get_task_storage`."""

from __future__ import annotations

import json
from typing import Any

from tests.client import Client, image, json_lines, log, plot, scalar, vector


def storage(client: Client, task: str) -> dict[str, Any]:
    return client.call("events.get_task_storage", task=task)


def test_counts_bytes_and_times_are_told_per_type(server: Client, task: str) -> None:
    events = [scalar(task, iter=iter, timestamp=1000 + iter) for iter in range(10)]
    events += [log(task, "x" * 100, timestamp=5000), plot(task, timestamp=10), image(task, timestamp=20), vector(task, [1.0], timestamp=30)]
    server.add_batch(events)
    found = storage(server, task)
    by_type = {entry["type"]: entry for entry in found["types"]}
    assert {kind: entry["count"] for kind, entry in by_type.items()} == {
        "training_stats_scalar": 10,
        "training_stats_vector": 1,
        "training_debug_image": 1,
        "plot": 1,
        "log": 1,
    }
    assert (by_type["training_stats_scalar"]["oldest"], by_type["training_stats_scalar"]["newest"]) == (1000, 1009)
    assert by_type["log"]["bytes"] == len(json.dumps(events[10], separators=(",", ":")))
    assert (found["task"], found["count"], found["oldest"], found["newest"]) == (task, 14, 10, 5000)
    assert found["bytes"] == sum(len(line) for line in json_lines(events).split(b"\n"))


def test_a_replaced_event_counts_once(server: Client, task: str) -> None:
    server.add_batch([scalar(task, iter=1, value=1.0), plot(task, plot_str="{}")])
    server.add_batch([scalar(task, iter=1, value=2.0), plot(task, plot_str='{"a": "longer"}')])
    found = {entry["type"]: entry["count"] for entry in storage(server, task)["types"]}
    assert found == {"training_stats_scalar": 1, "plot": 1}


def test_nothing_is_left_after_deleting(server: Client, task: str) -> None:
    server.add_batch([scalar(task), log(task, "x")])
    server.call("events.delete_for_task", task=task)
    assert storage(server, task) == {"task": task, "count": 0, "bytes": 0, "oldest": None, "newest": None, "types": []}
