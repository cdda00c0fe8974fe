"""How values and bodies of events are stored: what writing packs, reading unpacks."""

from __future__ import annotations

import json
import math
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import orjson

from apiserver.stores.codec import decode_json, encode_json

SPECIAL_CODES = {"nan": 1, "inf": 2, "-inf": 3}
"""The field `special` of a value that no double field of Elasticsearch holds, by the value's `repr`."""
SPECIAL_VALUES = {0: math.nan, 1: math.nan, 2: math.inf, 3: -math.inf}
"""The values of those codes; 0 stands where the field is missing."""
NO_ITER = "n"
"""What an event without iteration has in its id where others have the iteration."""
VALUE_FIELDS = ("task", "metric", "variant", "iter", "value", "special", "timestamp", "seq", "worker", "model_event", "more")
"""The doc values that say all of a point, but for `extra`."""
POINT_DOCUMENT: dict[str, Any] = {"_source": True, "stored_fields": ["extra"], "docvalue_fields": list(VALUE_FIELDS)}
"""What a search asks for to get whole documents of points: those of an index without `_source` come as fields."""
LONG_MESSAGE = 8_000
"""Characters of a log message up to which all of its words are indexed."""


def quoted(text: str) -> str:
    """A text as JSON."""
    try:
        return orjson.dumps(text).decode()
    except TypeError:  # a lone surrogate; nothing of it should arrive here
        return json.dumps(text)


def extra_of(body: Mapping[str, Any]) -> str:
    """What the field `extra` of a point holds."""
    return b64encode(encode_json(body)).decode()


def body_of(source: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an event beyond those that every event has."""
    body: dict[str, Any]
    if "extra" in source:
        body = decode_json(b64decode(source["extra"]))
    elif "packed" in source:
        body = decode_json(zlib.decompress(b64decode(source["packed"])))
    else:
        plain = source.get("body") or {}
        body = decode_json(b64decode(plain)) if isinstance(plain, str) else plain
    return body


def source_of(hit: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a hit that was asked for with `POINT_DOCUMENT`."""
    source: dict[str, Any] | None = hit.get("_source")
    return {name: values[0] for name, values in hit["fields"].items()} if source is None else source
