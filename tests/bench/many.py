"""Calls that name a thousand tasks or models."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.bench.load import data
from tests.bench.measure import Report
from tests.client import Client, scalar

COUNT = 1_000
TASK_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("tasks.archive_many", {}),
    ("tasks.update_tags", {"add_tags": ["a"]}),
    ("tasks.stop_many", {}),
    ("tasks.publish_many", {}),
    ("tasks.reset_many", {"force": True, "delete_output_models": False}),
    ("tasks.delete_many", {"force": True}),
]
MODEL_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("models.archive_many", {}),
    ("models.publish_many", {"publish_task": False}),
    ("models.delete_many", {"force": True}),
]


def many(report: Report, client: Client) -> None:
    """Tasks with 20 parameters, a batch of events and an output model each: what is done to all of them by one call."""
    report.heading(f"One call for {COUNT:,} tasks, each with a model; one for {COUNT:,} models")
    with ThreadPoolExecutor(8) as pool:
        tasks = list(pool.map(lambda number: _task(client, number), range(COUNT)))
        for task in tasks:
            data(client, "tasks.started", task=task)
        models = list(pool.map(lambda number: _model(client, number, None), range(COUNT)))
        list(pool.map(lambda task: _model(client, 0, task), tasks))
    for ids, calls in ((tasks, TASK_CALLS), (models, MODEL_CALLS)):
        for endpoint, options in calls:
            report.add(endpoint, _call(client, endpoint, ids, options), "s")


def _call(client: Client, endpoint: str, ids: Sequence[str], options: dict[str, Any]) -> float:
    begun = time.perf_counter()
    answer = data(client, endpoint, ids=ids, **options)
    seconds = time.perf_counter() - begun
    assert not answer.get("failed"), answer["failed"][0]
    return seconds


def _task(client: Client, number: int) -> str:
    parameters = {f"p{k}": {"value": str(k * number), "type": "int"} for k in range(20)}
    task = data(client, "tasks.create", name=f"many {number}", type="training", hyperparams={"General": parameters})["id"]
    client.add_batch([scalar(task, "loss", "train", iter=1)])
    return str(task)


def _model(client: Client, number: int, task: str | None) -> str:
    body = {"name": f"many {number}", "uri": f"s3://many/{task or number}", "ready": False, **({"task": task} if task else {})}
    return str(data(client, "models.create", **body)["id"])
