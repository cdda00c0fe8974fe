"""A reader for the wire format of protocol buffers: a message is a sequence of numbered fields."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

Field = tuple[int, Any]
"""A field's number and value: an int for varints, else bytes (fixed 4 and 8 bytes are little-endian numbers)."""


class NotAMessage(ValueError):
    """The bytes are not a valid message, or a field has another type."""


def fields(data: bytes) -> Iterator[Field]:
    """The fields of a message, in order. Raises NotAMessage."""
    at, end = 0, len(data)
    while at < end:
        key, at = varint(data, at)
        kind, number = key & 7, key >> 3
        if kind == 0:
            value, at = varint(data, at)
            yield number, value
            continue
        if kind == 2:
            size, at = varint(data, at)
        elif kind == 5:
            size = 4
        elif kind == 1:
            size = 8
        else:
            raise NotAMessage(f"a field of the unknown wire type {kind}")
        if number == 0 or at + size > end:
            raise NotAMessage("a field extends beyond its message")
        yield number, data[at : at + size]
        at += size


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The varint at offset `at`, and the offset after it. Raises NotAMessage."""
    value = shift = 0
    while shift < 70:
        if at >= len(data):
            raise NotAMessage("the message is truncated")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
    raise NotAMessage("a varint has more than ten bytes")


def signed(value: Any) -> int:
    """A varint as int64."""
    if not isinstance(value, int):
        raise NotAMessage("expected a varint")
    return value - (1 << 64) if value >= 1 << 63 else value


def double(value: Any) -> float:
    """A 64-bit field as a double."""
    if not isinstance(value, bytes) or len(value) != 8:
        raise NotAMessage("expected a double")
    return float(struct.unpack("<d", value)[0])


def message(value: Any) -> bytes:
    """A length-delimited field: bytes, a text or a message."""
    if not isinstance(value, bytes):
        raise NotAMessage("expected bytes")
    return value


def text(value: Any) -> str:
    """A text field; invalid UTF-8 becomes U+FFFD."""
    return message(value).decode("utf-8", "replace")


def varints(value: Any) -> list[int]:
    """A repeated integer field: a single value, or packed ones."""
    if isinstance(value, int):
        return [value]
    found, at = [], 0
    while at < len(value):
        number, at = varint(value, at)
        found.append(number)
    return found


def array(value: Any, form: str) -> Any:
    """A repeated field of fixed-size numbers (a single value, or packed ones) as an array; `form` is a numpy dtype."""
    data = message(value)
    if len(data) % np.dtype(form).itemsize:
        raise NotAMessage("the size is not a multiple of that of the numbers")
    return np.frombuffer(data, form)
