"""What a handler gets: bodies, queries, coercion, validation, versions."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.service_repo.conftest import Api


@pytest.mark.parametrize(
    ("field", "sent", "arrives"),
    [
        ("size", "10", 10),
        ("size", 1.5, 1),
        ("size", True, 1),
        ("size", " 12 ", 12),
        ("flag", "false", True),
        ("flag", "", False),
        ("flag", [], False),
        ("flag", 1, True),
        ("ratio", "1.5", 1.5),
        ("ratio", "-2e3", -2000.0),
        ("task", "123", "123"),
        ("numbers", ["1", 2.9], [1, 2]),
        ("choice", "5", 5),
        ("choice", ["5"], ["5"]),
        ("tree", {"size": "1", "branches": [{"size": "2"}]}, {"size": 1, "branches": [{"size": 2}]}),
        ("metrics", [{"metric": "a", "variants": None}], [{"metric": "a"}]),
        ("free", {"a": None}, {"a": None}),
        ("unknown", {"a": None}, {"a": None}),
    ],
)
def test_values_are_brought_to_their_declared_type(api: Api, field: str, sent: Any, arrives: Any) -> None:
    if field == "choice" and isinstance(sent, list):
        arrives = [5]
    assert api.echo({"task": "t", field: sent})[field] == arrives


@pytest.mark.parametrize("field", ["size", "flag", "order", "metrics", "tree", "inner"])
def test_null_counts_as_absent(api: Api, field: str) -> None:
    assert api.echo({"task": "t", field: None}) == api.echo({"task": "t"})


def test_defaults_are_filled_in_inside_objects_too(api: Api) -> None:
    assert api.echo({"task": "t", "inner": {"a": 1}}) == {"task": "t", "size": 10, "flag": False, "later": 7, "inner": {"a": 1, "b": "x"}}


def test_fields_that_only_newer_versions_define_are_honoured(api: Api) -> None:
    assert api.echo({"task": "t", "later": "3"}, "/v2.1/sample.echo")["later"] == 3
    assert api.codes("/v2.1/sample.echo", {"task": "t", "later": "x"}) == (400, 12)
    assert api.echo({"task": "t"}, "/v1.0/sample.echo")["later"] == 7


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, '"task" must be given'),
        ({"task": None}, '"task" must be given'),
        ({"task": 5}, '"task" must be a string, got 5'),
        ({"task": ["a"]}, '"task" must be a string, got a list of 1'),
        ({"task": "t", "size": "abc"}, '"size" must be an integer, got "abc"'),
        ({"task": "t", "size": -1}, '"size" must be at least 0, got -1'),
        ({"task": "t", "size": 10**400}, '"size" must be at most 100'),
        ({"task": "t", "order": "up"}, '"order" must be one of "asc", "desc", got "up"'),
        ({"task": "t", "metrics": "x"}, '"metrics" must be a list, got "x"'),
        ({"task": "t", "metrics": [{}]}, '"metrics[0].metric" must be given'),
        ({"task": "t", "metrics": [{"metric": "a", "variants": [1]}]}, '"metrics[0].variants[0]" must be a string, got 1'),
        ({"task": "t", "numbers": [2**63]}, '"numbers[0]" must be at most 9223372036854775807'),
        ({"task": "t", "ratio": float("nan")}, "finite numbers"),
    ],
)
def test_a_refusal_names_the_field_what_was_expected_and_what_came(api: Api, body: Any, words: str) -> None:
    meta = api.send("/sample.echo", body).get_json()["meta"]
    assert (meta["result_code"], meta["result_subcode"]) == (400, 12)
    assert words in meta["result_msg"]


@pytest.mark.parametrize("body", [b"", b"  ", b"{}", b"null", b"[]", b"0", b'""', b"false"])
def test_falsy_bodies_are_empty_objects(api: Api, body: bytes) -> None:
    assert api.codes("/sample.answer?what=nan", body) == (200, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"[1]",
        b'"x"',
        b"1",
        b"true",
        b"{",
        b"{'a':1}",
        b"\xff",
        b'{"task":"\\ud800"}',
        b'{"a":' * 3000 + b"1" + b"}" * 3000,
        b"1" * 5000,
        b"\xef\xbb\xbf{}",
    ],
)
def test_broken_bodies_are_400(api: Api, body: bytes) -> None:
    assert api.codes("/sample.echo", body) == (400, 0)


def test_lenient_json_is_read(api: Api) -> None:
    assert api.codes("/sample.echo", b'{"task":"t","free":{"a":NaN,"b":-Infinity,"c":1e999}}') == (200, 0)


def test_query_values_win_over_the_body_and_keep_the_types_of_the_schema(api: Api) -> None:
    found = api.echo({"task": "t", "size": 1}, "/sample.echo?task=123&size=5&flag=false&inner.a=4&numbers[]=1&order=asc&x=1.5&y=-1&z=a&z=b")
    assert found == {
        "task": "123",
        "size": 5,
        "flag": False,
        "later": 7,
        "inner": {"a": 4, "b": "x"},
        "numbers": [1],
        "order": "asc",
        "x": 1.5,
        "y": "-1",
        "z": ["a", "b"],
    }


def test_forms_work_like_queries(api: Api) -> None:
    assert api.echo(b"task=1&size=7", content_type="application/x-www-form-urlencoded")["size"] == 7
    answer = api.http.post("/sample.echo", data={"task": "1", "size": "8"}, content_type="multipart/form-data")
    assert answer.get_json()["data"]["request"]["task"] == "1"


@pytest.mark.parametrize("kind", ["application/json-lines", "application/json-lines; charset=utf-8", "Application/JSON-Lines"])
def test_a_batch_endpoint_gets_its_lines_untouched(api: Api, kind: str) -> None:
    data = api.send("/sample.batch", b'{"a":1}\nnot json', content_type=kind).get_json()["data"]
    assert data == {"is_batch": True, "lines": 2, "request": {}}


def test_a_plain_object_is_a_batch_of_one(api: Api) -> None:
    assert api.send("/sample.batch", {"a": None}).get_json()["data"] == {"is_batch": False, "lines": 1, "request": {"a": None}}


def test_other_endpoints_see_nothing_of_a_batch(api: Api) -> None:
    assert api.codes("/sample.echo", b'{"task":"t"}', content_type="application/json-lines") == (400, 12)


def test_gzip_is_unpacked_in_several_members_too(api: Api) -> None:
    body = gzip.compress(b'{"task":') + gzip.compress(b'"t"}')
    assert api.echo(body, headers={"Content-Encoding": "gzip"})["task"] == "t"


def test_what_unpacks_to_more_than_the_limit_is_413(tmp_path_factory: pytest.TempPathFactory) -> None:
    api = Api(tmp_path_factory.mktemp("small"), TIDEMARK__server__max_unpacked="100000", TIDEMARK__server__max_body="5000")
    gzipped = {"headers": {"Content-Encoding": "gzip"}}
    assert api.codes("/sample.echo", gzip.compress(b" " * 1_000_000), **gzipped) == (413, 0)
    assert api.codes("/sample.echo", b" " * 5001) == (413, 0)
    assert api.codes("/sample.echo", b"no gzip", **gzipped) == (400, 0)
    assert api.codes("/sample.echo", gzip.compress(b"{}")[:-4], **gzipped) == (400, 0)
    assert api.codes("/sample.echo", b"{}", headers={"Content-Encoding": "br"}) == (415, 0)


def test_the_worker_header_reaches_the_handler(api: Api) -> None:
    def worker(headers: dict[str, str]) -> str:
        return str(api.send("/v2.1/sample.echo", {"task": "t"}, headers=headers).get_json()["data"]["worker"])

    assert worker({}) == "<unknown>"
    assert worker({"X-Trains-Worker": "b"}) == "b"
    assert worker({"X-ClearML-Worker": "a", "X-Trains-Worker": "b"}) == "a"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_the_method_does_not_matter(api: Api, method: str) -> None:
    assert api.echo({"task": "t"}, method=method)["task"] == "t"


def test_the_wanted_version_picks_the_handler_and_is_echoed(api: Api) -> None:
    def versions(path: str) -> tuple[Any, Any, int]:
        meta = json.loads(api.send(path, {"task": "t"}).data)["meta"]
        return meta["endpoint"]["requested_version"], meta["endpoint"]["actual_version"], meta["result_code"]

    assert versions("/v2.0/sample.echo") == (2.0, 1.0, 200)
    assert versions("/v1.10/sample.echo") == (1.1, 1.0, 200)
    assert versions("/v2.8/sample.echo/") == ("2.8", "1.0", 200)
    assert versions("/api/v2.30/sample.echo") == ("2.30", "2.9", 200)
    assert versions("sample.echo") == ("2.34", "2.9", 200)
    assert versions("/v20/sample.echo") == ("20", "2.9", 200)
    assert versions("/v0.9/sample.echo") == (0.9, None, 404)
    assert versions("/v2/sample.echo") == (1.0, None, 400)
