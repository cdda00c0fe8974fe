"""Small bodies that mean much work: refused, or done in slices, before they cost more than a refusal.

Costs are CPU seconds of the server. The bounds are a factor below what such a body took before (docs/security.md).
"""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from tests.client import Answer, Client
from tests.process import Server

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
EMPTY_MEMBER = gzip.compress(b"", mtime=0)


def cost(server: Server, path: str, body: bytes, headers: dict[str, str]) -> tuple[Answer, float]:
    """The answer, and the CPU seconds it took."""
    client = server.client()
    before = server.cpu_seconds()
    answer = client.raw(path, body, headers=headers)
    return answer, server.cpu_seconds() - before


def packed(body: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def test_gzip_of_many_empty_members_costs_no_more_than_its_size(shared_server: Server) -> None:
    """2 MB took 6.3 s, 4 MB 20 s."""
    body = EMPTY_MEMBER * (2_000_000 // len(EMPTY_MEMBER))
    for path in ("/debug.ping", "/events.get_task_log"):
        answer, seconds = cost(shared_server, path, body, {**JSON, "Content-Encoding": "gzip"})
        assert answer.status == (200 if path == "/debug.ping" else 400)
        assert seconds < 1, path


def test_some_gzip_members_are_a_body_like_any_other(server: Client) -> None:
    body = gzip.compress(b'{"task"') + EMPTY_MEMBER * 500 + b"\0\0\0" + gzip.compress(b': "none"}')
    assert server.raw("/events.get_task_log", body, headers={**JSON, "Content-Encoding": "gzip"}).codes == (400, 101)


def test_members_that_end_anywhere_in_a_slice_are_joined(server: Client) -> None:
    text = b'{"task": "%s"}' % (b"x" * 200)
    body = b"".join(gzip.compress(text[i : i + 1], mtime=0) + b"\0" * 70 for i in range(len(text)))
    assert len(body) > 16 * 1024
    assert server.raw("/events.get_task_log", body, headers={**JSON, "Content-Encoding": "gzip"}).codes == (400, 101)


def test_a_body_that_unpacks_to_two_hundred_times_its_size_is_413(server: Client) -> None:
    body = packed(b"\n" * 4_000_000)
    assert len(body) < 5_000
    answer = server.raw("/events.add_batch", body, headers={"Content-Type": "application/json-lines", "Content-Encoding": "gzip"})
    assert answer.codes == (413, 0)
    assert "200 times" in answer.meta["result_msg"]


def test_percent_signs_cost_a_refusal(shared_server: Server) -> None:
    """4 MB took 3.2 s and 890 MB; one MB is what a form may have."""
    big, seconds = cost(shared_server, "/events.get_task_log", b"task=" + b"%" * 4_000_000, FORM)
    assert big.codes == (400, 0) and "send JSON" in big.meta["result_msg"]
    assert seconds < 0.5
    answer, seconds = cost(shared_server, "/events.get_task_log", b"task=" + b"%" * 1_000_000, FORM)
    assert answer.status == 400
    assert seconds < 0.5


def test_fields_of_a_form_are_decoded_as_browsers_encode_them(server: Client, task: str) -> None:
    """The decoder is our own."""
    name = "a b+c/%&=é\ud83d\ude00%4".encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    from urllib.parse import quote_plus

    long = "x" * 65_530 + "é" * 40
    for text in (name, long):
        server.raw("/tasks.create", f"name={quote_plus(text)}&type=training".encode(), headers=FORM)
        created = server.raw("/tasks.create", f"name={quote_plus(text)}&type=training".encode(), headers=FORM)
        if created.status == 200:
            assert server.task(created.data["id"])["name"] == text


@pytest.mark.parametrize("fields", [1_001, 300_000])
def test_forms_have_a_limit_of_fields(shared_server: Server, fields: int) -> None:
    answer, seconds = cost(shared_server, "/events.get_task_log", b"a&" * fields, FORM)
    assert answer.codes == (400, 0) and "1000" in answer.meta["result_msg"]
    assert seconds < 0.5


def test_forms_have_a_limit_of_parts(shared_server: Server) -> None:
    """80,000 parts took 3.7 s."""
    part = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    for parts in (18_000, 80_000):
        answer, seconds = cost(shared_server, "/events.get_task_log", part * parts + b"--B--\r\n", headers)
        assert answer.codes == (400, 0)
        assert seconds < 0.6


def test_a_name_of_thousands_of_dots_is_refused(shared_server: Server) -> None:
    body = b"&".join(b"%d" % i + b"." * 900 + b"=1" for i in range(999))
    answer, seconds = cost(shared_server, "/events.get_task_log", body, FORM)
    assert answer.codes == (400, 0) and "50 parts" in answer.meta["result_msg"]
    assert seconds < 0.5


@pytest.mark.parametrize(
    "body",
    [
        b'{"task": [' + b"[]," * 5_000_000 + b"[]]}",
        b'{"task": [' + b"{}," * 5_000_000 + b"{}]}",
        b'{"task": [' + b'"",' * 4_000_000 + b'""]}',
        b'{"task": [' + b"1," * 5_000_000 + b"1]}",
    ],
    ids=["lists", "objects", "texts", "numbers"],
)
def test_json_of_millions_of_values_is_refused_before_it_is_parsed(shared_server: Server, body: bytes) -> None:
    """16 MB of empty lists took 2.7 s."""
    answer, seconds = cost(shared_server, "/events.get_task_log", body, JSON)
    assert answer.codes == (400, 0) and "250000" in answer.meta["result_msg"]
    assert seconds < 0.8


def test_brackets_and_commas_inside_texts_are_no_values(server: Client) -> None:
    text = '[{,\\"' * 400_000
    body = b'{"task": "none", "note": "%s"}' % text.encode()
    assert server.raw("/events.get_task_log", body, headers=JSON).codes == (400, 101)


@pytest.mark.parametrize("deep", [b"[" * 300 + b"]" * 300, b'{"a":' * 300 + b"1" + b"}" * 300])
def test_json_has_a_limit_of_depth(server: Client, deep: bytes) -> None:
    answer = server.raw("/events.get_task_log", b'{"task": "none", "x": %s}' % deep, headers=JSON)
    assert answer.codes == (400, 0) and "250 levels" in answer.meta["result_msg"]
    wide = b"[" + b"[[]]," * 2_000 + b"[]]"
    assert server.raw("/events.get_task_log", b'{"task": "none", "x": %s}' % wide, headers=JSON).codes == (400, 101)


def test_a_body_is_not_looked_at_before_login_and_endpoint_are_known(shared_server: Server) -> None:
    broken = b"\x1f\x8b no gzip"
    headers = {**JSON, "Content-Encoding": "gzip"}
    client = shared_server.client("nobody", "nothing")
    assert client.raw("/events.get_task_log", broken, headers=headers).codes == (401, 22)
    assert client.raw("/no.such", broken, headers=headers).codes == (404, 0)
    assert client.raw("/debug.ping", broken, headers=headers).codes == (200, 0)


def test_a_line_of_a_batch_holds_a_bounded_number_of_lists(shared_server: Server) -> None:
    """A body of JSON may not hold so many; a line took 3 s for 8 MB, in which nobody else was answered."""
    line = b'{"type":"log","msg":"x","task":"explode","unknown":[' + b"[]," * 2_700_000 + b"1]}"
    body = b'{"type":"log","msg":"before","task":"explode"}\n' + line
    answer, seconds = cost(shared_server, "/events.add_batch", body, {"Content-Type": "application/json-lines"})
    assert (answer.data["added"], answer.data["errors_info"]) == (1, {"a line holds too much": 1})
    assert "20000" in answer.data["error_lines"][0]["reason"]
    assert seconds < 1


def test_a_long_vector_is_no_line_that_holds_too_much(server: Client, task: str) -> None:
    numbers = ",".join(["NaN", *map(str, range(100_000))])
    line = f'{{"type":"training_stats_vector","task":"{task}","metric":"m","variant":"v","iter":1,"values":[{numbers}]}}'
    assert server.add_batch([line])["errors"] == 0


def test_a_body_with_120_thousand_faults_costs_as_much_as_one_with_a_hundred(shared_server: Server) -> None:
    """Naming the clearest of all faults took 1.5 s, in which nobody was answered."""
    body = b'{"ids": [' + b"{}," * 120_000 + b"{}]}"
    answer, seconds = cost(shared_server, "/tasks.delete_many", body, JSON)
    assert answer.codes == (400, 12)
    assert seconds < 0.7


def test_the_description_is_compressed_once(shared_server: Server) -> None:
    """Anybody may read it, and it is large: 60 readers took 0.3 s, now 0.06 s."""
    client = shared_server.client()

    def read(encoding: str) -> bytes:
        answer = client.send("GET", "/api/openapi.json", None, {"Accept-Encoding": encoding})
        assert answer.status == 200 and answer.headers["content-encoding"] == encoding
        return answer.body

    first = {encoding: read(encoding) for encoding in ("br", "zstd", "gzip", "deflate")}
    assert json.loads(gzip.decompress(first["gzip"])) == json.loads(zlib.decompress(first["deflate"]))
    before = shared_server.cpu_seconds()
    assert all(read(encoding) == first[encoding] for encoding in ("gzip", "deflate") for _ in range(30))
    assert shared_server.cpu_seconds() - before < 0.15


@pytest.mark.parametrize("line", [b"\r", b"\n", b"x\n", b"x\r"], ids=repr)
def test_millions_of_short_lines_are_refused_before_they_are_read(shared_server: Server, line: bytes) -> None:
    """30 million broken lines, 160 kB on the wire, took minutes, and a gigabyte for what was wrong with each."""
    body = packed(line * (30_000_000 // len(line)) + b"x" * 1_000)
    headers = {"Content-Type": "application/json-lines", "Content-Encoding": "gzip"}
    padding = gzip.compress(b"", mtime=0) * 500 + b"\0" * 200_000  # so that it is no more than 200 times its size
    answer, seconds = cost(shared_server, "/events.add_batch", padding + body, headers)
    assert answer.codes == (400, 12) and "events.max_batch_lines" in answer.meta["result_msg"]
    assert seconds < 1.5
    answer, seconds = cost(shared_server, "/api/runs/explode/events", padding + body, headers)
    assert answer.status in (400, 413) and seconds < 1.5
