"""Rules about the registry's documents and conditions on them that all engines share."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apiserver.stores.patterns import PatternTime
from apiserver.stores.registry import AnyOf, Condition

Path = tuple[str, ...]

ACTIVITY_KINDS = ("task", "model")
"""Kinds of documents that batches of events move."""

BULK_FIELDS: dict[str, frozenset[str]] = {
    "task": frozenset({"script", "configuration", "execution", "container", "report"}),
    "model": frozenset({"design", "metadata"}),
}
"""Top-level fields that may be large and are kept apart, so that tables are read without them."""

STATISTICS = {
    "value": "value",
    "min_value": "min_value",
    "max_value": "max_value",
    "first_value": "first_value",
    "mean_value": "mean_value",
    "count": "points",
    "value_iteration": "value_iter",
    "min_value_iteration": "min_value_iter",
    "max_value_iteration": "max_value_iter",
    "first_value_iteration": "first_value_iter",
}
"""Fields of `last_metrics` and their names in the statistics of a series."""

_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*", re.ASCII)
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,19}\s*", re.ASCII)

_LITERAL = re.compile(r"\^((?:[^\\.^$|()\[\]{}*+?]|\\[^A-Za-z0-9])*)\$")


def path_of(path: str | tuple[str, ...]) -> Path:
    """`a.b` and `("a", "b")` are the same path."""
    return tuple(path.split(".")) if isinstance(path, str) else tuple(path)


def number_of(text: str) -> int | float | None:
    """The number that a text is as a whole, as SQLite understands it: an integer of 64 bits, else a double; None for any other text."""
    if not _NUMBER.fullmatch(text):
        return None
    if _WHOLE.fullmatch(text):
        whole = int(text)
        if -(2**63) <= whole < 2**63:
            return whole
    return float(text)


def conditions_in(where: Sequence[Condition | AnyOf]) -> list[Condition]:
    """Every condition, those of alternatives too."""
    groups = [group for item in where for group in (item.groups if isinstance(item, AnyOf) else [[item]])]
    return [condition for group in groups for condition in group]


def simplified(condition: Condition) -> Condition:
    """The condition in a form that a store can answer: an anchored, case-sensitive literal (`^we\\ ird$`) is an equality, and integers that no store
    holds are floats."""
    if condition.op == "matches":
        found = None if condition.values[1] else _LITERAL.fullmatch(condition.values[0])
        if found is None:
            return condition
        return Condition(condition.path, "in", (re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL),), condition.negate)
    return condition._replace(values=tuple(map(_bounded, condition.values)))


def searched(allowed: PatternTime, pattern: str, ignore_case: bool) -> Callable[[Any], bool]:
    """Whether a pattern is found in a value: in a text, in one of a list of texts, or in what a number is written as.
    `allowed`: the time of the call, in which it raises PatternTooSlow."""
    search = allowed.searcher(pattern, ignore_case)

    def found(value: Any) -> bool:
        if isinstance(value, str):
            return search(value)
        if isinstance(value, list):
            return any(isinstance(item, str) and search(item) for item in value)
        return value is not None and not isinstance(value, Mapping) and search(str(value))

    return found


def _bounded(value: Any) -> Any:
    """Integers beyond 64 bits as floats; the greatest float stands for what is greater still."""
    if not isinstance(value, int) or -(2**63) <= value < 2**63:
        return value
    try:
        return float(value)
    except OverflowError:
        return sys.float_info.max if value > 0 else -sys.float_info.max
