"""Request bodies: read, unpacked, parsed (docs/protocol.md, "Bodies")."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from apiserver.common.fairness import give_way
from apiserver.common.json_shape import check_shape
from apiserver.errors import BadBody, BodyTooLarge, UnsupportedEncoding
from apiserver.service_repo.unpacking import unpack

STEP = 1 << 20
JSON_LINES = ("application/json-lines", "application/x-ndjson", "application/ndjson", "application/jsonl")


def read(environ: Mapping[str, Any], max_body: int, max_unpacked: int) -> bytes:
    """The whole body of a WSGI request, unpacked. Raises BodyTooLarge, BadBody, UnsupportedEncoding."""
    encoding = check_announced(environ, max_body)
    stream = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH") or ""
    try:
        if length.isdigit():
            raw = _read_exactly(stream, int(length))
        elif environ.get("wsgi.input_terminated"):
            raw = _read_to_the_end(stream, max_body)
        else:
            raw = b""
    except (OSError, ValueError) as error:  # a broken chunk, or the client has closed the connection
        raise BadBody("the connection ended inside the body") from error
    return unpack(raw, max_unpacked) if encoding not in ("", "identity") and raw else raw


def check_announced(environ: Mapping[str, Any], max_body: int) -> str:
    """The content encoding of a body that the headers announce. Raises BodyTooLarge and UnsupportedEncoding; reads nothing."""
    encoding: str = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise UnsupportedEncoding(f'"{encoding[:40]}"; use gzip or identity')
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isdigit() and int(length) > max_body:
        raise BodyTooLarge(max_body)
    return encoding


def _read_exactly(stream: Any, length: int) -> bytes:
    """Read in steps and yield between them: a fast client must not block other requests for its whole body."""
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


def drain(environ: Mapping[str, Any], limit: int) -> None:
    """Read and discard the rest of a body, up to `limit` bytes: a client that is still sending would see a reset instead of the answer."""
    if not environ.get("CONTENT_LENGTH") and "HTTP_TRANSFER_ENCODING" not in environ:
        return
    left = limit
    try:
        while left > 0 and (piece := environ["wsgi.input"].read(min(left, 65536))):
            left -= len(piece)
            give_way()
    except (OSError, ValueError):
        pass  # the client closed the connection, or its chunks are broken: no answer can reach it


def parse(body: bytes) -> Any:
    """JSON as clients send it: NaN, Infinity and integers of any size are accepted. Raises BadBody."""
    check_shape(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass  # broken, or JSON that only Python's parser accepts
    try:
        found = json.loads(body.decode("utf-8"))
        if b"\\u" in body:
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
    """A JSON object; empty bodies and falsy JSON (`null`, `[]`, `0`, `""`) count as `{}`. Raises BadBody."""
    found = parse(body) if body and not body.isspace() else None
    if not found:
        return {}
    if not isinstance(found, dict):
        kind = "a list" if isinstance(found, list) else "a string" if isinstance(found, str) else "a number or a boolean"
        raise BadBody(f"expected a JSON object, got {kind}")
    return found
