"""Charts of several tasks side by side."""

from __future__ import annotations

import uuid

from tests.client import SINGLE_VALUE_ITER, Client, scalar

MULTI = "events.multi_task_scalar_metrics_iter_histogram"


def test_a_hundred_tasks_come_in_one_answer_each_with_buckets_of_its_own(server: Client) -> None:
    tasks = [uuid.uuid4().hex for _ in range(100)]
    server.add_batch(
        [scalar(task, "m", variant, iter=iter, value=float(n)) for n, task in enumerate(tasks) for variant in "ab" for iter in range(n + 1)]
    )
    charts = server.call(MULTI, tasks=tasks, samples=10)["metrics"]["m"]
    assert list(charts) == ["a", "b"]
    for n, task in enumerate(tasks):
        width = -(-(n + 1) // 10) if n + 1 >= 10 else 1
        assert charts["a"][task] == {"name": task, "x": list(range(0, n + 1, width)), "y": [float(n)] * len(range(0, n + 1, width))}


def test_the_answers_for_one_and_for_many_tasks_agree(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", "v", iter=iter**2, value=iter / 3, timestamp=5000 + 7 * iter) for iter in range(300)])
    for request in (
        {},
        {"samples": 7},
        {"key": "iso_time", "samples": 20},
        {"aggregation": "envelope", "samples": 9, "x_min": 50, "x_max": 40_000},
    ):
        one = server.call("events.scalar_metrics_iter_histogram", task=task, **request)["m"]["v"]
        many = server.call(MULTI, tasks=[task], **request)["metrics"]["m"]["v"][task]
        assert many == {**one, "name": task}


def test_tasks_without_points_are_left_out(server: Client, task: str) -> None:
    only_single, other = uuid.uuid4().hex, uuid.uuid4().hex
    server.add_batch(
        [scalar(task, "m", "v", iter=1), scalar(only_single, "m", "v", iter=SINGLE_VALUE_ITER), scalar(other, "n", "v", iter=1)]
    )
    assert server.call(MULTI, tasks=[task, only_single, other, task], metrics=[{"metric": "m"}])["metrics"] == {
        "m": {"v": {task: {"name": task, "x": [1], "y": [1.0]}}}
    }


def test_the_label_of_the_x_axis_comes_with_its_series(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", "a", iter=1, x_axis_label="epochs"), scalar(task, "m", "b", iter=1)])
    charts = server.call("events.scalar_metrics_iter_histogram", task=task)["m"]
    assert charts["a"]["x_axis_label"] == "epochs" and "x_axis_label" not in charts["b"]


def test_a_zoom_into_a_sparse_series_shows_every_point_in_it(server: Client, task: str) -> None:
    iters = [0, 10, 1000, 1007, 1_000_000]
    server.add_batch([scalar(task, "m", "v", iter=iter, value=float(iter), timestamp=10 * iter) for iter in iters])
    chart = server.call("events.scalar_metrics_iter_histogram", task=task, samples=5, x_min=5, x_max=2000)["m"]["v"]
    assert chart["x"] == [10, 1000, 1007]
    by_time = server.call("events.scalar_metrics_iter_histogram", task=task, samples=5, x_min=50, x_max=20_000, key="timestamp")["m"]["v"]
    assert by_time["x"] == [100, 10_000, 10_070]
    assert server.call("events.scalar_metrics_iter_histogram", task=task, x_min=2_000_000) == {}


def test_charts_of_models_are_read_with_model_events(server: Client) -> None:
    model = uuid.uuid4().hex
    server.add_batch([scalar(model, "m", "v", iter=1, model_event=True)])
    assert server.call("events.scalar_metrics_iter_histogram", task=model, model_events=True)["m"]["v"]["x"] == [1]
    assert server.refused("events.scalar_metrics_iter_histogram", task=model).codes == (400, 101)
    assert server.refused(MULTI, tasks=["nothing"], model_events=True).codes == (400, 201)
