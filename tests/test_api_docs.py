"""The pages that `make docs` writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from apiserver import hocon
from apiserver.service_repo.schema import SchemaSet
from apiserver.settings import SCHEMA
from scripts.api_docs import ROOT, example_request, recorded, write_pages

SCHEMAS = SchemaSet(SCHEMA, hocon.cache_folder())


@pytest.mark.parametrize("name", sorted(SCHEMAS.endpoints))
def test_the_example_of_every_endpoint_is_a_valid_request(name: str) -> None:
    endpoint = SCHEMAS.endpoints[name]
    newest = max(endpoint.versions)
    if not endpoint.is_batch(newest):
        body = example_request(endpoint, SCHEMAS.definitions(name.partition(".")[0]))
        Draft7Validator(endpoint.request_schema(newest)).validate(body)


@pytest.mark.parametrize("name", sorted(recorded()))
def test_recorded_answers_are_what_the_schemas_say(name: str) -> None:
    """scripts/api_answers.py was run after the last change of an answer."""
    SCHEMAS.check_response(name, max(SCHEMAS.endpoints[name].versions), recorded()[name]["data"])


def test_every_endpoint_has_a_section_with_a_call(tmp_path: Path) -> None:
    write_pages(SCHEMAS, tmp_path)
    for name in SCHEMAS.endpoints:
        service, _, action = name.partition(".")
        section = (tmp_path / f"{service}.md").read_text().split(f"\n## {action}\n", 1)[1].split("\n## ", 1)[0]
        assert f"/{name} " in section and "curl " in section


def test_the_pages_are_up_to_date(tmp_path: Path) -> None:
    """`make docs` was run after the last change of a schema."""
    write_pages(SCHEMAS, tmp_path)
    written = {page.name: page.read_text() for page in tmp_path.glob("*.md")}
    committed = {page.name: page.read_text() for page in (ROOT / "docs" / "api").glob("*.md")}
    assert sorted(committed) == sorted(written)
    for name, text in written.items():
        assert committed[name] == text, f"docs/api/{name} is not what the schemas say: run `make docs`"
