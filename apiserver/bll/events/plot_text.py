"""Plots as browsers can parse them: JSON has no NaN, Infinity and -Infinity, but Python's writers put them into figures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import orjson

from apiserver.common.fairness import give_way
from apiserver.stores.records import PLOT, StoredEvent

_TOKEN = re.compile(r'"(?:[^"\\]|\\(?:.|\Z))*(?:"|\Z)|NaN|-?Infinity', re.DOTALL)
"""A string (left unchanged), or a number that JSON cannot express. An unterminated string matches to the end of the text; otherwise each
quote would start a new scan."""
_SLICE = 200_000
"""Characters processed before yielding to other requests."""


def make_readable(events: Iterable[StoredEvent]) -> None:
    """Replace numbers that JSON cannot express by null in every plot of an answer; the stored plot stays as it was sent."""
    for event in events:
        text = event.get("plot_str")
        if isinstance(text, str) and event.get("type") == PLOT:
            event["plot_str"] = readable(text)


def readable(text: str) -> str:
    """Standard JSON. A text that is not JSON for other reasons is returned unchanged."""
    if "NaN" not in text and "Infinity" not in text:
        return text
    pieces: list[str] = []
    done = paused = 0
    for token in _TOKEN.finditer(text):
        if token[0][0] != '"':
            pieces += (text[done : token.start()], "null")
            done = token.end()
        if token.end() - paused > _SLICE:
            paused = token.end()
            give_way()
    if not pieces:
        return text
    pieces.append(text[done:])
    made = "".join(pieces)
    try:
        orjson.loads(made)
    except orjson.JSONDecodeError:
        return made if _is_json(made) else text
    return made


def _is_json(text: str) -> bool:
    """Whether browsers read a text that orjson refuses: numbers such as 1e400, lone surrogates, more than 1,024 levels."""
    try:
        json.loads(text, parse_int=float)
    except ValueError:
        return False
    except RecursionError:  # nested too deep to check here
        return True
    return True
