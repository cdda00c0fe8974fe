"""`/api/live`: a page is told what changes, and only that."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.client import Client, log, scalar
from tests.conftest import StartServer, own_store
from tests.process import Server


def opened(server: Server, **args: Any) -> ClientConnection:
    socket: ClientConnection = connect(server.url.replace("http", "ws", 1) + "/api/live", **args)
    return socket


def want(socket: ClientConnection, runs: list[str] | str) -> None:
    socket.send(json.dumps({"want": {"runs": runs}}))


def frame(socket: ClientConnection, fits: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """The next frame that fits; others are passed over."""
    while True:
        found: dict[str, Any] = json.loads(socket.recv(timeout=20))
        if fits(found):
            return found


def shown(socket: ClientConnection, id: str) -> dict[str, Any]:
    """The next state of a run."""
    found = frame(socket, lambda data: any(run["id"] == id for run in data.get("runs", ())))
    return next(run for run in found["runs"] if run["id"] == id)


def test_a_page_hears_of_events_of_its_runs_and_reads_from_the_seq_on(shared_server: Server, server: Client) -> None:
    mine, other = server.new_task("mine"), server.new_task("other")
    server.add_batch([scalar(mine, "m", iter=0)])
    series = [{"task": mine, "metric": "m"}]
    before = server.call("events.get_series", series=series)["seq"]
    with opened(shared_server) as socket:
        want(socket, [mine])
        assert shown(socket, mine)["last_iteration"] == 0
        server.add_batch([scalar(other, iter=1)])
        server.add_batch([scalar(mine, "m", iter=1), log(mine, "text")])
        told: list[dict[str, Any]] = []  # the state may come before the events: the server looks at documents now and then
        while not any("events" in data for data in told) or not any(
            run["last_iteration"] == 1 for data in told for run in data.get("runs", ())
        ):
            told.append(frame(socket, bool))
        [event] = next(data["events"] for data in told if "events" in data)
        assert (event["task"], event["types"]) == (mine, ["log", "training_stats_scalar"])
        assert int(event["seq"]) > int(before)
        [news] = server.call("events.get_series", series=series, since_seq=before)["series"]
        assert 1 in news["x"]  # points that were under way when `before` was answered may come again


def test_a_change_of_status_is_told_without_events(shared_server: Server, server: Client) -> None:
    task = server.new_task("mine")
    with opened(shared_server) as socket:
        want(socket, [task])
        assert shown(socket, task)["status"] == "created"
        server.call("tasks.started", task=task)
        assert shown(socket, task)["status"] == "in_progress"


def test_a_new_wish_replaces_the_old_one_and_a_star_means_every_run(shared_server: Server, server: Client) -> None:
    one, two = server.new_task("one"), server.new_task("two")
    with opened(shared_server) as socket:
        want(socket, [one])
        shown(socket, one)
        want(socket, [two])
        shown(socket, two)
        server.add_batch([scalar(one, iter=1)])
        server.add_batch([scalar(two, iter=1)])
        assert [event["task"] for event in frame(socket, lambda data: "events" in data)["events"]] == [two]
        want(socket, "*")
        socket.send("nonsense")
        assert "JSON" in frame(socket, lambda data: "error" in data)["error"]
        server.add_batch([scalar(one, iter=2)])
        frame(socket, lambda data: any(event["task"] == one for event in data.get("events", ())))


def test_a_page_hears_of_new_runs_and_of_wanted_ones_that_do_not_exist(shared_server: Server, server: Client) -> None:
    before = server.new_task("before")
    many = [f"no-such-run-{number:03}" for number in range(900)]  # a message of 18 kB
    with opened(shared_server) as socket:
        socket.send(json.dumps({"want": {"runs": [before, *many], "newest": True}}))
        assert frame(socket, lambda data: "unknown" in data)["unknown"] == many
        assert frame(socket, lambda data: "newest" in data)["newest"]
        after = server.new_task("after")
        frame(socket, lambda data: data.get("newest") == after)


def test_a_user_has_a_limited_number_of_live_sockets(start_server: StartServer, engine_env: dict[str, str]) -> None:
    limited = start_server(TIDEMARK__runs__live_sockets="1", **own_store(engine_env))  # sockets of other tests are not counted
    with opened(limited) as first:
        want(first, ["no-such-run"])
        frame(first, lambda data: "unknown" in data)
        with opened(limited) as second, pytest.raises(ConnectionClosed) as closed:
            second.recv(timeout=20)
    assert closed.value.rcvd is not None and "at most 1 live sockets" in closed.value.rcvd.reason


def test_foreign_pages_and_callers_without_a_login_get_no_socket(shared_server: Server, start_server: StartServer) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(shared_server, origin="https://evil.example")
    assert refused.value.response.status_code == 403
    with opened(start_server(TIDEMARK_AUTH="required")) as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=20)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008
