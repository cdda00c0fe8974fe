"""Parses query parameters of the runs API. A bad one is answered with 422 in FastAPI's format, as Runicorn does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from apiserver.stores.records import MAX_ITER, MIN_ITER

_WHOLE = re.compile(r"\s*([+-]?\d{1,30})(?:\.0*)?\s*", re.ASCII)
_RANGE = re.compile(r"\s*([+-]?\d{1,30})\s*:\s*([+-]?\d{1,30})\s*", re.ASCII)

MIN_ROWS, MAX_ROWS = 100, 50_000


class BadParameter(Exception):
    """A query parameter has a bad value. `problem`: an item of the 422 answer's `detail` list."""

    def __init__(self, name: str, kind: str, message: str, value: str, context: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.problem: dict[str, Any] = {"type": kind, "loc": ["query", name], "msg": message, "input": value[:200]}
        if context:
            self.problem["ctx"] = context


def whole(args: Mapping[str, str], name: str, least: int | None = None, greatest: int | None = None) -> int | None:
    """An integer parameter (`100.0` is one too), None when it was not given. Raises BadParameter."""
    text = args.get(name)
    if text is None:
        return None
    found = _WHOLE.fullmatch(text)
    if found is None:
        raise BadParameter(name, "int_parsing", "Input should be a valid integer, unable to parse string as an integer", text)
    number = int(found[1])
    if least is not None and number < least:
        raise BadParameter(name, "greater_than_equal", f"Input should be greater than or equal to {least}", text, {"ge": least})
    if greatest is not None and number > greatest:
        raise BadParameter(name, "less_than_equal", f"Input should be less than or equal to {greatest}", text, {"le": greatest})
    return number


def step_range(args: Mapping[str, str]) -> tuple[int, int] | None:
    """`step_range=min:max`, inclusive; None when it was not given or is empty. Raises BadParameter."""
    text = args.get("step_range")
    if not text:
        return None
    found = _RANGE.fullmatch(text)
    if found is None:
        raise BadParameter("step_range", "step_range", "Input should be two whole numbers, 'min:max'", text)
    return bounded(int(found[1])), bounded(int(found[2]))


def steps(args: Mapping[str, str]) -> tuple[int | None, int | None]:
    """First and last step (both inclusive, None: open) that satisfy `since_step` (exclusive) and `step_range` (inclusive)."""
    since = whole(args, "since_step")
    between = step_range(args)
    lo, hi = between if between is not None else (None, None)
    if since is not None:
        after = min(bounded(since) + 1, MAX_ITER)
        if since >= MAX_ITER:
            return MAX_ITER, MIN_ITER
        lo = after if lo is None else max(lo, after)
    return lo, hi


def choice(args: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str | None:
    """A parameter with a fixed list of values; None if it was not given. Raises BadParameter."""
    text = args.get(name)
    if text is not None and text not in allowed:
        words = " or ".join(repr(word) for word in allowed)
        raise BadParameter(name, "enum", f"Input should be {words}", text, {"expected": words})
    return text


def bounded(number: int) -> int:
    """The number, clipped to 64 bits."""
    return min(max(number, MIN_ITER), MAX_ITER)
