"""How values and bodies of events are stored: what writing packs, reading unpacks."""

from __future__ import annotations

import json
import math
import zlib
from base64 import b64decode
from typing import Any

import orjson

from apiserver.stores.codec import decode_json

SPECIAL_CODES = {"nan": 1, "inf": 2, "-inf": 3}
"""The field `special` of a value that no double field of Elasticsearch holds, by the value's `repr`."""
SPECIAL_VALUES = {0: math.nan, 1: math.nan, 2: math.inf, 3: -math.inf}
"""The values of those codes; 0 stands where the field is missing."""
NO_ITER = "n"
"""What an event without iteration has in its id where others have the iteration."""
LONG_MESSAGE = 8_000
"""Characters of a log message up to which all of its words are indexed."""


def quoted(text: str) -> str:
    """A text as JSON."""
    try:
        return orjson.dumps(text).decode()
    except TypeError:  # a lone surrogate; nothing of it should arrive here
        return json.dumps(text)


def body_of(source: dict[str, Any]) -> dict[str, Any]:
    """The fields of an event beyond those that every event has."""
    if "packed" in source:
        body: dict[str, Any] = decode_json(zlib.decompress(b64decode(source["packed"])))
        return body
    return source.get("body") or {}
