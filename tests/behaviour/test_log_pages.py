"""Pages of `get_task_log` at their edges: many lines of one millisecond, the beginning of time, changes meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import Client, log


@pytest.mark.parametrize("earlier", [True, False])
def test_more_lines_of_one_millisecond_than_any_page_holds_come_in_one(server: Client, task: str, earlier: bool) -> None:
    lines = [log(task, f"line {i}", timestamp=1000) for i in range(25_000)]
    server.add_batch([log(task, "before", timestamp=999), *lines, log(task, "after", timestamp=1001)])
    request: dict[str, Any] = {"task": task, "batch_size": 10, "navigate_earlier": earlier, "order": "asc"}
    data = server.call("events.get_task_log", request)
    found = [event["msg"] for event in data["events"]]
    assert found == [*(["before"] if not earlier else []), *(f"line {i}" for i in range(25_000)), *(["after"] if earlier else [])]
    assert data["total"] == 25_002
    rest = server.call("events.get_task_log", request, from_timestamp=1000)
    assert [event["msg"] for event in rest["events"]] == ["before" if earlier else "after"]


def test_a_log_that_begins_at_the_epoch_is_walked_to_its_end(server: Client, task: str) -> None:
    server.add_batch([log(task, f"line {i}", timestamp=i) for i in range(-3, 3)])
    request: dict[str, Any] = {"task": task, "batch_size": 1}
    seen = []
    while events := server.call("events.get_task_log", request)["events"]:
        seen += [event["timestamp"] for event in events]
        request["from_timestamp"] = events[-1]["timestamp"]
    assert seen == [2, 1, 0, -1, -2, -3]
    later = server.call("events.get_task_log", task=task, from_timestamp=0, navigate_earlier=False)
    assert [event["timestamp"] for event in later["events"]] == [1, 2]


@pytest.mark.parametrize(
    ("from_timestamp", "earlier", "count"), [(2**63 - 1, True, 2), (2**63 - 1, False, 0), (-(2**63), True, 0), (-(2**63), False, 2)]
)
def test_times_far_beyond_the_calendar_are_only_bounds(server: Client, task: str, from_timestamp: int, earlier: bool, count: int) -> None:
    server.add_batch([log(task, "x", timestamp=1), log(task, "y", timestamp=2)])
    for more in ({}, {"search": "."}, {"search": "[xy]", "search_regex": True}):
        data = server.call("events.get_task_log", task=task, from_timestamp=from_timestamp, navigate_earlier=earlier, **more)
        assert data["returned"] == (count if more != {"search": "."} else 0)


@pytest.mark.parametrize("size", [-1, 10_001, "many"])
def test_a_page_size_that_no_page_has_is_refused(server: Client, task: str, size: Any) -> None:
    server.add_batch([log(task, "x", timestamp=1)])
    assert server.refused("events.get_task_log", task=task, batch_size=size).codes == (400, 12)


def test_old_pages_hold_ten_thousand_lines_at_most(server: Client, task: str) -> None:
    server.add_batch([log(task, f"line {i}", timestamp=i // 3) for i in range(12_000)])
    first = server.call("events.get_task_log", task=task, batch_size=50_000, order="asc", version="1.5")
    second = server.call("events.get_task_log", task=task, batch_size=50_000, order="asc", scroll_id=first["scroll_id"], version="1.5")
    assert [event["msg"] for event in first["events"] + second["events"]] == [f"line {i}" for i in range(12_000)]
    assert (first["returned"], second["returned"]) == (10_000, 2_000)


def test_a_scroll_goes_on_as_it_began_whatever_else_is_asked(server: Client, task: str) -> None:
    server.add_batch([log(task, f"line {i}", timestamp=i, metric="ab"[i % 2], variant="v") for i in range(8)])
    request: dict[str, Any] = {"task": task, "batch_size": 2, "order": "asc", "metrics": [{"metric": "a"}]}
    first = server.call("events.get_task_log", request, version="1.7")
    second = server.call("events.get_task_log", task=task, scroll_id=first["scroll_id"], version="1.7")
    assert [event["msg"] for event in first["events"]] == ["line 0", "line 2"]
    assert [event["msg"] for event in second["events"]] == ["line 6", "line 4"]  # the order of a page may change on the way
    assert (first["total"], second["total"]) == (4, 4)


@pytest.mark.parametrize("earlier", [True, False])
@pytest.mark.parametrize("size", [1, 3, 50, 500])
def test_folded_pages_show_each_line_and_each_bar_once(server: Client, task: str, earlier: bool, size: int) -> None:
    def bar(name: str, done: int) -> str:
        return f"{name}: {done:3d}%|{'#' * (done // 10):10}| {done}/100 [00:01<00:02, 9.00it/s]"

    texts = ["start", *(bar("train", done) for done in range(101)), "between", *(bar("valid", done) for done in range(40)), "end"]
    server.add_batch([log(task, text, timestamp=1000 + number) for number, text in enumerate(texts)])
    request: dict[str, Any] = {"task": task, "batch_size": size, "navigate_earlier": earlier, "fold": "progress"}
    seen: list[str] = []
    while True:
        page = server.call("events.get_task_log", request)
        seen += [event["msg"] for event in page["events"]]
        assert page["total"] == len(texts) and page["returned"] == len(page["events"])
        request["from_timestamp"] = page["next_timestamp"]
        if page["next_timestamp"] is None:
            break
    assert (seen[::-1] if earlier else seen) == ["start", bar("train", 100), "between", bar("valid", 39), "end"]
    assert len(server.call("events.get_task_log", task=task)["events"]) == len(texts), "what is stored stays as it is"
