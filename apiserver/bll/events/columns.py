"""`application/vnd.tidemark.columns`: records with columns of numbers, which a browser reads by typed arrays and numpy by `frombuffer`, without a copy.

    "TMC1", u32 length of the header, the header (JSON, padded with spaces to a multiple of 8), the columns

All numbers are little endian. The header is an object whose `series` name their columns as `{name: [kind, offset]}` with `n` numbers each: kind is
f8, u4 or u1, the offset (a multiple of 8) counts from the end of the header. Columns may share their numbers: a hundred runs that reported the same
steps name the same offset, and a shorter run a part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

CONTENT_TYPE = "application/vnd.tidemark.columns"
MAGIC = b"TMC1"
_KINDS: dict[str, tuple[str, np.dtype[Any]]] = {
    "f": ("f8", np.dtype("<f8")),
    "i": ("f8", np.dtype("<f8")),
    "u4": ("u4", np.dtype("<u4")),
    "u1": ("u1", np.dtype("u1")),
}

Column = npt.NDArray[Any]
Record = tuple[Mapping[str, Any], Mapping[str, Column]]
"""The fields of a series, and its columns."""


def encode_columns(records: Iterable[Record], fields: Mapping[str, Any]) -> bytes:
    """The whole body. Integers of 64 bits become f8, as they do in every browser; u4 and u1 stay."""
    series: list[dict[str, Any]] = []
    parts: list[bytes] = []
    longest: dict[str, tuple[bytes, str, int]] = {}
    offset = 0
    for known, columns in records:
        placed: dict[str, tuple[str, int]] = {}
        there: dict[int, tuple[str, int]] = {}
        n = 0
        for name, column in columns.items():
            n = len(column)
            if shared := there.get(id(column)):
                placed[name] = shared
                continue
            kind, dtype = _KINDS["f" if column.dtype.kind == "f" else "i" if column.dtype.itemsize == 8 else column.dtype.str[1:]]
            data = column.astype(dtype, copy=False).tobytes()
            other, other_kind, place = longest.get(name, (b"", "", 0))
            if kind != other_kind or not other.startswith(data):
                parts += (data, b"\0" * (-len(data) % 8))
                place = offset
                offset += len(data) + -len(data) % 8
                if kind != other_kind or len(data) >= len(other):
                    longest[name] = data, kind, place
            placed[name] = there[id(column)] = kind, place
        series.append({**known, "n": n, "columns": placed})
    header = orjson.dumps({**fields, "series": series})
    header += b" " * (-(8 + len(header)) % 8)
    return b"".join((MAGIC, len(header).to_bytes(4, "little"), header, *parts))


def decode_columns(body: bytes) -> dict[str, Any]:
    """The header with the columns as arrays. Raises ValueError for anything else."""
    if body[:4] != MAGIC:
        raise ValueError(f"a body of columns begins with TMC1, not {body[:4]!r}")
    start = 8 + int.from_bytes(body[4:8], "little")
    header: dict[str, Any] = orjson.loads(body[8:start])
    for series in header["series"]:
        n = series["n"]
        series["columns"] = {name: np.frombuffer(body, f"<{kind}", n, start + offset) for name, (kind, offset) in series["columns"].items()}
    return header
