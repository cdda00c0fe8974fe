"""Requests against their schema: coerce, decide, word the complaint, fill in defaults.

Two validators for one schema: jsonschema-rs (compiled) decides, `jsonschema` says what is wrong, for refused calls only.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from apiserver.errors import ValidationFailed
from apiserver.service_repo.coercion import coercer, filler

if TYPE_CHECKING:
    from gevent.threadpool import ThreadPool
    from jsonschema.exceptions import ValidationError

Schema = dict[str, Any]
MOST_ERRORS = 100
"""Faults of a body among which the one to name is chosen."""
INT64 = (-(2**63), 2**63 - 1)

NAMES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


@cache
def _wording() -> ThreadPool:
    """One thread of a worker process words complaints, in Python: that takes a second for a body of very many values, and for loading the library."""
    from gevent.threadpool import ThreadPool

    return ThreadPool(1)


class RequestReader:
    """Reads the bodies of one endpoint and version."""

    def __init__(self, schema: Schema) -> None:
        import jsonschema_rs

        self.schema = _bounded(schema)
        self._coerce = coercer(schema, schema)
        self._fill = filler(schema, schema)
        self._validator = jsonschema_rs.Draft7Validator(self.schema)

    def read(self, body: dict[str, Any]) -> dict[str, Any]:
        """`body` (changed in place) coerced, validated and completed. Raises ValidationFailed."""
        try:
            if self._coerce is not None:
                self._coerce(body)
            valid = self._is_valid(body)
        except RecursionError:
            raise ValidationFailed("", "less deeply nested") from None
        if not valid:
            # Imported here: the package's build compiles schemas with this module, and has no gevent.
            from apiserver.common.fairness import in_thread

            raise in_thread(self._complaint, body, pool=_wording())
        if self._fill is not None:
            self._fill(body)
        return body

    def _is_valid(self, body: dict[str, Any]) -> bool:
        try:
            return self._validator.is_valid(body)
        except (ValueError, OverflowError):  # it can't hold this value (a lone surrogate, a number without bounds)
            return False

    def _complaint(self, body: dict[str, Any]) -> ValidationFailed:
        from jsonschema import Draft7Validator

        found = complain(Draft7Validator(self.schema), body)
        # The compiled validator refuses NaN and infinities where a number is wanted, the other one lets them through.
        return found or ValidationFailed("", "made of finite numbers and valid text")


def complain(validator: Any, data: Any) -> ValidationFailed | None:
    """The clearest complaint that a `jsonschema` validator has about `data`, in our words."""
    from jsonschema.exceptions import best_match

    error = best_match(islice(validator.iter_errors(data), MOST_ERRORS))
    return None if error is None else _worded(error)


def _worded(error: ValidationError) -> ValidationFailed:
    field = _path(error.absolute_path)
    wanted: Any = error.validator_value
    word = str(error.validator)
    if word == "required":
        missing = sorted(name for name in wanted if isinstance(error.instance, Mapping) and name not in error.instance)
        return ValidationFailed(f"{field}.{missing[0]}" if field else missing[0], "given")
    if word == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        expected = " or ".join(NAMES.get(kind, kind) for kind in kinds)
        return ValidationFailed(field, expected, error.instance if error.instance is not None else "null")
    if word in ("enum", "const"):
        choices = wanted if word == "enum" else [wanted]
        return ValidationFailed(field, "one of " + ", ".join(f'"{choice}"' for choice in choices), error.instance)
    phrases: dict[str, Callable[[], str]] = {
        "minimum": lambda: f"at least {wanted}",
        "maximum": lambda: f"at most {wanted}",
        "exclusiveMinimum": lambda: f"greater than {wanted}",
        "exclusiveMaximum": lambda: f"less than {wanted}",
        "minItems": lambda: f"a list of at least {wanted} item{'' if wanted == 1 else 's'}",
        "maxItems": lambda: f"a list of at most {wanted} items",
        "uniqueItems": lambda: "a list without repeats",
        "minLength": lambda: f"at least {wanted} character{'' if wanted == 1 else 's'} long",
        "maxLength": lambda: f"at most {wanted} characters long",
        "pattern": lambda: f"text like {wanted}",
        "multipleOf": lambda: f"a multiple of {wanted}",
        "additionalProperties": lambda: "without unknown fields",
        "anyOf": lambda: "in one of the allowed forms",
        "oneOf": lambda: "in exactly one of the allowed forms",
        "not": lambda: "in an allowed form",
        "dependencies": lambda: f"complete ({error.message[:200]})",
    }
    return ValidationFailed(field, phrases[word]() if word in phrases else f"valid ({error.message[:200]})", error.instance)


def _path(steps: Any) -> str:
    """`metrics[0].metric`."""
    path = ""
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else (f".{step}" if path else str(step))
    return path


def _bounded(schema: Schema) -> Schema:
    """A copy in which integers without bounds of their own are 64-bit ones: no store holds more."""
    bounded: Schema = copy.deepcopy(schema)
    _bound(bounded)
    return bounded


def _bound(schema: Any) -> None:
    if isinstance(schema, list):
        for item in schema:
            _bound(item)
    elif isinstance(schema, dict):
        if schema.get("type") == "integer":
            schema.setdefault("minimum", INT64[0])
            schema.setdefault("maximum", INT64[1])
        for key in ("properties", "definitions", "patternProperties"):
            for inner in schema.get(key, {}).values():
                _bound(inner)
        for key in ("items", "additionalProperties", "anyOf", "oneOf", "allOf"):
            _bound(schema.get(key))
