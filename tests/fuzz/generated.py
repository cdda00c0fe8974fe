"""Calls made from the schema files: mostly meaningful, often a little wrong, with ids that exist and ids that don't."""

from __future__ import annotations

import random
import uuid
from typing import Any

from apiserver.service_repo.schema import SchemaSet

ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**53 + 1,
    2**63,
    -(2**63) - 1,
    1e308,
    -0.5,
    "",
    "x",
    "\x00",
    "a" * 2000,
    "ä/\\\"'",
    [],
    {},
    [None],
    [[]],
    {"a": {}},
]
ODD += [
    ["x"],
    [1, "x"],
    {"": 1},
    "true",
    "12",
    "-12",
    "1.5",
    "2024-01-01T00:00:00",
    float("nan"),
    float("inf"),
    "(",
    "[",
    "*",
    "^.*$",
    "\ud83d\ude00",
    10**30,
    10**4000,
    2**63 - 1,
    -1e308,
    "9" * 4000,
    "1e308",
    [2**63 - 1, None],
    [1e308, 1e308],
    [">=1e308"],
    [">=9999-12-31T23:59:59+00:00", "<0001-01-01T00:00:00+14:00"],
    {"a": {"b": 10**4000}},
]
NAMES = ["loss", "train", "roc", "img", "l", "vec", "v", "", "Summary", "acc", "nothing"]


class Pool:
    """Ids that calls use: those that exist are met often enough to reach deep."""

    def __init__(self, tasks: list[str], models: list[str], projects: list[str]) -> None:
        self.tasks, self.models, self.projects = tasks, models, projects
        self.scrolls: list[str] = []
        self.positions: list[tuple[str, dict[str, Any]]] = []

    def renew(self, task: str, model: str) -> None:
        """Calls delete and publish: take a fresh task and model in, let the oldest go."""
        self.tasks[:] = [*self.tasks[-5:], task]
        self.models[:] = [*self.models[-2:], model]

    def learn(self, endpoint: str, body: Any, data: dict[str, Any]) -> None:
        """Keep the scroll id of an answer, with what was asked, for later calls."""
        scroll = data.get("scroll_id")
        if isinstance(scroll, str) and isinstance(body, dict):
            self.scrolls.append(scroll)
            self.positions.append((endpoint, {**body, "scroll_id": scroll}))
            del self.scrolls[:-200], self.positions[:-200]

    def position(self, rng: random.Random, endpoint: str) -> dict[str, Any]:
        """Fields that continue an earlier answer of this endpoint (of the one that opens it, for the `next_` ones)."""
        opener = endpoint.replace("events.next_", "events.get_")
        found = [body for name, body in self.positions if name in (endpoint, opener)]
        if not found:
            return {}
        body = rng.choice(found[-10:])
        return body if opener == endpoint else {name: body[name] for name in ("task", "scroll_id", "model_events") if name in body}

    def id_for(self, rng: random.Random, name: str) -> str | None:
        """A value for a field of this name, or None when it is no id."""
        if rng.random() < 0.1:
            return rng.choice(["", "unknown", uuid.UUID(int=rng.getrandbits(128)).hex])
        if name in ("task", "tasks", "id", "ids", "parent", "task_id"):
            return rng.choice(self.tasks)
        if name in ("model", "models"):
            return rng.choice(self.models)
        if name in ("project", "projects"):
            return rng.choice(self.projects)
        if name == "scroll_id":
            return rng.choice([*self.scrolls[-20:], "FFFF", "zz"])
        if name in ("metric", "variant", "variants", "name"):
            return rng.choice(NAMES)
        return None


class Caller:
    """Makes calls of every endpoint and version."""

    def __init__(self, schemas: SchemaSet, pool: Pool, left_out: set[str]) -> None:
        self.pool = pool
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        for name, endpoint in schemas.endpoints.items():
            if name in left_out or endpoint.attributes.internal:
                continue
            for version in endpoint.versions:
                if not endpoint.is_batch(version):
                    shape = endpoint.request_schema(version)
                    if name == "events.add":  # its own schema leaves the event open: the definitions say what events look like
                        shape = {"$ref": "#/definitions/event", "definitions": shape["definitions"]}
                    self.calls.append((name, str(version), shape))

    def call(self, seed: int) -> tuple[str, str, Any]:
        """Endpoint, version and body of the call with this number."""
        rng = random.Random(seed)
        name, version, schema = self.calls[seed % len(self.calls)]
        version = rng.choice([version, version, "999.0", "2.34"])
        definitions = schema.get("definitions", {})
        body = self._value(rng, schema, definitions, "", rng.choice([0.0, 0.0, 0.05, 0.3]), 0)
        if isinstance(body, dict):
            body = dict(body)  # it may be one of ODD, which must stay as it is
        if isinstance(body, dict) and ("scroll_id" in body or ".next_" in name) and rng.random() < 0.7:
            body |= self.pool.position(rng, name)
        if rng.random() < 0.01:
            body = rng.choice(ODD)
        elif isinstance(body, dict) and rng.random() < 0.05:
            body[rng.choice(["extra", "self", "", "a.b", "method"])] = rng.choice(ODD)
        return name, version, body

    def _value(self, rng: random.Random, schema: Any, definitions: dict[str, Any], name: str, wrong: float, depth: int) -> Any:
        if depth and rng.random() < wrong:
            return rng.choice(ODD)
        if not isinstance(schema, dict) or depth > 6:
            return rng.choice(ODD)
        if "$ref" in schema:
            return self._value(rng, definitions.get(schema["$ref"].rpartition("/")[2], {}), definitions, name, wrong, depth + 1)
        for key in ("anyOf", "oneOf", "allOf"):
            if key in schema:
                return self._value(rng, rng.choice(schema[key]), definitions, name, wrong, depth + 1)
        if "enum" in schema:
            return rng.choice(schema["enum"])
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = rng.choice(kind)
        if kind == "object" or "properties" in schema:
            return self._object(rng, schema, definitions, wrong, depth)
        if kind == "array":
            count = rng.choice([0, 1, 1, 2, 5])
            return [
                self._value(rng, schema.get("items", {}), definitions, name, wrong, depth + 1)
                for _ in range(max(count, schema.get("minItems", 0)))
            ]
        if kind == "integer":
            low, high = schema.get("minimum", -5), schema.get("maximum", 10_000)
            return rng.choice([low, min(high, 1), min(high, 3), min(high, 100), high])
        if kind == "number":
            return rng.choice([0, 1.5, -2, 1_700_000_000_000])
        if kind == "boolean":
            return rng.random() < 0.5
        if kind == "string":
            known = self.pool.id_for(rng, name)
            return known if known is not None else rng.choice(["text", "", "a b", "ä", "2.1", "0" * 32, "name_" + str(rng.randrange(100))])
        return rng.choice(ODD)

    def _object(self, rng: random.Random, schema: dict[str, Any], definitions: dict[str, Any], wrong: float, depth: int) -> dict[str, Any]:
        required = set(schema.get("required", []))
        found = {}
        for name, shape in schema.get("properties", {}).items():
            if name in required:
                if rng.random() < 0.03:
                    continue
            elif rng.random() < 0.6:
                continue
            found[name] = self._value(rng, shape, definitions, name, wrong, depth + 1)
        if not found and isinstance(schema.get("additionalProperties"), dict):
            found["k"] = self._value(rng, schema["additionalProperties"], definitions, "k", wrong, depth + 1)
        return found
