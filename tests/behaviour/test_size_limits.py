"""The size of one thing is limited, by settings that the refusal names; long lists give way."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.client import Client, image, scalar
from tests.conftest import StartServer
from tests.process import Server


@pytest.fixture
def small(start_server: StartServer) -> Iterator[Server]:
    yield start_server(
        TIDEMARK__events__max_batch_tasks="3",
        TIDEMARK__events__max_batch_series="5",
        TIDEMARK__engine__company_state_bytes="8000",
        TIDEMARK__runs__max_lines="100",
        TIDEMARK__runs__max_runs="4",
    )


def test_limits_name_themselves_and_nothing_is_stored(small: Server, task: str) -> None:
    client = small.client()
    for setting, events in {
        "events.max_batch_tasks": [scalar(f"{task}-{number}") for number in range(4)],
        "events.max_batch_series": [scalar(task, f"m{number}") for number in range(6)],
    }.items():
        answer = client.send_batch(events)
        assert answer.codes == (400, 12) and setting in answer.meta["result_msg"]
    assert client.call("tasks.get_all", _any_={"pattern": task, "fields": ["id"]})["tasks"] == []
    client.add_batch([scalar(task, f"m{number}", iter=iter) for number in range(5) for iter in range(9)])
    answer = client.send("POST", f"/api/runs/{task}/events", b"\n" * 4_000_000)
    assert answer.status == 413 and "runs.max_lines" in answer.body.decode()


def test_runs_are_listed_in_pages(small: Server) -> None:
    client = small.client()
    made = [client.new_task(f"run {number}") for number in range(9)]
    pages = [client.send("GET", f"/api/runs?offset={offset}").json for offset in (0, 4, 8)]
    listed = [run["id"] for page in pages for run in page if run["id"] in made]
    assert [len(page) for page in pages][:2] == [4, 4] and sorted(listed) == sorted(made)
    assert len(client.send("GET", "/api/runs?limit=2").json) == 2
    assert client.send("GET", "/api/runs?limit=5").status == 422


def test_lists_of_ids_are_limited(server: Client) -> None:
    answer = server.refused("tasks.delete_many", ids=[str(number) for number in range(1_001)])
    assert answer.codes == (400, 12) and "1000" in str(answer)


def test_an_answer_about_broken_lines_is_bounded(server: Client, task: str) -> None:
    answer = server.send("POST", f"/api/runs/{task}/events?error_lines=1000000", b"{\n" * 100_000)
    assert answer.status == 400 and len(answer.body) < 2_000_000
    assert answer.json["errors"] == 100_000 and answer.json["error_lines"][0]["line"] == 1


def test_a_navigation_that_needs_too_large_a_state_is_refused_and_others_go_on(small: Server, task: str) -> None:
    client = small.client()
    names = [random.Random(number).randbytes(450).hex() for number in range(20)]  # noise can't be compressed by more than half
    client.add_batch([image(task, "img", name, iter=iter) for name in names for iter in range(3)] + [image(task, "few", iter=2)])
    answer = client.refused("events.debug_images", metrics=[{"task": task}])
    assert answer.codes == (400, 16) and "engine.company_state_bytes" in answer.meta["result_msg"]
    few = {"metrics": [{"task": task, "metric": "few"}]}
    first = client.call("events.debug_images", **few)["scroll_id"]
    for _ in range(30):  # each is a state; the first one is pushed out, and begins anew when it is asked for
        client.call("events.debug_images", **few)
    iterations = client.call("events.debug_images", **few, scroll_id=first)["metrics"][0]["iterations"]
    assert [iteration["iter"] for iteration in iterations] == [2]
