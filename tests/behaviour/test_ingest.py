"""What `events.add` and `events.add_batch` store and refuse: docs/protocol.md, "Batches of events"."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.client import IMAGE, LOG, PLOT, SCALAR, VECTOR, Client, image, json_lines, log, plot, scalar, vector

SAFE = 2**63 - 1


def stored(client: Client, task: str, event_type: str = SCALAR) -> list[dict[str, Any]]:
    return client.events(task, event_type)


# --- refused as a whole


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": LOG},
        {"type": LOG, "task": ""},
        {"type": LOG, "task": None, "msg": "x"},
        {"type": "bad type", "task": "t"},
        {"type": "*", "task": "t"},
        {"type": "Log", "task": "t"},
        {"type": 5, "task": "t"},
        {"task": "t", "msg": "no type"},
        {"type": LOG, "task": "a\x00b", "msg": "x"},
        {"type": LOG, "task": "x" * 257, "msg": "x"},
        {"type": LOG, "task": 17, "msg": "x"},
        {"type": LOG, "task": ["t"], "msg": "x"},
    ],
)
def test_an_event_that_cannot_be_stored_is_400_131_with_its_reason(server: Client, event: dict[str, Any]) -> None:
    for error in (server.refused("events.add", event), server.refused("events.add", event, version="2.1")):
        assert error.codes == (400, 131)
        assert (error.data["added"], error.data["errors"]) == (0, 1)
        assert sum(error.data["errors_info"].values()) == 1
        assert error.data["error_lines"][0]["line"] == 1


@pytest.mark.parametrize(
    "event",
    [{}, {"type": LOG}, {"type": LOG, "task": "nobody-knows"}, {"type": "training_stats_scalar", "task": "q", "iter": 1, "value": 1}],
)
def test_a_server_that_rejects_unknown_tasks_says_400_131(strict: Client, event: dict[str, Any]) -> None:
    error = strict.refused("events.add", event)
    assert error.codes == (400, 131)
    assert len(error.data["errors_info"]) == 1


def test_an_unknown_task_is_registered_by_its_first_event(server: Client, task: str) -> None:
    server.add(log(task, "here I am"))
    found = server.task(task)
    assert (found["id"], found["name"], found["status"]) == (task, task, "in_progress")


def test_reading_an_unknown_task_does_not_register_it(server: Client, task: str) -> None:
    assert server.refused("events.get_task_log", task=task).codes == (400, 101)
    assert server.refused("tasks.get_by_id", task=task).codes == (400, 101)


# --- taken


@pytest.mark.parametrize(
    ("fields", "back"),
    [
        ({"value": True}, {"value": 1.0}),
        ({"value": None}, {"value": None}),
        ({"iter": "7"}, {"iter": 7}),
        ({"iter": 1.9}, {"iter": 1}),
        ({"iter": SAFE}, {"iter": SAFE}),
        ({"iter": -SAFE - 1}, {"iter": -SAFE - 1}),
        ({"iter": 2**53 + 1}, {"iter": 2**53 + 1}),
        ({"metric": None, "variant": None}, {"metric": "", "variant": ""}),
        ({"metric": "", "variant": ""}, {"metric": "", "variant": ""}),
        ({"timestamp": 1.5}, {"timestamp": 1}),
        ({"timestamp": -5}, {"timestamp": -5}),
        ({"worker": None}, {"worker": "w"}),
        ({"worker": "other"}, {"worker": "other"}),
        ({"ts": 123}, {"timestamp": 123}),
        ({"color": "red", "nested": {"a": [1, None, {"b": 2}]}}, {"color": "red", "nested": {"a": [1, None, {"b": 2}]}}),
        ({"type": "training stats scalar"}, {"type": SCALAR}),
        ({"value": 10**30}, {"value": 1e30}),
        ({"value": 0.1}, {"value": 0.1}),
        ({"value": 1e308}, {"value": 1e308}),
        ({"value": 5e-324}, {"value": 5e-324}),
        ({"value": -0.0}, {"value": 0.0}),
        ({"method": "get"}, {}),
        ({"allow_locked": False}, {}),
    ],
)
def test_an_odd_but_meaningful_scalar_is_stored(server: Client, task: str, fields: dict[str, Any], back: dict[str, Any]) -> None:
    event = {**scalar(task, "m", "v", iter=1, value=0.5, timestamp=1_700_000_000_000), **fields}
    if "ts" in fields:
        del event["timestamp"]
    assert server.add_batch([event])["added"] == 1
    found = stored(server, task)
    assert len(found) == 1
    assert found[0] | back == found[0]
    assert "allow_locked" not in found[0] and "method" not in found[0] and "ts" not in found[0]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "-1e400"])
def test_nan_and_infinity_are_stored_and_read_as_null(server: Client, task: str, value: str) -> None:
    line = json.dumps(scalar(task, "m", "v", iter=2, value=0)).replace('"value": 0', f'"value": {value}')
    assert server.add_batch([scalar(task, "m", "v", iter=1, value=5.0), line, scalar(task, "m", "v", iter=3, value=7.0)])["added"] == 3
    assert [event["value"] for event in stored(server, task)] == [5.0, None, 7.0]
    assert server.histogram(task)["m"]["v"] == {"name": "v", "x": [1, 3], "y": [5.0, 7.0]}


def test_an_unknown_field_may_hold_a_number_of_any_size(server: Client, task: str) -> None:
    big, bigger = 10**30 + 1, 10**400
    line = json.dumps(log(task, "numbers", timestamp=1))[:-1] + f', "big": {big}, "bigger": {bigger}, "infinite": 1e400}}'
    server.add_batch([line, log(task, "next", timestamp=2)])
    assert server.log(task) == ["numbers", "next"]
    assert next(event for event in stored(server, task, LOG) if "big" in event)["big"] == big


def test_an_event_without_timestamp_gets_the_servers_time(server: Client, task: str) -> None:
    server.add_batch([log(task, "a"), {**log(task, "b"), "timestamp": None}])
    for event in stored(server, task, LOG):
        assert event["timestamp"] > 1_700_000_000_000
        assert event["@timestamp"].endswith("Z")


def test_every_event_type_comes_back_as_it_was_sent(server: Client, task: str) -> None:
    at = 1_700_000_000_000
    sent = [
        scalar(task, "loss", "train", iter=1, value=0.25, timestamp=at),
        vector(task, [1, 2.5], iter=1, timestamp=at),
        image(task, iter=1, url="http://f/1", key="1", timestamp=at),
        plot(task, iter=1, plot_str='{"i":1}', timestamp=at),
        log(task, "line", timestamp=at),
    ]
    server.add_batch(sent, version="2.22")
    back = {event["type"]: event for event in server.events(task)}
    assert set(back) == {SCALAR, VECTOR, IMAGE, PLOT, LOG}
    assert back[VECTOR]["value"] == [1, 2.5]
    assert back[PLOT]["plot_len"] == 7
    for event in sent:
        found = back[event["type"]]
        expected = {name: value for name, value in event.items() if name != "values"}
        assert found | expected == found
        assert (found["worker"], found["model_event"]) == ("w", False)
        assert ("metric" in found) and ("variant" in found)


def test_logs_without_worker_take_the_worker_header(server: Client, task: str) -> None:
    server.add_batch([log(task, "a")], headers={"X-ClearML-Worker": "host-7"})
    nameless = Client(f"http://{server.host}:{server.port}", worker=None)
    nameless.add_batch([log(task, "b")])
    assert [event["worker"] for event in stored(server, task, LOG)] == ["host-7", "<unknown>"]


# --- bad lines cost only themselves

BAD_LINES: list[tuple[str | bytes, str | None]] = [
    ("{broken", None),
    ("[]", None),
    ("null", None),
    ("17", None),
    ('"text"', None),
    (b'{"type": "log", "task": "T", "msg": "\xff"}', None),
    (b'\xef\xbb\xbf{"type": "lo', None),
    ('{"type": "log", "task": "T", "msg": "\\ud800"}', None),
    ('{"type": "training_stats_scalar", "task": "T", "metric": 5, "variant": "v", "iter": 1, "value": 1}', "metric"),
    ('{"type": "training_stats_scalar", "task": "T", "metric": "m", "variant": [], "iter": 1, "value": 1}', "variant"),
    ('{"type": "training_stats_scalar", "task": "T", "metric": "m", "variant": "v", "iter": "x", "value": 1}', "iter"),
    ('{"type": "training_stats_scalar", "task": "T", "metric": "m", "variant": "v", "iter": 9223372036854775808, "value": 1}', "iter"),
    ('{"type": "training_stats_scalar", "task": "T", "metric": "m", "variant": "v", "iter": -9223372036854775809, "value": 1}', "iter"),
    ('{"type": "training_stats_scalar", "task": "T", "metric": "m", "variant": "v", "iter": {}, "value": 1}', "iter"),
    ('{"type": "training_stats_scalar", "task": "T", "metric": "m", "variant": "v", "iter": 1, "value": "str"}', "value"),
    ('{"type": "training_stats_scalar", "task": "T", "metric": "m", "variant": "v", "iter": 1, "value": [1, 2]}', "value"),
    (
        '{"type": "training_stats_scalar", "task": "T", "metric": "m", "variant": "v", "iter": 1, "value": 1, "timestamp": "yesterday"}',
        "timestamp",
    ),
    (
        '{"type": "training_stats_scalar", "task": "T", "metric": "m", "variant": "v", "iter": 1, "value": 1, "timestamp": 1e300}',
        "timestamp",
    ),
    ('{"type": "log", "task": "T", "msg": "m", "level": "%s"}' % ("l" * 1025), "level"),
    ('{"type": "training_stats_scalar", "task": "T", "metric": "%s", "variant": "v", "iter": 1, "value": 1}' % ("m" * 1025), "metric"),
    (
        '{"type": "training_debug_image", "task": "T", "metric": "m", "variant": "v", "iter": 1, "key": "k", "url": "%s"}' % ("u" * 8193),
        "url",
    ),
    ('{"type": "zz", "task": "T"}', "type"),
    ('{"type": "log"}', "task"),
    ('{"type": "log", "task": "T", "msg": ' + "[" * 5000, None),
    ('{"type": "log", "task": "T", "extra": ' + "[" * 5000 + "]" * 5000 + "}", None),
]


@pytest.mark.parametrize(("bad", "field"), BAD_LINES, ids=range(len(BAD_LINES)))
def test_a_bad_line_is_reported_by_number_and_costs_only_itself(server: Client, task: str, bad: str | bytes, field: str | None) -> None:
    line = (bad if isinstance(bad, bytes) else bad.encode()).replace(b'"T"', f'"{task}"'.encode())
    answer = server.add_batch([log(task, "before", timestamp=1), line, log(task, "after", timestamp=2)])
    assert (answer["added"], answer["errors"]) == (2, 1)
    assert list(answer["errors_info"].values()) == [1]
    [reported] = answer["error_lines"]
    assert reported["line"] == 2
    assert reported["reason"]
    if field is not None:
        assert reported["field"] == field
    assert server.log(task) == ["before", "after"]


@pytest.mark.parametrize(("bad", "field"), BAD_LINES, ids=range(len(BAD_LINES)))
def test_a_batch_of_nothing_but_a_bad_line_is_400_131(server: Client, task: str, bad: str | bytes, field: str | None) -> None:
    line = (bad if isinstance(bad, bytes) else bad.encode()).replace(b'"T"', f'"{task}"'.encode())
    answer = server.send_batch([line])
    assert answer.codes == (400, 131)
    assert answer.data["error_lines"][0]["line"] == 1


def test_errors_of_one_kind_are_counted_together(strict: Client) -> None:
    good = strict.new_task()
    answer = strict.add_batch([scalar(good), {"type": "zz", "task": good}, {"type": "zz", "task": good}, log("q", "x")])
    assert (answer["added"], answer["errors"]) == (1, 3)
    assert sorted(answer["errors_info"].values()) == [1, 2]
    assert any("zz" in kind for kind in answer["errors_info"]) and any("q" in kind for kind in answer["errors_info"])
    assert [(line["line"], line["field"]) for line in answer["error_lines"]] == [(2, "type"), (3, "type"), (4, "task")]


def test_at_most_a_hundred_bad_lines_are_listed_but_all_are_counted(server: Client, task: str) -> None:
    answer = server.add_batch([log(task, "good"), *["{"] * 250])
    assert (answer["added"], answer["errors"], len(answer["error_lines"])) == (1, 250, 100)


def test_a_line_that_is_refused_leaves_no_trace_in_the_statistics(server: Client, task: str) -> None:
    server.add_batch([scalar(task, iter=1, value=1.0), scalar(task, iter=2**63), scalar(task, iter=9, value="x")])
    found = server.task(task)
    assert found["last_iteration"] == 1
    [[statistics]] = [list(variants.values()) for variants in found["last_metrics"].values()]
    assert (statistics["value"], statistics["count"]) == (1.0, 1)


# --- whole-request rules


def test_contradictory_allow_locked_for_one_task_refuses_the_request(server: Client, task: str) -> None:
    answer = server.send_batch([log(task, "a"), log(task, "b", allow_locked=True)])
    assert answer.codes == (400, 12)
    assert server.refused("events.get_task_log", task=task).codes == (400, 101)


def test_one_id_as_task_and_as_model_refuses_the_request(server: Client, task: str) -> None:
    assert server.send_batch([scalar(task), scalar(task, model_event=True)]).codes == (400, 12)


def test_a_batch_may_span_more_than_five_hundred_tasks(server: Client) -> None:
    tasks = [uuid.uuid4().hex for _ in range(510)]
    answer = server.add_batch([log(task, task) for task in tasks])
    assert (answer["added"], answer["errors"]) == (510, 0)
    for task in (tasks[0], tasks[499], tasks[500], tasks[509]):
        assert server.log(task) == [task]


def test_model_events_are_read_with_model_events(server: Client) -> None:
    model = uuid.uuid4().hex
    lines = [
        scalar(model, "a", "b", iter=1, value=1.0, model_event=True),
        scalar(model, "Summary", "sv", iter=-(2**31), value=2.0, model_event=True),
    ]
    assert server.add_batch(lines, version="2.23")["added"] == 2
    assert server.histogram(model, model_events=True) == {"a": {"b": {"name": "b", "x": [1], "y": [1.0]}}}
    assert server.refused("events.scalar_metrics_iter_histogram", task=model).codes == (400, 101)


def test_the_model_field_names_the_model(server: Client, task: str) -> None:
    model = uuid.uuid4().hex
    server.add_batch([scalar(task, "a", "b", iter=1, model=model, model_event=True)])
    assert list(server.histogram(model, model_events=True)) == ["a"]


def test_a_log_for_a_model_is_a_line_error(server: Client) -> None:
    model = uuid.uuid4().hex
    answer = server.add_batch([scalar(model, model_event=True), log(model, "x", model_event=True)])
    assert (answer["added"], answer["errors"]) == (1, 1)


def test_added_counts_accepted_lines_duplicates_included(server: Client, task: str) -> None:
    assert server.add_batch([scalar(task, iter=1, value=float(i)) for i in range(5)])["added"] == 5
    assert [event["value"] for event in stored(server, task)] == [4.0]


def test_a_batch_of_fifteen_megabytes_is_taken(server: Client, task: str) -> None:
    lines = json_lines(
        scalar(task, f"metric_{i % 8:04d}_{'x' * 60}", "train", iter=i // 8, value=i / 7, timestamp=1_700_000_000_000 + i, worker="w")
        for i in range(68_000)
    )
    assert len(lines) > 14_000_000
    assert server.add_batch(lines)["added"] == 68_000
    assert server.task(task)["last_iteration"] == 8499
    series = server.histogram(task, samples=0)
    assert [len(variants["train"]["x"]) for variants in series.values()] == [8500] * 8


def test_a_plot_of_ten_megabytes_comes_back_verbatim(server: Client, task: str) -> None:
    text = json.dumps({"data": [i / 3 for i in range(700_000)], "name": "größe"})
    assert len(text) > 10_000_000
    server.add_batch([plot(task, plot_str=text)])
    [event] = stored(server, task, PLOT)
    assert event["plot_str"] == text
    assert event["plot_len"] == len(text)
    assert "plot_data" not in event
