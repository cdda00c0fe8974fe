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
from tests.operations.samples import samples
from tests.process import Server

TOO_MANY = "tidemark_refused_events_total", (("reason", "too many series"),)
SCALARS = "tidemark_events_total", (("type", "training_stats_scalar"),)


@pytest.fixture
def small(start_server: StartServer) -> Iterator[Server]:
    yield start_server(
        TIDEMARK__events__max_batch_tasks="3",
        TIDEMARK__events__max_batch_series="5",
        TIDEMARK__events__max_batch_lines="12000",
        TIDEMARK__events__max_task_series="8",
        TIDEMARK__events__max_chart_series="6",
        TIDEMARK__events__max_chart_points="50",
        TIDEMARK__events__max_list_series="10",
        TIDEMARK__events__max_answer_bytes="250000",
        TIDEMARK__engine__company_state_bytes="4000",
        TIDEMARK__runs__max_lines="100",
        TIDEMARK__runs__max_runs="4",
        TIDEMARK__runs__max_points="100",
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
    for body in (b"\n", b"\r", b"\r\n", b"x\n", b" \r", json.dumps(scalar(task, "m0")).encode() + b"\n"):
        refused = client.send_batch(body * 12_001)
        assert refused.codes == (400, 12) and "events.max_batch_lines" in refused.meta["result_msg"]
    assert client.send_batch(b"x\r\n" * 12_000).codes == (400, 131)
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


def test_what_is_refused_moves_and_counts_nothing(small: Server, task: str) -> None:
    client = small.client()
    for numbers in (range(5), range(5, 8)):
        client.add_batch([scalar(task, f"m{number}") for number in numbers])
    refused = [scalar(task, "m9", iter=90), plot(task, iter=91), image(task, iter=92), log(task, "a line", iter=93, timestamp=1)]
    row = json.dumps({"type": "metrics", "data": {"global_step": 94, "m9": 1.0}}).encode()

    def state() -> tuple[Any, ...]:
        body = client.call("tasks.get_by_id", task=task)["task"]
        stored = {key: value for key, value in samples(small).items() if key[0] == "tidemark_events_total"}
        return body["last_iteration"], body["last_update"], body["last_change"], body["status"], stored

    before, refusals = state(), samples(small).get(TOO_MANY, 0)
    assert client.send_batch(refused).codes == (400, 131)
    assert client.send("POST", f"/api/runs/{task}/events", row).status == 400
    assert state() == before and samples(small)[TOO_MANY] - refusals == 5
    # Beside something that is stored, and for another task.
    client.add_batch([*refused, scalar(task, "m0", iter=1), scalar(f"{task}-other", iter=5)])
    body = client.call("tasks.get_by_id", task=task)["task"]
    assert body["last_iteration"] == 1 and samples(small)[SCALARS] - before[-1][SCALARS] == 2
    # A retry of log lines that were refused stores them as soon as there is place.
    client.call("events.delete_for_task", task=task)
    assert client.send_batch(refused).data["added"] == 4 and len(client.log(task)) == 1


def test_the_events_of_an_answer_are_bounded(small: Server, task: str) -> None:
    client = small.client()
    client.add_batch([plot(task, variant=f"v{number}", iter=number, plot_str=json.dumps(["x" * 100_000])) for number in range(3)])
    client.add_batch([log(task, "x" * 100_000, timestamp=1_000 + number) for number in range(3)])
    client.add_batch([image(task, variant=f"v{number}", note={"text": "x" * 100_000}) for number in range(3)])
    for endpoint, request in (
        ("get_task_plots", {"task": task}),
        ("get_multi_task_plots", {"tasks": [task], "no_scroll": True, "iters": 3}),
        ("plots", {"metrics": [{"task": task}], "iters": 3}),
        ("debug_images", {"metrics": [{"task": task}]}),
        ("get_task_events", {"task": task, "event_type": "plot"}),
        ("get_task_log", {"task": task}),
        ("get_task_log_lines", {"task": task, "start": 0}),
    ):
        refused = client.refused(f"events.{endpoint}", request)
        assert refused.codes == (400, 16) and "events.max_answer_bytes" in str(refused), endpoint
    assert len(client.call("events.get_task_plots", task=task, metrics=[{"metric": "roc", "variants": ["v1"]}])["plots"]) == 1
    assert client.call("events.get_task_events", task=task, event_type="plot", batch_size=2)["returned"] == 2
    assert client.call("events.get_task_log", task=task, batch_size=2)["returned"] == 2


@pytest.mark.one_engine  # Elasticsearch takes 15 s to count the positions of 10,000 lines
def test_a_page_of_a_log_of_one_millisecond_is_bounded(server: Client, small: Server, task: str) -> None:
    lines = [log(task, f"line {number}", timestamp=1_000) for number in range(10_200)]
    small.client().add_batch(lines)
    refused = small.client().refused("events.get_task_log", task=task, batch_size=5)
    assert refused.codes == (400, 16) and "events.max_answer_bytes" in str(refused)
    server.add_batch(lines)
    found, scroll = [], None
    while scroll is not None or not found:
        page = server.call(
            "events.get_task_log", {"task": task, "batch_size": 5, "search": "line", **({"scroll_id": scroll} if scroll else {})}
        )
        found.append([event["msg"] for event in page["events"]])
        scroll = page["scroll_id"]
    assert [len(lines) for lines in found] == [10_005, 195] and len({line for lines in found for line in lines}) == 10_200


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

    # The runs API holds the rows of a run together where it chooses some, or puts them in order of time; others are streamed.
    run, fast = f"/api/runs/{tasks[0]}", f"/api/v2/experiments/{tasks[0]}/metrics/fast"
    for path in (f"{run}/metrics_step?downsample=100", f"{run}/metrics", f"{run}/metrics?step_range=1:2", f"{fast}?downsample=10"):
        answer = client.send("GET", path)
        assert answer.status == 400 and "runs.max_points" in answer.json["detail"]
    for path, rows in ((f"{run}/metrics_step", 40), (f"{run}/metrics_step?downsample=100&step_range=5:14", 10), (fast, 40)):
        assert len(client.send("GET", path).json["rows"]) == rows

    client.add_batch([vector(tasks[0], list(range(20)), "few", iter=iter) for iter in range(2)])
    client.add_batch([vector(tasks[1], list(range(20)), "many", iter=iter) for iter in range(3)])
    few = client.call("events.vector_metrics_iter_histogram", task=tasks[0], metric="few", variant="v")
    assert [len(one) for one in few["vectors"]] == [20, 20]
    refused = client.refused("events.vector_metrics_iter_histogram", task=tasks[1], metric="many", variant="v")
    assert refused.codes == (400, 16) and "events.max_chart_points" in str(refused)

    for endpoint, request in (
        ("get_task_metrics", {"event_type": "training_stats_scalar"}),
        ("get_multi_task_metrics", {}),
        ("get_task_single_value_metrics", {}),
        ("get_thumbnails", {}),
    ):
        refused = client.refused(f"events.{endpoint}", {"tasks": tasks, **request})
        assert refused.codes == (400, 12) and "events.max_list_series" in str(refused), endpoint

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


def test_a_document_is_as_long_as_mongodb_takes_them(server: Client, task: str) -> None:
    id = server.new_task()
    part = "x" * 9_000_000
    server.call("tasks.edit", task=id, comment=part)
    refused = server.refused("tasks.edit_configuration", task=id, configuration=[{"name": "a", "value": part}])
    assert refused.codes == (400, 12) and "16,000,000" in str(refused)
    assert server.refused("models.create", name="m", uri="file:///m", comment=part, metadata=[{"key": "k", "value": part}]).codes == (
        400,
        12,
    )
    answer = server.send(
        "PUT", f"/api/runs/{task}/meta", json.dumps({"summary": {"a": part, "b": part}}).encode(), {"Content-Type": "application/json"}
    )
    assert answer.status == 400
    assert server.task(id)["comment"] == part


def test_a_document_holds_a_bounded_number_of_values(server: Client) -> None:
    """Each is found by its path, so a long name above many values makes a document of 16 MB many times as long."""
    id, name = server.new_task(), "n" * 300
    values = {str(number): number for number in range(90_000)}
    server.call("tasks.edit", task=id, runtime={name: values})
    assert [task["id"] for task in server.call("tasks.get_all", {"id": [id], f"runtime.{name}.77777": [77_777]})["tasks"]] == [id]
    for more in ({name: {**values, **{f"x{number}": 0 for number in range(10_001)}}}, {name: [[]] * 100_001}):
        refused = server.refused("tasks.edit", task=id, runtime=more)
        assert refused.codes == (400, 12) and "100000" in str(refused)
    assert len(server.task(id)["runtime"][name]) == 90_000
