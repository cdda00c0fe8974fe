"""The other reads of scalars and vectors."""

from __future__ import annotations

import pytest

from tests.client import SCALAR, SINGLE_VALUE_ITER, Client, log, plot, scalar, vector


def test_latest_values_are_true_last_values_and_true_means(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", "v", iter=iter, value=float(iter)) for iter in range(200)])
    server.add_batch([scalar(task, "a", "neg", iter=5, value=-3.0), scalar(task, "a", "zero", iter=7, value=0.0)])
    found = server.call("events.get_task_latest_scalar_values", task=task)
    assert [(metric["name"], [variant["name"] for variant in metric["variants"]]) for metric in found["metrics"]] == [
        ("a", ["neg", "zero"]),
        ("m", ["v"]),
    ]
    negative, zero = found["metrics"][0]["variants"]
    assert (negative["last_value"], zero["last_value"]) == (-3.0, 0.0)
    [series] = found["metrics"][1]["variants"]
    assert (series["last_value"], series["last_10_value"], series["last_100_value"]) == (199.0, 194.5, 149.5)
    assert (found["last_iter"], found["name"], found["status"]) == (199, task, "in_progress")
    assert found["last_timestamp"] > 1_700_000_000_000


def test_latest_values_of_an_empty_task_are_empty(server: Client) -> None:
    found = server.call("events.get_task_latest_scalar_values", task=server.new_task("nothing yet"))
    assert (found["metrics"], found["last_iter"], found["name"], found["status"], found["last_timestamp"]) == (
        [],
        0,
        "nothing yet",
        "created",
        0,
    )


def test_last_iter_looks_at_every_event_type_and_may_be_negative(server: Client, task: str) -> None:
    server.add_batch([scalar(task, iter=-5)])
    assert server.call("events.get_task_latest_scalar_values", task=task)["last_iter"] == -5
    server.add_batch([plot(task, iter=12)])
    assert server.call("events.get_task_latest_scalar_values", task=task)["last_iter"] == 12


def test_single_values_are_listed_per_task_with_their_latest_report(server: Client) -> None:
    one, two, none = server.new_task("one"), server.new_task("two"), server.new_task("none")
    server.add_batch([scalar(one, "Summary", "acc", iter=SINGLE_VALUE_ITER, value=0.1, timestamp=1000)])
    server.add_batch([scalar(one, "Summary", "acc", iter=SINGLE_VALUE_ITER, value=0.9, timestamp=2000), scalar(one, iter=1)])
    server.add_batch([scalar(two, "Summary", "f1", iter=SINGLE_VALUE_ITER, value=0.5, timestamp=3000)])
    found = server.call("events.get_task_single_value_metrics", tasks=[one, two, none])["tasks"]
    assert sorted(found, key=lambda entry: str(entry["task_name"])) == [
        {"task": one, "task_name": "one", "values": [{"metric": "Summary", "variant": "acc", "value": 0.9, "timestamp": 2000}]},
        {"task": two, "task_name": "two", "values": [{"metric": "Summary", "variant": "f1", "value": 0.5, "timestamp": 3000}]},
    ]


def test_metrics_and_variants_list_all_scalars_in_order(server: Client, task: str) -> None:
    server.add_batch(
        [scalar(task, "Summary", "x", iter=SINGLE_VALUE_ITER), *[scalar(task, metric, variant) for metric in "ba" for variant in "zy"]]
    )
    found = server.call("events.get_scalar_metrics_and_variants", task=task)["metrics"]
    assert [(metric, variants) for metric, variants in found.items()] == [("Summary", ["x"]), ("a", ["y", "z"]), ("b", ["y", "z"])]


def test_a_hundred_metrics_of_sixty_variants_are_all_listed(server: Client, task: str) -> None:
    server.add_batch([scalar(task, f"m{m:03d}", f"v{v:02d}", iter=1) for m in range(100) for v in range(60)])
    found = server.call("events.get_scalar_metrics_and_variants", task=task)["metrics"]
    assert len(found) == 100 and {len(variants) for variants in found.values()} == {60}
    latest = server.call("events.get_task_latest_scalar_values", task=task)["metrics"]
    assert {len(metric["variants"]) for metric in latest} == {60}


@pytest.mark.parametrize(
    ("event_type", "names"),
    [(SCALAR, ["loss"]), ("log", []), ("plot", ["roc"]), ("*", ["loss", "roc", "vec"]), ("training_stats_vector", ["vec"])],
)
def test_task_metrics_count_events_with_an_iteration(server: Client, task: str, event_type: str, names: list[str]) -> None:
    other = server.new_task()
    server.add_batch([scalar(task), scalar(task, "Summary", iter=SINGLE_VALUE_ITER), log(task, "x"), plot(task), vector(task, [1.0])])
    found = server.call("events.get_task_metrics", tasks=[task, other, task], event_type=event_type)["metrics"]
    assert found == [{"task": task, "metrics": names}, {"task": other, "metrics": []}, {"task": task, "metrics": names}]


def test_log_lines_with_metric_and_iteration_are_listed(server: Client, task: str) -> None:
    lines = [log(task, "a", metric="stage", variant="v", iter=3), log(task, "b", metric="no iteration"), log(task, "c", iter=4)]
    server.add_batch([*lines, log(task, "d", metric="single", iter=SINGLE_VALUE_ITER), scalar(task)])
    for event_type, names in (("log", ["stage"]), ("*", ["loss", "stage"]), (SCALAR, ["loss"])):
        found = server.call("events.get_task_metrics", tasks=[task], event_type=event_type)["metrics"]
        assert found == [{"task": task, "metrics": names}]


def test_vectors_of_mixed_case_names_are_read_back(server: Client, task: str) -> None:
    server.add_batch([vector(task, [iter, iter / 2], "Hist of W", "Layer-1", iter=iter) for iter in (3, 1, 2)])
    request = {"task": task, "metric": "Hist of W", "variant": "Layer-1"}
    assert server.call("events.vector_metrics_iter_histogram", request) == {
        "metric": "Hist of W",
        "variant": "Layer-1",
        "vectors": [[1, 0.5], [2, 1.0], [3, 1.5]],
        "iterations": [1, 2, 3],
    }
    assert server.call("events.get_vector_metrics_and_variants", task=task)["metrics"] == {"Hist of W": ["Layer-1"]}


def test_a_single_value_in_a_series_that_also_has_iterations_is_listed(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", "v", iter=SINGLE_VALUE_ITER, value=0.25, timestamp=7), scalar(task, "m", "v", iter=3, value=1.0)])
    [entry] = server.call("events.get_task_single_value_metrics", tasks=[task])["tasks"]
    assert entry["values"] == [{"metric": "m", "variant": "v", "value": 0.25, "timestamp": 7}]
    [metric] = server.call("events.get_task_latest_scalar_values", task=task)["metrics"]
    assert (metric["variants"][0]["last_value"], metric["variants"][0]["last_10_value"]) == (1.0, 1.0)


def test_single_values_of_named_metrics_only(server: Client, task: str) -> None:
    server.add_batch([scalar(task, metric, variant, iter=SINGLE_VALUE_ITER) for metric in "ab" for variant in "xy"])
    request = {"tasks": [task], "metrics": [{"metric": "b", "variants": ["y"]}, {"metric": "nothing"}]}
    [entry] = server.call("events.get_task_single_value_metrics", request)["tasks"]
    assert [(value["metric"], value["variant"]) for value in entry["values"]] == [("b", "y")]


def test_a_scalar_without_iteration_has_a_latest_value_too(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", "v", iter=None, value=5.0)])
    [metric] = server.call("events.get_task_latest_scalar_values", task=task)["metrics"]
    assert metric["variants"][0]["last_value"] == 5.0


def test_metrics_of_many_tasks_are_joined_whatever_their_iterations(server: Client, task: str) -> None:
    other = server.new_task()
    server.add_batch([scalar(task, "m", "b"), scalar(task, "Summary", "x", iter=SINGLE_VALUE_ITER), log(task, "line")])
    server.add_batch([scalar(other, "m", "a"), scalar(other, "a", "z"), plot(other, "roc")])
    found = server.call("events.get_multi_task_metrics", tasks=[task, other, task], event_type=SCALAR)["metrics"]
    assert [(entry["metric"], entry["variants"]) for entry in found] == [("Summary", ["x"]), ("a", ["z"]), ("m", ["a", "b"])]
    everything = server.call("events.get_multi_task_metrics", tasks=[task, other])["metrics"]
    assert [entry["metric"] for entry in everything] == ["", "Summary", "a", "m", "roc"]
