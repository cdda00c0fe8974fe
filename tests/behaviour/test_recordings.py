"""What the real SDK sent is sent again, byte for byte but for the ids, and must come back.

The recorded answers are a stub's, so what is expected here follows from what was sent, not from them.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client import LOG, SCALAR, SINGLE_VALUE_ITER, Answer, Client, image, log, plot, scalar, vector

FOLDER = Path(__file__).resolve().parent.parent / "goldens" / "clearml-sdk"
_ID = re.compile(r"\b[0-9a-f]{32}\b")
_CONNECTION = {"host", "content-length", "connection", "authorization", "accept-encoding"}
_DROPPED = {"method", "allow_locked"}
"""Fields that are read and not stored."""


class Recording:
    """A recorded request with ids of this test in place of the recorded ones."""

    def __init__(self, name: str) -> None:
        text = (FOLDER / f"{name}.json").read_text()
        recorded = json.loads(text)["request"]
        body = recorded["body"] or {}
        old = sorted(set(_ID.findall(json.dumps(body))))
        self.ids = {before: uuid.uuid4().hex for before in old}
        self.method: str = recorded["method"]
        self.path: str = recorded["path"]
        self.headers = {key: value for key, value in recorded["headers"] if key.lower() not in _CONNECTION}
        self.lines: list[dict[str, Any]] = [json.loads(self._renamed(json.dumps(line))) for line in body.get("json_lines", [])]
        self.json: dict[str, Any] | None = json.loads(self._renamed(json.dumps(body["json"]))) if "json" in body else None
        if self.lines:
            self.body = "\n".join(json.dumps(line) for line in self.lines).encode()
        else:
            self.body = json.dumps(self.json).encode() if self.json is not None else b""

    def _renamed(self, text: str) -> str:
        return _ID.sub(lambda match: self.ids.get(match[0], match[0]), text)

    def send(self, client: Client) -> Answer:
        return client.raw(self.path, self.body or None, method=self.method, headers=self.headers)


BATCHES = [
    "events.add_batch.apiclient_raw",
    "events.add_batch.logs",
    "events.add_batch.mixed_all_kinds",
    "events.add_batch.model_events",
    "events.add_batch.post_method",
    "events.add_batch.scalars_and_monitor",
    "events.add_batch.v2_13",
    "error.http500_add_batch",
]


def identity(event: dict[str, Any]) -> tuple[Any, ...]:
    names = ("type", "task", "level", "msg") if event["type"] == LOG else ("type", "task", "metric", "variant", "iter", "key")
    return tuple(event.get(name, "" if name in ("metric", "variant") else None) for name in names)


@pytest.mark.parametrize("name", BATCHES)
def test_a_recorded_batch_comes_back_as_it_was_sent(server: Client, name: str) -> None:
    recording = Recording(name)
    answer = recording.send(server)
    assert answer.codes == (200, 0)
    assert answer.data == {"added": len(recording.lines), "errors": 0, "errors_info": {}}
    last = {identity(line): line for line in recording.lines}  # a later line replaces an earlier one with the same identity
    owners = {(line["task"], bool(line.get("model_event"))) for line in recording.lines}
    stored = [event for owner, is_model in owners for event in server.events(owner, model_events=is_model)]
    assert sorted(map(repr, map(identity, stored))) == sorted(map(repr, last))
    for event in stored:
        sent = {field: value for field, value in last[identity(event)].items() if field not in _DROPPED}
        if "values" in sent:
            sent["value"] = sent.pop("values")
        assert event | sent == event
        assert not _DROPPED & event.keys()
        assert event["worker"] == sent.get("worker", recording.headers.get("X-ClearML-Worker"))


@pytest.mark.parametrize("name", BATCHES)
def test_a_recorded_batch_that_arrives_twice_adds_nothing(server: Client, name: str) -> None:
    recording = Recording(name)
    recording.send(server)
    owners = {(line["task"], bool(line.get("model_event"))) for line in recording.lines}
    before = {owner: len(server.events(owner, model_events=is_model)) for owner, is_model in owners}
    assert recording.send(server).codes == (200, 0)
    timed = all("timestamp" in line for line in recording.lines if line["type"] == LOG)
    for owner, is_model in owners:
        count = len(server.events(owner, model_events=is_model))
        assert count == before[owner] if timed else count >= before[owner]


def test_the_recorded_batch_for_an_unknown_task_is_refused_where_unknown_tasks_are(strict: Client) -> None:
    answer = Recording("events.add_batch.error_all_invalid_400").send(strict)
    assert answer.codes == (400, 131)
    assert list(answer.data["errors_info"].values()) == [1]
    assert "nosuch" in answer.meta["result_msg"]


def test_the_recorded_single_event_is_stored(server: Client) -> None:
    recording = Recording("events.add")
    assert recording.send(server).data == {"added": 1, "errors": 0, "errors_info": {}}
    assert recording.json is not None
    assert server.histogram(recording.json["task"]) == {"m": {"v": {"name": "v", "x": [1], "y": [0.5]}}}


# --- reads

AT = 1_795_292_211_377


def fill(client: Client, task: str) -> None:
    """What the recorded reads ask for."""
    lines = [scalar(task, "loss", "train", iter=i, value=1 / (i + 1), timestamp=AT + 4 * min(i, 1)) for i in range(5)]
    lines += [scalar(task, "m", "v", iter=iter, value=0.5, timestamp=AT + iter) for iter in (1, 3)]
    lines += [scalar(task, "m", "v2", iter=4, value=0.7, timestamp=AT + 4)]
    lines += [scalar(task, "Summary", "acc", iter=SINGLE_VALUE_ITER, value=0.93, timestamp=AT + 4)]
    lines += [image(task, "img", "i1", iter=iter, url=f"http://f/{iter}.jpeg", key=f"{iter}.jpeg", timestamp=AT) for iter in range(3)]
    lines += [image(task, "i", "v", iter=1, url="http://u/k", key="k", timestamp=AT)]
    lines += [plot(task, "p", "v", iter=1, plot_str="{}", timestamp=AT)]
    lines += [vector(task, [1.0, 2.0], "vm", "v", iter=3, timestamp=AT)]
    lines += [log(task, f"line {i}", timestamp=AT + i) for i in range(5)]
    client.add_batch(lines)


def _task(request: dict[str, Any]) -> str:
    for name in ("task", "model"):
        if name in request:
            return str(request[name])
    return str(request["tasks"][0] if "tasks" in request else request["metrics"][0]["task"])


def _histogram(key: str) -> Callable[[dict[str, Any], str], None]:
    def check(data: dict[str, Any], task: str) -> None:
        x: list[Any] = {
            "iter": [0, 1, 2, 3, 4],
            "iso_time": ["2026-11-21T20:16:51.377Z", "2026-11-21T20:16:51.381Z"],
            "timestamp": [(AT // 3) * 3, (AT + 4) // 3 * 3],  # two samples over five milliseconds: buckets three wide
        }[key]
        assert data["loss"]["train"]["x"] == x
        assert list(data) == ["loss", "m"]
        if key == "iter":
            assert data["loss"]["train"] == {"name": "train", "x": x, "y": [1 / (i + 1) for i in range(5)]}

    return check


def _samples(data: dict[str, Any], task: str) -> None:
    assert data["metrics"]["m"]["v"][task] == {"name": task, "x": [1, 3], "y": [0.5, 0.5]}
    assert data["metrics"]["m"]["v2"][task] == {"name": task, "x": [4], "y": [0.7]}


def _raw(data: dict[str, Any], task: str) -> None:
    assert (data["total"], data["returned"]) == (3, 2)  # pages hold exactly batch_size
    assert data["variants"] == {"v": {"y": [0.5, 0.5], "iter": [1, 3]}}


def _metric_data(data: dict[str, Any], task: str) -> None:
    assert [(event["variant"], event["iter"]) for event in data["events"]] == [("v2", 4), ("v", 3), ("v", 1)]
    assert (data["returned"], data["total"]) == (3, 3)


def _events(data: dict[str, Any], task: str) -> None:
    assert (data["returned"], data["total"]) == (9, 9)
    assert {event["type"] for event in data["events"]} == {SCALAR}
    iters = [event["iter"] for event in data["events"]]
    assert iters == sorted(iters)


def _latest(data: dict[str, Any], task: str) -> None:
    names = [(metric["name"], variant["name"], variant["last_value"]) for metric in data["metrics"] for variant in metric["variants"]]
    assert names == [("Summary", "acc", 0.93), ("loss", "train", 0.2), ("m", "v", 0.5), ("m", "v2", 0.7)]
    assert (data["last_iter"], data["name"]) == (4, task)


def _task_log(data: dict[str, Any], task: str) -> None:
    assert [event["msg"] for event in data["events"]] == ["line 2", "line 3", "line 4"]
    assert (data["returned"], data["total"]) == (3, 5)


def _first_images(data: dict[str, Any], task: str) -> None:
    [entry] = data["metrics"]
    assert [(page["iter"], [event["url"] for event in page["events"]]) for page in entry["iterations"]] == [
        (i, [f"http://f/{i}.jpeg"]) for i in (2, 1, 0)
    ]


def _multi_plots(data: dict[str, Any], task: str) -> None:
    entry = data["plots"]["p"]["v"][task]["1"]
    assert (entry["name"], [event["plot_str"] for event in entry["plots"]]) == (task, ["{}"])


def _is(**expected: Any) -> Callable[[dict[str, Any], str], None]:
    def check(data: dict[str, Any], task: str) -> None:
        for name, value in expected.items():
            assert data[name] == value

    return check


READS: dict[str, Callable[[dict[str, Any], str], None]] = {
    "events.scalar_metrics_iter_histogram": _histogram("iter"),
    "events.scalar_metrics_iter_histogram.iso_time": _histogram("iso_time"),
    "events.scalar_metrics_iter_histogram.timestamp_samples": _histogram("timestamp"),
    "events.multi_task_scalar_metrics_iter_histogram": _samples,
    "events.scalar_metrics_iter_raw": _raw,
    "events.get_scalar_metric_data": _metric_data,
    "events.get_scalar_metrics_and_variants": _is(metrics={"Summary": ["acc"], "loss": ["train"], "m": ["v", "v2"]}),
    "events.get_vector_metrics_and_variants": _is(metrics={"vm": ["v"]}),
    "events.vector_metrics_iter_histogram": _is(metric="vm", variant="v", vectors=[[1.0, 2.0]], iterations=[3]),
    "events.get_task_events": _events,
    "events.get_task_latest_scalar_values": _latest,
    "events.get_task_log": _task_log,
    "events.get_task_metrics": lambda data, task: _is(metrics=[{"task": task, "metrics": ["loss", "m"]}])(data, task),
    "events.get_task_single_value_metrics": lambda data, task: _is(
        tasks=[{"task": task, "task_name": task, "values": [{"metric": "Summary", "variant": "acc", "value": 0.93, "timestamp": AT + 4}]}]
    )(data, task),
    "events.get_task_plots": lambda data, task: _is(returned=1, total=1, scroll_id=None)(data, task),
    "events.get_multi_task_plots": _multi_plots,
    "events.plots": lambda data, task: _is(metrics=[{"task": task, "iterations": data["metrics"][0]["iterations"]}])(data, task),
    "events.debug_images.first": _first_images,
    "events.get_debug_image_sample": _is(min_iteration=1, max_iteration=1),
    "events.get_plot_sample": _is(min_iteration=1, max_iteration=1),
    "events.clear_scroll": _is(),
    "events.clear_task_log": _is(deleted=5),
    "events.delete_for_task": _is(deleted=True, deleted_count=20),
}


@pytest.mark.parametrize("name", READS)
def test_a_recorded_read_is_answered_from_what_was_stored(server: Client, name: str) -> None:
    recording = Recording(name)
    assert recording.json is not None
    task = _task(recording.json) if name != "events.clear_scroll" else ""
    if task:
        fill(server, task)
    answer = recording.send(server)
    assert answer.codes == (200, 0), answer.meta
    READS[name](answer.data, task)


def test_the_recorded_gallery_walk_reaches_its_empty_page(server: Client) -> None:
    recording = Recording("events.debug_images.first")
    assert recording.json is not None
    fill(server, _task(recording.json))
    scroll = recording.send(server).data["scroll_id"]
    following = server.call("events.debug_images", {**recording.json, "scroll_id": scroll}, version="2.23")
    assert following["metrics"] == [{"task": _task(recording.json), "iterations": []}]


def test_the_recorded_second_page_of_events_continues_the_first(server: Client) -> None:
    recording = Recording("events.get_task_events.second_page")
    assert recording.json is not None
    task = recording.json["task"]
    server.add_batch([scalar(task, "a", "b", iter=iter, value=float(iter)) for iter in range(1, 1501)])
    request = {name: value for name, value in recording.json.items() if name != "scroll_id"}
    first = server.call("events.get_task_events", request, version="2.23")
    second = server.call("events.get_task_events", {**request, "scroll_id": first["scroll_id"]}, version="2.23")
    assert (first["returned"], second["returned"]) == (1000, 500)
    assert [event["iter"] for page in (first, second) for event in page["events"]] == list(range(1, 1501))


@pytest.mark.parametrize("name", ["events.next_debug_image_sample", "events.next_plot_sample"])
def test_the_recorded_step_with_a_made_up_scroll_id_is_refused(server: Client, name: str) -> None:
    recording = Recording(name)
    assert recording.json is not None
    fill(server, recording.json["task"])
    assert recording.send(server).codes == (400, 1104)


def test_the_recorded_delete_for_an_unknown_model_is_refused(server: Client) -> None:
    assert Recording("events.delete_for_model").send(server).codes == (400, 201)


@pytest.mark.parametrize("name", ["auth.login", "auth.login.post"])
def test_the_recorded_login_gets_a_token(server: Client, shared_credentials: tuple[str, str], name: str) -> None:
    recording = Recording(name)
    known = Client(f"http://{server.host}:{server.port}", *shared_credentials)
    answer = recording.send(known)
    assert answer.codes == (200, 0)
    assert answer.data["token"].count(".") == 2
    bearer = Client(f"http://{server.host}:{server.port}", token=answer.data["token"])
    assert Recording("auth.login.bearer_env_token").send(bearer).codes == (200, 0)


def test_the_recorded_login_with_bad_credentials_is_401(server: Client) -> None:
    wrong = Client(f"http://{server.host}:{server.port}", "X", "Y")
    assert Recording("auth.login.bad_credentials_401").send(wrong).codes[0] == 401


def test_all_recordings_of_events_and_logins_are_replayed() -> None:
    source = Path(__file__).read_text()
    names = {path.name.removesuffix(".json") for path in FOLDER.glob("events.*.json")} | {
        path.name.removesuffix(".json") for path in FOLDER.glob("auth.*.json")
    }
    assert [name for name in sorted(names) if f'"{name}"' not in source] == [
        "events.debug_images." + "next_scroll"
    ]  # its id is the first page's
