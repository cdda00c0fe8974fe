"""Which requests are refused, and how (docs/protocol.md, "Coercion" and "Envelope and codes"). The reference's 500s are our 400/12 or 200."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.client import ApiError, Client, log, plot, scalar

OK, INVALID, NO_TASK, NO_MODEL, NO_SCROLL = (200, 0), (400, 12), (400, 101), (400, 201), (400, 1104)


@pytest.fixture
def filled(server: Client, task: str) -> str:
    server.add_batch([log(task, "a", timestamp=1), log(task, "b", timestamp=2), scalar(task, "m", "v", iter=1), plot(task, iter=1)])
    return task


def codes(client: Client, path: str, body: Any, task: str) -> tuple[int, int]:
    """The codes of a call; "T" in the body stands for the task."""
    return client.raw(path if path.startswith("/") else f"/{path}", _with_task(body, task)).codes


def _with_task(node: Any, task: str) -> Any:
    if isinstance(node, dict):
        return {name: _with_task(value, task) for name, value in node.items()}
    if isinstance(node, list):
        return [_with_task(value, task) for value in node]
    return task if node == "T" else node


LOGS = [
    ({}, INVALID),
    ({"task": None}, INVALID),
    ({"task": 5}, INVALID),
    ({"task": ["a"]}, INVALID),
    ({"task": "nope"}, NO_TASK),
    ({"task": "T", "batch_size": "10"}, OK),
    ({"task": "T", "batch_size": 1.5}, OK),
    ({"task": "T", "batch_size": 0}, OK),
    ({"task": "T", "batch_size": True}, OK),
    ({"task": "T", "batch_size": None}, OK),  # null counts as absent
    ({"task": "T", "batch_size": "abc"}, INVALID),
    ({"task": "T", "batch_size": [1]}, INVALID),
    ({"task": "T", "batch_size": -1}, INVALID),
    ({"task": "T", "batch_size": 20000}, INVALID),
    ({"task": "T", "order": "bad"}, INVALID),
    ({"task": "T", "order": None}, OK),
    ({"task": "T", "navigate_earlier": "false"}, OK),
    ({"task": "T", "navigate_earlier": []}, OK),
    ({"task": "T", "metrics": []}, OK),
    ({"task": "T", "metrics": None}, OK),
    ({"task": "T", "metrics": [{"metric": "a", "variants": None}]}, OK),
    ({"task": "T", "metrics": [{}]}, INVALID),
    ({"task": "T", "metrics": "x"}, INVALID),
    ({"task": "T", "metrics": {"metric": "a"}}, INVALID),
    ({"task": "T", "metrics": ["a"]}, INVALID),
    ({"task": "T", "metrics": [{"metric": "a", "variants": "v"}]}, INVALID),
    ({"task": "T", "metrics": [{"metric": "a", "variants": [1]}]}, INVALID),
    ({"task": "T", "from_timestamp": "12"}, OK),
    ({"task": "T", "from_timestamp": 12.7}, OK),
    ({"task": "T", "from_timestamp": True}, OK),
    ({"task": "T", "unknown_field": {"a": 1}}, OK),
]


@pytest.mark.parametrize(("body", "expected"), LOGS, ids=repr)
def test_get_task_log(server: Client, filled: str, body: dict[str, Any], expected: tuple[int, int]) -> None:
    assert codes(server, "events.get_task_log", body, filled) == expected


HISTOGRAM = [
    ({"samples": 0}, OK),  # docs/protocol.md, "Charts": 0 = all points
    ({"samples": 50000}, OK),
    ({"samples": 50001}, INVALID),
    ({"samples": -1}, INVALID),
    ({"samples": None}, OK),
    ({"key": "bad"}, INVALID),
    ({"key": None}, OK),
    ({"key": "iso_time"}, OK),
    ({"aggregation": "median"}, INVALID),
    ({"x_min": "a"}, INVALID),
    ({"model_events": True}, NO_MODEL),
]


@pytest.mark.parametrize(("fields", "expected"), HISTOGRAM, ids=repr)
def test_scalar_metrics_iter_histogram(server: Client, filled: str, fields: dict[str, Any], expected: tuple[int, int]) -> None:
    assert codes(server, "events.scalar_metrics_iter_histogram", {"task": "T", **fields}, filled) == expected


MULTI = [
    ({}, INVALID),
    ({"tasks": []}, INVALID),
    ({"tasks": None}, INVALID),
    ({"tasks": "T"}, INVALID),
    ({"tasks": [1]}, INVALID),
    ({"tasks": ["T"] * 101}, INVALID),
    ({"tasks": ["T", "T"]}, OK),
    ({"tasks": ["T", "nobody"]}, NO_TASK),
]


@pytest.mark.parametrize(("body", "expected"), MULTI, ids=lambda value: repr(value)[:40])
def test_multi_task_scalar_metrics_iter_histogram(server: Client, filled: str, body: dict[str, Any], expected: tuple[int, int]) -> None:
    assert codes(server, "events.multi_task_scalar_metrics_iter_histogram", body, filled) == expected


NAVIGATION = [
    ("events.debug_images", {}, INVALID),
    ("events.debug_images", {"metrics": []}, INVALID),
    ("events.debug_images", {"metrics": [{}]}, INVALID),
    ("events.debug_images", {"metrics": [{"task": "nobody"}]}, NO_TASK),
    ("events.debug_images", {"metrics": [{"task": "T"}], "iters": 0}, INVALID),
    ("events.debug_images", {"metrics": [{"task": "T"}], "iters": None}, OK),
    ("events.debug_images", {"metrics": [{"task": "T"}], "scroll_id": 5}, INVALID),
    ("/v2.6/events.debug_images", {"task": "T", "scroll_id": "bad"}, NO_SCROLL),
    ("/v2.6/events.debug_images", {"task": "T", "scroll_id": "FFFF"}, OK),
    ("events.next_debug_image_sample", {"task": "T"}, NO_SCROLL),
    ("events.next_debug_image_sample", {"task": "T", "scroll_id": None}, NO_SCROLL),
    ("events.next_debug_image_sample", {"task": "T", "scroll_id": "zzz"}, NO_SCROLL),
    ("events.next_plot_sample", {"task": "T"}, NO_SCROLL),
    ("events.next_plot_sample", {"task": "T", "scroll_id": "zzz"}, NO_SCROLL),
    ("events.get_debug_image_sample", {"task": "T", "variant": "v"}, INVALID),
    ("events.get_debug_image_sample", {"task": "T", "metric": "m"}, INVALID),
    ("events.get_debug_image_sample", {"task": "T", "metric": "m", "variant": "v", "iteration": "x"}, INVALID),
]


@pytest.mark.parametrize(("path", "body", "expected"), NAVIGATION, ids=repr)
def test_navigation(server: Client, filled: str, path: str, body: dict[str, Any], expected: tuple[int, int]) -> None:
    assert codes(server, path, body, filled) == expected


def test_an_unknown_scroll_id_of_debug_images_starts_anew(server: Client, filled: str) -> None:
    found = server.call("events.debug_images", metrics=[{"task": filled}], scroll_id="zzz")
    assert found["scroll_id"] != "zzz" and len(found["scroll_id"]) == 32


OTHERS = [
    ("events.get_task_metrics", {"tasks": ["T"]}, INVALID),
    ("events.get_task_metrics", {"tasks": ["T"], "event_type": "bad"}, INVALID),
    ("events.get_task_metrics", {"tasks": [], "event_type": "*"}, INVALID),
    ("events.get_task_metrics", {"tasks": ["nobody"], "event_type": "*"}, NO_TASK),
    ("events.get_task_events", {"task": "T", "event_type": "bad"}, INVALID),
    ("events.get_task_events", {"task": "T", "order": "x"}, INVALID),
    ("events.get_task_events", {"task": "T", "batch_size": -1}, INVALID),
    ("events.get_task_events", {"task": "T", "batch_size": 20000}, OK),
    ("events.get_task_events", {"task": "T", "scroll_id": "zz"}, NO_SCROLL),
    ("events.get_task_events", {"task": "T", "scroll_id": ""}, OK),
    ("events.scalar_metrics_iter_raw", {"task": "T"}, INVALID),
    ("events.scalar_metrics_iter_raw", {"task": "T", "metric": {}}, INVALID),
    ("events.scalar_metrics_iter_raw", {"task": "T", "metric": "m"}, INVALID),
    ("events.scalar_metrics_iter_raw", {"task": "T", "metric": {"metric": "m"}, "batch_size": -1}, INVALID),
    ("events.scalar_metrics_iter_raw", {"task": "T", "metric": {"metric": "m"}, "batch_size": 0}, OK),
    ("events.scalar_metrics_iter_raw", {"task": "T", "metric": {"metric": "m"}, "scroll_id": "zz"}, NO_SCROLL),
    ("events.get_scalar_metric_data", {"task": "T"}, INVALID),
    ("events.get_scalar_metric_data", {"task": "T", "metric": "m"}, OK),
    ("events.get_task_plots", {"task": "T", "iters": 0}, INVALID),
    ("events.get_task_plots", {"task": "T", "iters": None}, OK),
    ("events.get_task_plots", {"task": "T", "iters": 1000}, OK),
    ("/v1.7/events.get_task_plots", {"task": "T", "iters": 0}, INVALID),
    ("events.delete_for_task", {"task": "nobody"}, NO_TASK),
    ("events.delete_for_task", {}, INVALID),
    ("events.clear_task_log", {"task": "nobody"}, NO_TASK),
    ("events.delete_for_model", {"model": "nobody"}, NO_MODEL),
    ("events.delete_for_model", {}, INVALID),
    ("events.clear_scroll", {}, OK),
    ("events.clear_scroll", {"scroll_id": ""}, OK),
    ("events.clear_scroll", {"scroll_id": "zz"}, OK),
    ("events.clear_scroll", {"scroll_id": "FFFF"}, OK),
    ("events.download_task_log", {"task": "T", "line_type": "text", "line_format": "{bogus}"}, (400, 16)),
    ("events.download_task_log", {"task": "T", "line_type": "text", "line_format": "{0}"}, (400, 16)),
    ("events.download_task_log", {"task": "T", "line_type": "text", "line_format": "{msg"}, (400, 16)),
    ("events.download_task_log", {"task": "T", "line_type": "text", "line_format": ""}, (400, 11)),
    ("events.download_task_log", {"task": "nobody"}, NO_TASK),
]


@pytest.mark.parametrize(("path", "body", "expected"), OTHERS, ids=repr)
def test_other_reads_and_deletes(server: Client, filled: str, path: str, body: dict[str, Any], expected: tuple[int, int]) -> None:
    assert codes(server, path, body, filled) == expected


def test_a_string_that_says_false_is_true(server: Client, filled: str) -> None:
    found = server.call("events.get_task_log", task=filled, navigate_earlier="false", batch_size=1)
    assert [event["msg"] for event in found["events"]] == ["b"]


def test_a_field_named_self_is_an_unknown_field(server: Client, filled: str) -> None:
    assert codes(server, "events.get_task_log", {"task": "T", "self": 1}, filled) in (OK, INVALID)


def test_fields_of_newer_versions_are_honoured_at_older_ones(server: Client, filled: str) -> None:
    found = server.call("events.scalar_metrics_iter_histogram", task=filled, metrics=[{"metric": "nothing"}], version="2.1")
    assert found == {}
    assert server.refused("events.scalar_metrics_iter_histogram", task=filled, model_events=True, version="2.1").codes == NO_MODEL


def test_published_tasks_are_locked_unless_told_otherwise(server: Client) -> None:
    task = server.new_task("to be published")
    server.add_batch([log(task, "before")])
    for step in ("tasks.started", "tasks.stopped", "tasks.publish"):
        server.call(step, task=task)
    late = server.refused("events.add", log(task, "late"))
    assert late.codes == (400, 131)
    assert server.refused("events.delete_for_task", task=task).codes == NO_TASK
    assert server.refused("events.clear_task_log", task=task).codes == NO_TASK
    assert server.add(log(task, "allowed", allow_locked=True))["added"] == 1
    assert server.log(task) == ["before", "allowed"]
    assert server.call("events.delete_for_task", task=task, allow_locked=True)["deleted_count"] == 2


@pytest.mark.parametrize("endpoint", ["events.get_task_log", "events.scalar_metrics_iter_histogram", "events.get_task_events"])
def test_a_lone_surrogate_or_nul_in_an_id_is_refused_not_a_crash(server: Client, endpoint: str) -> None:
    for bad in (b"\\ud800", b"a\\u0000b", b"\\ufffe"):
        answer = server.raw(f"/{endpoint}", b'{"task": "%s"}' % bad, headers={"Content-Type": "application/json"})
        assert answer.status == 400


def test_an_error_is_raised_as_such(server: Client) -> None:
    with pytest.raises(ApiError):
        server.call("events.get_task_log", task=uuid.uuid4().hex)
