"""Encodes bodies of events and states as JSON bytes, compressed if large (plots, snapshots of navigation). For every engine."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from typing import Any

import gevent
import msgspec
import orjson

COMPRESS_STATES_FROM = 500
IN_A_THREAD_FROM = 200_000
"""Bytes from which compression runs in a thread: it takes 1 to 2 ms then."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def encode_json(value: Any) -> bytes:
    """JSON bytes of plain data; NaN becomes null; integers of any size are kept."""
    try:
        return _encode(value)
    except (OverflowError, UnicodeEncodeError):
        return json.dumps(value, allow_nan=True).encode()


def decode_json(data: bytes | str) -> Any:
    try:
        return _decode(data)
    except msgspec.DecodeError:
        return json.loads(data)


def pack_body(body: dict[str, Any], compress_from: int) -> tuple[bytes, bool]:
    """The body as stored, and whether it was compressed (0: never compress)."""
    data = encode_json(body)
    if compress_from and len(data) >= compress_from:
        return zlib.compress(data, 1), True
    return data, False


def unpack_body(data: bytes | None, packed: bool) -> dict[str, Any]:
    if not data:
        return {}
    body: dict[str, Any] = decode_json(zlib.decompress(data) if packed else data)
    return body


def pack_state(value: Mapping[str, Any]) -> bytes:
    """A state as JSON, compressed unless it is small: names of metrics and variants repeat themselves."""
    data = orjson.dumps(value)
    if len(data) < COMPRESS_STATES_FROM:
        return data
    if len(data) < IN_A_THREAD_FROM:
        return zlib.compress(data, 1)
    packed: bytes = gevent.get_hub().threadpool.apply(zlib.compress, (data, 1))
    return packed


def unpack_state(data: bytes) -> dict[str, Any]:
    """JSON of an object begins with a brace, compressed data never does."""
    value: dict[str, Any] = orjson.loads(data if data[:1] == b"{" else zlib.decompress(data))
    return value


def state_id(company: str, packed: bytes) -> str:
    """The id of a shared state: equal values of a company have the same."""
    return hashlib.blake2b(packed, key=hashlib.blake2b(company.encode()).digest()[:32], digest_size=16).hexdigest()
