"""Answers against the response schemas of `schema/services/`."""

from __future__ import annotations

import functools
from typing import Any

import jsonschema_rs

from apiserver import hocon
from apiserver.service_repo.schema import SchemaSet
from tests.process import ROOT


@functools.cache
def schemas() -> SchemaSet:
    return SchemaSet(ROOT / "schema" / "services", hocon.cache_folder())


@functools.cache
def _validator(endpoint: str, version: str) -> Any:
    return jsonschema_rs.validator_for(schemas().response_schema(endpoint, version))


def check_data(endpoint: str, version: str, data: dict[str, Any]) -> None:
    """Raises AssertionError when `data` breaks the response schema of the endpoint at this version."""
    if not _validator(endpoint, version).is_valid(data):  # fast; the slow validator finds the words
        schemas().check_response(endpoint, version, data)
        raise AssertionError(f"{endpoint} v{version} answered data that its schema doesn't allow")
