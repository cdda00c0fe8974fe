"""How many values a JSON text holds and how deep it is nested, counted before it is parsed.

A parser makes an object of every `[]`: 16 MB of them block the worker for 2.7 s and take 1 GB of memory. Counting
brackets and commas ends at the first that is too many.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from apiserver.common.fairness import give_way
from apiserver.errors import BadBody

MAX_NODES = 250_000
"""Values of one JSON text. Events come line by line: a batch may hold any number of them."""
STEP = 1 << 18
"""Bytes looked at between two turns for others: a millisecond of the densest text."""
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
    if len(text) <= STEP:
        opened = text.count(b"[") + text.count(b"{")
        if opened <= max_depth and opened + text.count(b",") <= max_nodes:
            return
    opened = commas = quotes = depth = 0
    for outside, quoted in _outside_strings(text):
        opened += outside.count(b"[") + outside.count(b"{")
        commas += outside.count(b",")
        quotes += quoted
        if opened > max_containers:
            raise BadBody(f"it holds too many objects and lists; at most {max_containers} are allowed")
        if opened + commas > max_nodes or quotes > 4 * max_nodes:  # every value has at most a name and a text
            raise BadBody(f"it holds too many values; at most {max_nodes} are allowed")
        brackets = np.frombuffer(outside.translate(None, _OTHERS), np.uint8)
        if brackets.size:
            levels = np.cumsum(_STEPS[brackets], dtype=np.int32)
            if depth + int(levels.max()) > max_depth:
                raise BadBody(f"it is nested too deeply; at most {max_depth} levels are allowed")
            depth += int(levels[-1])


def _outside_strings(text: bytes) -> Iterator[tuple[bytes, int]]:
    """What stands outside of texts, with the number of quotes, a step at a time."""
    start, inside = 0, False
    while start < len(text):
        if start:
            give_way()
        part = text[start : start + STEP]
        if (len(part) - len(part.rstrip(b"\\"))) % 2:  # an escape is not cut in two
            part = text[start : start + STEP + 1]
        start += len(part)
        if b"\\" in part:
            part = part.replace(b"\\\\", b"").replace(b'\\"', b"")
        pieces = part.split(b'"')
        yield b"".join(pieces[inside::2]), len(pieces) - 1
        inside ^= len(pieces) % 2 == 0
