"""Validation of requests: coerce, validate, explain the error, fill in defaults.

Two validators use the same schema: jsonschema-rs (compiled, fast) decides; `jsonschema` explains, for refused calls only.
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
"""Errors of a body that are compared to find the one worth naming."""
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
    """The worker process's thread for explaining errors: that is Python code, and takes up to a second for a huge body or for loading the library."""
    from gevent.threadpool import ThreadPool

    return ThreadPool(1)


class RequestReader:
    """Coerces and validates the bodies of one endpoint and version."""

    def __init__(self, schema: Schema) -> None:
        import jsonschema_rs

        self.schema = _bounded(schema)
        self._coerce = coercer(schema, schema)
        self._fill = filler(schema, schema)
        self._validator = jsonschema_rs.Draft7Validator(self.schema)

    def read(self, body: dict[str, Any]) -> dict[str, Any]:
        """Coerce `body` in place, validate it, fill in defaults. Raises ValidationFailed."""
        try:
            if self._coerce is not None:
                self._coerce(body)
            valid = self._is_valid(body)
        except RecursionError:
            raise ValidationFailed("", "less deeply nested") from None
        if not valid:
            # Imported here: the package build compiles schemas with this module and has no gevent.
            from apiserver.common.fairness import in_thread

            raise in_thread(self._error_of, body, pool=_wording())
        if self._fill is not None:
            self._fill(body)
        return body

    def _is_valid(self, body: dict[str, Any]) -> bool:
        try:
            return self._validator.is_valid(body)
        except (ValueError, OverflowError):  # Rust can't represent the value (a lone surrogate, an integer of any size)
            return False

    def _error_of(self, body: dict[str, Any]) -> ValidationFailed:
        from jsonschema import Draft7Validator

        found = clearest_error(Draft7Validator(self.schema), body)
        # The compiled validator refuses NaN and infinity as numbers; `jsonschema` accepts them and finds no error.
        return found or ValidationFailed("", "made of finite numbers and valid text")


def clearest_error(validator: Any, data: Any) -> ValidationFailed | None:
    """The most relevant error of a `jsonschema` validator, in our words; None when `data` is valid."""
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
    """A copy in which integers without bounds get those of 64 bits, which every store can hold."""
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
