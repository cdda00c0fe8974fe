"""Bodies of events as bytes, for every engine: JSON, compressed when it is large (plots)."""

from __future__ import annotations

import json
import zlib
from typing import Any

import msgspec

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
