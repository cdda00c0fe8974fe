"""`run.follow()`: what arrives is given once, as soon as the server's live socket says so, and without that socket too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from websockets.sync.server import ServerConnection, serve

from tests.cable import Cable
from tests.client import Client as Raw
from tests.client import scalar
from tidemark_events import Client, Line, NotFound, Point, connect
from tidemark_events.websocket import Closed, Refused, WebSocket
from tidemark_events.wire import Wire

HOUR = 3600.0


@pytest.mark.parametrize("socket", ["with the live socket", "without"])
def test_follow_gives_each_point_and_line_once_across_a_lost_connection(
    cable: Cable, tm: Client, socket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if socket == "without":
        monkeypatch.setattr(Wire, "live_socket", lambda wire: None)  # as behind a proxy
    run = tm.run("followed")
    run.log({"loss": 0.0}, step=0)
    run.print("line 0")
    run.flush()
    items = connect(cable.url).get(run.id).follow(interval=0.05)
    first = [next(items), next(items)]
    for step in range(1, 6):
        run.log({"loss": float(step)}, step=step)
        run.print(f"line {step}")
        if step == 3:
            cable.cut()
        run.flush()
    run.finish()
    cable.mend()
    found = [*first, *items]
    assert [(item.step, item.value) for item in found if isinstance(item, Point)] == [(step, float(step)) for step in range(6)]
    assert [item.text for item in found if isinstance(item, Line)] == [f"line {step}" for step in range(6)]


def test_follow_without_history_begins_now(tm: Client) -> None:
    run = tm.run("late")
    run.log({"loss": 1.0}, step=1)
    run.print("before")
    run.flush()
    items = tm.get(run.id).follow(history=False, interval=0.05)
    run.log({"loss": 2.0}, step=2)
    run.print("after")
    run.finish()
    assert [getattr(item, "text", None) or getattr(item, "value", None) for item in items] == [2.0, "after"]


def test_a_point_is_given_when_the_socket_says_so_and_the_end_of_the_run_too(tm: Client) -> None:
    run = tm.run("watched")
    items = tm.get(run.id).follow(interval=HOUR)
    run.log({"loss": 1.0}, step=1)
    run.flush()
    assert next(items).value == 1.0  # type: ignore[union-attr]
    run.log({"loss": 2.0}, step=2)
    run.flush()
    assert next(items).value == 2.0  # type: ignore[union-attr]
    run.finish()
    assert list(items) == []


def test_following_a_run_that_is_deleted_says_so(tm: Client, server: Raw) -> None:
    task = server.new_task("short-lived")
    server.add_batch([scalar(task, iter=1)])
    items = tm.get(task).follow(interval=HOUR)
    next(items)
    server.call("tasks.delete", task=task, force=True)
    with pytest.raises(NotFound, match="deleted"):
        next(items)


# --- the socket itself, against another implementation


@contextmanager
def served(handler: Callable[[ServerConnection], None]) -> Iterator[str]:
    with serve(handler, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()


def opened(url: str) -> WebSocket:
    return WebSocket(f"{url}/any/path", {"X-Header": "value"}, None, 10.0)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 1_000_000])
def test_a_message_of_any_size_comes_whole(size: int) -> None:
    def answer(connection: ServerConnection) -> None:
        for wanted in connection:
            text = "é" * int(wanted)
            connection.send(text)
            connection.send([text[: size // 2], text[size // 2 :]])  # in two frames

    with served(answer) as url:
        socket = opened(url)
        socket.send(str(size))
        assert [socket.receive(10.0), socket.receive(10.0)] == ["é" * size] * 2
        socket.close()


def test_a_message_that_does_not_come_is_none_and_pings_are_answered() -> None:
    answered = threading.Event()

    def ping(connection: ServerConnection) -> None:
        if connection.ping().wait(10.0):
            answered.set()
        connection.send("now")
        for _ in connection:
            pass

    with served(ping) as url:
        socket = opened(url)
        assert socket.receive(10.0) == "now" and answered.is_set()
        assert socket.receive(0.01) is None
        socket.close()


def test_the_close_code_of_the_server_is_told() -> None:
    with (
        served(lambda connection: connection.close(1008, "too many")) as url,
        closing(opened(url)) as socket,
        pytest.raises(Closed) as closed,
    ):
        socket.receive(10.0)
    assert closed.value.code == 1008


def test_an_address_without_a_socket_is_refused_with_its_status(tm: Client) -> None:
    with pytest.raises(Refused) as refused:
        opened(tm.url)
    assert refused.value.status == 400
