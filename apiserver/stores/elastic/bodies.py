"""Bulk lines: text made by f-strings with everything that a series has in common written once.

A document is one action line and one source line. Ids of a series share a prefix (its hash) followed by the iteration: unambiguous, small on disk
(measured: 66 bytes a document against 94 with a full hash) and fast to write.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import zlib
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

import orjson

from apiserver.stores.codec import decode_json, encode_json
from apiserver.stores.elastic.rows import series_hash
from apiserver.stores.records import IMAGE, Event, LogLine, Points, SeriesKey

COMPRESS_FROM = 100_000
"""Bodies of at least so many bytes (plots) are kept compressed."""
_SPECIAL = {"nan": 1, "inf": 2, "-inf": 3}
SPECIAL_VALUES = {0: math.nan, 1: math.nan, 2: math.inf, 3: -math.inf}
NO_ITER = "n"
LONG_MESSAGE = 8_000


def quoted(text: str) -> str:
    """A text as JSON."""
    try:
        return orjson.dumps(text).decode()
    except TypeError:  # a lone surrogate; nothing of it should arrive here
        return json.dumps(text)


def point_lines(company: str, key: SeriesKey, points: Points, worker: str, seq: int, positions: Sequence[int]) -> list[str]:
    """The lines of these points of a series (`positions` in it), in order."""
    head = f'{{"index":{{"_id":"{series_hash(company, key)}'
    model = ',"model_event":true' if points.model_event else ""
    common = f'"task":{quoted(key.task)},"metric":{quoted(key.metric)},"variant":{quoted(key.variant)}{model},"worker":'
    middle = f'"}}}}\n{{{common}{quoted(worker)},"iter":'
    iters, values, timestamps, lines, sizes = points.iters, points.values, points.timestamps, points.lines, points.sizes
    if len(positions) == len(iters):
        rows = zip(iters, values, timestamps, lines, sizes, strict=True)
        made = [f'{head}{i}{middle}{i},"value":{v!r},"timestamp":{t},"size":{z},"seq":{seq + n}}}\n' for i, v, t, n, z in rows]
    else:
        made = [
            f'{head}{iters[p]}{middle}{iters[p]},"value":{values[p]!r},"timestamp":{timestamps[p]},"size":{sizes[p]},"seq":{seq + lines[p]}}}\n'
            for p in positions
        ]
    if points.extra or not all(map(math.isfinite, values)):
        _mend(made, points, positions, head, common, worker, seq)
    return made


def _mend(made: list[str], points: Points, positions: Sequence[int], head: str, common: str, worker: str, seq: int) -> None:
    """Write anew the few lines that the fast form can't hold: values that are no JSON numbers, fields of their own."""
    for place, p in enumerate(positions):
        extra = points.extra.get(p)
        value = points.values[p]
        if not extra and math.isfinite(value):
            continue
        more = dict(extra or {})
        own_worker = str(more.pop("worker", worker))
        text = f'"value":{value!r}' if math.isfinite(value) else f'"special":{_SPECIAL[repr(value)]}'
        body = f',"more":1,"body":{encode_json(more).decode()}' if more else ""
        iteration = points.iters[p]
        made[place] = (
            f'{head}{iteration}"}}}}\n{{{common}{quoted(own_worker)},"iter":{iteration},{text},"timestamp":{points.timestamps[p]},'
            f'"size":{points.sizes[p]},"seq":{seq + points.lines[p]}{body}}}\n'
        )


def event_line(company: str, event: Event, seq: int, hashes: dict[tuple[SeriesKey, str], str]) -> str:
    """The lines of an event: vector, image, plot, or a scalar without iteration. `hashes` remembers what was computed."""
    event_key = event.key or ""
    place = (event.series, event_key)
    prefix = hashes.get(place)
    if prefix is None:
        prefix = hashes[place] = series_hash(company, event.series, event_key)
    source: dict[str, Any] = {"task": event.task, "metric": event.metric, "variant": event.variant, "worker": event.worker}
    if event.iter is None:
        source["noiter"] = 1
    else:
        source["iter"] = event.iter
    if event.model_event:
        source["model_event"] = True
    source |= {"timestamp": event.timestamp, "size": event.size, "seq": seq + event.line}
    if event.key:
        source["key"] = event.key
    url = event.body.get("url") if event.type == IMAGE else None
    if isinstance(url, str) and url:
        source["url"] = url
    body = encode_json(event.body)
    if len(body) >= COMPRESS_FROM:
        source["packed"] = b64encode(zlib.compress(body, 1)).decode()
        text = ""
    else:
        text = f',"body":{body.decode()}'
    suffix = NO_ITER if event.iter is None else event.iter
    return f'{{"index":{{"_id":"{prefix}{suffix}"}}}}\n{orjson.dumps(source).decode()[:-1]}{text}}}\n'


def log_prefix(company: str, digest: bytes | None) -> str:
    """16 characters that begin the ids of the log lines of a batch: the same for a retry of it, never the same for two batches."""
    if digest is None:
        return secrets.token_urlsafe(12)
    mark = hashlib.blake2b(digest, digest_size=12, key=hashlib.blake2b(company.encode(), digest_size=16).digest())
    return urlsafe_b64encode(mark.digest()).decode()


def log_line(line: LogLine, prefix: str, seq: int) -> str:
    """The lines of a log line."""
    source: dict[str, Any] = {"task": line.task, "metric": line.metric, "variant": line.variant, "worker": line.worker}
    if line.iter is None:
        source["noiter"] = 1
    else:
        source["iter"] = line.iter
    if line.model_event:
        source["model_event"] = True
    source |= {"timestamp": line.timestamp, "size": line.size, "seq": seq + line.line}
    if line.level is not None:
        source["level"] = line.level
    if line.msg is not None:
        source["msg"] = line.msg
        if len(line.msg) > LONG_MESSAGE:
            source["long"] = True
    body = f',"body":{encode_json(line.extra).decode()}' if line.extra else ""
    return f'{{"create":{{"_id":"{prefix}{line.line}"}}}}\n{orjson.dumps(source).decode()[:-1]}{body}}}\n'


def body_of(source: dict[str, Any]) -> dict[str, Any]:
    """What came with an event beyond the fields that every event has."""
    if "packed" in source:
        body: dict[str, Any] = decode_json(zlib.decompress(b64decode(source["packed"])))
        return body
    return source.get("body") or {}
