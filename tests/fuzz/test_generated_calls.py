"""Calls of all endpoints, made from the schema files: no answer is a 5xx, and no answer breaks its own schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.answers import check_data, schemas
from tests.client import Client, image, log, plot, scalar, vector
from tests.conftest import own_store
from tests.fuzz.costs import check_memory, costs_seconds
from tests.fuzz.generated import Caller, Pool
from tests.fuzz.odd_events import odd_events
from tests.fuzz.test_broken_batches import in_threads, numbers
from tests.process import Server

LEFT_OUT: set[str] = set()
"""Endpoints that would end the run: none so far."""


@pytest.fixture(scope="module")
def own_server(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may be filled with rubbish, and whose passwords and keys may be changed."""
    server = Server(tmp_path_factory.mktemp("generated"), own_store(engine_env), check=check_data)
    try:
        yield server.start()
    finally:
        server.stop()


def fill(client: Client, task: str, *, model: bool = False) -> None:
    flag = {"model_event": True} if model else {}
    lines = [scalar(task, "loss", "train", iter=i, value=i / 3, timestamp=1_700_000_000_000 + i, **flag) for i in range(30)]
    lines += [scalar(task, "Summary", "acc", iter=-(2**31), value=0.5, **flag), scalar(task, "loss", "train", iter=None, **flag)]
    lines += [image(task, "img", v, iter=i, url=f"http://f/{i % 4}{v}", **flag) for i in range(8) for v in "lr"]
    lines += [plot(task, "roc", "x", iter=i, plot_str='{"data": []}', **flag) for i in range(5)] + [
        vector(task, [1, 2.5], iter=i, **flag) for i in range(3)
    ]
    if not model:
        lines += [log(task, f"line {i}", timestamp=1_700_000_000_000 + i // 3) for i in range(40)]
    client.add_batch(lines)


def attempt(client: Client, pool: Pool, crashed: dict[str, str], seed: int, name: str, version: str, body: Any) -> int | None:
    """Make a generated call: its status. What it answers feeds the pool, a crash or an answer against its schema is noted (None)."""
    try:
        sent = json.dumps(body).encode()
    except UnicodeEncodeError:
        return None
    try:
        answer = client.raw(f"/v{version}/{name}", sent, headers={"Content-Type": "application/json"})
    except AssertionError as error:
        crashed.setdefault(name, f"seed {seed}, v{version}, {sent[:600]!r}: {error}")
        return None
    if answer.status >= 500:
        crashed.setdefault(name, f"seed {seed}, v{version}, {sent[:600]!r}: {answer.status} {answer.body[:300]!r}")
    elif answer.status == 200 and answer.headers.get("content-type") == "application/json":
        pool.learn(name, body, answer.data)
    return answer.status


def test_generated_calls_never_crash_and_answer_what_their_schema_says(own_server: Server, request: pytest.FixtureRequest) -> None:
    client = own_server.client()
    tasks = [client.new_task(f"task {i}") for i in range(4)] + ["fuzz-a", "fuzz-b"]
    projects = [client.call("projects.create", name=f"project {i}")["id"] for i in range(2)]
    models = [f"fuzz-model-{i}" for i in range(3)]
    pool = Pool(tasks, models, projects)
    caller = Caller(schemas(), pool, LEFT_OUT)
    crashed: dict[str, str] = {}

    def work(seed: int) -> None:
        if seed % 50 == 0:
            fresh = f"fuzz-{seed}"
            if seed % 100:
                fill(client, fresh)
                fill(client, f"model-{seed}", model=True)
            else:
                client.add_batch(odd_events(seed, fresh))
                client.add_batch(odd_events(seed, f"model-{seed}", model=True))
            pool.renew(fresh, f"model-{seed}")
        with costs_seconds(own_server):
            attempt(client, pool, crashed, seed, *caller.call(seed))

    for task in tasks:
        fill(client, task)
    for model in models:
        fill(client, model, model=True)
    seeds = numbers(request.config)
    in_threads(work, seeds[: len(seeds) // 2])
    before = own_server.resident_bytes()
    in_threads(work, seeds[len(seeds) // 2 :])
    check_memory(own_server, before)
    assert not crashed, f"{len(crashed)} endpoints:\n" + "\n".join(f"{name}: {what}" for name, what in sorted(crashed.items()))
    assert client.raw("/debug.ping").codes == (200, 0)
