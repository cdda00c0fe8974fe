"""Live logs: history, then what comes, each line once; closing, limits and bad clients."""

from __future__ import annotations

import base64
import json
import os
import socket as sockets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.conftest import StartServer
from tests.process import wait_until
from tests.runs.conftest import UNLIMITED, Runs, received


def closed(socket: ClientConnection) -> tuple[int, str]:
    """The code and reason with which the server closes; frames before are passed over."""
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            socket.recv(timeout=15)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


def test_history_comes_first_and_then_what_is_added(runs: Runs, run: str) -> None:
    runs.log(run, "one", "two")
    with runs.socket(run) as socket:
        assert received(socket, count=2) == ["one", "two"]
        runs.log(run, "three")
        assert received(socket, count=1) == ["three"]


def test_lines_come_once_and_in_order_while_writers_are_busy(runs: Runs, run: str) -> None:
    """Sockets that connect at any moment get every line of every writer, each once, in the writer's order."""
    writers, batches, size = 4, 15, 20
    runs.log(run, "begin")

    def write(writer: int) -> None:
        for batch in range(batches):
            runs.log(run, *(f"{writer}:{batch * size + number}" for number in range(size)))

    def read() -> list[str]:
        with runs.socket(run) as socket:
            return received(socket, until="end", timeout=30)

    with ThreadPoolExecutor(20) as pool:
        writing = [pool.submit(write, writer) for writer in range(writers)]
        readers = [pool.submit(read)]
        while not all(job.done() for job in writing):
            readers.append(pool.submit(read))
            time.sleep(0.15)
        for job in writing:
            job.result()
        runs.log(run, "end")
        for reader in readers:
            lines = reader.result()
            assert len(lines) == writers * batches * size + 2
            for writer in range(writers):
                mine = [line for line in lines if line.startswith(f"{writer}:")]
                assert mine == [f"{writer}:{number}" for number in range(batches * size)]


def test_a_reader_that_comes_back_goes_on_where_it_was(runs: Runs, run: str) -> None:
    runs.log(run, *(f"line {number}" for number in range(50)))
    with runs.socket(run, "format=json") as socket:
        frames = [json.loads(frame) for frame in received(socket, count=50)][:30]
    assert frames[0]["msg"] == "line 0" and frames[0]["id"] == str(frames[0]["seq"])
    runs.log(run, "line 50")
    with runs.socket(run, f"format=json&after={frames[-1]['id']}") as socket:
        assert [json.loads(frame)["msg"] for frame in received(socket, count=21)] == [f"line {number}" for number in range(30, 51)]
    with runs.socket(run, f"since={frames[-1]['timestamp']}&tail=1") as socket:
        assert received(socket, count=1) == ["line 50"]


def test_since_is_inclusive(runs: Runs, run: str) -> None:
    for second in range(5):
        runs.log(run, f"line {second}", ts=1_700_000_000 + second)
    with runs.socket(run, "since=1700000003000") as socket:
        assert received(socket, count=2) == ["line 3", "line 4"]


def test_a_tail_is_followed_by_what_comes(runs: Runs, run: str) -> None:
    runs.log(run, *(f"line {number}" for number in range(5000)))
    with runs.socket(run, "tail=2") as socket:
        assert received(socket, count=2) == ["line 4998", "line 4999"]
        runs.log(run, "next")
        assert received(socket, count=1) == ["next"]
    with runs.socket(run, "tail=0") as socket:
        runs.log(run, "last")
        assert received(socket, count=1) == ["last"]


def test_blank_lines_are_not_sent_and_a_message_with_newlines_is_several_frames(runs: Runs, run: str) -> None:
    runs.log(run, "", "   ", "one\ntwo\r\n\r\nthree\rfour\x0cfive")
    with runs.socket(run) as socket:
        assert received(socket, count=4) == ["one", "two", "three", "four\x0cfive"]
    runs.log(run, "six\nseven\u2028eight\x85nine\x1cten")
    for tail, frames in ((1, ["seven\u2028eight\x85nine\x1cten"]), (3, ["four\x0cfive", "six", "seven\u2028eight\x85nine\x1cten"])):
        with runs.socket(run, f"tail={tail}") as socket:
            assert received(socket, count=len(frames)) == frames


