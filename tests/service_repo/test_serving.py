"""Real processes: the command line, the wire, what a start says when it fails."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process import ROOT, Server


def tidemark(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
    return subprocess.run(
        [sys.executable, "-m", "apiserver", *args], env=clean | env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    env = {"TIDEMARK__server__max_body": "1000000", "TIDEMARK__server__idle_timeout": "2"}
    server = Server(tmp_path_factory.mktemp("serving"), env)
    yield server.start()
    server.stop()


def talk(server: Server, *pieces: bytes) -> bytes:
    """Send and read until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sock:
        for piece in pieces:
            sock.sendall(piece)
        answer = b""
        while part := sock.recv(65536):
            answer += part
    return answer


def test_every_answer_closes_its_connection(server: Server) -> None:
    for path in (b"/debug.ping", b"/nothing.here", b"/not an api path", b"/v2/debug.ping"):
        answer = talk(server, b"GET " + path.replace(b" ", b"%20") + b" HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
        assert b"\r\nConnection: close\r\n" in answer
        assert b"\r\nServer: tidemark\r\n" in answer
        assert answer.count(b"\r\nDate: ") == 1


def ask_as_browser(sock: socket.socket, port: int, body: bytes = b"{}") -> bytes:
    """One call with the header that browsers send; its answer's head and body."""
    head = f"POST /debug.ping HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nSec-Fetch-Mode: cors\r\nContent-Type: application/json\r\n"
    sock.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = sock.recv(65536)
        assert part, answer
        answer += part
    length = int(re.search(rb"Content-Length: (\d+)", answer)[1])  # type: ignore[index]
    while len(answer.partition(b"\r\n\r\n")[2]) < length:
        answer += sock.recv(65536)
    return answer


def test_a_browser_keeps_its_connection(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sock:
        for _ in range(3):
            answer = ask_as_browser(sock, server.port)
            assert answer.startswith(b"HTTP/1.1 200 ") and b"\r\nConnection: keep-alive\r\n" in answer


def test_a_large_body_ends_a_browsers_connection(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sock:
        assert b"\r\nConnection: close\r\n" in ask_as_browser(sock, server.port, b"[" + b" " * 1_000_001 + b"]")


def test_a_kept_connection_does_not_hold_the_server_up(tmp_path: Path) -> None:
    own = Server(tmp_path, {"TIDEMARK__server__graceful_timeout": "60"}).start()
    with socket.create_connection(("127.0.0.1", own.port), timeout=20) as sock:
        ask_as_browser(sock, own.port)
        process = own.process
        assert process is not None
        process.signal(signal.SIGTERM)
        assert sock.recv(1) == b""
        process.wait(20)  # raises when it waits for the connection
    assert "Traceback" not in own.log_tail()
    own.stop()


def test_a_get_with_a_body_and_chunks_are_read(server: Server) -> None:
    head = b"GET /v2.23/auth.login HTTP/1.1\r\nHost: localhost\r\n"
    plain = talk(server, head + b'Content-Length: 22\r\n\r\n{"expiration_sec": 10}')
    chunked = talk(server, head + b'Transfer-Encoding: chunked\r\n\r\nb\r\n{"expiratio\r\nb\r\nn_sec": 10}\r\n0\r\n\r\n')
    for answer in (plain, chunked):
        assert b"Max-Age=10;" in answer


@pytest.mark.parametrize(("path", "status"), [("/no.such", b"404"), ("/debug.ping", b"413"), ("/x", b"400")])
def test_a_refused_body_is_drained_so_that_the_answer_arrives(server: Server, path: str, status: bytes) -> None:
    size = 1_500_000
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode()
    answer = talk(server, head, b" " * 1_000_000)
    assert answer.split()[1] == status
    assert b'"result_code":' + status in answer


def test_a_silent_client_is_let_go_and_others_never_notice(server: Server) -> None:
    assert talk(server, b"GET /debug.ping HTTP/1.1\r\nHo") == b""
    assert server.client().send("GET", "/debug.ping").status == 200


def test_slashes_before_a_path_make_it_malformed(server: Server) -> None:
    assert talk(server, b"GET //debug.ping HTTP/1.1\r\nHost: localhost\r\n\r\n").split()[1] == b"400"


def test_a_preflight_is_answered_for_pages_of_this_machine_only(server: Server) -> None:
    def preflight(origin: bytes) -> bytes:
        wanted = b"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-a\r\n"
        return talk(server, b"OPTIONS /debug.ping HTTP/1.1\r\nHost: localhost\r\nOrigin: " + origin + b"\r\n" + wanted + b"\r\n")

    ours = preflight(b"http://localhost:8080")
    assert b"Access-Control-Allow-Origin: http://localhost:8080\r\n" in ours
    assert b"Access-Control-Allow-Headers: x-a\r\n" in ours
    assert b"Access-Control-Allow-Origin" not in preflight(b"https://evil.example")


@pytest.mark.parametrize("encoding", ["zstd", "br", "gzip", "deflate"])
def test_long_answers_are_compressed_short_ones_are_not(server: Server, encoding: str) -> None:
    head = f"HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {encoding}\r\n\r\n".encode()
    assert f"Content-Encoding: {encoding}".encode() in talk(server, b"GET /auth.login " + head)
    assert b"Content-Encoding" not in talk(server, b"GET /debug.ping " + head)


def test_health_tells_of_store_and_state(server: Server) -> None:
    answer = server.client().send("GET", "/healthz")
    parts = json.loads(answer.body)
    assert (answer.status, parts["status"], parts["store"]["ok"], parts["state"]["ok"]) == (200, "ok", True, True)


def test_the_start_prints_what_a_client_needs(server: Server) -> None:
    printed = server.log.read_text()
    found = dict(re.findall(r"export (CLEARML_\w+)=(\S+)", printed))
    assert found["CLEARML_API_HOST"] == found["CLEARML_WEB_HOST"] == server.url
    assert found["CLEARML_FILES_HOST"] == server.url + "/files"
    stored = json.loads((server.data / "credentials.json").read_text())
    assert found["CLEARML_API_SECRET_KEY"] == stored["secret_key"]
    assert (server.data / "credentials.json").stat().st_mode & 0o777 == 0o600
    assert tidemark("keys", "--data", str(server.data)).stdout.strip() in printed


def test_a_key_made_while_the_server_runs_is_good_at_once(server: Server) -> None:
    made = tidemark("keys", "--data", str(server.data), "--company", "clearml")
    key, secret = re.findall(r"_KEY=(\S+)", made.stdout)
    pair = base64.b64encode(f"{key}:{secret}".encode())
    answer = talk(server, b"GET /auth.login HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic " + pair + b"\r\n\r\n")
    assert answer.split()[1] == b"200"


def refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 2, and one sentence on stderr."""
    assert result.returncode == 2, result
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("tidemark: "), result.stderr
    assert all(word in lines[0] for word in words), lines[0]
    assert "export" not in result.stdout


def test_a_taken_port(server: Server, tmp_path: Path) -> None:
    refused(tidemark("serve", "--port", str(server.port), "--data", str(tmp_path)), str(server.port), "taken")


def test_a_second_server_on_the_data_folder(server: Server) -> None:
    refused(tidemark("serve", "--port", "0", "--data", str(server.data)), server.url, str(server.pid))


def test_a_data_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(tidemark("serve", "--port", "0", "--data", str(tmp_path / "file" / "data")), "can't be written")


def test_a_damaged_database(tmp_path: Path) -> None:
    (tmp_path / "tidemark.db").write_bytes(b"this is no database" * 1000)
    refused(tidemark("serve", "--port", "0", "--data", str(tmp_path)), "tidemark.db")


def test_damaged_credentials(tmp_path: Path) -> None:
    (tmp_path / "credentials.json").write_text("{")
    refused(tidemark("serve", "--port", "0", "--data", str(tmp_path)), "credentials.json")


def test_a_bad_setting(tmp_path: Path) -> None:
    refused(tidemark("serve", "--port", "eight", "--data", str(tmp_path)), "server.port", "eight")
    refused(tidemark("serve", TIDEMARK__server__porto="1", TIDEMARK_DATA=str(tmp_path)), "TIDEMARK__server__porto")


def test_help_needs_no_server() -> None:
    assert "TIDEMARK_PORT" in tidemark("serve", "--help").stdout
    assert "tidemark serve" in tidemark("--help").stdout
