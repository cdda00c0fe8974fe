"""Request bodies: read, unpacked, parsed; query and form values merged over them (docs/protocol.md, "Bodies")."""

from __future__ import annotations

import io
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from apiserver.errors import BadBody, BodyTooLarge, UnsupportedEncoding
from apiserver.fairness import give_way
from apiserver.service_repo.coercion import resolve

STEP = 1 << 20
JSON_LINES = "application/json-lines"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
NUMBER = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+", re.ASCII)
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def read(environ: Mapping[str, Any], max_body: int, max_unpacked: int) -> bytes:
    """The whole body of a WSGI request, unpacked. Raises BodyTooLarge, BadBody, UnsupportedEncoding."""
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise UnsupportedEncoding(f'"{encoding[:40]}"; gzip and identity are known')
    stream = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH") or ""
    try:
        if length.isdigit():
            if int(length) > max_body:
                raise BodyTooLarge(max_body)
            raw = _read_exactly(stream, int(length))
        elif environ.get("wsgi.input_terminated"):
            raw = _read_to_the_end(stream, max_body)
        else:
            raw = b""
    except (OSError, ValueError) as error:  # a broken chunk, or the client has closed the connection
        raise BadBody("the connection ended inside the body") from error
    return _unpack(raw, max_unpacked) if encoding not in ("", "identity") and raw else raw


def _read_exactly(stream: Any, length: int) -> bytes:
    """Read in steps and give way between them: a fast client must not keep other requests waiting for the whole body."""
    if length <= STEP:
        raw: bytes = stream.read(length) if length else b""
    else:
        pieces = []
        for start in range(0, length, STEP):
            pieces.append(stream.read(min(STEP, length - start)))
            give_way()
        raw = b"".join(pieces)
    if len(raw) < length:
        raise BadBody("it is shorter than Content-Length")
    return raw


def _read_to_the_end(stream: Any, limit: int) -> bytes:
    pieces, size = [], 0
    while piece := stream.read(STEP):
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(limit)
        pieces.append(piece)
        give_way()
    return b"".join(pieces)


def _unpack(raw: bytes, limit: int) -> bytes:
    """gzip, several members included. Works in steps, so that a small body that unpacks to gigabytes never exists in memory."""
    pieces, size, rest = [], 0, raw
    while rest:
        member = zlib.decompressobj(wbits=31)
        try:
            while not member.eof:
                piece = member.decompress(rest, STEP)
                rest = member.unconsumed_tail
                if not piece and not rest and not member.eof:
                    raise BadBody("its gzip data is truncated")
                size += len(piece)
                if size > limit:
                    raise BodyTooLarge(limit)
                pieces.append(piece)
                give_way()
        except zlib.error as error:
            raise BadBody("it is not valid gzip") from error
        rest = member.unused_data.lstrip(b"\0")  # padding after the last member is allowed
    return b"".join(pieces)


def drain(environ: Mapping[str, Any], limit: int) -> None:
    """Read what is left of a body, up to `limit` bytes: a client that still writes would see a reset instead of the answer."""
    if not environ.get("CONTENT_LENGTH") and "HTTP_TRANSFER_ENCODING" not in environ:
        return
    left = limit
    try:
        while left > 0 and (piece := environ["wsgi.input"].read(min(left, 65536))):
            left -= len(piece)
            give_way()
    except (OSError, ValueError):
        pass  # the client has closed the connection, or its chunks are broken: no answer can reach it


def parse(body: bytes) -> Any:
    """JSON as clients send it: NaN, Infinity and integers of any size are accepted. Raises BadBody."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass  # broken, or one of the lenient forms
    try:
        found = json.loads(body.decode("utf-8"))
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise BadBody("a text contains a lone surrogate") from None
    except UnicodeDecodeError as error:
        raise BadBody(f"it is not UTF-8 (byte {error.start + 1})") from None
    except json.JSONDecodeError as error:
        raise BadBody(f"invalid JSON at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise BadBody("it is nested too deeply") from None
    except ValueError:
        raise BadBody("a number has too many digits") from None
    return found


def as_object(body: bytes) -> dict[str, Any]:
    """A JSON object; empty bodies and falsy JSON (`null`, `[]`, `0`, `""`) count as `{}`."""
    found = parse(body) if body and not body.isspace() else None
    if not found:
        return {}
    if not isinstance(found, dict):
        kind = "a list" if isinstance(found, list) else "a string" if isinstance(found, str) else "a number or a boolean"
        raise BadBody(f"a JSON object is needed, not {kind}")
    return found


def form_pairs(mimetype: str, content_type: str, body: bytes) -> list[tuple[str, str]]:
    """The fields of a form body."""
    if mimetype == FORM:
        return pairs(body.decode("utf-8", "replace"))
    from werkzeug.formparser import parse_form_data

    try:
        _, form, _ = parse_form_data(
            {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": content_type, "REQUEST_METHOD": "POST"},
            silent=False,
        )
    except Exception as error:
        raise BadBody("it is not a valid form") from error
    return [(key, value) for key, values in form.lists() for value in values]


def pairs(query: str) -> list[tuple[str, str]]:
    """Names and values of a query string."""
    try:
        return parse_qsl(query, keep_blank_values=True, errors="replace", max_num_fields=10_000)
    except ValueError:
        raise BadBody("too many fields") from None


def merge(body: dict[str, Any], given: Iterable[tuple[str, str]], schema: dict[str, Any]) -> None:
    """Put query or form values over the body: `a.b=1` nests, repeated keys and `key[]` are lists.

    Digits become numbers and true/false booleans, except where the schema wants a string: a task id of digits is a task id.
    """
    grouped: dict[str, list[str]] = {}
    lists = set()
    for key, value in given:
        name = key.removesuffix("[]")
        grouped.setdefault(name, []).append(value)
        if name != key or len(grouped[name]) > 1:
            lists.add(name)
    for name, values in grouped.items():
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
