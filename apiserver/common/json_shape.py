"""Limits for the number of values and the nesting depth of a JSON text, checked before it is parsed.

A parser creates an object for every `[]`: 16 MB of them block the worker for 2.7 s and take 1 GB of memory. Counting brackets and commas stops as
soon as a limit is exceeded.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from apiserver.common.fairness import give_way
from apiserver.errors import BadBody

MAX_NODES = 250_000
"""Values in one JSON text. A batch of JSON lines may hold any number: its lines are checked one by one."""
STEP = 1 << 18
"""Bytes that are checked before other greenlets get their turn: at most 1 ms of work."""
MAX_DEPTH = 250
"""Levels of nested objects and lists."""
MAX_LINE_DEPTH = 350
"""Levels in one line of a batch. Deeper values could be stored, but not encoded into an answer."""
MAX_LINE_NODES = 1_000_000
"""Values in one line of a batch. More than MAX_NODES, because vectors may be long."""
MAX_LINE_CONTAINERS = 20_000
"""Objects and lists in one line of a batch: each costs the parser as much as ten numbers."""

_OTHERS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = np.zeros(256, np.int8)
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1


def check_line(line: bytes) -> None:
    """`check_shape` with the limits for a line of a batch."""
    check_shape(line, MAX_LINE_NODES, MAX_LINE_DEPTH, MAX_LINE_CONTAINERS)


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
    """For each STEP bytes: the bytes outside of JSON strings, and the number of quotes."""
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
