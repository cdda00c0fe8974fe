"""Clients that send slowly, or open connections and send nothing: they lose their places, others keep theirs."""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from apiserver.service_repo.request_info import TrustedProxies
from apiserver.serving import worker
from tests.client import plot
from tests.conftest import credentials, dismiss
from tests.process import ROOT, Server, wait_until

IMPATIENT = str(Path(__file__).with_name("impatient.py"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose deadlines are 1.5 s instead of 10 s, with few places."""
    limits = {
        "TIDEMARK__server__connections": "60",
        "TIDEMARK__server__connections_without_login": "20",
        "TIDEMARK__server__unread_bytes": "40000000",
    }
    started = Server(tmp_path_factory.mktemp("slow"), {"TIDEMARK_AUTH": "required", **limits}, program=[sys.executable, IMPATIENT])
    started.env["PYTHONPATH"] = str(ROOT)
    yield started.start()
    dismiss(started)


def opened(server: Server, *pieces: bytes, source: str = "127.0.0.1") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=20, source_address=(source, 0))
    for piece in pieces:
        sock.sendall(piece)
    return sock


def trickle(sock: socket.socket) -> tuple[float, bytes]:
    """Send a byte every 0.2 s until the server ends the connection; how long that took, and what it answered."""
    started, answer = time.monotonic(), b""
    sock.settimeout(0.2)
    for _ in range(200):
        try:
            sock.sendall(b"a")
        except OSError:
            break
        try:
            part = sock.recv(65536)
            answer += part
            if not part:
                break
        except TimeoutError:
            continue
        except OSError:
            break
    sock.close()
    return time.monotonic() - started, answer


def test_a_head_that_comes_byte_by_byte_is_cut_off(server: Server) -> None:
    with opened(server, b"GET /debug.ping HTTP/1.1\r\nHost: localhost\r\nX-A: ") as sock:
        seconds, answer = trickle(sock)
    assert seconds < 15 and answer == b""


HEADS = (
    b"Content-Length: 100000\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nffff\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nffff;a=",
)


@pytest.mark.parametrize("login", [False, True])
def test_a_body_that_comes_byte_by_byte_is_cut_off_refused_or_not(server: Server, login: bool) -> None:
    """Of every face, with a known length, inside a chunk and inside a chunk's size."""
    key, secret = credentials(server)
    token = server.client(key, secret).call("auth.login")["token"].encode()
    shown = b"Authorization: Bearer " + token + b"\r\n" if login else b""
    sockets = []
    for path in (b"/events.add_batch", b"/no.such", b"/files", b"/api/runs/r/events"):
        kind = b"multipart/form-data; boundary=B" if path == b"/files" else b"application/json-lines"
        common = b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + kind + b"\r\n"
        sockets += [opened(server, common, shown, head) for head in HEADS]
    with ThreadPoolExecutor(len(sockets)) as pool:
        assert max(seconds for seconds, _ in pool.map(trickle, sockets)) < 15


def test_an_upgrade_that_is_no_log_socket_has_the_same_deadlines(server: Server) -> None:
    with opened(server, b"POST /debug.ping HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nContent-Length: 100000\r\n\r\n") as sock:
        seconds, _ = trickle(sock)
    assert seconds < 15


def test_a_failed_handshake_does_not_keep_its_connection_for_ever(server: Server) -> None:
    """As a browser's, it may send another request; a thousand such connections held all places of strangers."""
    head = b"GET /api/live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-Fetch-Mode: x\r\n\r\n"
    with opened(server, head) as sock:
        sock.settimeout(10)
        answer = b""
        while part := sock.recv(65536):  # a time-out is the failure
            answer += part
    assert answer.split()[1] == b"400"


@pytest.fixture
def slot() -> worker.ConnectionSlot:
    class Limits:
        connections, connections_per_address, connections_without_login, proxies = 10, 3, 4, ()

    found = worker.ConnectionLimits(Limits()).acquire("1.1.1.1")  # type: ignore[arg-type]
    assert found is not None
    return found


def test_a_fast_beginning_is_no_credit_for_a_slow_rest(slot: worker.ConnectionSlot, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 kB at once were worth 100 s of a byte now and then."""
    monkeypatch.setattr(worker, "GRACE", 0.2)
    client, served = socket.socketpair()
    stop = threading.Event()

    def send() -> None:
        client.sendall(b" " * 100_000)
        while not stop.wait(0.1):
            client.send(b" ")

    with client, served, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        paced = worker.PacedSocket(served, slot, 0.3)
        paced.expect_body()
        received = 0
        try:
            with pytest.raises(TimeoutError):
                while received < 100_050:  # 5 s
                    received += len(paced.recv(65536))
        finally:
            stop.set()
        sending.result()
    assert received >= 100_000


def test_head_and_body_of_an_answer_go_out_together(slot: worker.ConnectionSlot) -> None:
    client, served = socket.socketpair()
    with client, served:
        client.setblocking(False)
        paced = worker.PacedSocket(served, slot, 0.3)
        paced.hold_head()
        paced.sendall(b"head ")
        with pytest.raises(BlockingIOError):
            client.recv(100)
        paced.sendall(b"body")
        assert client.recv(100) == b"head body"
        paced.send_head()  # the end of the answer
        paced.hold_head()
        paced.sendall(b"head alone")
        paced.send_head()
        assert client.recv(100) == b"head alone"
        paced.sendall(b"later")
        assert client.recv(100) == b"later"


def test_a_body_that_keeps_the_pace_may_take_long(server: Server) -> None:
    """3 kB/s, for twice the grace."""
    key, secret = credentials(server)
    token = server.client(key, secret).call("auth.login")["token"].encode()
    size = 60 * 150
    head = b"POST /tasks.get_all HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nAuthorization: Bearer %b\r\n\r\n" % (size, token)
    with opened(server, head) as sock:
        for _ in range(60):
            sock.sendall(b" " * 150)
            time.sleep(0.05)
        assert sock.recv(100).split()[1] == b"200"


@pytest.mark.parametrize("login", [False, True])
def test_a_stranger_does_not_keep_a_place_by_a_ping_now_and_then(server: Server, login: bool) -> None:
    """Nor by reading the answers slowly: a connection with a login is kept."""
    key, secret = credentials(server)
    token = server.client(key, secret).call("auth.login")["token"].encode()
    shown = b"Authorization: Bearer " + token + b"\r\n" if login else b""
    head = b"GET /users.get_current_user HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Mode: cors\r\n" + shown + b"\r\n"
    with opened(server) as sock:
        kept = 0
        while kept < 20:
            sock.sendall(head)
            answer = b""
            while not answer.endswith(b"}"):
                answer += (part := sock.recv(65536))
                assert part
            if b"connection: close" in answer.lower():
                break
            kept += 1
            time.sleep(0.3)
    assert (kept == 20) == login and kept > 3


def test_silent_connections_of_one_address_leave_places_for_others(server: Server) -> None:
    with ExitStack() as held:
        for _ in range(80):
            held.enter_context(opened(server, source="127.0.0.2"))
        assert server.client().send("GET", "/debug.ping").status == 200
        with opened(server, b"GET /debug.ping HTTP/1.1\r\nHost: localhost\r\n\r\n", source="127.0.0.2") as sock:
            assert sock.recv(100).split()[1] == b"503"
    wait_until(lambda: ping_from(server, "127.0.0.2") == b"200", 20, "the places are not free again")


def ping_from(server: Server, source: str) -> bytes:
    with opened(server, b"GET /debug.ping HTTP/1.1\r\nHost: localhost\r\n\r\n", source=source) as sock:
        try:
            return sock.recv(100).split()[1]
        except OSError:
            return b""


def test_the_counts_of_places_return_to_zero() -> None:
    class Limits:
        connections, connections_per_address, connections_without_login, proxies = 10, 3, 4, ("10.0.0.0/8",)

    limits = worker.ConnectionLimits(Limits())  # type: ignore[arg-type]
    first, second = limits.acquire("1.1.1.1"), limits.acquire("1.1.1.1")
    assert first and second and limits.acquire("1.1.1.1") is None  # half of those without a login
    first.authenticated()
    third = limits.acquire("1.1.1.1")
    assert third is not None and limits.acquire("1.1.1.1") is None  # three of one address
    assert all(limits.acquire("10.1.1.1") is not None for _ in range(20))  # a proxy
    assert limits.acquire("2.2.2.2") is None  # everybody without a login
    for slot in (first, second, third):
        slot.release()
    assert not limits.held("1.1.1.1")


def test_a_network_of_ipv6_is_one_client() -> None:
    class Limits:
        connections, connections_per_address, connections_without_login, proxies = 100, 2, 50, ()

    limits = worker.ConnectionLimits(Limits())  # type: ignore[arg-type]
    assert limits.acquire("2001:db8::1") and limits.acquire("2001:db8::ffff:1")
    assert limits.acquire("2001:db8::2") is None and limits.acquire("2001:db8:0:1::1") is not None
    assert limits.held("2001:db8::3") == 2
    addresses = {
        "2001:db8::1": "2001:db8::/64",
        "2001:DB8:0:0:1::1": "2001:db8::/64",
        "2001:db8:0:1::1": "2001:db8:0:1::/64",
        "::ffff:1.2.3.4": "1.2.3.4",
        "1.2.3.4": "1.2.3.4",
        "no:address": "no:address",
    }
    proxies = TrustedProxies(())
    assert {address: proxies.request_info({"REMOTE_ADDR": address}, changes=False).address for address in addresses} == addresses
    assert proxies.address({"REMOTE_ADDR": "2001:db8::1"}) == "2001:db8::1"  # as the access log shows it


def test_a_malformed_chunk_is_400(server: Server) -> None:
    key, secret = credentials(server)
    token = server.client(key, secret).call("auth.login")["token"].encode()
    for path in (b"/events.add_batch", b"/api/runs/r/events", b"/files"):
        kind = b"multipart/form-data; boundary=B" if path == b"/files" else b"application/json-lines"
        head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: %b\r\nAuthorization: Bearer %b\r\nTransfer-Encoding: chunked\r\n\r\n"
        for chunk in (b"zz\r\nabc\r\n", b"-5\r\nabc\r\n", b"3\r\nabcdef\r\n0\r\n\r\n"):
            with opened(server, head % (path, kind, token), chunk) as sock:
                assert sock.recv(4096).split()[1] == b"400", (path, chunk)


def test_only_proxies_may_say_under_which_path_and_scheme_they_were_called(server: Server) -> None:
    with opened(
        server, b"GET /debug.ping HTTP/1.1\r\nHost: localhost\r\nScript_Name: /debug.ping\r\nX-Forwarded-Proto: https\r\n\r\n"
    ) as sock:
        assert sock.recv(100).split()[1] == b"200"
    assert "does not start with SCRIPT_NAME" not in server.log_tail()


def test_large_answers_that_nobody_reads_are_bounded(server: Server, task: str) -> None:
    """20 guests that read nothing of 256 MB each took 5 GB for a minute."""
    client = server.client(*credentials(server))
    client.add_batch([plot(task, "big", str(n), plot_str=json.dumps({"data": os.urandom(2_000_000).hex()})) for n in range(3)])
    secret = base64.b64encode(":".join(credentials(server)).encode())
    body = json.dumps({"task": task}).encode()

    def asked(source: str, path: bytes = b"/events.get_task_plots") -> tuple[socket.socket, bytes]:
        """A connection that has read the beginning of its answer, and that beginning."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(60)
        sock.bind((source, 0))
        sock.connect(("127.0.0.1", server.port))
        head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        sock.sendall(head % (path, secret, len(body)) + body)
        answer = b""
        while not answer.partition(b"\r\n\r\n")[2]:  # head and body come in packets of their own
            piece = sock.recv(2000)
            assert piece, answer
            answer += piece
        return sock, answer

    with ExitStack() as held:
        for source in ("127.0.0.2", "127.0.0.3", "127.0.0.4"):  # 12 MB each
            sock, answer = asked(source)
            held.enter_context(sock)
            assert answer.startswith(b"HTTP/1.1 200 "), answer
            if source == "127.0.0.2":
                sock, answer = asked(source)  # half of all for an address
                held.enter_context(sock)
                assert answer.startswith(b"HTTP/1.1 503 ") and b"server.unread_bytes" in answer and b"Retry-After: 5" in answer, answer
        refused = client.raw("/v2.20/events.get_task_plots", {"task": task})
        assert refused.codes == (503, 0) and refused.headers["retry-after"] == "5" and "server.unread_bytes" in str(refused)
        assert client.raw("/debug.ping").status == 200, "small answers are not refused"
    wait_until(
        lambda: client.raw("/events.get_task_plots", {"task": task}).status == 200, 20, "the bytes of closed connections still count"
    )
