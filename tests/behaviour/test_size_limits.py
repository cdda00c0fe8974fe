"""The size of one thing is limited, by settings that the refusal names; long lists give way."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from apiserver.stores.records import name_hash
from tests.client import Client, image, log, plot, scalar, vector
from tests.conftest import StartServer
from tests.process import Server


@pytest.fixture
def small(start_server: StartServer) -> Iterator[Server]:
    yield start_server(
        TIDEMARK__events__max_batch_tasks="3",
        TIDEMARK__events__max_batch_series="5",
        TIDEMARK__events__max_task_series="8",
        TIDEMARK__events__max_chart_series="6",
        TIDEMARK__events__max_chart_points="50",
        TIDEMARK__events__max_list_series="10",
        TIDEMARK__engine__company_state_bytes="4000",
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
    names = [random.Random(number).randbytes(500).hex() for number in range(7)]  # 1,000 letters each, 500 bytes when they are compressed
    client.add_batch([image(task, "img", name, iter=iter) for name in names for iter in range(3)] + [image(task, "few", iter=2)])
    answer = client.refused("events.debug_images", metrics=[{"task": task}])
    assert answer.codes == (400, 16) and "engine.company_state_bytes" in str(answer)
    few = {"metrics": [{"task": task, "metric": "few"}]}
    first = client.call("events.debug_images", **few)["scroll_id"]
    for _ in range(30):  # each is a state; the first one is pushed out, and begins anew when it is asked for
        client.call("events.debug_images", **few)
    iterations = client.call("events.debug_images", **few, scroll_id=first)["metrics"][0]["iterations"]
    assert [iteration["iter"] for iteration in iterations] == [2]


def test_series_of_a_task_are_limited_over_several_batches(small: Server, task: str) -> None:
    client = small.client()
    first = [scalar(task, f"m{number}") for number in range(5)]
    assert client.add_batch(first)["errors"] == 0
    answer = client.add_batch([scalar(task, f"m{number}") for number in range(5, 10)])
    assert (answer["added"], answer["errors"], answer["errors_info"]) == (3, 2, {"too many series": 2})
    assert [(line["line"], line["field"]) for line in answer["error_lines"]] == [(4, "variant"), (5, "variant")]
    assert all("events.max_task_series" in line["reason"] for line in answer["error_lines"])
    # Series that are there go on, whatever else is in the batch; every kind of event counts.
    mixed = [
        scalar(task, "m9", iter=1),
        scalar(task, "m0", iter=1),
        plot(task),
        image(task),
        log(task, "a line", timestamp=1_700_000_000_000),
    ]
    answer = client.add_batch(mixed)
    assert (answer["added"], [line["line"] for line in answer["error_lines"]]) == (1, [1, 3, 4, 5])
    assert client.send_batch(mixed[:1]).codes == (400, 131)
    names = client.call("events.get_scalar_metrics_and_variants", task=task)["metrics"]
    assert sorted(names) == [f"m{number}" for number in range(8)] and client.log(task) == []
    assert client.call("tasks.get_by_id", task=task)["task"]["last_iteration"] == 1
    client.call("events.delete_for_task", task=task)
    assert client.add_batch([scalar(task, f"n{number}") for number in range(5)])["errors"] == 0


def test_charts_and_lists_are_bounded(small: Server, task: str) -> None:
    client = small.client()
    tasks = [f"{task}-{number}" for number in range(2)]
    for id in tasks:
        for group in (range(4), range(4, 7)):
            client.add_batch([scalar(id, f"m{number}", iter=iter) for number in group for iter in range(40)])
    for request in ({"task": tasks[0]}, {"tasks": tasks, "metrics": [{"metric": f"m{number}"} for number in range(4)]}):
        name = "multi_task_scalar_metrics_iter_histogram" if "tasks" in request else "scalar_metrics_iter_histogram"
        refused = client.refused(f"events.{name}", **request)
        assert refused.codes == (400, 12) and "events.max_chart_series" in str(refused)
    five = [{"metric": f"m{number}"} for number in range(5)]
    charts = client.histogram(tasks[0], metrics=five)
    assert [len(charts[one["metric"]]["train"]["x"]) for one in five] == [len(charts["m0"]["train"]["x"])] * 5
    assert 25 <= sum(len(chart["train"]["x"]) for chart in charts.values()) <= 50
    refused = client.refused("events.scalar_metrics_iter_histogram", task=tasks[0], metrics=five, samples=0)
    assert refused.codes == (400, 12) and "events.max_chart_points" in str(refused)
    zoomed = client.histogram(tasks[0], metrics=five, samples=0, x_min=10, x_max=19)
    assert [chart["train"]["x"] for chart in zoomed.values()] == [list(range(10, 20))] * 5

    client.add_batch([vector(tasks[0], list(range(20)), "few", iter=iter) for iter in range(2)])
    client.add_batch([vector(tasks[1], list(range(20)), "many", iter=iter) for iter in range(3)])
    few = client.call("events.vector_metrics_iter_histogram", task=tasks[0], metric="few", variant="v")
    assert [len(one) for one in few["vectors"]] == [20, 20]
    refused = client.refused("events.vector_metrics_iter_histogram", task=tasks[1], metric="many", variant="v")
    assert refused.codes == (400, 16) and "events.max_chart_points" in str(refused)

    path = f"last_metrics.{name_hash('m3')}.{name_hash('train')}.value"
    for name in ("tasks.get_all", "tasks.get_all_ex"):
        refused = client.refused(name, id=tasks)
        assert refused.codes == (400, 12) and "events.max_list_series" in str(refused)
        assert len(client.call(name, id=tasks, only_fields=["name"])["tasks"]) == 2
        values = client.call(name, id=tasks, only_fields=[path])["tasks"]
        assert [body["last_metrics"][name_hash("m3")][name_hash("train")] for body in values] == [{"value": 1.0}] * 2
        assert len(client.call(name, id=tasks, page=1, page_size=1)["tasks"][0]["last_metrics"]) == 7


def test_a_row_with_series_too_many_keeps_the_others(small: Server, task: str) -> None:
    def send(*rows: dict[str, float]) -> dict[str, Any]:
        lines = [json.dumps({"type": "metrics", "data": {"global_step": step, **row}}) for step, row in enumerate(rows)]
        answer = small.client().send("POST", f"/api/runs/{task}/events", "\n".join(lines).encode())
        found: dict[str, Any] = answer.json
        return found

    first = send(
        {f"m{number}": 1.0 for number in range(6)}, {f"m{number}": 1.0 for number in range(4, 12)}, {"m11": 1.0, "m0": 2.0}, {"m12": 1.0}
    )
    assert (first["added"], first["errors"]) == (3, 3)
    assert [line["line"] for line in first["error_lines"]] == [2, 3, 4]
    assert all("events.max_task_series" in line["reason"] for line in first["error_lines"])
    rows = small.client().send("GET", f"/api/runs/{task}/metrics_step").json
    assert rows["total"] == 3 and {f"m{number}" for number in range(8)} <= set(rows["columns"]) and "m8" not in rows["columns"]
