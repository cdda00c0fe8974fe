"""Parses and checks a service's schema file and flattens it to plain JSON. Runs only when a file has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from apiserver import hocon
from apiserver.bll.registry.identity import ROLES, WEB, WRITERS
from apiserver.errors import StartupError
from apiserver.service_repo.versions import parse

SERVICE_KEYS = {"_description", "_references", "_definitions", "_default"}
ATTRIBUTES: dict[str, Any] = {
    "internal": False,
    "allow_roles": None,
    "authorize": True,
    "changes": True,
    "write_roles": list(WRITERS),
    "fields_of_roles": {},
}
VERSION_KEYS = {"description", "method", "request", "batch_request", "response"}
METHODS = {"get", "post", "put", "delete"}

# Draft 7 (`definitions`, `dependencies`): the newest draft that both validators support.
KEYWORDS = {
    *("$ref", "$comment", "title", "description", "default", "examples", "type", "enum", "const", "format", "definitions"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern"),
    *("items", "additionalItems", "minItems", "maxItems", "uniqueItems", "contains"),
    *("properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties", "maxProperties"),
    *("dependencies", "anyOf", "oneOf", "allOf", "not", "if", "then", "else"),
}
BY_NAME = ("properties", "patternProperties", "definitions")
LISTS = ("anyOf", "oneOf", "allOf")
SINGLE = ("additionalProperties", "additionalItems", "propertyNames", "contains", "not", "if", "then", "else")


def compile_service(path: Path) -> dict[str, Any]:
    """`{description, definitions: {name: schema}, endpoints: {action: {internal, allow_roles, authorize, changes, fields_of_roles, versions: {"2.1": {...}}}}}`.

    Raises StartupError naming file, endpoint and version.
    """
    tree = hocon.parse_file(path)
    if set(tree) == {path.stem} and isinstance(tree[path.stem], dict):
        tree = tree[path.stem]  # the whole file wrapped in its service's name
    definitions = tree.get("_definitions") or {}
    defaults = _attributes(path, "_default", {**_api_defaults(path.parent), **(tree.get("_default") or {})})
    for name, schema in definitions.items():
        _check_schema(path, f"_definitions.{name}", schema, definitions)
    endpoints: dict[str, Any] = {}
    for action, value in tree.items():
        if action in SERVICE_KEYS:
            continue
        if action.startswith("_") or not isinstance(value, dict):
            _fail(path, action, f"unknown key; a service has endpoints and {', '.join(sorted(SERVICE_KEYS))}")
        endpoints[action] = _endpoint(path, action, value, defaults, definitions)
    description = " ".join(str(tree.get("_description", "")).split())
    return {"description": description, "definitions": definitions, "endpoints": endpoints}


def _api_defaults(folder: Path) -> dict[str, Any]:
    shared = folder / "_api_defaults.conf"
    return {**ATTRIBUTES, **(hocon.parse_file(shared) if shared.is_file() else {})}


def _attributes(path: Path, where: str, found: dict[str, Any]) -> dict[str, Any]:
    for key, value in found.items():
        if key not in ATTRIBUTES:
            _fail(path, where, f'unknown key "{key}"; known are versions such as "2.1" and {", ".join(ATTRIBUTES)}')
        fits = {
            "internal": isinstance(value, bool),
            "authorize": value is None or isinstance(value, bool),
            "changes": isinstance(value, bool),
            "allow_roles": value is None or _are_roles(value),
            "write_roles": _are_roles(value),
            "fields_of_roles": isinstance(value, dict)
            and _are_roles(list(value))
            and all(isinstance(names, list) for names in value.values()),
        }
        if not fits[key]:
            _fail(path, where, f'"{key}" can\'t be {value!r}')
    return found


def _are_roles(value: Any) -> bool:
    return isinstance(value, list) and all(role in (*ROLES, "*", WEB) for role in value)


def _endpoint(path: Path, action: str, value: dict[str, Any], defaults: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    versions = {key: item for key, item in value.items() if isinstance(item, dict) and parse(key) is not None and "." in key}
    attributes = _attributes(path, action, {**defaults, **{key: item for key, item in value.items() if key not in versions}})
    if not versions:
        _fail(path, action, 'no version; an endpoint needs at least one, such as "2.1" { request {...}, response {...} }')
    for key, version in versions.items():
        where = f"{action} {key}"
        unknown = sorted(set(version) - VERSION_KEYS)
        if unknown:
            _fail(path, where, f'unknown key "{unknown[0]}"; known are {", ".join(sorted(VERSION_KEYS))}')
        if ("request" in version) == ("batch_request" in version):
            _fail(path, where, "exactly one of request and batch_request is needed")
        if "response" not in version:
            _fail(path, where, "response is missing")
        if version.get("method", "get") not in METHODS:
            _fail(path, where, f"method must be one of {', '.join(sorted(METHODS))}")
        if "batch_request" in version and not {"action", "version"} >= set(version["batch_request"] or {"none": 0}):
            _fail(path, where, "batch_request has the keys action and version only")
        for part in ("request", "response"):
            if part in version:
                _check_schema(path, f"{where} {part}", version[part], definitions)
        if version.get("request", {}).get("type", "object") != "object":
            _fail(path, f"{where} request", 'type must be "object"')
    roles = attributes["allow_roles"]
    if roles is None:
        roles = attributes["write_roles"] if attributes["changes"] else ["*"]
    return {**attributes, "allow_roles": roles, "versions": versions}


def _check_schema(path: Path, where: str, schema: Any, definitions: dict[str, Any]) -> None:
    """Raise StartupError for an unknown keyword, a dangling reference, a schema that the meta-schema refuses, or a default that doesn't fit."""
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import SchemaError

    _check_words(path, where, schema, definitions)
    try:
        Draft7Validator.check_schema(schema)
    except SchemaError as error:
        _fail(path, where, f"{'.'.join(map(str, error.absolute_path)) or 'the schema'}: {error.message}")
    for name, field in schema.get("properties", {}).items():
        if isinstance(field, dict) and "default" in field:
            misfit = next(Draft7Validator({**field, "definitions": definitions}).iter_errors(field["default"]), None)
            if misfit is not None:
                _fail(path, f"{where} {name}", f"its default doesn't fit: {misfit.message}")


def _check_words(path: Path, where: str, schema: Any, definitions: dict[str, Any]) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        _fail(path, where, f"a schema must be an object, not {schema!r}")
    for key, value in schema.items():
        if key not in KEYWORDS:
            _fail(path, where, f'"{key}" is not a JSON-schema keyword')
        if key == "$ref" and (not isinstance(value, str) or value.removeprefix("#/definitions/") not in definitions):
            _fail(path, where, f'"$ref": "{value}" leads nowhere; references look like "#/definitions/<name in _definitions>"')
        if key in BY_NAME and isinstance(value, dict):
            for name, inner in value.items():
                _check_words(path, f"{where} {name}", inner, definitions)
        elif key in SINGLE:
            _check_words(path, where, value, definitions)
        elif key in LISTS or (key == "items" and isinstance(value, list)):
            for inner in value if isinstance(value, list) else ():
                _check_words(path, where, inner, definitions)
        elif key == "items":
            _check_words(path, f"{where}[]", value, definitions)


def _fail(path: Path, where: str, what: str) -> NoReturn:
    raise StartupError(f"{path}: {where}: {what}")
