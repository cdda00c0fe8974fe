"""The schema files: what stops the start, and the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from apiserver.errors import StartupError
from apiserver.service_repo import Call, ServiceRepo, endpoint
from apiserver.service_repo.schema import SchemaSet
from apiserver.settings import SCHEMA

GOOD = 'one { "2.1" { request { type: object, properties { a { type: integer } } }, response { type: object } } }'


def load(folder: Path, text: str, **fragments: str) -> SchemaSet:
    (folder / "svc.conf").write_text(text)
    for name, content in fragments.items():
        (folder / f"{name}.conf").write_text(content)
    return SchemaSet(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one {", ["svc.conf"]),
        ('one { "2.1" { request { type: object } } }', ["one 2.1", "response is missing"]),
        ('one { "2.1" { response {} } }', ["one 2.1", "request and batch_request"]),
        ('one { "2.1" { request {}, response {}, respones {} } }', ["one 2.1", "respones"]),
        ('one { "2" { request {}, response {} } }', ["one", '"2"']),
        ('one { colour: blue, "2.1" { request {}, response {} } }', ["one", "colour"]),
        ('one { authorize: maybe, "2.1" { request {}, response {} } }', ["one", "authorize"]),
        ("one { internal: true }", ["one", "no version"]),
        ('one { "2.1" { request { propertys {} }, response {} } }', ["one 2.1 request", "propertys"]),
        ('one { "2.1" { request { properties { a { typ: string } } }, response {} } }', ["one 2.1 request a", "typ"]),
        ('one { "2.1" { request { properties { a { type: strng } } }, response {} } }', ["one 2.1 request", "strng"]),
        ('one { "2.1" { request { properties { a { "$ref": "#/definitions/no" } } }, response {} } }', ["leads nowhere"]),
        ('one { "2.1" { request { properties { a { type: integer, default: x } } }, response {} } }', ["default"]),
        ("_stray: 1", ["_stray"]),
    ],
)
def test_a_mistake_stops_the_start_and_is_located(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(StartupError) as caught:
        load(tmp_path, text)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert all(word in sentence for word in ["svc.conf", *words]), sentence


def test_includes_defaults_and_inheritance_work(tmp_path: Path) -> None:
    text = """
    _default { allow_roles: [admin] }
    _definitions { include "_shared.conf" }
    one { "2.1" { request { type: object, properties { a { "$ref": "#/definitions/id" } } }, response { type: object } }
          "2.2": ${one."2.1"} { request.properties.b { type: integer } } }
    """
    schemas = load(tmp_path, text, _shared="id { type: string }", _api_defaults="authorize: false")
    one = schemas.endpoint("svc.one")
    assert (one.attributes.allow_roles, one.attributes.authorize) == (("admin",), False)
    assert set(schemas.request_schema("svc.one", "2.30")["properties"]) == {"a", "b"}
    assert schemas.definitions("svc") == {"id": {"type": "string"}}


def test_a_file_may_be_wrapped_in_its_services_name(tmp_path: Path) -> None:
    assert set(load(tmp_path, f"svc {{ {GOOD} }}").endpoints) == {"svc.one"}


def test_the_cache_follows_the_texts_and_survives_damage(tmp_path: Path) -> None:
    schemas, cache = tmp_path / "schemas", tmp_path / "cache"
    schemas.mkdir()
    cache.mkdir()
    (schemas / "svc.conf").write_text(GOOD)
    SchemaSet(schemas, cache)
    entry = next(cache.iterdir())
    entry.write_text("{ damaged")
    assert "svc.one" in SchemaSet(schemas, cache).endpoints
    (schemas / "svc.conf").write_text(GOOD.replace("one", "two"))
    assert set(SchemaSet(schemas, cache).endpoints) == {"svc.two"}
    assert "svc.two" in SchemaSet(schemas, tmp_path / "nowhere").endpoints


def test_handlers_and_schemas_must_fit(tmp_path: Path) -> None:
    class Other:
        @endpoint("svc.other", min_version="2.3")
        def other(self, call: Call, request: dict[str, object]) -> dict[str, object]:
            return {}

    class One:
        @endpoint("svc.one")
        def one(self, call: Call, request: dict[str, object]) -> dict[str, object]:
            return {}

    repo = ServiceRepo(load(tmp_path, GOOD))
    with pytest.raises(StartupError, match=r"svc\.conf: one 2\.1: no handler"):
        repo.check()
    with pytest.raises(StartupError, match=r"svc\.conf: no schema for svc\.other 2\.3"):
        repo.add_service(Other())
    repo.add_service(One())
    repo.check()
    with pytest.raises(StartupError, match="two handlers"):
        repo.add_service(One())


def test_answers_are_checked_against_the_response_schema(tmp_path: Path) -> None:
    schemas = load(
        tmp_path, 'one { "2.1" { request {}, response { type: object, properties { a { type: array, items { type: integer } } } } } }'
    )
    schemas.check_response("svc.one", "2.1", {"a": [1]})
    with pytest.raises(AssertionError, match=r'"a\[1\]" must be an integer, got "x"'):
        schemas.check_response("svc.one", "2.1", {"a": [1, "x"]})


def test_our_own_schemas_are_fine() -> None:
    assert {"debug.ping", "server.info", "auth.login"} <= set(SchemaSet(SCHEMA).endpoints)
