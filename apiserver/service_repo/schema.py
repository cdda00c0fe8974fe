"""The HOCON schemas of all endpoints: request and response.

One file per service, `schema/services/<service>.conf`; files that begin with `_` are fragments. A file holds

    _description, _references      texts
    _definitions                   JSON schemas for "$ref": "#/definitions/<name>"
    _default                       internal, authorize, changes, allow_roles, fields_of_roles for all endpoints of the service
    <action> {
      internal, authorize, changes, allow_roles, fields_of_roles      (_api_defaults.conf explains them)
      "<version>" { description, method, request | batch_request, response }
    }

A file is compiled to flat JSON, which is cached by the hash of its text (`apiserver/hocon.py`).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apiserver import hocon
from apiserver.errors import StartupError, ValidationFailed
from apiserver.service_repo.compile_schema import compile_service
from apiserver.service_repo.validation import RequestReader, clearest_error
from apiserver.service_repo.versions import Version, parse

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Attributes:
    """Who may call an endpoint. `authorize` None: credentials are optional. `changes`: whether a call writes."""

    internal: bool
    allow_roles: tuple[str, ...]
    authorize: bool | None
    changes: bool
    fields_of_roles: Mapping[str, frozenset[str]]
    """Roles that may call with these fields only."""

    def allows(self, role: str) -> bool:
        """Whether this role may call, at least with some fields."""
        return role in self.fields_of_roles or self.allows_everything(role)

    def allows_everything(self, role: str) -> bool:
        """Whether this role may call with any field."""
        return "*" in self.allow_roles or role in self.allow_roles


class EndpointSchema:
    """All versions of one endpoint. Validators are built at first use: most endpoints of a server are never called."""

    def __init__(self, name: str, compiled: Mapping[str, Any], definitions: Schema) -> None:
        self.name = name
        self.attributes = Attributes(
            compiled["internal"],
            tuple(compiled["allow_roles"]),
            compiled["authorize"],
            compiled["changes"],
            {role: frozenset(names) for role, names in compiled["fields_of_roles"].items()},
        )
        self.versions: dict[Version, Schema] = {}
        for key, value in compiled["versions"].items():
            version = parse(key)
            assert version is not None, key
            self.versions[version] = value
        self._ordered = sorted(self.versions)
        self._definitions = definitions
        self._readers: dict[Version, RequestReader] = {}
        self._responses: dict[Version, Any] = {}

    def key_for(self, requested: Version) -> Version:
        """The version key of the schema that applies to a call: the highest up to `requested`, else the lowest."""
        return max((version for version in self._ordered if version <= requested), default=self._ordered[0])

    def is_batch(self, requested: Version) -> bool:
        """Whether the call takes JSON lines, which its handler parses itself."""
        return "batch_request" in self.versions[self.key_for(requested)]

    def takes_fields(self, requested: Version) -> bool:
        """Whether the call reads its body at all."""
        return self.is_batch(requested) or bool(self.reader(requested).schema.get("properties"))

    def request_schema(self, requested: Version) -> Schema:
        """The schema of a call's body with the service's definitions, and with fields that newer versions add: old paths accept them too."""
        key = self.key_for(requested)
        schema: Schema = copy.deepcopy(self.versions[key].get("request") or {"type": "object"})
        for newer in [version for version in self._ordered if version > key]:
            for field, shape in self.versions[newer].get("request", {}).get("properties", {}).items():
                if field not in self.versions[key].get("request", {}).get("properties", {}):
                    schema.setdefault("properties", {})[field] = shape  # the newest key comes last and wins
        return self._with_definitions(schema)

    def response_schema(self, version: Version) -> Schema:
        """The schema of the answer's `data` (`{type: string}` for downloads)."""
        return self._with_definitions(self.versions[self.key_for(version)]["response"])

    def reader(self, requested: Version) -> RequestReader:
        """Coercion, validation and defaults for a call of this version."""
        key = self.key_for(requested)
        reader = self._readers.get(key)
        if reader is None:
            reader = self._readers[key] = RequestReader(self.request_schema(key))
        return reader

    def check_response(self, version: Version, data: Any) -> None:
        """Raise AssertionError with the path of the first mismatch when `data` violates the response schema."""
        key = self.key_for(version)
        if key not in self._responses:
            from jsonschema import Draft7Validator

            self._responses[key] = Draft7Validator(self.response_schema(key))
        found = clearest_error(self._responses[key], data)
        if isinstance(found, ValidationFailed):
            raise AssertionError(f"{self.name} v{key} answered data that its schema doesn't allow: {found}")

    def _with_definitions(self, schema: Schema) -> Schema:
        return {**schema, "definitions": self._definitions} if self._definitions else schema


class SchemaSet:
    """The schemas of all services in a folder."""

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        """Read, check and compile every service. Raises StartupError naming file, endpoint and version."""
        self.folder = folder
        self.endpoints: dict[str, EndpointSchema] = {}
        self._definitions: dict[str, Schema] = {}
        self._descriptions: dict[str, str] = {}
        texts = {path: path.read_bytes() for path in sorted(folder.glob("*.conf"))}
        if not texts:
            raise StartupError(f"{folder}: no schemas; is the installation complete?")
        fragments = [part for path, text in texts.items() if path.name.startswith("_") for part in (path.name.encode(), text)]
        for path, text in texts.items():
            if path.name.startswith("_"):
                continue
            key = hocon.digest([path.name.encode(), text, *fragments])
            compiled = hocon.cached(cache, f"schema-{path.stem}", key, lambda path=path: compile_service(path))  # type: ignore[misc]
            self._definitions[path.stem] = compiled["definitions"]
            self._descriptions[path.stem] = compiled["description"]
            for action, value in compiled["endpoints"].items():
                name = f"{path.stem}.{action}"
                self.endpoints[name] = EndpointSchema(name, value, compiled["definitions"])

    def endpoint(self, name: str) -> EndpointSchema:
        """One endpoint; KeyError when no schema names it."""
        return self.endpoints[name]

    def definitions(self, service: str) -> Schema:
        """A service's `_definitions`, by name."""
        return self._definitions[service]

    def description(self, service: str) -> str:
        """The service's `_description`: one sentence."""
        return self._descriptions[service]

    def request_schema(self, name: str, version: str | Version) -> Schema:
        """The schema that validates a call of `name` at this version."""
        return self.endpoints[name].request_schema(_version(version))

    def response_schema(self, name: str, version: str | Version) -> Schema:
        """The schema of the `data` that `name` answers at this version."""
        return self.endpoints[name].response_schema(_version(version))

    def check_response(self, name: str, version: str | Version, data: Any) -> None:
        """For tests: AssertionError when `data` violates the response schema."""
        self.endpoints[name].check_response(_version(version), data)


def _version(version: str | Version) -> Version:
    found = parse(version) if isinstance(version, str) else version
    if found is None:
        raise ValueError(f"not a version: {version!r}")
    return found
