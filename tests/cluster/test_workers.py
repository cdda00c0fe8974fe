"""Several processes on one store: what one writes, the others read, page and navigate, at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.client import Client
from tests.cluster.conftest import StartWorker
from tests.cluster.sending import T0, Sender
from tests.servers import elasticsearch_address, elasticsearch_url, redis_address


@pytest.fixture
def pair(start_worker: StartWorker, prefix: str) -> list[Client]:
    elasticsearch_url()  # removes what begins with this run's prefix; these tests have prefixes of their own on the same server
    store, state = f"{elasticsearch_address()}?prefix={prefix}", f"{redis_address()}?prefix={prefix}"
    return [start_worker(store, state).client() for _ in range(2)]


def test_what_one_process_accepts_the_other_reads_at_once(pair: list[Client]) -> None:
    sender = Sender(pair)
    for number in range(6):
        sender.send(number)
        reader = pair[(number + 1) % 2]
        chart = reader.call("events.scalar_metrics_iter_histogram", task=sender.task)["loss"]["train"]
        assert chart["x"][-1] == number * 40 + 39 and len(chart["x"]) == (number + 1) * 40
        assert reader.call("events.get_task_log", task=sender.task, batch_size=1)["events"][0]["msg"] == f"batch {number} line 9"
    sender.check(pair[0])
    sender.check(pair[1])


def test_scrolls_and_navigation_go_from_process_to_process(pair: list[Client]) -> None:
    task = "f" * 31 + "1"
    images = [
        {
            "type": "training_debug_image",
            "task": task,
            "metric": "m",
            "variant": "v",
            "iter": step,
            "url": f"http://x/{step}.png",
            "timestamp": T0 + step,
        }
        for step in range(5)
    ]
    pair[0].add_batch(images)
    wanted: dict[str, Any] = {"metrics": [{"task": task, "metric": "m"}], "iters": 1}
    answer = pair[1].call("events.debug_images", **wanted)
    seen = []
    for turn in range(5):
        seen += [iteration["iter"] for iteration in answer["metrics"][0]["iterations"]]
        answer = pair[turn % 2].call("events.debug_images", scroll_id=answer["scroll_id"], navigate_earlier=True, **wanted)
    assert seen == [4, 3, 2, 1, 0]
    page = pair[0].call("events.get_task_events", task=task, batch_size=2)
    found = list(page["events"])
    turn = 1
    while page["returned"]:
        page = pair[turn % 2].call("events.get_task_events", task=task, batch_size=2, scroll_id=page["scroll_id"])
        found += page["events"]
        turn += 1
    assert [event["iter"] for event in found] == [0, 1, 2, 3, 4]


def test_many_clients_on_both_processes_write_one_task(pair: list[Client]) -> None:
    task = "f" * 31 + "2"

    def write(number: int) -> None:
        for part in range(4):
            step = number * 100 + part
            event = {
                "type": "training_stats_scalar",
                "task": task,
                "metric": "m",
                "variant": "v",
                "iter": step,
                "value": float(step),
                "timestamp": T0,
            }
            pair[part % 2].add_batch([event, event | {"metric": "same", "iter": part, "value": 1.0}])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = pair[0].call("tasks.get_by_id", task=task)["task"]
    by_metric = {variant["metric"]: variant for metric in found["last_metrics"].values() for variant in metric.values()}
    assert (by_metric["m"]["count"], by_metric["m"]["max_value"], by_metric["m"]["mean_value"]) == (24, 503.0, 251.5)
    assert (by_metric["same"]["count"], by_metric["same"]["mean_value"]) == (4, 1.0)
    assert found["last_iteration"] == 503


def test_several_workers_in_one_server(start_worker: StartWorker, prefix: str) -> None:
    server = start_worker(f"{elasticsearch_address()}?prefix={prefix}", f"{redis_address()}?prefix={prefix}", "--workers", "3")
    sender = Sender([server.client()])
    for number in range(8):
        sender.send(number)
    sender.check(sender.clients[0])
