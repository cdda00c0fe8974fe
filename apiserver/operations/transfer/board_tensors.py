"""Parsers for the values of TensorBoard summaries: tensors, histograms, images and hyper-parameters."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from apiserver.operations.transfer import wire

MAX_CELLS = 4_000_000
_FLOAT, _BFLOAT16, _HALF, _STRING = 1, 14, 19, 7
_TYPES = {_FLOAT: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?", 17: "<u2", _HALF: "<f2", 22: "<u4", 23: "<u8"}
_PACKED = {5: "<f4", 6: "<f8"}
"""Repeated fields of fixed-size numbers (float_val, double_val); the others are varints."""


class Tensor(NamedTuple):
    """A tensor: its shape, and its values as a flat array (`numbers`) or as texts."""

    shape: tuple[int, ...]
    numbers: Any = None
    texts: list[bytes] | None = None
    is_float: bool = False

    @property
    def scalar(self) -> float | None:
        """The value of a tensor with exactly one element, of any shape; else None."""
        return float(self.numbers[0]) if self.numbers is not None and len(self.numbers) == 1 else None


def tensor(data: bytes) -> Tensor:
    """Parse a TensorProto. Raises NotAMessage, also for more than MAX_CELLS elements."""
    kind = 0
    shape: tuple[int, ...] = ()
    content = b""
    texts: list[bytes] = []
    numbers: list[Any] = []
    for number, value in wire.fields(data):
        if number == 1:
            kind = value
        elif number == 2:
            shape = _shape(value)
        elif number == 4:
            content = wire.message(value)
        elif number == 8:
            texts.append(wire.message(value))
        elif number in _PACKED:
            numbers.append(wire.array(value, _PACKED[number]))
        elif number in (7, 10, 11, 13, 16, 17):
            numbers.append(_whole(number, wire.varints(value)))
    if kind == _STRING:
        return Tensor(shape, texts=texts)
    cells = int(np.prod(shape, dtype=np.float64)) if shape else 1
    if cells > MAX_CELLS or min(shape, default=0) < 0:
        raise wire.NotAMessage("the tensor has too many values")
    if content:
        found = _plain(content, kind)
    elif numbers:
        found = np.concatenate(numbers)
        if kind in (_HALF, _BFLOAT16):
            found = _plain(found.astype("<u2").tobytes(), kind)
    else:
        found = np.zeros(0)
    if len(found) < cells:  # TensorProto omits repetitions of the last value
        found = np.concatenate([found, np.full(cells - len(found), found[-1] if len(found) else 0.0)])
    return Tensor(shape, numbers=found[:cells], is_float=kind == _FLOAT)


def _whole(number: int, values: list[int]) -> Any:
    """Integers of the field's type: int32 and int64 are sign-extended."""
    if number in (7, 10):
        return np.array([value - (1 << 64) if value >= 1 << 63 else value for value in values], np.int64)
    return np.array(values, np.uint64)


def _plain(content: bytes, kind: int) -> Any:
    if kind == _BFLOAT16:  # the upper half of a float32
        return (np.frombuffer(content, "<u2").astype("<u4") << 16).view("<f4")
    form = _TYPES.get(kind)
    if form is None or len(content) % np.dtype(form).itemsize:
        raise wire.NotAMessage(f"tensors of type {kind} can't be read")
    return np.frombuffer(content, form)


def _shape(data: Any) -> tuple[int, ...]:
    sizes = []
    for number, value in wire.fields(wire.message(data)):
        if number == 2:
            sizes.append(sum(wire.signed(size) for name, size in wire.fields(wire.message(value)) if name == 1))
    return tuple(sizes)


class Histogram(NamedTuple):
    """Arrays of equal length: left edge, right edge and count of each bin."""

    left: Any
    right: Any
    counts: Any


