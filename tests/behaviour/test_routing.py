"""Paths and versions: docs/protocol.md, "Paths and versions"."""

from __future__ import annotations

import pytest

from tests.client import Client


@pytest.mark.parametrize(
    "path",
    [
        "/debug.ping",
        "/v1.5/debug.ping",
        "/v2.1/debug.ping/",
        "/v999.0/debug.ping",
        "/v20/debug.ping",
        "/api/debug.ping",
        "/api/v2.23/debug.ping",
    ],
)
def test_a_wellformed_path_reaches_the_endpoint(server: Client, path: str) -> None:
    assert server.raw(path).codes == (200, 0)


@pytest.mark.parametrize(
    "path", ["/v2/debug.ping", "/v2.1.3/debug.ping", "/V2.5/debug.ping", "/debug/ping", "/a.b.c", "//debug.ping", "/x.y"]
)
def test_a_malformed_path_is_refused_with_400_and_no_endpoint(server: Client, path: str) -> None:
    answer = server.raw(path)
    assert answer.codes == (400, 0)
    assert answer.meta["endpoint"] == {"name": "", "requested_version": 1.0, "actual_version": None}
    assert isinstance(answer.meta["endpoint"]["requested_version"], float)


@pytest.mark.parametrize("path", ["/v02.1/debug.ping", "/v2.05/debug.ping"])
def test_a_version_with_a_leading_zero_is_refused(server: Client, path: str) -> None:
    assert server.raw(path).codes == (400, 2)


@pytest.mark.parametrize(
    "path", ["/events.nothing", "/v2.23/nothing.get_all", "/v2.11/events.get_debug_image_sample", "/v2.15/events.scalar_metrics_iter_raw"]
)
def test_an_unknown_endpoint_or_version_is_404_with_a_null_actual_version(server: Client, path: str) -> None:
    answer = server.raw(path, {})
    assert answer.codes == (404, 0)
    assert answer.meta["endpoint"]["actual_version"] is None


@pytest.mark.parametrize(
    ("path", "requested", "actual"),
    [
        ("/v2.11/events.get_debug_image_sample", "2.11", None),
        ("/v0.5/debug.ping", 0.5, None),
        ("/v1.7/events.get_task_log", 1.7, 1.7),
        ("/v1.10/events.get_task_log", 1.1, 1.7),
        ("/v1.0/events.get_task_log", 1.0, 1.0),
        ("/v2.8/events.get_task_log", "2.8", "1.7"),
        ("/v2.9/events.get_task_log", "2.9", "2.9"),
        ("/v2.10/events.get_task_log", "2.10", "2.9"),
        ("/v2.30/events.get_task_log", "2.30", "2.9"),
        ("/v999.0/events.get_task_log", "999.0", "2.9"),
        ("/v2.1/events.add_batch", "2.1", "1.0"),
        ("/v2.23/events.scalar_metrics_iter_histogram", "2.23", "1.0"),
    ],
)
def test_versions_are_echoed_as_the_reference_does(server: Client, path: str, requested: object, actual: object) -> None:
    endpoint = server.raw(path, {"task": "unknown"}).meta["endpoint"]
    assert (endpoint["requested_version"], endpoint["actual_version"]) == (requested, actual)
    assert type(endpoint["requested_version"]) is type(requested)
    assert endpoint["name"] == path.rpartition("/")[2]


def test_a_path_without_version_is_answered_at_the_newest(server: Client) -> None:
    endpoint = server.raw("/events.get_task_log", {"task": "unknown"}).meta["endpoint"]
    assert endpoint == {"name": "events.get_task_log", "requested_version": "2.34", "actual_version": "2.9"}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_every_http_method_executes_the_endpoint_and_may_carry_a_body(server: Client, method: str, task: str) -> None:
    answer = server.send_batch([{"type": "log", "task": task, "msg": method}], method=method)
    assert answer.data["added"] == 1
    read = server.raw("/v2.23/events.get_task_log", {"task": task}, method=method)
    assert [event["msg"] for event in read.data["events"]] == [method]


def test_head_is_executed_without_a_body_and_options_is_empty(server: Client) -> None:
    head = server.send("HEAD", "/debug.ping")
    assert (head.status, head.body) == (200, b"")
    options = server.send(
        "OPTIONS", "/v2.23/events.add_batch", headers={"Origin": "http://localhost:8080", "Access-Control-Request-Method": "POST"}
    )
    assert (options.status, options.body) == (200, b"")


def test_an_unknown_endpoint_is_404_before_credentials_are_asked_for(server: Client) -> None:
    wrong = Client(f"http://{server.host}:{server.port}", "nobody", "nothing")
    assert wrong.raw("/events.nothing").codes == (404, 0)
    assert wrong.raw("/events.get_task_log", {}).codes[0] == 401
