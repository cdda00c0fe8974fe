"""What every answer looks like: docs/protocol.md, "Envelope and codes"; headers, compression, CORS."""

from __future__ import annotations

import gzip
import http.client
import socket

import pytest

from tests.client import Client, log, scalar


def test_every_answer_closes_its_connection(server: Client) -> None:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    connection.request("GET", "/debug.ping", headers={"Connection": "keep-alive"})
    response = connection.getresponse()
    response.read()
    assert response.getheader("Connection") == "close"
    connection.close()
    with socket.create_connection((server.host, server.port), timeout=20) as raw:
        raw.sendall(b"GET /v2.23/debug.ping HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\n\r\n")
        received = b""
        while chunk := raw.recv(65536):  # ends only when the server closes
            received += chunk
    assert received.startswith(b"HTTP/1.1 200") and received.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("path", ["/events.get_task_log", "/nonsense", "/events.nothing"])
def test_errors_close_their_connection_too(server: Client, path: str) -> None:
    assert server.raw(path, {}).headers["connection"] == "close"


def test_the_transaction_id_is_echoed_and_call_ids_differ(server: Client) -> None:
    first = server.raw("/debug.ping", headers={"X-Clearml-Trx": "my-transaction"})
    second = server.raw("/debug.ping", headers={"X-Trains-Trx": "older-name"})
    third = server.raw("/debug.ping")
    assert (first.meta["trx"], second.meta["trx"], third.meta["trx"]) == ("my-transaction", "older-name", third.meta["id"])
    assert len({first.meta["id"], second.meta["id"], third.meta["id"]}) == 3


def test_a_success_says_ok(server: Client) -> None:
    meta = server.raw("/v2.23/debug.ping").meta
    assert (meta["result_code"], meta["result_subcode"], meta["result_msg"]) == (200, 0, "OK")


def test_an_error_names_the_field_what_was_expected_and_what_came(server: Client) -> None:
    error = server.refused("events.get_task_log", task=5)
    assert "task" in error.msg and "string" in error.msg and "5" in error.msg
    assert (error.data, error.meta["error_data"]) == ({}, {})


def test_a_refused_task_is_named_in_the_message(server: Client) -> None:
    error = server.refused("events.get_task_log", task="nobody-knows-me")
    assert (error.code, error.subcode) == (400, 101)
    assert "nobody-knows-me" in error.msg


@pytest.mark.parametrize(("accepted", "encoding"), [("gzip", "gzip"), ("zstd, gzip", "zstd"), ("br", "br"), ("identity", None)])
def test_long_answers_are_compressed_as_the_client_accepts(server: Client, task: str, accepted: str, encoding: str | None) -> None:
    server.add_batch([log(task, "x" * 100, timestamp=i + 1) for i in range(50)])
    answer = server.send("POST", "/events.get_task_log", b'{"task": "%s"}' % task.encode(), {"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == encoding
    if encoding == "gzip":
        assert b'"returned":50' in gzip.decompress(answer.body).replace(b" ", b"")


def test_short_answers_are_not_compressed(server: Client) -> None:
    assert "content-encoding" not in server.send("GET", "/debug.ping", headers={"Accept-Encoding": "gzip"}).headers


@pytest.mark.parametrize(
    "headers", [{}, {"Accept-Encoding": "gzip"}, {"Origin": "http://localhost:8080"}, {"Origin": "https://evil.example"}]
)
def test_the_headers_of_an_answer_do_not_depend_on_the_method(server: Client, task: str, headers: dict[str, str]) -> None:
    """POST takes a shorter way through the server."""
    server.add_batch([log(task, "x" * 100, timestamp=i + 1) for i in range(20)])
    body = b'{"task": "%s"}' % task.encode()
    for path in ("/debug.ping", "/v2.9/events.get_task_log", "/events.nothing"):
        post, put = (server.send(method, path, body, {"Content-Type": "application/json", **headers}) for method in ("POST", "PUT"))
        varying = ("date", "content-length")
        assert {name: value for name, value in post.headers.items() if name not in varying} == {
            name: value for name, value in put.headers.items() if name not in varying
        }
        assert post.headers["vary"] == "Accept-Encoding, Origin"


def test_pages_of_this_machine_may_read_answers_and_foreign_ones_are_refused(server: Client) -> None:
    own = server.raw("/debug.ping", headers={"Origin": "http://localhost:8080"})
    assert own.headers["access-control-allow-origin"] == "http://localhost:8080"
    assert own.headers["access-control-allow-credentials"] == "true"
    foreign = server.raw("/debug.ping", headers={"Origin": "https://evil.example"})
    assert foreign.codes[0] == 403
    assert "access-control-allow-origin" not in foreign.headers
    assert server.raw("/debug.ping", headers={"Sec-Fetch-Site": "cross-site"}).codes[0] == 403


def test_a_foreign_host_name_is_refused_in_open_mode(server: Client) -> None:
    assert server.raw("/debug.ping", headers={"Host": "evil.example"}).codes[0] == 403
    assert server.raw("/debug.ping", headers={"Host": f"localhost:{server.port}"}).codes == (200, 0)


def test_a_preflight_names_methods_and_echoes_the_headers(server: Client) -> None:
    asked = {
        "Origin": "http://localhost:3000",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-clearml-client,content-type",
    }
    answer = server.send("OPTIONS", "/v2.23/events.plots", headers=asked)
    assert answer.status == 200
    methods = {method.strip() for method in answer.headers["access-control-allow-methods"].split(",")}
    assert {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"} <= methods
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "x-clearml-client" in allowed and "content-type" in allowed


def test_a_refused_request_with_a_big_body_gets_its_answer_not_a_reset(server: Client) -> None:
    body = b"x" * 3_000_000
    assert server.raw("/events.nothing", body).codes == (404, 0)
    wrong = Client(f"http://{server.host}:{server.port}", "nobody", "nothing")
    assert wrong.raw("/events.add_batch", body, headers={"Content-Type": "application/json-lines"}).codes[0] == 401


def test_text_outside_ascii_survives(server: Client, task: str) -> None:
    text = "Grüße, 世界, \U0001f30a, \x00, \u2028"
    server.add_batch([log(task, text), scalar(task, text.replace("\x00", ""), "ü/\\\"'")])
    assert server.log(task) == [text]
    assert list(server.histogram(task)[text.replace("\x00", "")]) == ["ü/\\\"'"]


def test_server_info_and_health_answer(server: Client) -> None:
    info = server.call("server.info")
    assert info
    health = server.send("GET", "/healthz")
    assert health.status == 200
