"""What a caller gets: data of every kind, errors, raw answers."""

from __future__ import annotations

import gzip
import logging
from typing import Any

import pytest

from apiserver import errors
from apiserver.app import OFFLOAD, OffloadedCompress
from apiserver.service_repo.errors import TABLE, failure_of
from tests.service_repo.conftest import Api


def data(api: Api, what: str) -> Any:
    answer = api.send("/sample.answer", {"what": what})
    assert answer.status_code == 200, answer.text
    assert answer.content_type == "application/json"
    return answer.get_json()["data"]


def test_arrays_numbers_and_texts_of_every_kind_become_valid_json(api: Api) -> None:
    assert data(api, "numpy") == {"x": [0, 1, 2], "y": [1.5, None], "z": 2.0}
    assert data(api, "nan") == {"x": None, "y": [None]}
    assert data(api, "huge") == {"x": 2**70, "nan": None, "5": "key"}
    assert data(api, "strided") == {"x": [0, 2, 4]}
    assert data(api, "surrogate") == {"x": "\ud800"}
    assert "k" in data(api, "deep")
    assert "object" in data(api, "unencodable")["x"]


def test_encoded_data_goes_into_the_envelope_as_it_is(api: Api) -> None:
    assert data(api, "encoded") == {"cached": True}


def test_a_raw_answer_has_no_envelope(api: Api) -> None:
    answer = api.send("/sample.answer", {"what": "raw"})
    assert (answer.data, answer.headers["X-Extra"], answer.content_type) == (b"ab", "1", "text/plain; charset=utf-8")


def test_the_envelope_holds_exactly_these_keys(api: Api) -> None:
    answer = api.send("/sample.answer?what=nan", headers={"X-Trains-Trx": "abc"}).get_json()
    assert set(answer) == {"meta", "data"}
    meta = answer["meta"]
    assert len(meta.pop("id")) == 32
    assert meta == {
        "trx": "abc",
        "endpoint": {"name": "sample.answer", "requested_version": "2.34", "actual_version": "1.0"},
        "result_code": 200,
        "result_subcode": 0,
        "result_msg": "OK",
        "error_stack": None,
        "error_data": {},
    }


def test_passing_trouble_is_503_with_retry_after_and_tells_nothing_of_the_inside(api: Api) -> None:
    answer = api.send("/sample.answer", {"what": "busy"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    assert "10.0.0.7" not in answer.text
    assert api.codes("/sample.answer", {"what": "state"})[0] == 503


def test_an_unexpected_exception_is_500_without_a_word_of_it_and_a_stack_in_the_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "tidemark.calls"):
        answer = api.send("/sample.answer", {"what": "crash"})
    meta = answer.get_json()["meta"]
    assert (answer.status_code, meta["result_subcode"], answer.get_json()["data"]) == (500, 0, {})
    assert "secret" not in answer.text and "Traceback" not in answer.text
    assert meta["id"] in meta["result_msg"] and meta["id"] in caplog.text
    assert "RuntimeError: secret detail" in caplog.text


def test_messages_name_their_parameters(api: Api) -> None:
    meta = api.send("/sample.answer", {"what": "task"}).get_json()["meta"]
    assert (meta["result_code"], meta["result_subcode"], meta["result_msg"]) == (400, 101, "Invalid task id: id=(a, b)")


def test_a_batch_of_which_nothing_was_stored_says_why_in_data(api: Api) -> None:
    answer = api.send("/sample.answer", {"what": "batch"}).get_json()
    assert answer["meta"]["result_subcode"] == 131
    assert answer["data"] == {
        "added": 0,
        "errors": 2,
        "errors_info": {"data": 1, "extra": 1},
        "error_lines": [{"line": 1, "field": "iter", "reason": "bad"}],
    }


def test_no_code_is_above_503_and_every_exception_has_one() -> None:
    assert all(300 < code.code <= 503 for code in TABLE.values())
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.TidemarkError)]
    assert [kind for kind in kinds if kind is not errors.TidemarkError and not any(base in TABLE for base in kind.__mro__)] == []


def test_a_message_is_one_line_of_valid_text() -> None:
    message = failure_of(errors.InvalidTask("a\nb\ud800"), "id").message
    assert "\n" not in message
    message.encode("utf-8")


def test_roles_internal_endpoints_and_endpoints_without_login(closed: Api) -> None:
    user, admin = {"auth": ("ONE", "secret-one")}, {"auth": ("TWO", "secret-two")}
    assert closed.codes("/sample.admin", **user) == (403, 20)
    assert closed.codes("/sample.admin", **admin) == (200, 0)
    assert closed.codes("/sample.hidden", **admin) == (403, 12)
    assert closed.codes("/sample.public") == (200, 0)
    assert closed.codes("/sample.maybe") == (200, 0)
    assert closed.send("/sample.maybe", **admin).get_json()["data"] == {"user": "boss"}
    assert closed.codes("/sample.nothing") == (404, 0)
    assert closed.codes("/sample.echo", b"[1]") == (401, 20)


def test_cookies_of_a_handler_are_for_the_server_only(api: Api) -> None:
    cookie = api.send("/sample.answer", {"what": "cookie"}).headers["Set-Cookie"]
    assert all(part in cookie for part in ("name=value", "HttpOnly", "SameSite=Strict", "Path=/"))


@pytest.mark.parametrize("size", [100, 5_000, 3 * OFFLOAD])
def test_answers_of_every_size_arrive_whole_when_compressed(api: Api, size: int) -> None:
    api.http.application.config["COMPRESS_STREAMS"] = False
    OffloadedCompress(api.http.application)
    answer = api.send("/sample.answer", {"what": f"size {size}"}, headers={"Accept-Encoding": "gzip"})
    compressed = answer.headers.get("Content-Encoding") == "gzip"
    body = gzip.decompress(answer.data) if compressed else answer.data
    assert compressed is (size > 500)
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    assert body.count(b"a") >= size
