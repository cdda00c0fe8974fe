"""Calls of other servers: what breaks off is asked for again, a busy server is waited for, and what stays wrong is a sentence."""

from __future__ import annotations

import gzip
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from apiserver.errors import StartupError
from apiserver.operations.http_calls import ATTEMPTS, Answer, NoAnswer, blocks, opened, send
from apiserver.operations.migrate.remote import Remote, RemoteFailed
from apiserver.operations.transfer.discovery import discover
from apiserver.operations.transfer.sinks import RunRefused, ServerSink
from apiserver.settings import from_environment
from tests.transfer.raw import RawAnswers, answer
from tidemark_events.pauses import retry_after

GOOD = answer("200 OK", b"{}")
PACKED = gzip.compress(b"{}")
BROKEN = {
    "nothing": b"",
    "no status": b"hello\r\n\r\n",
    "less than its length": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes.",
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nten bytes.",
    "half of what is packed": answer("200 OK", PACKED[:12], "Content-Encoding: gzip"),
    "not packed": answer("200 OK", b"{}", "Content-Encoding: gzip"),
    "a refusal that breaks off": b"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\nten bytes.",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_answer_that_breaks_off_is_asked_for_again(kind: str) -> None:
    with RawAnswers(BROKEN[kind], answer("200 OK", PACKED, "Content-Encoding: gzip")) as server:
        assert send(f"{server.url}/call", b"{}", timeout=5) == Answer(200, b"{}")
        assert server.asked == ["POST /call HTTP/1.1"] * 2


PAST = formatdate(0, usegmt=True)


@pytest.mark.parametrize("pause", ["0", PAST, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "-5", "soon", "nan", ""])
def test_a_busy_server_is_waited_for_however_it_says_so(pause: str) -> None:
    with RawAnswers(answer("503 Service Unavailable", b"", f"Retry-After: {pause}"), GOOD) as server:
        assert send(server.url).status == 200 and len(server.asked) == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        (" 120 ", 120.0),
        (PAST, 0.0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0.0),
        ("-5", 1.5),
        ("1.5.", 1.5),
        ("nan", 1.5),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", 1.5),
        ("Mon, 32 Jan 2026 00:00:00 GMT", 1.5),
        ("", 1.5),
        (None, 1.5),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str | None, seconds: float) -> None:
    assert retry_after(text, 1.5) == seconds


def test_a_date_to_come_is_so_many_seconds_away() -> None:
    assert 3000 < retry_after(formatdate(time.time() + 3600, usegmt=True), 1.5) <= 3600


def test_what_stays_busy_is_the_answer_after_some_tries() -> None:
    with RawAnswers(answer("503 Service Unavailable", b"later", "Retry-After: 0")) as server:
        assert send(server.url) == Answer(503, b"later") and len(server.asked) == ATTEMPTS


def test_what_is_no_address_is_not_tried_again() -> None:
    with pytest.raises(NoAnswer) as told:
        send("http://[::1/")
    assert not told.value.passing


@pytest.mark.parametrize("kind", ["less than its length", "half a chunk"])
def test_a_body_that_is_read_in_blocks_says_where_it_breaks_off(kind: str) -> None:
    with RawAnswers(BROKEN[kind]) as server, opened(server.url) as response, pytest.raises(NoAnswer, match="broke off after"):
        list(blocks(response))


def test_all_commands_say_in_a_sentence_that_a_server_stays_busy(tmp_path: Path) -> None:
    settings = from_environment({"server.data": str(tmp_path)})
    with RawAnswers(answer("503 Service Unavailable", b'{"detail": "later"}', "Retry-After: 0")) as server:
        with pytest.raises(RunRefused, match=r"later \(503\)"):
            ServerSink(settings, server.url, None).describe("run", {})
        with pytest.raises(StartupError, match=r"later.*\(503\)"):
            Remote(server.url, "key", "secret").login()
        (problem,) = discover(server.url).problems
        assert "later" in problem.reason and "(503)" in problem.reason


@pytest.mark.parametrize("body", [b"<html>a proxy</html>", b"[1]", b"[" * 100_000])
def test_an_answer_that_is_no_object_is_said_at_once(body: bytes, tmp_path: Path) -> None:
    settings = from_environment({"server.data": str(tmp_path)})
    with RawAnswers(answer("200 OK", body)) as server:
        with pytest.raises(RunRefused, match="not JSON"):
            ServerSink(settings, server.url, None).log_lines("run")
        with pytest.raises(RemoteFailed, match="not a JSON"):
            Remote(server.url, "key", "secret").call("debug.ping")
        assert discover(server.url).problems
        assert len(server.asked) == 3
