"""The ClearML calls as OpenAPI 3.1: paths and components generated from the schema files. `runs/openapi.py` adds the runs API."""

from __future__ import annotations

from typing import Any

from apiserver.service_repo.schema import EndpointSchema, Schema, SchemaSet

BATCH_EVENT = "events.event"
ENVELOPE = {
    "meta": {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "Call id; the server's log has the stack trace of an error under this id"},
            "trx": {"type": "string", "description": "X-Clearml-Trx of the request, else the call id"},
            "endpoint": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "requested_version": {"type": ["string", "number"]},
                    "actual_version": {"type": ["string", "number", "null"]},
                },
            },
            "result_code": {"type": "integer", "description": "The HTTP status"},
            "result_subcode": {"type": "integer"},
            "result_msg": {"type": "string"},
            "error_stack": {"type": "null"},
            "error_data": {"type": "object"},
        },
        "required": ["id", "trx", "endpoint", "result_code", "result_subcode", "result_msg", "error_stack", "error_data"],
    },
    "error": {
        "type": "object",
        "properties": {"meta": {"$ref": "#/components/schemas/meta"}, "data": {"type": "object"}},
        "required": ["meta", "data"],
    },
}
_REFUSED = {
    "description": "Refused; meta.result_code and meta.result_subcode say why (docs/protocol.md)",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/error"}}},
}


def describe(schemas: SchemaSet) -> dict[str, Any]:
    """`{paths, schemas, tags}`: every endpoint at its newest version, under its path without a version."""
    services = sorted({name.partition(".")[0] for name in schemas.endpoints})
    components: dict[str, Any] = dict(ENVELOPE)
    tags = []
    for service in services:
        for name, shape in schemas.definitions(service).items():
            components[f"{service}.{name}"] = _moved(shape, service)
        tags.append({"name": service, "description": schemas.description(service)})
    paths = {
        f"/{name}": {"post": _operation(endpoint, components)}
        for name, endpoint in schemas.endpoints.items()
        if not endpoint.attributes.internal
    }
    return {"paths": paths, "schemas": components, "tags": tags}


def _operation(endpoint: EndpointSchema, components: dict[str, Any]) -> dict[str, Any]:
    service = endpoint.name.partition(".")[0]
    version = max(endpoint.versions)
    newest = endpoint.versions[version]
    text = " ".join(str(newest.get("description", "")).split())
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "tags": [service],
        "summary": text.partition(". ")[0].rstrip("."),
        "description": text,
        "parameters": [],
        "requestBody": {"required": False, "description": "A JSON object", "content": _request(endpoint, newest, service, components)},
        "responses": {"200": {"description": "Done", "content": _answer(newest["response"], service)}, "default": _REFUSED},
        "x-versions": [str(one) for one in sorted(endpoint.versions)],
        "x-roles": list(endpoint.attributes.allow_roles),
        "x-changes": endpoint.attributes.changes,
    }
    if endpoint.attributes.authorize is not True:
        operation["security"] = [{}]
    return operation


def _request(endpoint: EndpointSchema, newest: Schema, service: str, components: dict[str, Any]) -> dict[str, Any]:
    event = {"$ref": f"#/components/schemas/{BATCH_EVENT}"} if BATCH_EVENT in components else {"type": "object"}
    if "batch_request" in newest:
        lines = {"type": "string", "description": f"JSON lines, each a request of {service}.{newest['batch_request']['action']}"}
        return {"application/json-lines": {"schema": lines}, "application/json": {"schema": event}}
    schema = endpoint.request_schema(max(endpoint.versions))
    schema.pop("definitions", None)
    if not schema.get("properties") and schema.get("additionalProperties") is True and service == "events":
        return {"application/json": {"schema": event}}
    return {"application/json": {"schema": _moved(schema, service)}}


def _answer(response: Schema, service: str) -> dict[str, Any]:
    if response.get("type") == "string":
        return {"text/plain": {"schema": {"type": "string"}}, "application/json": {"schema": {"$ref": "#/components/schemas/error"}}}
    envelope = {
        "type": "object",
        "properties": {"meta": {"$ref": "#/components/schemas/meta"}, "data": _moved(response, service)},
        "required": ["meta", "data"],
    }
    return {"application/json": {"schema": envelope}}


def _moved(shape: Any, service: str) -> Any:
    """The schema with references to OpenAPI components. Its keywords mean the same in draft 7 (ours) and 2020-12 (OpenAPI 3.1)."""
    if isinstance(shape, list):
        return [_moved(one, service) for one in shape]
    if not isinstance(shape, dict):
        return shape
    moved = {key: _moved(value, service) for key, value in shape.items()}
    reference = shape.get("$ref")
    if isinstance(reference, str):
        moved["$ref"] = reference.replace("#/definitions/", f"#/components/schemas/{service}.")
    return moved
