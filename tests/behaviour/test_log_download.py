"""`download_task_log` and `clear_task_log`."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest

from tests.client import Answer, Client, log


def download(server: Client, task: str, **request: Any) -> Answer:
    answer = server.raw("/events.download_task_log", {"task": task, **request})
    assert answer.status == 200, answer.body[:300]
    return answer


def fill(server: Client, task: str) -> None:
    server.add_batch(
        [
            log(task, "second, über", timestamp=2000, level="warning", worker="box"),
            log(task, "first\n", timestamp=1000),
            {"type": "log", "task": task, "msg": "no level", "timestamp": 3000, "own": {"n": 1}},
        ]
    )


def test_the_log_comes_as_a_file(server: Client, task: str) -> None:
    fill(server, task)
    answer = download(server, task)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == f"attachment; filename=task_{task}.log"
    assert answer.headers["cache-control"] == "no-store, max-age=0"


def test_json_lines_hold_the_event_without_type_and_task(server: Client, task: str) -> None:
    fill(server, task)
    body = download(server, task).body
    assert body.isascii() and body.endswith(b"}\n")
    lines = [json.loads(line) for line in body.splitlines()]
    assert [line["msg"] for line in lines] == ["first\n", "second, über", "no level"]
    assert [line["asctime"] for line in lines] == [1000, 2000, 3000]
    assert lines[2]["own"] == {"n": 1}
    for line in lines:
        assert not {"type", "task", "timestamp"} & set(line)
        assert {"metric", "variant", "worker", "@timestamp", "model_event"} <= set(line)
    assert download(server, task, line_type="JSON").body == body


@pytest.mark.parametrize(
    ("line_format", "text"),
    [
        (None, "1000 w info first\n2000 box warning second, über\n3000 w  no level\n"),
        ("{timestamp}|{msg}", "1000|first\n2000|second, über\n3000|no level\n"),
        ("{level:>8}.", "    info.\n warning.\n        .\n"),
        ("{{{level}}}", "{info}\n{warning}\n{}\n"),
        ("{msg:.3s}", "fir\nsec\nno \n"),
        ("{level!r}", "'info'\n'warning'\n''\n"),
        ("same", "same\nsame\nsame\n"),
    ],
)
def test_text_lines_follow_their_format(server: Client, task: str, line_format: str | None, text: str) -> None:
    fill(server, task)
    request = {"line_type": "text"} | ({"line_format": line_format} if line_format else {})
    assert download(server, task, **request).body.decode() == text


@pytest.mark.parametrize(
    ("line_format", "codes"),
    [
        ("", (400, 11)),
        ("{bogus}", (400, 16)),
        ("{0}", (400, 16)),
        ("{}", (400, 16)),
        ("{msg", (400, 16)),
        ("}", (400, 16)),
        ("{msg.__class__}", (400, 16)),
        ("{msg[0]}", (400, 16)),
        ("{msg:{level}}", (400, 16)),
        ("{msg:99999999999}", (400, 16)),
        ("{asctime:,}", (400, 16)),
        ("{msg!x}", (400, 16)),
        ("{msg}" * 21, (400, 16)),
        ("x" * 1001, (400, 16)),
    ],
)
def test_a_format_that_is_more_than_five_placeholders_is_refused(
    server: Client, task: str, line_format: str, codes: tuple[int, int]
) -> None:
    fill(server, task)
    answer = server.raw("/events.download_task_log", {"task": task, "line_type": "text", "line_format": line_format})
    assert answer.codes == codes


def test_a_format_in_a_message_is_only_text(server: Client, task: str) -> None:
    server.add_batch([log(task, "{msg} {0} {worker.__class__}", timestamp=1000)])
    assert download(server, task, line_type="text", line_format="{msg}").body == b"{msg} {0} {worker.__class__}\n"


def test_the_log_of_an_unknown_task_is_refused_in_an_envelope(server: Client) -> None:
    assert server.raw("/events.download_task_log", {"task": "nope"}).codes == (400, 101)


def test_a_task_without_lines_gives_an_empty_file(server: Client, task: str) -> None:
    server.add_batch([{"type": "training_stats_scalar", "task": task, "metric": "m", "variant": "v", "iter": 1, "value": 1}])
    assert download(server, task).body == b""


def test_a_task_with_an_odd_id_gives_a_file_with_a_safe_name(server: Client, task: str) -> None:
    odd = f'{task}"; é'
    server.add_batch([log(odd, "x", timestamp=1)])
    header = download(server, odd).headers["content-disposition"]
    assert header == f"attachment; filename=task_{task}____.log; filename*=UTF-8''task_{task}%22%3B%20%C3%A9.log"


def test_fifty_thousand_lines_come_whole_and_in_order(server: Client, task: str) -> None:
    for start in range(0, 50_000, 10_000):
        server.add_batch([log(task, f"line {i}", timestamp=1000 + i // 3000) for i in range(start, start + 10_000)])
    answer = download(server, task, line_type="text", line_format="{msg}")
    assert answer.body == b"".join(b"line %d\n" % i for i in range(50_000))


def test_a_client_that_goes_in_the_middle_harms_nobody(server: Client, task: str) -> None:
    server.add_batch([log(task, "x" * 1000, timestamp=1000 + i) for i in range(10_000)])
    for _ in range(5):
        with socket.create_connection((server.host, server.port), timeout=30) as connection:
            body = json.dumps({"task": task}).encode()
            connection.sendall(b"POST /events.download_task_log HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n")
            connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert len(download(server, task, line_type="text", line_format="{msg}").body) == 10_000 * 1001


# --- clearing


def test_clearing_removes_all_lines_and_nothing_else(server: Client, task: str) -> None:
    fill(server, task)
    server.add_batch([{"type": "training_stats_scalar", "task": task, "metric": "m", "variant": "v", "iter": 1, "value": 1}])
    assert server.call("events.clear_task_log", task=task) == {"deleted": 3}
    assert server.log(task) == []
    assert len(server.events(task)) == 1
    assert server.call("events.clear_task_log", task=task) == {"deleted": 0}


def test_a_threshold_keeps_younger_lines(server: Client, task: str) -> None:
    now = int(time.time() * 1000)
    server.add_batch([log(task, f"{age} s ago", timestamp=now - age * 1000) for age in (10_000, 1000, 100, 0)])
    assert server.call("events.clear_task_log", task=task, threshold_sec=500) == {"deleted": 2}
    assert server.log(task) == ["100 s ago", "0 s ago"]
    assert server.call("events.clear_task_log", task=task, threshold_sec=2**62) == {"deleted": 0}
    assert server.call("events.clear_task_log", task=task, threshold_sec=0) == {"deleted": 2}


def test_metrics_choose_which_lines_go(server: Client, task: str) -> None:
    server.add_batch([log(task, metric, timestamp=1000 + i, metric=metric, variant="v") for i, metric in enumerate("abcd")])
    clear = {"task": task}
    assert server.call("events.clear_task_log", clear, include_metrics=["a", "none"]) == {"deleted": 1}
    assert server.call("events.clear_task_log", clear, include_metrics=["b", "c"], exclude_metrics=["c"]) == {"deleted": 1}
    assert server.call("events.clear_task_log", clear, exclude_metrics=["c"]) == {"deleted": 1}
    assert server.log(task) == ["c"]


def test_the_log_of_an_unknown_task_cannot_be_cleared(server: Client) -> None:
    assert server.refused("events.clear_task_log", task="nope").codes == (400, 101)


def test_progress_bars_are_folded_into_their_last_redraw_on_request(server: Client, task: str) -> None:
    def bar(name: str, done: int) -> str:
        return f"{name}: {done:3d}%|{'#' * (done // 10):10}| {done}/100 [00:01<00:02, 9.00it/s]"

    texts = [
        "start",
        *(bar("train", done) for done in range(101)),
        *(bar("valid", done) for done in range(0, 101, 50)),
        "45it [00:12,  3.45it/s]",
    ]
    texts += [
        "\r".join(bar("inside", done) for done in range(3)),
        "100% of it | is text",
        "end",
        *(bar("last", done) for done in range(200 // 2)),
    ]
    server.add_batch([log(task, text, timestamp=1000 + number) for number, text in enumerate(texts)])
    folded = download(server, task, line_type="text", line_format="{msg}", fold="progress").body.decode().splitlines()
    assert folded == [
        "start",
        bar("train", 100),
        bar("valid", 100),
        "45it [00:12,  3.45it/s]",
        bar("inside", 2),
        "100% of it | is text",
        "end",
        bar("last", 99),
    ]
    lines = [json.loads(line)["msg"] for line in download(server, task).body.splitlines()]
    assert lines == texts, "what is stored stays as it is"
