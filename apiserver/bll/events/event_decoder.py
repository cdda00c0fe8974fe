"""Decodes lines of JSON into events: a fast path and a careful path with the same rules.

The decoders are msgspec structs built at start from the event types of `schema/services/events.conf`: decoding a line is parsing and
checking it, 0.5 µs for 200 bytes. Lines that they reject (a field that no schema names, `"7"` for 7, NaN, JSON beyond the standard) take
the careful path and either become the same struct or are refused with the field and what was expected.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol

import msgspec

from apiserver.common.json_shape import check_line
from apiserver.errors import BadBody
from apiserver.stores.event_types import EVENT_TYPES
from apiserver.stores.records import MAX_ITER, MIN_ITER

MIN_TIMESTAMP, MAX_TIMESTAMP = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999 in milliseconds."""

_LEAKED_METHODS = ("get", "post", "put")
_CAREFUL_ONLY = ("model",)
_SERVER_FIELDS = ("@timestamp",)


class LineError(Exception):
    """A line that can't be an event. `kind` groups such lines in `errors_info`, `reason` says what was wrong with this one."""

    def __init__(self, kind: str, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.field = kind, reason, field


class Decoded(Protocol):
    """The fields that every decoded event has (None: absent); the others depend on its type (`kind`)."""

    kind: str
    task: str
    timestamp: int | None
    iter: int | None
    metric: str | None
    variant: str | None
    worker: str | None
    model_event: bool | None
    allow_locked: bool | None
    method: str | None


class EventDecoder:
    """Decodes lines. `definitions`: the `definitions` of the events service, where each type finds the one it names."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._properties: dict[str, dict[str, str]] = {}
        structs: dict[str, type[msgspec.Struct]] = {}
        for kind, type_ in EVENT_TYPES.items():
            definition = definitions.get(type_.definition or "")
            if definition is None:
                raise ValueError(f'schema/services/_events_definitions.conf has no "{type_.definition}" for the event type {kind}')
            properties = definition["properties"]
            if missing := {"type", "task", *type_.columns} - set(properties):
                raise ValueError(f'"{type_.definition}" in schema/services/_events_definitions.conf lacks {", ".join(sorted(missing))}')
            self._properties[kind] = {name: schema["type"] for name, schema in properties.items() if name != "type"}
            structs[kind] = _struct(kind, self._properties[kind])
        self.structs = structs
        union: Any = None
        for struct in structs.values():
            union = struct if union is None else union | struct
        self.fast: Callable[[bytes], Any] = msgspec.json.Decoder(union).decode
        """Decode a line that keeps to the schema; raises msgspec.DecodeError (ValidationError) otherwise."""

    def careful(self, line: bytes) -> tuple[Any, dict[str, Any] | None]:
        """Decode any line: (struct, unknown fields). Raises LineError."""
        try:
            check_line(line)
        except BadBody as error:
            raise LineError("a line holds too much", f"not JSON within the limits: {error.extra}") from None
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise LineError("a line is not UTF-8", f"byte {error.start} of the line is not UTF-8") from None
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise LineError("a line is not JSON", f"not JSON: {error.msg} at column {error.colno}") from None
        except RecursionError:
            raise LineError("a line is not JSON", "not JSON that can be read: nested too deeply") from None
        except ValueError:
            raise LineError("a line is not JSON", "not JSON that can be read: a number has too many digits") from None
        return self.from_object(value)

    def from_object(self, value: Any) -> tuple[Any, dict[str, Any] | None]:
        """The same for parsed JSON."""
        if not isinstance(value, dict):
            raise LineError("a line is not an object", f"an event must be a JSON object, got {_brief(value)}")
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise LineError("a text is not Unicode", "a text holds a lone surrogate (half of a character)") from None
        except (ValueError, RecursionError):
            raise LineError("a line is not JSON", "not JSON that can be read: nested too deeply or a number has too many digits") from None
        value = {name: item for name, item in value.items() if item is not None}
        kind = _kind(value.pop("type", None))
        if "ts" in value:
            value["timestamp"] = value.pop("ts")
        if "model" in value and value.get("model_event"):
            value["task"] = value.pop("model")
        properties = self._properties[kind]
        known: dict[str, Any] = {}
        unknown: dict[str, Any] = {}
        for name, item in value.items():
            if name in properties and name not in _CAREFUL_ONLY:
                known[name] = _coerced(name, item, properties[name])
            elif name == "method" and isinstance(item, str):
                known[name] = item
            elif name not in _SERVER_FIELDS:
                unknown[name] = item
        if "task" not in known:
            raise LineError("an event names no task", '"task" is missing: it must be the id of a task', "task")
        return self.structs[kind](**known), unknown or None


def leaked_method(event: Any) -> bool:
    """Whether `method` is the HTTP method that the SDK leaks into every line; another value is an unknown field like any other."""
    return event.method in _LEAKED_METHODS


def _kind(value: Any) -> str:
    if value is None:
        raise LineError("an event has no type", '"type" is missing: it must be one of ' + ", ".join(EVENT_TYPES), "type")
    kind = value.replace(" ", "_") if isinstance(value, str) else value
    if not isinstance(kind, str) or kind not in EVENT_TYPES:
        raise LineError(
            f"unknown event type {_brief(value)}", f'"type" must be one of {", ".join(EVENT_TYPES)}, got {_brief(value)}', "type"
        )
    return kind


_INTEGER_RANGES = {"iter": (MIN_ITER, MAX_ITER), "timestamp": (MIN_TIMESTAMP, MAX_TIMESTAMP)}


def _struct(kind: str, properties: Mapping[str, str]) -> type[msgspec.Struct]:
    """A struct with exactly the schema's fields and types; all but the task are optional."""
    integers = {name: Annotated[int, msgspec.Meta(ge=low, le=high)] for name, (low, high) in _INTEGER_RANGES.items()}
    types: dict[str, Any] = {"integer": integers["iter"], "number": float, "string": str, "boolean": bool, "array": list[float]}
    fields: list[Any] = [("task", str)]
    for name, declared in properties.items():
        if name != "task" and name not in _CAREFUL_ONLY:
            # A timestamp with a fraction is rare enough for the careful path, so that the fast one yields integers only.
            fields.append((name, integers.get(name, types[declared]) | None, None))
    fields.append(("method", str | None, None))
    return msgspec.defstruct(kind, fields, tag_field="type", tag=kind, forbid_unknown_fields=True, gc=False)


def _coerced(name: str, item: Any, declared: str) -> Any:
    if name in _INTEGER_RANGES:
        return _integer(name, item, *_INTEGER_RANGES[name])
    if declared == "boolean":
        return bool(item)
    if declared == "number":
        return _float(name, item)
    if declared == "array":
        if not isinstance(item, list):
            raise _wrong(name, "a list of numbers", item)
        return [_float(f"{name}[{index}]", number) for index, number in enumerate(item)]
    if not isinstance(item, str):
        raise _wrong(name, "a string", item)
    return item


def _float(name: str, item: Any) -> float:
    if not isinstance(item, int | float):
        raise _wrong(name, "a number", item)
    try:
        return float(item)
    except OverflowError:
        return math.inf if item > 0 else -math.inf


def _integer(name: str, item: Any, low: int, high: int) -> int:
    expected = f"an integer between {low} and {high}"
    try:
        number = int(item) if isinstance(item, int | float | str) else None
    except (ValueError, OverflowError):
        number = None
    if number is None or not low <= number <= high:
        raise _wrong(name, expected, item)
    return number


def _wrong(name: str, expected: str, got: Any) -> LineError:
    return LineError(
        f'"{name.partition("[")[0]}" is not {expected}', f'"{name}" must be {expected}, got {_brief(got)}', name.partition("[")[0]
    )


def _brief(value: Any) -> str:
    """A value for a message: JSON, at most 60 characters."""
    try:
        text = json.dumps(value, ensure_ascii=True)
    except (ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."
