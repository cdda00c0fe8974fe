"""Patterns of clients: RE2 on every engine, small in memory and in program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import re2

PATTERN_MEMORY = 4 << 20
"""Bytes that RE2 may use for a pattern."""
MAX_PROGRAM = 10_000
"""Instructions of a compiled pattern (nested repetitions multiply). In the worst case each costs time for every byte of a text."""


class PatternTooLarge(Exception):
    """The pattern compiles to more than MAX_PROGRAM instructions; the text says so."""


def options_of(*, ignore_case: bool) -> re2.Options:
    """How every pattern is compiled."""
    options = re2.Options()
    options.case_sensitive = not ignore_case
    options.log_errors = False
    options.max_mem = PATTERN_MEMORY
    return options


def compiled(pattern: str, options: re2.Options) -> Any:
    """A pattern of RE2. Raises re2.error for what is no pattern, and PatternTooLarge."""
    found = re2.compile(pattern, options)
    if found.programsize > MAX_PROGRAM:
        raise PatternTooLarge(f"it is too large ({found.programsize} instructions, {MAX_PROGRAM} are allowed); repeat less")
    return found


def searcher(pattern: str, ignore_case: bool) -> Callable[[str], bool]:
    """Whether a pattern is found in a text.

    A set of one pattern answers yes or no in half the time of a match object; but it gives up where its automaton grows too large, so patterns
    that repeat by number don't go that way. Raises re2.error for what is no pattern, and PatternTooLarge.
    """
    options = options_of(ignore_case=ignore_case)
    search = compiled(pattern, options).search
    if len(pattern) > 100 or "{" in pattern:
        return lambda text: search(text) is not None
    patterns = re2.Set.SearchSet(options)
    patterns.Add(pattern)
    patterns.Compile()
    match = patterns.Match
    return lambda text: bool(match(text))
