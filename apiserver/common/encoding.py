"""JSON of answers: orjson for most values, a slower encoder for those that orjson refuses."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import orjson

from apiserver.common.fairness import paced

MEMBERS = 1_000
"""Members of an object that are encoded before other greenlets get their turn."""
NUMPY = orjson.OPT_SERIALIZE_NUMPY


def encode(data: Any) -> bytes:
    """Encode as JSON. NaN and infinities become null. Takes numpy arrays and scalars, dates, integers of any size and deep nesting."""
    try:
        return orjson.dumps(data, option=NUMPY)
    except (TypeError, ValueError):
        # Integers of more than 64 bits, lone surrogates, more than 254 levels, keys that are not strings.
        return json.dumps(_plain(data), allow_nan=False, separators=(",", ":"), default=str).encode("ascii")


def encoded_object(members: Mapping[str, bytes]) -> bytes:
    """A JSON object whose values are already encoded. Yields to other greenlets: 1,000 names take 1 ms."""
    return b"{%b}" % b",".join([b"%b:%b" % (encode(name), value) for name, value in paced(members.items(), MEMBERS)])


def _plain(value: Any) -> Any:
    if isinstance(value, orjson.Fragment):
        return json.loads(value.contents)
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if hasattr(value, "tolist"):  # numpy: its own types, and arrays that orjson does not take (not contiguous)
        return _plain(value.tolist())
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)
