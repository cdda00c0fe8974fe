"""Calls that name many tasks or models: what depends on them is looked up once for many, not by reading a whole table for each."""

from __future__ import annotations

import uuid

from tests.client import Client, scalar
from tests.conftest import StartServer
from tests.process import Server

TASKS, MODELS = 3_000, 300


def fill(client: Client) -> list[str]:
    tasks = [uuid.uuid4().hex for _ in range(TASKS)]
    for first in range(0, TASKS, 1_000):
        client.add_batch([scalar(task) for task in tasks[first : first + 1_000]])
    return tasks


def spent(server: Server, endpoint: str, ids: list[str]) -> float:
    """CPU seconds of the call, which does it to all of them."""
    before = server.cpu_seconds()
    answer = server.client().call(endpoint, ids=ids, force=True)
    assert (len(answer["succeeded"]), answer["failed"]) == (len(ids), [])
    return server.cpu_seconds() - before


def test_models_are_removed_without_reading_all_tasks_for_each(start_embedded: StartServer) -> None:
    """300 models among 3,000 tasks took 3.8 s, now 0.35."""
    server = start_embedded()
    client = server.client()
    tasks = fill(client)
    models = [str(client.call("models.create", name="m", uri=f"s3://{number}", task=tasks[number])["id"]) for number in range(MODELS)]
    assert spent(server, "models.delete_many", models) < 1.2
