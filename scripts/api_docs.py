"""Writes docs/api from the schema files: one page a service, an example call for every endpoint.

    python scripts/api_docs.py [FOLDER]

Everything on the pages comes from schema/services, and from docs/api/answers.json, which scripts/api_answers.py records from a server; nothing here
knows an endpoint by name.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from apiserver import hocon
from apiserver.bll.registry.identity import WRITERS
from apiserver.service_repo.coercion import resolve
from apiserver.service_repo.schema import Attributes, EndpointSchema, SchemaSet
from apiserver.settings import SCHEMA

Schema = dict[str, Any]

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = "http://127.0.0.1:8008"
SAMPLES: dict[str, Any] = {
    "task": "8a2cc413bb774a5290d290fe1e84dc6a",
    "model": "b9537abd8b904fcca82fb115e9b0640c",
    "project": "cc60eae2ea4a4518a7e958ffd41e4c3f",
    "metric": "loss",
    "variant": "train",
    "name": "my experiment",
    "worker": "host1",
    "timestamp": 1700000000000,
    "@timestamp": "2023-11-14T22:13:20.000Z",
    "iter": 3,
    "value": 0.25,
    "x": [0, 1, 2],
    "y": [1.0, 0.5, 0.25],
    "scroll_id": "4f1f7d1cf2a24bb3a2b6d35f1cf2a24b",
    "msg": "epoch 1 done",
    "level": "info",
    "url": "http://127.0.0.1:8008/files/image.png",
}
"""What fields of these names look like in examples, where it fits their type."""

ANSWERS = ROOT / "docs" / "api" / "answers.json"
NUMBERS = re.compile(r"\[\s+[-\d.e+,\s]+\]")
"""A list of numbers, which examples show on one line."""
LONGEST_ANSWER = 2_400
"""Characters of an example answer; longer ones are left out."""
COLUMNS = ("guest", "annotator", "user", "superuser", "admin", "root, system")
OTHER_FACES = (
    ("runs API: `GET /api/runs…`, `/api/v2/…`, log sockets", False),
    ("runs API: `POST /api/runs/<run>/events`, `PUT /api/runs/<run>/meta`", True),
    ("file server: `GET`, `HEAD`", False),
    ("file server: `POST`, `DELETE`", True),
)
"""Calls that no schema file describes, and whether they change something."""


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "api"
    write_pages(SchemaSet(SCHEMA, hocon.cache_folder()), folder)


def write_pages(schemas: SchemaSet, folder: Path) -> None:
    """One page a service and README.md, which lists them."""
    services: dict[str, list[EndpointSchema]] = {}
    for name, endpoint in schemas.endpoints.items():
        services.setdefault(name.partition(".")[0], []).append(endpoint)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        old.unlink()
    descriptions = {service: schemas.description(service) for service in services}
    for service, endpoints in services.items():
        page = "\n".join(_page(service, descriptions[service], endpoints, schemas.definitions(service)))
        (folder / f"{service}.md").write_text(page.rstrip() + "\n")
    (folder / "roles.md").write_text("\n".join(_roles(services)) + "\n")
    (folder / "README.md").write_text("\n".join(_index(services, descriptions)) + "\n")


def _index(services: dict[str, list[EndpointSchema]], descriptions: dict[str, str]) -> Iterator[str]:
    yield "# The API"
    yield ""
    yield "For people who call the API: every endpoint with its fields, an example call and its answer. `make docs` writes these pages from"
    yield "`schema/services`; change them there. [The protocol](../protocol.md) says what all calls have in common."
    yield ""
    yield "A call is `<address>/v<version>/<service>.<action>` (without a version: the newest) with a JSON object as its body; the HTTP method does"
    yield "not matter. The answer is `{meta, data}`: `meta.result_code` is the HTTP status, `data` is described under **Answer**. A null in a request"
    yield "counts as absent, unknown fields are ignored. Which role may call what is on [a page of its own](roles.md)."
    yield ""
    for service, endpoints in services.items():
        yield f"## [{service}]({service}.md)"
        yield ""
        if descriptions[service]:
            yield descriptions[service].rstrip(".") + "."
            yield ""
        for endpoint in endpoints:
            action = endpoint.name.partition(".")[2]
            yield f"- [{action}]({service}.md#{action}): {_said(_newest(endpoint))}"
        yield ""


def _roles(services: dict[str, list[EndpointSchema]]) -> Iterator[str]:
    yield "# Roles"
    yield ""
    yield "For administrators: which role may call what. Guests read; annotators read and comment; users read and write; superusers and above also"
    yield "manage users. Nobody gives, changes or acts for a role above their own. Any other call is 403/20. `make docs` writes this page from"
    yield "`allow_roles`, `changes` and `fields_of_roles` in `schema/services`."
    yield ""
    yield f"| call | changes something | {' | '.join(COLUMNS)} |"
    yield f"|---|---|{'---|' * len(COLUMNS)}"
    for endpoint in (endpoint for endpoints in services.values() for endpoint in endpoints):
        attributes = endpoint.attributes
        if attributes.authorize is True:
            yield _row(f"`{endpoint.name}`", attributes.changes, [_right(attributes, column.split(", ")[0]) for column in COLUMNS])
        else:
            yield _row(f"`{endpoint.name}`", attributes.changes, ["without a login", *[""] * (len(COLUMNS) - 1)])
    for name, changes in OTHER_FACES:
        yield _row(name, changes, ["yes" if not changes or column.split(", ")[0] in WRITERS else "" for column in COLUMNS])


def _row(name: str, changes: bool, rights: Sequence[str]) -> str:
    return f"| {name} | {'yes' if changes else ''} | {' | '.join(rights)} |"


def _right(attributes: Attributes, role: str) -> str:
    if attributes.allows_everything(role):
        return "yes"
    return ", ".join(f"`{name}`" for name in sorted(attributes.fields_of_roles.get(role, ())))


def _page(service: str, description: str, endpoints: Sequence[EndpointSchema], definitions: Schema) -> Iterator[str]:
    yield f"# {service}"
    yield ""
    yield description.rstrip(".") + "."
    yield ""
    for endpoint in endpoints:
        yield from _section(endpoint, definitions)
    shapes = {name: schema for name, schema in definitions.items() if _is_referred(name, endpoints, definitions)}
    if shapes:
        yield "## Definitions"
        yield ""
    for name, schema in shapes.items():
        yield f"### {name}"
        yield ""
        if "description" in schema:
            yield _said(schema)
            yield ""
        if schema.get("properties"):
            yield from _fields(schema, {})
        else:
            yield f"{_type(schema)}{_names(schema)}"
        yield ""


def _is_referred(name: str, endpoints: Sequence[EndpointSchema], definitions: Schema) -> bool:
    reference = json.dumps({"$ref": f"#/definitions/{name}"})[1:-1]
    return any(reference in json.dumps(shape) for endpoint in endpoints for shape in endpoint.versions.values()) or reference in json.dumps(
        definitions
    )


def _newest(endpoint: EndpointSchema) -> Schema:
    return endpoint.versions[max(endpoint.versions)]


def _section(endpoint: EndpointSchema, definitions: Schema) -> Iterator[str]:
    action = endpoint.name.partition(".")[2]
    newest = _newest(endpoint)
    yield f"## {action}"
    yield ""
    yield _said(newest)
    yield ""
    yield "Versions: " + ", ".join(f"{version}" for version in sorted(endpoint.versions)) + "." + _rights(endpoint)
    yield ""
    if "batch_request" in newest:
        yield "**Request**: JSON lines (`Content-Type: application/json-lines`), one request of "
        yield f"[{newest['batch_request']['action']}](#{newest['batch_request']['action']}) a line."
    else:
        yield "**Request**"
        yield ""
        yield from _fields(_whole_request(endpoint), _since(endpoint))
    yield ""
    yield "```sh"
    yield example_call(endpoint, definitions)
    yield "```"
    yield ""
    yield "**Answer**"
    yield ""
    response = newest["response"]
    if response.get("type") == "string":
        yield "A file, without the envelope."
    else:
        yield from _answer(response, definitions)
    yield ""
    yield from example_answer(endpoint)
    older = [version for version in sorted(endpoint.versions)[:-1] if _differs(endpoint, version)]
    for version in older:
        yield f"Version {version}: {_said(endpoint.versions[version])}"
        yield ""


def _said(shape: Schema) -> str:
    """The description, on one line, as a sentence."""
    text = " ".join(str(shape.get("description", "")).split())
    return text if not text or text.endswith((".", ":")) else f"{text}."


def _rights(endpoint: EndpointSchema) -> str:
    attributes = endpoint.attributes
    said = ""
    if attributes.authorize is not True:
        said += " No login is needed."
    if "*" not in attributes.allow_roles:
        said += f" Roles: {', '.join(attributes.allow_roles)}."
    return said


def _differs(endpoint: EndpointSchema, version: Any) -> bool:
    return bool(endpoint.versions[version].get("description") != _newest(endpoint).get("description"))


def _whole_request(endpoint: EndpointSchema) -> Schema:
    """The newest request, with what only older versions know behind it."""
    newest: Schema = dict(_newest(endpoint).get("request") or {})
    fields = dict(newest.get("properties", {}))
    for version in sorted(endpoint.versions, reverse=True):
        for name, field in (endpoint.versions[version].get("request") or {}).get("properties", {}).items():
            fields.setdefault(name, field)
    return {**newest, "properties": fields}


def _since(endpoint: EndpointSchema) -> dict[str, str]:
    """Field -> the versions that know it, when not all do."""
    found: dict[str, list[Any]] = {}
    ordered = sorted(endpoint.versions)
    for version in ordered:
        for name in (endpoint.versions[version].get("request") or {}).get("properties", {}):
            found.setdefault(name, []).append(version)
    said = {}
    for name, versions in found.items():
        if versions[-1] != ordered[-1]:
            said[name] = f"up to {versions[-1]}"
        elif versions[0] != ordered[0]:
            said[name] = f"{versions[0]}"
    return said


def _fields(schema: Schema, since: dict[str, str]) -> Iterator[str]:
    properties = schema.get("properties", {})
    if not properties:
        yield schema.get("description") or "Nothing."
        return
    required = schema.get("required", [])
    dated = bool(since)
    yield "| field | type | default |" + (" since |" if dated else "") + " |"
    yield "|---|---|---|" + ("---|" if dated else "") + "---|"
    for name, field in properties.items():
        default = "required" if name in required else f"`{json.dumps(field['default'])}`" if "default" in field else ""
        row = [f"`{name}`", _type(field), default, *([since.get(name, "")] if dated else []), field.get("description", "")]
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"


def _answer(schema: Schema, definitions: Schema) -> Iterator[str]:
    if "$ref" in schema:
        schema = resolve(schema, {"definitions": definitions})
    lines = list(_tree(schema, 0))
    if schema.get("description"):
        yield schema["description"]
        yield ""
    if lines:
        yield from lines
    elif not schema.get("description"):
        yield "An empty object."


def _tree(schema: Schema, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, field in schema.get("properties", {}).items():
        text = field.get("description", "")
        yield f"{indent}- `{name}` ({_type(field)}){': ' + text if text else ''}"
        yield from _tree(_inner(field), depth + 1)
    others = schema.get("additionalProperties")
    if isinstance(others, dict):
        yield f"{indent}- for each name: {_type(others)}{': ' + others['description'] if 'description' in others else ''}"
        yield from _tree(_inner(others), depth + 1)


def _names(schema: Schema) -> str:
    others = schema.get("additionalProperties")
    return f"; for each name: {_type(others)}" if isinstance(others, dict) else ""


def _inner(field: Schema) -> Schema:
    items = field.get("items")
    return items if isinstance(items, dict) else field


def _type(schema: Any) -> str:
    if not isinstance(schema, dict):
        return "anything"
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/definitions/")
        return f"[{name}](#{name})"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(_type(part) for part in schema[word])
    kinds = schema.get("type", "anything")
    if kinds == "array":
        return f"list of {_type(schema['items'])}" if "items" in schema else "list"
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


# --- examples


def example_call(endpoint: EndpointSchema, definitions: Schema) -> str:
    """A curl command that calls the newest version."""
    newest = _newest(endpoint)
    version = max(endpoint.versions)
    head = f"curl -u $CLEARML_API_ACCESS_KEY:$CLEARML_API_SECRET_KEY {ADDRESS}/v{version}/{endpoint.name}"
    if "batch_request" in newest:
        lines = "\n".join(json.dumps(line) for line in example_lines(definitions))
        return f"{head} \\\n  -H 'Content-Type: application/json-lines' --data-binary '{lines}'"
    body = json.dumps(example_request(endpoint, definitions), ensure_ascii=False)
    return f"{head} \\\n  -H 'Content-Type: application/json' -d '{body}'"


@lru_cache(1)
def recorded() -> dict[str, dict[str, Any]]:
    """Endpoint -> request and data of a real call."""
    found: dict[str, dict[str, Any]] = json.loads(ANSWERS.read_text()) if ANSWERS.exists() else {}
    return found


def example_answer(endpoint: EndpointSchema) -> Iterator[str]:
    """What a server answered to the example call."""
    known = recorded().get(endpoint.name)
    text = json.dumps(known["data"], indent=1, ensure_ascii=False) if known else ""
    text = NUMBERS.sub(lambda match: " ".join(match[0].split()).replace("[ ", "[").replace(" ]", "]"), text)
    if text and len(text) <= LONGEST_ANSWER:
        yield "The `data` of the call above:"
        yield ""
        yield "```json"
        yield text
        yield "```"
        yield ""


def example_request(endpoint: EndpointSchema, definitions: Schema) -> Schema:
    """A body that the newest version accepts: one that was recorded, or what it requires, or what it can't do without."""
    if endpoint.name in recorded():
        return dict(recorded()[endpoint.name]["request"])
    schema = resolve(_newest(endpoint).get("request") or {}, {"definitions": definitions})
    if not schema.get("properties") and "event" in definitions:
        return example_lines(definitions)[0]
    found = _sample("", schema, definitions)
    return found if isinstance(found, dict) else {}


