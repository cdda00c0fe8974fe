"""Formats of a downloaded log line: JSON, or the caller's format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from string import Formatter
from typing import Any

import orjson

from apiserver.errors import FieldsValueError, MissingFields
from apiserver.stores.records import StoredEvent

NAMES = ("asctime", "timestamp", "level", "worker", "msg")
DEFAULT = "{asctime} {worker} {level} {msg}"
MAX_CHARACTERS, MAX_PLACEHOLDERS = 1_000, 20
"""Bounds the width of a field, so that a format cannot multiply the size of a log."""

LineWriter = Callable[[list[StoredEvent]], bytes]

# Fill, alignment, width, precision: what texts can have. The widths are bounded, or one placeholder could ask for gigabytes.
_SPEC = re.compile(r"(?:[^{}]?[<>^])?0?\d{0,3}(?:\.\d{1,4})?s?")


def text_writer(line_format: str) -> LineWriter:
    """Writes lines after a format of literal text and the placeholders {asctime}, {timestamp}, {level}, {worker}, {msg}.

    Times are milliseconds since the epoch. A field that a line does not have is empty; every line ends with one newline. The format is
    parsed here, once: other names, positions, attributes and indices are refused, so it reaches nothing but these five texts.
    Raises MissingFields (empty format), FieldsValueError.
    """
    if not line_format:
        raise MissingFields("line_format is empty")
    if len(line_format) > MAX_CHARACTERS:
        raise FieldsValueError("line_format is too long", limit=MAX_CHARACTERS)
    try:
        parts = list(Formatter().parse(line_format))
    except ValueError as error:
        raise FieldsValueError("malformed", line_format=line_format, reason=str(error)) from error
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if name not in NAMES:
            raise FieldsValueError("unknown placeholder", line_format=line_format, placeholder=name or "{}", known=NAMES)
        if not _SPEC.fullmatch(spec or "") or conversion not in (None, "s", "r", "a"):
            raise FieldsValueError("placeholders take a width and an alignment only", line_format=line_format, placeholder=name)
    if sum(name is not None for _, name, _, _ in parts) > MAX_PLACEHOLDERS:
        raise FieldsValueError("line_format has too many placeholders", limit=MAX_PLACEHOLDERS)
    fill = line_format.format

    def write(events: list[StoredEvent]) -> bytes:
        lines = []
        for event in events:
            moment = str(event["timestamp"])
            line = fill(
                asctime=moment, timestamp=moment, level=_text(event, "level"), worker=_text(event, "worker"), msg=_text(event, "msg")
            )
            lines.append(line.rstrip("\n"))
        lines.append("")
        return "\n".join(lines).encode("utf-8", "replace")

    return write


def _text(event: StoredEvent, name: str) -> str:
    value = event.get(name)
    return value if isinstance(value, str) else "" if value is None else str(value)


def write_json(events: list[StoredEvent]) -> bytes:
    """One JSON object a line: the event without `type` and `task`, its `timestamp` under the name `asctime`; ASCII only."""
    lines = []
    for event in events:
        line = {("asctime" if name == "timestamp" else name): value for name, value in event.items() if name not in _LEFT_OUT}
        try:
            data = orjson.dumps(line)
        except TypeError:  # an integer beyond 64 bits, in a field of the client's own
            data = b""
        if not data or not data.isascii():
            data = _ascii_json(line)
        lines.append(data)
    lines.append(b"")
    return b"\n".join(lines)


_LEFT_OUT = frozenset(("type", "task"))


def _ascii_json(line: dict[str, Any]) -> bytes:
    return json.dumps(_finite(line), separators=(",", ":")).encode()


def _finite(value: Any) -> Any:
    """NaN and infinities have no place in JSON."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value
