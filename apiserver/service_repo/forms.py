"""Query strings and forms: parsed into names and values, merged into the JSON body (docs/protocol.md, "Bodies")."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from apiserver.common.fairness import give_way
from apiserver.errors import BadBody
from apiserver.service_repo.coercion import resolve

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
MAX_FORM = 1 << 20
"""Bytes of a form body. JSON bodies may be larger."""
MAX_FIELDS = 1_000
MAX_STEPS = 50
"""Most parts of a dotted name such as `a.b.c`."""
SLICE = 64 * 1024
"""Bytes decoded before other requests get a turn."""

NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+", re.ASCII)
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
CODE = re.compile(rb"%([0-9A-Fa-f]{2})")
BYTES = {b"%02x" % value: bytes([value]) for value in range(256)}


def form_pairs(mimetype: str, content_type: str, body: bytes) -> list[tuple[str, str]]:
    """The fields of a form body. Raises BadBody; a form that is too large is refused before it is parsed."""
    if len(body) > MAX_FORM:
        raise BadBody(f"a form may have at most {MAX_FORM} bytes; send JSON instead")
    return list(_urlencoded(body)) if mimetype == FORM else _multipart(content_type, body)


def pairs(query: str) -> list[tuple[str, str]]:
    """Names and values of a query string. Raises BadBody for too many fields."""
    try:
        return parse_qsl(query, keep_blank_values=True, errors="replace", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise _too_many() from None


def _urlencoded(body: bytes) -> Iterator[tuple[str, str]]:
    if body.count(b"&") >= MAX_FIELDS:
        raise _too_many()
    for field in body.split(b"&"):
        if field:
            name, _, value = field.partition(b"=")
            yield _decoded(name), _decoded(value)


def _decoded(text: bytes) -> str:
    """Decode percent codes in slices. urllib's `unquote` would build a list of the parts between percent signs, 200 bytes each."""
    text = text.replace(b"+", b" ")
    if b"%" in text:
        pieces, start = [], 0
        while start < len(text):
            end = start + SLICE
            cut = text.find(b"%", max(start, end - 2), end)  # never split a code
            end = cut if cut >= 0 and end < len(text) else end
            pieces.append(CODE.sub(_byte, text[start:end]))
            start = end
            give_way()
        text = b"".join(pieces)
    return text.decode("utf-8", "replace")


def _byte(code: re.Match[bytes]) -> bytes:
    return BYTES[code[1].lower()]


def _multipart(content_type: str, body: bytes) -> list[tuple[str, str]]:
    from werkzeug.exceptions import RequestEntityTooLarge
    from werkzeug.formparser import FormDataParser
    from werkzeug.http import parse_options_header

    parser = FormDataParser(max_form_memory_size=MAX_FORM, max_form_parts=MAX_FIELDS, silent=False)
    try:
        kind, options = parse_options_header(content_type)
        _, form, _ = parser.parse(io.BytesIO(body), kind, len(body), options)
    except RequestEntityTooLarge:
        raise _too_many() from None
    except Exception as error:
        raise BadBody("it is not a valid form") from error
    return [(key, value) for key, values in form.lists() for value in values]


def _too_many() -> BadBody:
    return BadBody(f"too many fields; at most {MAX_FIELDS} are allowed")


def merge(body: dict[str, Any], given: Iterable[tuple[str, str]], schema: dict[str, Any]) -> None:
    """Set query or form values in `body`: `a.b=1` nests, repeated keys and `key[]` make lists. Raises BadBody for a name with too many parts.

    Digits become numbers and true/false booleans, except where the schema has a string: a task id may consist of digits.
    """
    grouped: dict[str, list[str]] = {}
    lists = set()
    for key, value in given:
        name = key.removesuffix("[]")
        grouped.setdefault(name, []).append(value)
        if name != key or len(grouped[name]) > 1:
            lists.add(name)
    for name, values in grouped.items():
        if name.count(".") >= MAX_STEPS:
            raise BadBody(f"a field's name has more than {MAX_STEPS} parts")
        steps = name.split(".")
        target, shape = body, resolve(schema, schema)
        for step in steps[:-1]:
            inner = target.get(step)
            if not isinstance(inner, dict):
                inner = target[step] = {}
            target, shape = inner, resolve(shape.get("properties", {}).get(step, {}), schema)
        shape = resolve(shape.get("properties", {}).get(steps[-1], {}), schema)
        item = resolve(shape.get("items", {}), schema) if shape.get("type") == "array" else shape
        wants_text = _takes_text(item, schema)
        found = [value if wants_text else _value(value) for value in values]
        target[steps[-1]] = found if name in lists else found[0]


def _takes_text(shape: dict[str, Any], schema: dict[str, Any]) -> bool:
    kinds = shape.get("type", ())
    if kinds == "string" or "string" in kinds or any(isinstance(choice, str) for choice in shape.get("enum", ())):
        return True
    return any(_takes_text(resolve(part, schema), schema) for key in ("anyOf", "oneOf") for part in shape.get(key, ()))


def _value(text: str) -> Any:
    if text in BOOLEANS:
        return BOOLEANS[text]
    if len(text) <= 400 and NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text