def example_lines(definitions: Schema) -> list[Schema]:
    """One event of each type that the definitions describe."""
    lines = []
    for name in ("metrics_scalar_event", "task_log_event"):
        properties = definitions.get(name, {}).get("properties", {})
        wanted = (
            ("type", "task", "metric", "variant", "iter", "value")
            if "value" in properties
            else ("type", "task", "level", "msg", "timestamp")
        )
        lines.append({field: _sample(field, properties[field], definitions) for field in wanted if field in properties})
    return lines


def _sample(name: str, schema: Any, definitions: Schema) -> Any:
    schema = resolve(schema, {"definitions": definitions})
    for word in ("anyOf", "oneOf"):
        if word in schema and "properties" not in schema:
            return _sample(name, schema[word][0], definitions)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kinds = schema.get("type", "object" if "properties" in schema else "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    known = SAMPLES.get(name)
    if kind == "array":
        singular = name.removesuffix("s") if name != "values" else "value"
        return [_sample(singular, schema.get("items", {"type": "string"}), definitions)]
    if kind == "object":
        properties = schema.get("properties", {})
        wanted = list(schema.get("required", []))
        for group in schema.get("anyOf", [])[:1]:
            wanted += group.get("required", [])
        return {field: _sample(field, properties.get(field, {}), definitions) for field in dict.fromkeys(wanted)}
    if kind in ("integer", "number"):
        value = known if isinstance(known, (int, float)) and not isinstance(known, bool) else schema.get("default", 1)
        return int(value) if kind == "integer" else value
    if kind == "boolean":
        return bool(schema.get("default", True))
    if isinstance(known, str):
        return known
    return schema.get("default") or f"<{name or 'text'}>"


if __name__ == "__main__":
    main()