def test_progress_bars_are_dropped_when_asked(runs: Runs, run: str) -> None:
    bars = (
        " 45%|████▌     | 45/100 [00:12<00:15,  3.45it/s]",
        "epoch 3: 100%|#| 5/5 [00:01<00:00, 5.0it/s, loss=1]",
        "45it [00:12,  3.45it/s]",
    )
    runs.log(run, "metadata: 50% done | ETA unknown", *bars, "speed 5 it/s")
    with runs.socket(run, "tqdm=hide") as socket:
        assert received(socket, count=2) == ["metadata: 50% done | ETA unknown", "speed 5 it/s"]
    with runs.socket(run, "tqdm=hide&tail=2") as socket:
        assert received(socket, count=2) == ["metadata: 50% done | ETA unknown", "speed 5 it/s"]
    with runs.socket(run) as socket:
        assert received(socket, count=5)[1:4] == list(bars)


def test_an_unknown_run_gets_one_frame_and_a_normal_close(runs: Runs, run: str) -> None:
    with runs.socket(run) as socket:
        assert socket.recv(timeout=10) == "[error] run not found"
        assert closed(socket) == (1000, "")


def test_a_bad_parameter_closes_with_a_reason(runs: Runs, run: str) -> None:
    runs.log(run, "x")
    for query in ("tail=-1", "tail=x", "since=now", "after=1.5.2", "format=xml", "tqdm=no"):
        with runs.socket(run, query) as socket:
            assert str(socket.recv(timeout=10)).startswith(f"[error] {query.split('=')[0]}: ")
            assert closed(socket)[0] == 1008


def test_compression_is_not_agreed_on(runs: Runs, run: str) -> None:
    runs.log(run, "x")
    with runs.socket(run, compression="deflate") as socket:
        assert socket.response is not None and "Sec-WebSocket-Extensions" not in socket.response.headers


def test_what_a_client_sends_means_nothing_unless_it_is_huge(runs: Runs, run: str) -> None:
    runs.log(run, "one")
    with runs.socket(run) as socket:
        received(socket, count=1)
        for number in range(200):
            socket.send(f"garbage {number}")
            socket.send(b"\x00\xff")
        runs.log(run, "two")
        assert received(socket, count=1) == ["two"]
        socket.send("x" * 1_000_000)
        assert closed(socket)[0] == 1009


def raw_socket(runs: Runs, run: str, query: str = "") -> sockets.socket:
    """A socket after the handshake, without a library that reads from it."""
    address = urlsplit(runs.server.url)
    raw = sockets.create_connection((str(address.hostname), address.port or 80), timeout=20)
    key = base64.b64encode(os.urandom(16)).decode()
    raw.sendall(
        f"GET /api/runs/{run}/logs/ws?{query} HTTP/1.1\r\nHost: {address.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += raw.recv(1)
    assert head.startswith(b"HTTP/1.1 101")
    return raw


def test_broken_frames_end_the_connection_and_nobody_elses(runs: Runs, run: str) -> None:
    runs.log(run, "one")
    with runs.socket(run) as other:
        received(other, count=1)
        for garbage in (b"\xff" * 100, b"\x81\x05hello", b"\x81\xfe\x00", os.urandom(2000)):
            raw = raw_socket(runs, run, "tail=0")
            raw.sendall(garbage)
            raw.close()
        runs.log(run, "two")
        assert received(other, count=1) == ["two"]


def test_what_is_no_handshake_is_refused(runs: Runs, run: str) -> None:
    runs.log(run, "x")
    url = f"/api/runs/{run}/logs/ws"
    assert runs.get(url).status_code == 404
    assert runs.get(url, headers={"Upgrade": "websocket", "Connection": "Upgrade"}).status_code == 400


def test_a_foreign_page_gets_no_socket(runs: Runs, run: str) -> None:
    runs.log(run, "x")
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Origin": "http://evil.example",
        "Sec-WebSocket-Key": "x",
        "Sec-WebSocket-Version": "13",
    }
    assert runs.get(f"/api/runs/{run}/logs/ws", headers=headers).status_code == 403


