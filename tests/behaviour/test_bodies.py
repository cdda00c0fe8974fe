"""Request bodies: docs/protocol.md, "Bodies"."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from tests.client import Client, json_lines, log, scalar

JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/json-lines"}


CONTENT_TYPES = [
    "application/json",
    "text/plain",
    "application/octet-stream",
    "application/json; charset=utf-8",
    "application/x-www-form-urlencoded",
]


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_json_is_read_whatever_the_content_type_says(server: Client, content_type: str, task: str) -> None:
    server.add(log(task, "one"))
    body = json.dumps({"task": task}).encode()
    assert server.raw("/events.get_task_log", body, headers={"Content-Type": content_type}).data["total"] == 1


def test_of_duplicate_keys_the_last_one_wins(server: Client, task: str) -> None:
    server.add(log(task, "one"))
    body = b'{"task": "nobody", "task": "%s"}' % task.encode()
    assert server.raw("/events.get_task_log", body, headers=JSON).codes == (200, 0)


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"0", b'""', b"  "])
def test_an_empty_body_is_an_empty_object(server: Client, body: bytes) -> None:
    assert server.raw("/debug.ping", body, headers=JSON).codes == (200, 0)
    assert server.raw("/events.get_task_log", body, headers=JSON).codes == (400, 12)


@pytest.mark.parametrize("body", [b"[1]", b'[{"task": "t"}]', b'"x"', b"1", b"true"])
def test_a_body_that_is_no_object_is_refused_not_a_crash(server: Client, body: bytes) -> None:
    assert server.raw("/events.get_task_log", body, headers=JSON).codes == (400, 0)


@pytest.mark.parametrize(
    "body", [b"{", b'{"task": }', b"{'task': 1}", b'{"task": "a"} x', b"\xff\xfe", b'{"task": "\xff"}', b"[" * 100_000, b'{"a":' * 100_000]
)
def test_broken_json_is_refused(server: Client, body: bytes) -> None:
    assert server.raw("/events.get_task_log", body, headers=JSON).codes == (400, 0)


def test_nan_and_infinity_literals_are_read(server: Client, task: str) -> None:
    body = b'{"type": "training_stats_scalar", "task": "%s", "metric": "m", "variant": "v", "iter": 1, "value": NaN}' % task.encode()
    assert server.raw("/events.add", body, headers=JSON).data["added"] == 1
    assert server.raw("/events.add", body.replace(b"NaN", b"-Infinity"), headers=JSON).data["added"] == 1


def test_query_fields_are_merged_over_the_body(server: Client, task: str) -> None:
    server.add_batch([log(task, f"line {i}", timestamp=1000 + i) for i in range(3)])
    read = server.raw(f"/events.get_task_log?task={task}&batch_size=2&navigate_earlier=false", {"task": "other"})
    assert [event["msg"] for event in read.data["events"]] == ["line 0", "line 1"]


def test_form_bodies_work_like_query_fields(server: Client, task: str) -> None:
    server.add(log(task, "one"))
    read = server.raw(
        "/events.get_task_log", f"task={task}&batch_size=5".encode(), headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert read.data["returned"] == 1


def test_a_task_id_of_digits_stays_a_string_in_a_query(server: Client) -> None:
    server.add(log("1234567890", "one"))
    assert server.raw("/events.get_task_log?task=1234567890&batch_size=1").data["returned"] == 1


def test_repeated_and_bracketed_query_fields_become_lists(server: Client, task: str) -> None:
    server.add(scalar(task))
    for query in (f"tasks={task}&tasks={task}", f"tasks[]={task}"):
        assert server.raw(f"/events.get_task_metrics?{query}&event_type=training_stats_scalar").data["metrics"][0]["metrics"] == ["loss"]


def test_dotted_query_fields_are_nested(server: Client, task: str) -> None:
    server.add(log(task, "one"))
    assert server.raw(f"/events.get_task_log?task={task}&a.b=1").codes == (200, 0)


@pytest.mark.parametrize(
    "content_type", ["application/json-lines", "application/json-lines; charset=utf-8", "Application/JSON-Lines", "application/x-ndjson"]
)
def test_json_lines_are_a_batch_with_or_without_a_charset(server: Client, content_type: str, task: str) -> None:
    body = json_lines([log(task, "a"), log(task, "b")])
    assert server.raw("/events.add_batch", body, headers={"Content-Type": content_type}).data["added"] == 2


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b"\n\n\n"])
def test_any_line_ending_separates_and_blank_lines_cost_nothing(server: Client, end: bytes, task: str) -> None:
    body = end.join([json.dumps(log(task, str(i))).encode() for i in range(3)]) + end
    answer = server.add_batch(body)
    assert (answer["added"], answer["errors"]) == (3, 0)


@pytest.mark.parametrize("body", [b"", b"\n", b"\r\n \n"])
def test_a_batch_without_lines_is_400_17(server: Client, body: bytes) -> None:
    assert server.raw("/events.add_batch", body, headers=LINES).codes == (400, 17)


def test_one_json_object_is_a_batch_of_one(server: Client, task: str) -> None:
    assert server.raw("/events.add_batch", log(task, "alone")).data["added"] == 1


def test_add_does_not_look_at_batched_data(server: Client, task: str) -> None:
    assert server.raw("/events.add", json_lines([log(task, "a"), log(task, "b")]), headers=LINES).codes[0] == 400


def test_a_gzipped_batch_is_unpacked(server: Client, task: str) -> None:
    body = gzip.compress(json_lines([log(task, f"line {i}", timestamp=i + 1) for i in range(100)]))
    assert server.add_batch(body, headers={"Content-Encoding": "gzip"})["added"] == 100
    assert server.log(task) == [f"line {i}" for i in range(100)]


def test_a_gzipped_json_body_is_unpacked(server: Client, task: str) -> None:
    server.add(log(task, "one"))
    body = gzip.compress(json.dumps({"task": task}).encode())
    assert server.raw("/events.get_task_log", body, headers={**JSON, "Content-Encoding": "gzip"}).data["total"] == 1


def test_a_gzip_bomb_is_413(server: Client) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    megabyte = b" " * (1 << 20)
    body = b"".join(packer.compress(megabyte) for _ in range(400)) + packer.flush()
    assert server.raw("/events.add_batch", body, headers={**LINES, "Content-Encoding": "gzip"}).codes == (413, 0)
    assert server.raw("/debug.ping").codes == (200, 0)


@pytest.mark.parametrize("body", [b"no gzip at all", gzip.compress(b'{"a": 1}')[:-6]], ids=["none", "cut off"])
def test_damaged_gzip_is_refused(server: Client, body: bytes) -> None:
    assert server.raw("/events.add_batch", body, headers={**LINES, "Content-Encoding": "gzip"}).codes == (400, 0)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br", "nonsense"])
def test_another_content_encoding_is_415_in_an_envelope(server: Client, encoding: str) -> None:
    assert server.raw("/debug.ping", b"{}", headers={**JSON, "Content-Encoding": encoding}).codes == (415, 0)


def test_strings_that_look_like_dates_are_kept_verbatim(server: Client, task: str) -> None:
    texts = ["2024-01-01T00:00:00", "2024-01-01 00:00:00", "10:11:12", "2024-01-01", "P1D"]
    assert server.add_batch([log(task, text, timestamp=i + 1) for i, text in enumerate(texts)])["added"] == len(texts)
    assert server.log(task) == texts
    server.add_batch([scalar(task, "2024-01-01T00:00:00", "10:11:12")])
    assert server.histogram(task) == {"2024-01-01T00:00:00": {"10:11:12": {"name": "10:11:12", "x": [0], "y": [1.0]}}}
