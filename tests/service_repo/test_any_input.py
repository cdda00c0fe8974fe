"""Whatever comes in, the RPC layer answers with an envelope and no 5xx."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service_repo.conftest import Api

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8) | st.just(10**30)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8
)
FIELDS = st.sampled_from(
    ["task", "size", "flag", "ratio", "order", "metrics", "tree", "numbers", "inner", "choice", "free", "later", "other"]
)
PAIRS = st.dictionaries(VALUES.filter(lambda v: isinstance(v, str)) | FIELDS, VALUES, max_size=5)
SEVERAL = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Api:
    folder: Path = tmp_path_factory.mktemp("any")
    return Api(folder)


def fine(api: Api, path: str, body: bytes, **options: Any) -> None:
    answer = api.send(path, body, **options)
    meta = answer.get_json()["meta"]
    assert answer.status_code == meta["result_code"] < 500, (path, body, meta)


@SEVERAL
@given(body=st.fixed_dictionaries({"task": st.just("t") | VALUES}, optional={}) | PAIRS)
def test_any_object(shared: Api, body: dict[str, Any]) -> None:
    fine(shared, "/sample.echo", json.dumps({"task": "t", **body}).encode())


@SEVERAL
@given(
    body=st.binary(max_size=40),
    kind=st.sampled_from(["", "application/json", "application/json-lines", "multipart/form-data; boundary=x", "text/html"]),
)
def test_any_bytes(shared: Api, body: bytes, kind: str) -> None:
    for path in ("/sample.echo", "/sample.batch"):
        fine(shared, path, body, content_type=kind)
        fine(shared, path, body, content_type=kind, headers={"Content-Encoding": "gzip"})


@SEVERAL
@given(query=st.lists(st.tuples(st.text(max_size=4) | FIELDS | st.just("inner.a") | st.just("task.x"), st.text(max_size=6)), max_size=4))
def test_any_query(shared: Api, query: list[tuple[str, str]]) -> None:
    fine(shared, "/sample.echo", b'{"task":"t"}', query_string=query)


@SEVERAL
@given(path=st.text(max_size=20) | st.from_regex(r"/?(api/)?(v[0-9.]{1,4}/)?\w{1,5}\.\w{1,5}/?", fullmatch=True))
def test_any_path(shared: Api, path: str) -> None:
    fine(shared, "/" + quote(path.lstrip("/")), b"{}")