def test_a_reader_that_does_not_read_is_dropped(start_server: StartServer, run: str) -> None:
    runs = Runs(start_server(TIDEMARK__runs__patience="1", **UNLIMITED))
    runs.log(run, "begin")
    stuck = raw_socket(runs, run)
    with runs.socket(run) as other:
        received(other, count=1)
        got: list[str] = []
        reading = threading.Thread(target=lambda: got.extend(received(other, until="end", timeout=60)))
        reading.start()
        sent = 0
        line = "x" * 10_000
        for _ in range(40):
            runs.log(run, *[line] * 40)
            sent += 40
        until = time.monotonic() + 3  # three times the patience
        while time.monotonic() < until:
            runs.log(run, "tick")
            sent += 1
        runs.log(run, "end")
        reading.join(60)
        assert len(got) == sent + 1, "the other one has everything"
    stuck.settimeout(30)
    taken = 0
    while True:  # what the network had taken comes, then the end
        try:
            piece = stuck.recv(1 << 20)
        except ConnectionError:
            break
        if not piece:
            break
        taken += len(piece)
    assert taken < 1600 * len(line)


def test_the_eleventh_socket_of_a_client_is_closed(start_server: StartServer, run: str) -> None:
    runs = Runs(start_server())
    runs.log(run, "x")
    held = [runs.socket(run, legacy=True) for _ in range(10)]
    for socket in held:
        assert socket.recv(timeout=10) == "x"
    eleventh = runs.socket(run, legacy=True)
    assert closed(eleventh) == (1008, "at most 10 log sockets for one client")
    assert closed(runs.socket("no-such-run", legacy=True)) == (1000, "")  # what is refused takes no place
    held.pop().close()

    def accepted() -> bool:
        with runs.socket(run) as socket:
            try:
                return socket.recv(timeout=10) == "x"
            except ConnectionClosed:
                return False

    wait_until(accepted, 5, "a place that was given back is free")
    for socket in held:
        socket.close()


def test_a_server_that_stops_says_so(start_server: StartServer, run: str) -> None:
    server = start_server(**UNLIMITED)
    runs = Runs(server)
    runs.log(run, "x")
    opened = [runs.socket(run, legacy=True) for _ in range(5)]
    for socket in opened:
        socket.recv(timeout=10)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    assert {closed(socket)[0] for socket in opened} == {1001}
    stopping.join(10)
    assert not stopping.is_alive()


def test_a_silent_peer_is_noticed(start_server: StartServer, run: str) -> None:
    """It is pinged; one that does not answer is closed."""
    runs = Runs(start_server(TIDEMARK__runs__ping="1", **UNLIMITED))
    runs.log(run, "x")
    silent = raw_socket(runs, run)
    silent.settimeout(20)
    data = b""
    while piece := silent.recv(1000):
        data += piece
    assert b"\x89\x00" in data, "a ping"
    assert b"\x88" in data, "a close frame"
    with runs.socket(run) as polite:  # this library answers pings by itself
        received(polite, count=1)
        with pytest.raises(TimeoutError):
            polite.recv(timeout=4)
        runs.log(run, "y")
        assert received(polite, count=1) == ["y"]


def test_a_socket_needs_the_login_too(start_server: StartServer, run: str) -> None:
    server = start_server(TIDEMARK_AUTH="required", TIDEMARK_ACCESS_KEY="key", TIDEMARK_SECRET_KEY="secret", **UNLIMITED)
    runs = Runs(server)
    line = b'{"type":"log","data":{"text":"hello"}}'
    assert runs.post(run, line, auth=("key", "secret")).status_code == 200
    with runs.socket(run) as socket:
        assert closed(socket)[0] == 1008
    basic = base64.b64encode(b"key:secret").decode()
    with runs.socket(run, additional_headers={"Authorization": f"Basic {basic}"}) as socket:
        assert socket.recv(timeout=10) == "hello"
    token: Any = requests.post(f"{server.url}/auth.login", auth=("key", "secret"), timeout=10).json()["data"]["token"]
    with runs.socket(run, f"token={token}") as socket:
        assert socket.recv(timeout=10) == "hello"
    with runs.socket(run, "token=nonsense") as socket:
        assert closed(socket)[0] == 1008
