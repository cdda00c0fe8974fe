"""Coercion to the types that a schema declares, before validation (docs/protocol.md, "Coercion"), and defaults after it.

| declared | becomes |
|---|---|
| integer | "10" -> 10, 1.5 -> 1, true -> 1 |
| number | "1.5" -> 1.5, true -> 1 |
| boolean | the truth of anything: "false", "no" and 1 are true; "", 0, [] and {} are false |
| string | stays |

A null at a declared field counts as absent and is removed. A value that can't be coerced stays, and validation refuses it.
Coercers change the body in place. A schema is compiled to closures once; None means "nothing to do".
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]
Step = Callable[[Any], Any]

WHOLE = re.compile(r"\s*[+-]?[0-9]{1,400}\s*")
DECIMAL = re.compile(r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")


def _integer(value: Any) -> Any:
    if type(value) is int:
        return value
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return int(value) if value - value == 0 else value  # NaN and infinities stay, and are refused
    if isinstance(value, str) and WHOLE.fullmatch(value):
        return int(value)
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        if WHOLE.fullmatch(value):
            return int(value)
        if DECIMAL.fullmatch(value):
            return float(value)
    return value


SCALARS: dict[str, Step] = {"integer": _integer, "number": _number, "boolean": bool}
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def resolve(schema: Any, root: Schema) -> Schema:
    """The schema itself, or the definition that its "$ref" names."""
    for _ in range(20):  # references may chain; the bound ends a cycle of bare references
        if not isinstance(schema, dict) or "$ref" not in schema:
            break
        schema = root.get("definitions", {}).get(str(schema["$ref"]).removeprefix("#/definitions/"), {})
    return schema if isinstance(schema, dict) else {}


def _is_of(value: Any, kind: str) -> bool:
    return isinstance(value, TYPES.get(kind, ())) and (kind == "boolean" or not isinstance(value, bool))


def _kinds(schema: Schema) -> list[str]:
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def coercer(schema: Any, root: Schema, building: dict[int, list[Step | None]] | None = None) -> Step | None:
    """The coercion for `schema`: a function that returns the new value and changes objects and lists in place; None when there is none."""
    building = {} if building is None else building
    schema = resolve(schema, root)
    if id(schema) in building:  # a recursive definition: resolved when a value arrives
        slot = building[id(schema)]
        return lambda value: slot[0](value) if slot[0] is not None else value
    slot = building[id(schema)] = [None]
    slot[0] = _build(schema, root, building)
    if slot[0] is None:
        del building[id(schema)]
    return slot[0]


def _build(schema: Schema, root: Schema, building: dict[int, list[Step | None]]) -> Step | None:
    kinds = _kinds(schema)
    steps: list[Step] = []
    if len(kinds) == 1 and kinds[0] in SCALARS:
        steps.append(SCALARS[kinds[0]])
    elif len(kinds) > 1 and not any(kind == "string" for kind in kinds):
        scalars = [SCALARS[kind] for kind in kinds if kind in SCALARS and kind != "boolean"]
        steps += [_unless(kinds, step) for step in scalars[:1]]
    if "properties" in schema or isinstance(schema.get("additionalProperties"), dict):
        steps.append(_object(schema, root, building))
    if isinstance(schema.get("items"), dict):
        item = coercer(schema["items"], root, building)
        if item is not None:
            steps.append(_list(item))
    for part in schema.get("allOf", ()):
        step = coercer(part, root, building)
        if step is not None:
            steps.append(step)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            steps.append(_choice([resolve(part, root) for part in schema[key]], root, building))
    if not steps:
        return None
    if len(steps) == 1:
        return steps[0]

    def every(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return every


def _unless(kinds: list[str], step: Step) -> Step:
    return lambda value: value if any(_is_of(value, kind) for kind in kinds) else step(value)


def _object(schema: Schema, root: Schema, building: dict[int, list[Step | None]]) -> Step:
    fields = {name: coercer(field, root, building) for name, field in schema.get("properties", {}).items()}
    others = schema.get("additionalProperties")
    other = coercer(others, root, building) if isinstance(others, dict) else None

    def coerce(value: Any) -> Any:
        if type(value) is dict:
            for name, item in list(value.items()):
                if name in fields:
                    if item is None:
                        del value[name]
                        continue
                    step = fields[name]
                else:
                    step = other
                if step is not None:
                    value[name] = step(item)
        return value

    return coerce


def _list(item: Step) -> Step:
    def coerce(value: Any) -> Any:
        if type(value) is list:
            value[:] = [item(element) for element in value]
        return value

    return coerce


def _choice(parts: list[Schema], root: Schema, building: dict[int, list[Step | None]]) -> Step:
    """anyOf and oneOf: a value that already has the type of a branch is coerced inside only; others get the first type that fits."""
    branches = [(_kinds(part) or (["object"] if "properties" in part else []), coercer(part, root, building)) for part in parts]

    def coerce(value: Any) -> Any:
        fitting = [step for kinds, step in branches if not kinds or any(_is_of(value, kind) for kind in kinds)]
        if fitting:
            for step in fitting:
                if step is not None and isinstance(value, (dict, list)):
                    value = step(value)
            return value
        for kinds, step in branches:
            if step is not None:
                changed = step(value)
                if any(_is_of(changed, kind) for kind in kinds):
                    return changed
        return value

    return coerce


def filler(schema: Any, root: Schema, seen: tuple[int, ...] = ()) -> Step | None:
    """A function that fills in defaults for absent fields, in nested objects and lists too; None when the schema has no defaults."""
    schema = resolve(schema, root)
    if id(schema) in seen:  # defaults inside recursive definitions stop at the first level
        return None
    seen = (*seen, id(schema))
    defaults = {
        name: field["default"] for name, field in schema.get("properties", {}).items() if isinstance(field, dict) and "default" in field
    }
    inner = {name: step for name, field in schema.get("properties", {}).items() if (step := filler(field, root, seen)) is not None}
    item = filler(schema["items"], root, seen) if isinstance(schema.get("items"), dict) else None
    if not (defaults or inner or item):
        return None

    def fill(value: Any) -> Any:
        if type(value) is dict:
            for name, default in defaults.items():
                if name not in value:
                    value[name] = copy.deepcopy(default) if isinstance(default, (dict, list)) else default
            for name, step in inner.items():
                if name in value:
                    step(value[name])
        elif type(value) is list and item is not None:
            for element in value:
                item(element)
        return value

    return fill
