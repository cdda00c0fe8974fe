"""`get_task_log` in its versions."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.client import Client, log
from tests.properties import prove


def fill(client: Client, task: str, count: int) -> None:
    client.add_batch([log(task, f"line {i}", timestamp=1000 + i) for i in range(count)])


def read(client: Client, task: str, version: str | None = None, **request: Any) -> tuple[list[int], dict[str, Any]]:
    data = client.call("events.get_task_log", {"task": task, **request}, version=version)
    assert data["returned"] == len(data["events"])
    return [int(event["msg"].split()[1]) for event in data["events"]], data


@pytest.mark.parametrize(
    ("request_", "lines"),
    [
        ({"batch_size": 2}, [9, 8]),
        ({"batch_size": 2, "order": "asc"}, [8, 9]),
        ({"batch_size": 2, "navigate_earlier": False}, [0, 1]),
        ({"batch_size": 2, "navigate_earlier": False, "order": "desc"}, [1, 0]),
        ({"batch_size": 3, "from_timestamp": 1005}, [4, 3, 2]),
        ({"batch_size": 3, "from_timestamp": 1005, "navigate_earlier": False}, [6, 7, 8]),
        ({"batch_size": 3, "from_timestamp": 1000}, []),
        ({"batch_size": 3, "from_timestamp": 0}, [9, 8, 7]),
        ({"batch_size": 0}, []),
        ({"batch_size": "2"}, [9, 8]),
        ({"batch_size": 2.7}, [9, 8]),
        ({"order": None, "batch_size": None}, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
    ],
)
def test_pages_of_the_newest_version(server: Client, task: str, request_: dict[str, Any], lines: list[int]) -> None:
    fill(server, task, 10)
    found, data = read(server, task, "2.9", **request_)
    assert found == lines
    assert data["total"] == 10
    assert "scroll_id" not in data


@pytest.mark.parametrize(
    ("version", "request_", "pages"),
    [
        ("1.5", {}, [[4, 3], [2, 1], [0], []]),
        ("1.5", {"order": "asc"}, [[0, 1], [2, 3], [4], []]),
        ("1.7", {}, [[1, 0], [3, 2], [4], []]),
        ("2.8", {"from": "head", "order": "asc"}, [[0, 1], [2, 3], [4], []]),
        ("1.7", {"from": "tail"}, [[4, 3], [2, 1], [0], []]),
        ("1.7", {"from": "tail", "order": "asc"}, [[3, 4], [1, 2], [0], []]),
    ],
)
def test_pages_of_the_older_versions(server: Client, task: str, version: str, request_: dict[str, Any], pages: list[list[int]]) -> None:
    fill(server, task, 5)
    scroll: dict[str, Any] = {}
    for page in pages:
        found, data = read(server, task, version, batch_size=2, **request_, **scroll)
        assert found == page
        if page:
            assert isinstance(data["scroll_id"], str)
        scroll = {"scroll_id": data["scroll_id"]}


def test_the_same_scroll_id_read_twice_gives_the_same_page(server: Client, task: str) -> None:
    fill(server, task, 9)
    _, first = read(server, task, "1.5", batch_size=3)
    one, answer = read(server, task, "1.5", batch_size=3, scroll_id=first["scroll_id"])
    two, _ = read(server, task, "1.5", batch_size=3, scroll_id=first["scroll_id"])
    assert one == two == [5, 4, 3]
    assert read(server, task, "1.5", batch_size=3, scroll_id=answer["scroll_id"])[0] == [2, 1, 0]


def test_a_scroll_id_of_another_task_or_unknown_is_refused(server: Client, task: str) -> None:
    other = uuid.uuid4().hex
    fill(server, task, 5)
    fill(server, other, 5)
    _, first = read(server, task, "1.5", batch_size=2)
    assert server.refused("events.get_task_log", task=other, scroll_id=first["scroll_id"], version="1.5").codes == (400, 1104)
    assert server.refused("events.get_task_log", task=task, scroll_id="0" * 32, version="1.5").codes == (400, 1104)


def test_the_end_mark_gives_an_empty_page(server: Client, task: str) -> None:
    fill(server, task, 2)
    assert read(server, task, "1.5", scroll_id="FFFF")[0] == []


def test_equal_timestamps_keep_the_order_of_arrival(server: Client, task: str) -> None:
    for start in (0, 50):
        server.add_batch([log(task, f"line {i}", timestamp=77) for i in range(start, start + 50)])
    assert read(server, task, batch_size=10, navigate_earlier=False)[0] == list(range(100))
    assert read(server, task, batch_size=10)[0] == list(range(99, -1, -1))


def test_a_page_always_completes_its_last_millisecond(server: Client, task: str) -> None:
    server.add_batch([log(task, f"line {i}", timestamp=1000 + i // 4) for i in range(12)])
    assert read(server, task, batch_size=2)[0] == [11, 10, 9, 8]
    assert read(server, task, batch_size=5, navigate_earlier=False)[0] == list(range(8))


def test_ten_thousand_lines_of_one_millisecond_are_all_there(server: Client, task: str) -> None:
    server.add_batch([log(task, f"line {i}", timestamp=5) for i in range(10_000)])
    assert read(server, task, batch_size=500, navigate_earlier=False)[0] == list(range(10_000))


def test_metrics_filter_log_lines(server: Client, task: str) -> None:
    server.add_batch([log(task, f"line {i}", timestamp=i, metric="ab"[i % 2], variant="v") for i in range(6)])
    found, data = read(server, task, version="2.30", metrics=[{"metric": "b"}])
    assert (found, data["total"]) == ([5, 3, 1], 3)


def test_a_line_of_another_level_or_without_level_is_kept_as_sent(server: Client, task: str) -> None:
    server.add_batch(
        [
            log(task, "a", timestamp=1, level="TRACE"),
            {"type": "log", "task": task, "msg": "b", "timestamp": 2},
            {"type": "log", "task": task, "timestamp": 3},
        ]
    )
    events = server.call("events.get_task_log", task=task, order="asc")["events"]
    assert [event.get("level") for event in events] == ["TRACE", None, None]
    assert [event.get("msg") for event in events] == ["a", "b", None]


def test_a_megabyte_in_one_line_survives(server: Client, task: str) -> None:
    text = "é\n" * 500_000
    server.add_batch([log(task, text)])
    assert server.log(task) == [text]


def test_walking_by_timestamp_shows_every_line_once(server: Client, engine: str) -> None:
    @prove(engine, st.lists(st.integers(0, 12), min_size=1, max_size=40), st.integers(1, 9), st.booleans())
    def holds(stamps: list[int], size: int, earlier: bool) -> None:
        task = uuid.uuid4().hex
        server.add_batch([log(task, f"line {i}", timestamp=1000 + stamp) for i, stamp in enumerate(stamps)])
        expected = [i for i, _ in sorted(enumerate(stamps), key=lambda pair: (pair[1], pair[0]))]
        seen: list[int] = []
        request: dict[str, Any] = {"batch_size": size, "navigate_earlier": earlier}
        while True:
            found, data = read(server, task, **request)
            if not found:
                break
            seen += found
            request["from_timestamp"] = data["events"][-1]["timestamp"]
        assert seen == (expected[::-1] if earlier else expected)


def test_scrolling_shows_every_line_once_although_others_are_written_meanwhile(server: Client, engine: str) -> None:
    @prove(engine, st.lists(st.integers(0, 12), min_size=1, max_size=40), st.integers(1, 9), st.sampled_from(["asc", "desc"]))
    def holds(stamps: list[int], size: int, order: str) -> None:
        task = uuid.uuid4().hex
        server.add_batch([log(task, f"line {i}", timestamp=1000 + stamp) for i, stamp in enumerate(stamps)])
        expected = [i for i, _ in sorted(enumerate(stamps), key=lambda pair: (pair[1], pair[0]))]
        seen: list[int] = []
        request: dict[str, Any] = {"batch_size": size, "order": order}
        while True:
            found, data = read(server, task, "1.5", **request)
            assert data["total"] == len(stamps)
            if not found:
                break
            seen += found
            request["scroll_id"] = data["scroll_id"]
            server.add_batch([log(task, "line 999", timestamp=1000 + len(seen) % 13)])
        assert seen == (expected[::-1] if order == "desc" else expected)
