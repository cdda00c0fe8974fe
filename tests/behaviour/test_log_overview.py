"""`events.get_task_log_lines` and `get_task_log_overview`: the log by position and as a whole."""

from __future__ import annotations

from typing import Any

from tests.client import Client, log

T0 = 1_700_000_000_000


def lines(server: Client, task: str, position: int, count: int) -> dict[str, Any]:
    return server.call("events.get_task_log_lines", task=task, position=position, count=count)


def messages(answer: dict[str, Any]) -> list[str]:
    return [event["msg"] for event in answer["events"]]


def test_lines_at_any_position_are_those_of_the_whole_log(server: Client, task: str) -> None:
    server.add_batch([log(task, f"line {number}", timestamp=T0 + (number * 7919) % 100_000) for number in range(3_000)])
    whole = server.log(task)
    for position in (0, 1, 999, 1_500, 2_990):
        found = lines(server, task, position, 10)
        assert (found["position"], found["returned"], found["total"]) == (position, 10, 3_000)
        assert messages(found) == whole[position : position + 10]


def test_a_crowded_millisecond_is_read_by_position_too(server: Client, task: str) -> None:
    server.add_batch([log(task, f"{number}", timestamp=T0) for number in range(12_000)])
    server.add_batch([log(task, "last", timestamp=T0 + 10**9)])
    assert messages(lines(server, task, 11_997, 10)) == ["11991", *map(str, range(11_992, 12_000)), "last"]
    assert messages(lines(server, task, 5_000, 2)) == ["5000", "5001"]


def test_many_lines_in_one_slice_are_divided_further(server: Client, task: str) -> None:
    server.add_batch([log(task, f"{number}", timestamp=T0 + number // 4) for number in range(12_000)])
    server.add_batch([log(task, "a year later", timestamp=T0 + 31_536_000_000)])
    assert messages(lines(server, task, 9_001, 3)) == ["9001", "9002", "9003"]


def test_a_position_beyond_the_end_gives_the_last_page(server: Client, task: str) -> None:
    server.add_batch([log(task, f"{number}", timestamp=T0 + number) for number in range(5)])
    assert (lines(server, task, 99, 2)["position"], messages(lines(server, task, 99, 2))) == (3, ["3", "4"])
    assert lines(server, task, -5, 2)["position"] == 0
    assert messages(lines(server, task, 4, 100)) == ["0", "1", "2", "3", "4"]


def test_an_empty_log_has_no_lines_and_no_slices(server: Client) -> None:
    task = server.new_task("silent")
    assert lines(server, task, 3, 10) == {"position": 0, "events": [], "returned": 0, "total": 0}
    found = server.call("events.get_task_log_overview", task=task)
    assert (found["total"], found["start"], found["levels"]) == (0, [], [])


def test_the_overview_counts_lines_by_level_and_says_where_slices_begin(server: Client, task: str) -> None:
    server.add_batch([log(task, "m", timestamp=T0 + 1000 * number, level="error" if number == 7 else "info") for number in range(100)])
    server.add_batch([{"type": "log", "task": task, "msg": "plain", "timestamp": T0 + 500}])
    found = server.call("events.get_task_log_overview", task=task, slices=10)
    assert (found["total"], found["interval"], sum(found["count"])) == (101, 10_000, 101)
    assert found["position"] == [sum(found["count"][:place]) for place in range(len(found["count"]))]
    counts = {one["level"]: one["count"] for one in found["levels"]}
    assert {level: sum(count) for level, count in counts.items()} == {"info": 99, "error": 1, None: 1}
    place = counts["error"].index(1)
    assert found["start"][place] <= T0 + 7_000 < found["start"][place] + 10_000
    assert (found["first_timestamp"], found["last_timestamp"]) == (T0, T0 + 99_000)


def test_the_overview_follows_new_late_and_cleared_lines(server: Client, task: str) -> None:
    def counted() -> tuple[int, int]:
        found = server.call("events.get_task_log_overview", task=task, slices=100)
        return found["total"], sum(found["count"])

    server.add_batch([log(task, "old", timestamp=T0 + 1000 * number, metric="m") for number in range(50)])
    assert counted() == (50, 50)
    server.add_batch([log(task, "new", timestamp=T0 + 49_000 + number) for number in range(10)])
    assert counted() == (60, 60)
    server.add_batch([log(task, "late", timestamp=T0 + 5_500)])
    assert counted() == (61, 61)
    assert messages(lines(server, task, 6, 1)) == ["late"]
    assert server.call("events.clear_task_log", task=task, include_metrics=["m"])["deleted"] == 50
    assert counted() == (11, 11)
    assert messages(lines(server, task, 0, 2)) == ["late", "new"]
