"""A search has a budget: it answers what it found and where it stopped, and the next call goes on there; others don't wait for it."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any

import pytest

from tests.client import Client, log
from tests.conftest import StartServer
from tests.process import wait_until

HEAVY = "(?:a?b?){900}[cd]"
"""RE2 finds no quick way for it: 18 µs a byte."""
TOO_LARGE = "(?:.{0,900}x)(?:.{0,900}y)"


def search(client: Client, task: str, text: str, **fields: Any) -> dict[str, Any]:
    return client.call("events.get_task_log", {"task": task, "search": text, "batch_size": 100, **fields})


def test_a_search_without_time_still_comes_to_its_end_page_by_page(start_server: StartServer, task: str) -> None:
    client = start_server(TIDEMARK__events__search_seconds="0").client()
    lines = [f"line {number} {'needle' if number % 100 == 7 else ''} {'x' * 100}" for number in range(3_000)]
    client.add_batch([log(task, line, timestamp=1_000 + number) for number, line in enumerate(lines)])
    for way in (True, False):
        found, pages, scroll, stops = [], 0, None, []
        while pages < 200:
            more = {"scroll_id": scroll} if scroll else {}
            page = search(client, task, "needle|nadel", search_regex=True, navigate_earlier=way, **more)
            found += [(event["msg"], position) for event, position in zip(page["events"], page["positions"], strict=True)]
            pages, scroll = pages + 1, page["scroll_id"]
            stops.append(page["searched_to"])
            if scroll is None:
                break
            assert page["matched"] is None and page["searched_to"] is not None
        expected = [(line, number) for number, line in enumerate(lines) if "needle" in line]
        assert found == (expected[::-1] if way else expected)
        assert page["matched"] == len(expected) and stops[-1] is None and 2 < pages < 200
        assert stops[:-1] == sorted(stops[:-1], reverse=way)


def test_a_client_of_an_earlier_version_that_searches_is_told_where_the_search_stopped(server: Client, task: str) -> None:
    """The client checks the answer against the schema of its version."""
    server.add(log(task, "x"))
    page = server.call("events.get_task_log", task=task, search="x", budget_ms=1, version="2.9")
    assert "searched_to" in page


def test_a_pattern_that_is_too_large_is_refused(server: Client, task: str) -> None:
    server.add(log(task, "x"))
    assert server.refused("events.get_task_log", task=task, search=TOO_LARGE, search_regex=True).status == 400


def test_heavy_searches_end_in_time_and_keep_nobody_waiting(start_server: StartServer, task: str) -> None:
    """Four searches of 1.6 MB at 18 µs a byte: 30 seconds each without a budget, on the threads that read the store."""
    server = start_server(TIDEMARK__events__search_seconds="0.5")
    client = server.client()
    client.add_batch([log(task, "ab" * 40_000, timestamp=1_000 + number) for number in range(20)])
    took: list[float] = []

    def one() -> None:
        began = time.monotonic()
        page = search(server.client(), task, HEAVY, search_regex=True)
        assert page["searched_to"] is not None and page["scroll_id"]
        took.append(time.monotonic() - began)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    waited = []
    while any(thread.is_alive() for thread in threads):
        began = time.monotonic()
        client.call("tasks.get_all", id=[task])
        waited.append(time.monotonic() - began)
    for thread in threads:
        thread.join()
    assert len(took) == 4 and max(took) < 60
    assert min(waited) < 1 and max(waited) < 10


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_search_whose_client_is_gone_stops(seconds: float) -> None:
    from apiserver.bll.events.search_budget import SearchBudget

    looked: list[int] = []

    def match(texts: list[str]) -> list[int]:
        looked.append(len(texts))
        time.sleep(0.05)
        return list(range(len(texts)))

    budget = SearchBudget(match, seconds, lambda: True)
    found = budget.match(["x" * 16_000] * 100)
    assert found.looked == len(found.indexes) == sum(looked) < 100 and budget.is_over()


def test_a_search_ends_when_its_connection_is_closed(start_server: StartServer, task: str) -> None:
    """The whole search would take 1.6 MB at 18 µs a byte."""
    server = start_server(TIDEMARK__events__search_seconds="600")
    client = server.client()
    client.add_batch([log(task, "ab" * 4_000, timestamp=1_000 + number) for number in range(200)])
    search(client, task, "ab", search_regex=True)
    body = json.dumps({"task": task, "search": HEAVY, "search_regex": True}).encode()
    before = server.cpu_seconds()
    with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
        head = f"POST /events.get_task_log HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        wait_until(lambda: server.cpu_seconds() - before > 1, 60, "the search does not run")
    closed = server.cpu_seconds()
    assert closed - before < 15, "it was over before the connection was closed"

    def rests() -> bool:
        began = server.cpu_seconds()
        time.sleep(0.5)
        return server.cpu_seconds() - began < 0.25

    wait_until(rests, 60, "the search goes on")
    assert server.cpu_seconds() - closed < 8
