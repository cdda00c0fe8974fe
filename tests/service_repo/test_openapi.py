"""/api/openapi.json: valid OpenAPI 3.1 of both APIs, and what the server answers fits it."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from apiserver import hocon
from apiserver.runs import openapi
from apiserver.service_repo.openapi import describe
from apiserver.service_repo.schema import SchemaSet
from apiserver.settings import SCHEMA
from tests.client import Client, json_lines, scalar

SCHEMAS = SchemaSet(SCHEMA, hocon.cache_folder())


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    return openapi.whole(describe(SCHEMAS))


def test_it_is_valid_openapi(description: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(description).validate()


def test_every_call_is_in_it_with_what_it_takes_and_answers(description: dict[str, Any]) -> None:
    for name in SCHEMAS.endpoints:
        operation = description["paths"][f"/{name}"]["post"]
        assert operation["summary"] and "200" in operation["responses"] and operation["requestBody"]["content"], name
    assert "/api/runs/{run_id}/metrics_step" in description["paths"]


def test_every_reference_leads_somewhere(description: dict[str, Any]) -> None:
    def references(shape: Any) -> list[str]:
        if isinstance(shape, dict):
            own = [shape["$ref"]] if isinstance(shape.get("$ref"), str) else []
            return own + [found for value in shape.values() for found in references(value)]
        return [found for value in shape for found in references(value)] if isinstance(shape, list) else []

    found = set(references(description))
    assert len(found) > 50
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in description["components"]["schemas"], reference


def test_the_server_gives_it_and_its_answers_fit(server: Client, task: str) -> None:
    given = server.send("GET", "/api/openapi.json").json
    assert given["openapi"].startswith("3.1") and "/events.get_series" in given["paths"]
    assert (
        server.send("POST", "/events.add_batch", json_lines([scalar(task, iter=3)]), {"Content-Type": "application/json-lines"}).status
        == 200
    )
    for call, body in (
        ("events.get_series", {"series": [{"task": task, "metric": "loss"}]}),
        ("tasks.get_by_id", {"task": task}),
        ("tasks.get_by_id", {"task": "none"}),
    ):
        answer = server.raw(f"/{call}", body)
        responses = given["paths"][f"/{call}"]["post"]["responses"]
        schema = responses.get(str(answer.status), responses["default"])["content"]["application/json"]["schema"]
        jsonschema_rs.validator_for({**schema, "components": given["components"]}).validate(answer.json)