def old_histogram(data: bytes) -> Histogram:
    """Parse a HistogramProto: upper limits of bins, and counts. The outer bins end at minimum and maximum; empty outer bins are left out."""
    low = high = 0.0
    limits: list[Any] = []
    counts: list[Any] = []
    for number, value in wire.fields(data):
        if number == 1:
            low = wire.double(value)
        elif number == 2:
            high = wire.double(value)
        elif number == 6:
            limits.append(wire.array(value, "<f8"))
        elif number == 7:
            counts.append(wire.array(value, "<f8"))
    right = np.concatenate(limits) if limits else np.zeros(0)
    found = np.concatenate(counts) if counts else np.zeros(0)
    size = min(len(right), len(found))
    right, found = right[:size], found[:size]
    left = np.concatenate([[min(low, right[0])], right[:-1]]) if size else right
    filled = np.flatnonzero(found)
    if len(filled):
        part = slice(filled[0], filled[-1] + 1)
        left, right, found = left[part].copy(), right[part].copy(), found[part]
        left[0], right[-1] = max(left[0], low), min(right[-1], high)
    return Histogram(left, right, found)


def new_histogram(value: Tensor) -> Histogram | None:
    """The histogram in a tensor of shape (bins, 3) with rows (left, right, count); None for another shape."""
    if value.numbers is None or len(value.shape) != 2 or value.shape[1] != 3:
        return None
    table = value.numbers.reshape(-1, 3).astype(np.float64)
    return Histogram(table[:, 0], table[:, 1], table[:, 2])


def old_image(data: bytes) -> bytes:
    """The encoded image in a Summary.Image."""
    for number, value in wire.fields(data):
        if number == 4:
            return wire.message(value)
    return b""


def suffix_of(image: bytes) -> str:
    """The file extension for an encoded image, from its magic bytes; "bin" when unknown."""
    if image.startswith(b"\x89PNG"):
        return "png"
    if image.startswith(b"\xff\xd8"):
        return "jpg"
    if image.startswith(b"GIF8"):
        return "gif"
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return "webp"
    return "bmp" if image.startswith(b"BM") else "bin"


# --- hyper-parameters


class Session(NamedTuple):
    """A training session of the HParams plugin: hyper-parameters, start and end in epoch seconds, status."""

    params: dict[str, Any]
    start: float | None = None
    end: float | None = None
    status: str = ""


_STATUS = {1: "finished", 2: "failed", 3: "running"}


def session(content: bytes) -> Session:
    """Parse the HParamsPluginData of a summary."""
    params: dict[str, Any] = {}
    start = end = None
    status = ""
    for number, value in wire.fields(content):
        if number == 3:  # session_start_info
            for name, part in wire.fields(wire.message(value)):
                if name == 1:
                    key, found = _entry(wire.message(part))
                    params[key] = found
                elif name == 5:
                    start = wire.double(part)
        elif number == 4:  # session_end_info
            for name, part in wire.fields(wire.message(value)):
                if name == 1:
                    status = _STATUS.get(part, "")
                elif name == 2:
                    end = wire.double(part)
    return Session(params, start, end, status)


def _entry(data: bytes) -> tuple[str, Any]:
    key, found = "", None
    for number, value in wire.fields(data):
        if number == 1:
            key = wire.text(value)
        elif number == 2:
            found = _json(wire.message(value))
    return key, found


def _json(data: bytes, depth: int = 0) -> Any:
    """Parse a google.protobuf.Value."""
    if depth > 50:
        raise wire.NotAMessage("the value is nested too deeply")
    for number, value in wire.fields(data):
        if number == 2:
            return wire.double(value)
        if number == 3:
            return wire.text(value)
        if number == 4:
            return bool(value)
        if number == 5:
            pairs = [dict(wire.fields(wire.message(entry))) for name, entry in wire.fields(wire.message(value)) if name == 1]
            return {wire.text(pair.get(1, b"")): _json(wire.message(pair.get(2, b"")), depth + 1) for pair in pairs}
        if number == 6:
            return [_json(wire.message(item), depth + 1) for name, item in wire.fields(wire.message(value)) if name == 1]
    return None
