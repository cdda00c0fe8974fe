"""How many values a JSON text holds and how deep it is nested, counted before it is parsed.

A parser makes an object of every `[]`: 16 MB of them block the worker for 2.7 s and take 1 GB of memory. Counting
brackets and commas costs some milliseconds for the same text.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from apiserver.common.fairness import give_way as _give_way
from apiserver.errors import BadBody

MAX_NODES = 250_000
"""Values of one JSON text. Events come line by line: a batch may hold any number of them."""
LONG = 1_000_000
"""Length in bytes above which the count yields to other requests."""
MAX_DEPTH = 250
"""Objects and lists inside each other."""
MAX_LINE_NODES = 1_000_000
"""Values of one line of a batch: a vector may be long."""
MAX_LINE_CONTAINERS = 20_000
"""Objects and lists of one line of a batch: each costs a parser as much as ten numbers."""

_OTHERS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = np.zeros(256, np.int8)
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1


def check_line(line: bytes) -> None:
    """The same as `check_shape` for a line of a batch; how deep it may be nested is the parser's affair."""
    check_shape(line, MAX_LINE_NODES, MAX_LINE_CONTAINERS, MAX_LINE_CONTAINERS)


def check_shape(text: bytes, max_nodes: int = MAX_NODES, max_depth: int = MAX_DEPTH, max_containers: int = MAX_NODES) -> None:
    """Raise BadBody for a JSON text with more values, objects and lists, or levels than allowed. The text need not be valid."""
    opened = text.count(b"[") + text.count(b"{")
    if opened <= max_depth and opened + text.count(b",") <= max_nodes:
        return
    give_way = _give_way if len(text) > LONG else _go_on
    give_way()
    outside = _without_strings(text, max_nodes, give_way)
    give_way()
    opened = outside.count(b"[") + outside.count(b"{")
    if opened > max_containers:
        raise BadBody(f"it holds too many objects and lists; at most {max_containers} are allowed")
    if opened + outside.count(b",") > max_nodes:
        raise _too_many(max_nodes)
    if opened > max_depth:
        brackets = np.frombuffer(outside.translate(None, _OTHERS), np.uint8)
        if int(np.cumsum(_STEPS[brackets], dtype=np.int32).max()) > max_depth:
            raise BadBody(f"it is nested too deeply; at most {max_depth} levels are allowed")


def _go_on() -> None:
    pass


def _without_strings(text: bytes, max_nodes: int, give_way: Callable[[], None]) -> bytes:
    if b"\\" in text:
        text = text.replace(b"\\\\", b"")
        give_way()
        text = text.replace(b'\\"', b"")
        give_way()
    if text.count(b'"') > 4 * max_nodes:  # every value has at most a name and a text
        raise _too_many(max_nodes)
    return b"".join(text.split(b'"')[::2])


def _too_many(max_nodes: int) -> BadBody:
    return BadBody(f"it holds too many values; at most {max_nodes} are allowed")
