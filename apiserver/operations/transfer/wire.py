"""The wire format of protocol buffers, as far as reading needs it: a message is a sequence of numbered fields."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

Field = tuple[int, Any]
"""The number of a field, and its value: an int (varint), or bytes (everything else; 4 and 8 bytes are little-endian numbers)."""


class NotAMessage(ValueError):
    """The bytes are no message."""


def fields(data: bytes) -> Iterator[Field]:
    """The fields of a message in their order. Raises NotAMessage where the bytes are none."""
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
            raise NotAMessage("a field leads beyond its message")
        yield number, data[at : at + size]
        at += size


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where it ends."""
    value = shift = 0
    while shift < 70:
        if at >= len(data):
            raise NotAMessage("the message is cut")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
    raise NotAMessage("a number of more than ten bytes")


def signed(value: Any) -> int:
    """A varint as int64."""
    if not isinstance(value, int):
        raise NotAMessage("a number was expected")
    return value - (1 << 64) if value >= 1 << 63 else value


def double(value: Any) -> float:
    """A field of eight bytes as a number."""
    if not isinstance(value, bytes) or len(value) != 8:
        raise NotAMessage("a double was expected")
    return float(struct.unpack("<d", value)[0])


def message(value: Any) -> bytes:
    """A field that holds bytes, a text or a message."""
    if not isinstance(value, bytes):
        raise NotAMessage("bytes were expected")
    return value


def text(value: Any) -> str:
    """A field that holds a text. Bytes that are no UTF-8 become U+FFFD."""
    return message(value).decode("utf-8", "replace")


def varints(value: Any) -> list[int]:
    """A repeated integer field: one number, or packed ones."""
    if isinstance(value, int):
        return [value]
    found, at = [], 0
    while at < len(value):
        number, at = varint(value, at)
        found.append(number)
    return found


def array(value: Any, form: str) -> Any:
    """A repeated field of fixed-size numbers (one, or packed) as an array; `form` is a type of numpy."""
    data = message(value)
    if len(data) % np.dtype(form).itemsize:
        raise NotAMessage("numbers of another size were expected")
    return np.frombuffer(data, form)
