"""Finding lines in the whole log: plain text, RE2, levels, places, pages."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import re2
from hypothesis import strategies as st

from tests.client import Client, log
from tests.properties import prove

LINES = [
    "epoch 1 loss=0.5",
    "epoch 2 loss=0.25",
    "WARNING: Loss is nan",
    "a.b*c (brackets)",
    "two\nlines loss=1",
    "Straße, ÄPFEL",
    "epoch 3 loss=0.125",
    "",
]


def fill(server: Client, task: str) -> None:
    levels = ["info", "info", "warning", "info", "debug", "info", "info", "error"]
    server.add_batch([log(task, line, timestamp=1000 + i, level=level) for i, (line, level) in enumerate(zip(LINES, levels, strict=True))])


def find(server: Client, task: str, search: str, **request: Any) -> list[int]:
    """The positions of the lines that match, oldest first; checked against the lines themselves."""
    data = server.call("events.get_task_log", {"task": task, "search": search, "order": "asc", **request})
    assert data["returned"] == len(data["events"]) == len(data["positions"])
    assert data["matched"] == data["returned"] and data["scroll_id"] is None
    assert [event["msg"] for event in data["events"]] == [LINES[position] for position in data["positions"]]
    return list(data["positions"])


@pytest.mark.parametrize(
    ("search", "options", "lines"),
    [
        ("loss", {}, [0, 1, 4, 6]),
        ("Loss", {}, [2]),
        ("loss", {"search_ignore_case": True}, [0, 1, 2, 4, 6]),
        ("a.b*c (", {}, [3]),
        ("straße", {"search_ignore_case": True}, [5]),
        ("STRASSE", {"search_ignore_case": True}, []),
        ("äpfel", {"search_ignore_case": True}, [5]),
        ("nothing", {}, []),
        ("lines loss", {}, [4]),
        ("two\nlines", {}, [4]),
        (r"loss=0\.\d{2,}$", {"search_regex": True}, [1, 6]),
        (r"^epoch [13]", {"search_regex": True}, [0, 6]),
        (r"^lines", {"search_regex": True}, []),
        (r"(?m)^lines", {"search_regex": True}, [4]),
        (r"epoch|nan", {"search_regex": True}, [0, 1, 2, 6]),
        (r"LOSS IS", {"search_regex": True, "search_ignore_case": True}, [2]),
        (r"^$", {"search_regex": True}, [7]),
        (r"x*", {"search_regex": True}, [0, 1, 2, 3, 4, 5, 6, 7]),
        (r"\Aepoch.*5\z", {"search_regex": True}, [0, 1, 6]),
        ("loss", {"levels": ["debug", "warning"]}, [4]),
        ("loss", {"levels": []}, [0, 1, 4, 6]),
        (r"\Qa.b*c", {"search_regex": True}, [3]),
        ("loss", {"from_timestamp": 0}, [0, 1, 4, 6]),
        ("loss", {"from_timestamp": 1004}, [0, 1]),
        ("loss", {"from_timestamp": 1001, "navigate_earlier": False}, [4, 6]),
    ],
)
def test_lines_that_match_are_found_with_their_positions(
    server: Client, task: str, search: str, options: dict[str, Any], lines: list[int]
) -> None:
    fill(server, task)
    assert find(server, task, search, **options) == lines


def test_matches_come_newest_first_unless_asked_otherwise(server: Client, task: str) -> None:
    fill(server, task)
    request = {"task": task, "search": "epoch"}
    assert server.call("events.get_task_log", request)["positions"] == [6, 1, 0]
    assert server.call("events.get_task_log", request, order="asc")["positions"] == [0, 1, 6]
    assert server.call("events.get_task_log", request, navigate_earlier=False)["positions"] == [0, 1, 6]
    assert server.call("events.get_task_log", request, navigate_earlier=False, order="desc")["positions"] == [6, 1, 0]


def test_levels_filter_ordinary_pages_too(server: Client, task: str) -> None:
    fill(server, task)
    data = server.call("events.get_task_log", task=task, levels=["warning", "error"])
    assert [event["msg"] for event in data["events"]] == [LINES[7], LINES[2]]
    assert data["total"] == 2
    assert "positions" not in data


def test_an_empty_search_is_no_search(server: Client, task: str) -> None:
    fill(server, task)
    data = server.call("events.get_task_log", task=task, search="", batch_size=2)
    assert [event["msg"] for event in data["events"]] == [LINES[7], LINES[6]]
    assert set(data) == {"events", "returned", "total"}


def test_a_metrics_filter_goes_with_a_search_and_positions_are_those_in_the_whole_log(server: Client, task: str) -> None:
    server.add_batch([log(task, f"line {i}", timestamp=1000 + i, metric="m" if i % 2 else "n", variant="v") for i in range(10)])
    data = server.call("events.get_task_log", task=task, search="line", metrics=[{"metric": "m"}], order="asc")
    assert data["positions"] == [1, 3, 5, 7, 9]
    assert (data["total"], data["matched"]) == (5, 5)


@pytest.mark.parametrize("pattern", ["(", "[a", "a{3,1}", r"\1", "(?=x)", "x{2000}"])
def test_a_pattern_that_re2_cannot_read_is_refused(server: Client, task: str, pattern: str) -> None:
    fill(server, task)
    error = server.refused("events.get_task_log", task=task, search=pattern, search_regex=True)
    assert error.codes == (400, 21)
    assert find(server, task, "a{3,1}") == []


@pytest.mark.parametrize("earlier", [True, False])
def test_pages_of_a_search_show_every_match_once(server: Client, task: str, earlier: bool) -> None:
    server.add_batch([log(task, f"line {i} {'hit' if i % 3 else 'miss'}", timestamp=1000 + i) for i in range(100)])
    request: dict[str, Any] = {"task": task, "search": "hit", "batch_size": 7, "navigate_earlier": earlier}
    seen: list[int] = []
    while True:
        data = server.call("events.get_task_log", request)
        again = server.call("events.get_task_log", request)
        assert (again["events"], again["positions"]) == (data["events"], data["positions"])
        assert [int(event["msg"].split()[1]) for event in data["events"]] == data["positions"]
        seen += data["positions"]
        if data["scroll_id"] is None:
            break
        assert data["matched"] is None and data["returned"] == 7
        request["scroll_id"] = data["scroll_id"]
    assert data["matched"] == len(seen) == 66
    assert seen == sorted((i for i in range(100) if i % 3), reverse=earlier)


def test_a_page_of_matches_completes_its_last_millisecond(server: Client, task: str) -> None:
    server.add_batch([log(task, f"line {i}", timestamp=1000 + i // 5) for i in range(20)])
    data = server.call("events.get_task_log", task=task, search="line", batch_size=7)
    assert data["positions"] == list(range(19, 9, -1))


def test_a_search_goes_on_only_as_it_began(server: Client, task: str) -> None:
    fill(server, task)
    first = server.call("events.get_task_log", task=task, search="epoch", batch_size=1)
    go_on = {"task": task, "batch_size": 1, "scroll_id": first["scroll_id"]}
    assert server.refused("events.get_task_log", go_on, search="loss").codes == (400, 1104)
    assert server.refused("events.get_task_log", go_on, search="epoch", search_regex=True).codes == (400, 1104)
    assert server.refused("events.get_task_log", go_on, search="epoch", levels=["info"]).codes == (400, 1104)
    assert server.refused("events.get_task_log", go_on, search="epoch", navigate_earlier=False).codes == (400, 1104)
    assert server.refused("events.get_task_log", go_on | {"scroll_id": "f" * 32}, search="epoch").codes == (400, 1104)
    other = uuid.uuid4().hex
    fill(server, other)
    assert server.refused("events.get_task_log", go_on | {"task": other}, search="epoch").codes == (400, 1104)
    assert server.call("events.get_task_log", go_on, search="epoch")["positions"] == [1]


def test_a_match_among_many_lines_is_found_in_one_page(server: Client, task: str) -> None:
    for start in range(0, 60_000, 20_000):
        server.add_batch([log(task, f"line {i} of many", timestamp=1000 + i // 7) for i in range(start, start + 20_000)])
    for pattern, regex in (("line 12345 ", False), (r"line 1234[5] ", True), (r"[a-z]+ 12345 [a-z]", True)):
        data = server.call("events.get_task_log", task=task, search=pattern, search_regex=regex)
        assert (data["positions"], data["matched"], data["total"]) == ([12345], 1, 60_000)


texts = st.lists(st.text(st.sampled_from("abAB.\n é"), max_size=6), min_size=1, max_size=12)
patterns = st.lists(
    st.sampled_from(["a", "b", "ab", ".", "[ab]", "(a|b)", "a+", "b?", "^", "$", r"\.", r"\b", "A", "é", "a{2}"]), max_size=4
)


def test_a_search_finds_what_re2_and_python_find(server: Client, engine: str) -> None:
    @prove(engine, texts, patterns.map("".join), st.booleans(), st.booleans(), st.integers(1, 5))
    def holds(lines: list[str], pattern: str, regex: bool, ignore: bool, size: int) -> None:
        task = uuid.uuid4().hex
        server.add_batch([log(task, line, timestamp=1000 + i // 2) for i, line in enumerate(lines)])
        if regex:
            options = re2.Options()
            options.case_sensitive = not ignore
            compiled = re2.compile(pattern, options)
            expected = [i for i, line in enumerate(lines) if compiled.search(line)]
        else:
            expected = [i for i, line in enumerate(lines) if (pattern.casefold() in line.casefold() if ignore else pattern in line)]
        if not pattern:
            return  # no search
        request: dict[str, Any] = {"task": task, "search": pattern, "search_regex": regex, "search_ignore_case": ignore}
        request |= {"batch_size": size, "navigate_earlier": False}
        found: list[int] = []
        while True:
            data = server.call("events.get_task_log", request)
            found += data["positions"]
            if data["scroll_id"] is None:
                break
            request["scroll_id"] = data["scroll_id"]
        assert found == expected


def test_a_search_with_a_budget_goes_on_where_it_stopped_and_finds_everything(server: Client, task: str) -> None:
    lines = [log(task, "needle" if number in (17, 9_000, 24_999) else f"hay {number}", timestamp=number) for number in range(25_000)]
    server.add_batch(lines)
    request: dict[str, Any] = {
        "task": task,
        "search": "needle|nothing",
        "search_regex": True,
        "batch_size": 100,
        "navigate_earlier": False,
        "budget_ms": 1,
    }
    found: list[int] = []
    times: list[int] = []
    while True:
        page = server.call("events.get_task_log", request)
        found += page["positions"]
        if page["scroll_id"] is None:
            break
        assert page["matched"] is None and page["searched_to"] is not None
        times.append(page["searched_to"])
        request["scroll_id"] = page["scroll_id"]
    assert (found, page["matched"], page["searched_to"]) == ([17, 9_000, 24_999], 3, None)
    assert len(times) >= 2 and times == sorted(times)


@pytest.mark.parametrize("word", ["0" * 200, "ab" * 4_000, "x" * 9_999, "f0" * 20])
def test_words_of_any_length_are_found(server: Client, task: str, word: str) -> None:
    """An index looks words up by automata, whose size has limits."""
    lines = [f"before {word} after", f"{word[1:]} alone", f"joined{word}joined", "nothing", f"{word.upper()} " + "y" * 9_000]
    server.add_batch([log(task, line, timestamp=1_000 + number) for number, line in enumerate(lines)])
    for search, options in ((word, {}), (word[1:], {}), (word, {"search_ignore_case": True}), (f"{word[:900]}.*$", {"search_regex": True})):
        text = search.removesuffix(".*$")
        wanted = [place for place, line in enumerate(lines) if text in (line.lower() if "search_ignore_case" in options else line)]
        data = server.call("events.get_task_log", {"task": task, "search": search, "order": "asc", **options})
        assert data["positions"] == wanted, (search[:20], options)
