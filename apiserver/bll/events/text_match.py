"""Which texts of a list hold a plain text or match a regular expression (RE2 syntax), fast enough for a million log lines.

`literal` of a matcher is a text that every match contains: a store can leave out lines without it. It is chosen so that narrowing never
changes the result, whatever notion of case a store has beyond ASCII.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

import re2

from apiserver.bll.patterns import checked


class Matcher(NamedTuple):
    """`match` gives the indexes of the texts that are wanted; `literal` (compared ignoring ASCII case if `ignore_case`) is contained in every one of them, None: unknown."""

    match: Callable[[list[str]], list[int]]
    literal: str | None
    ignore_case: bool


def plain_matcher(text: str, ignore_case: bool = False) -> Matcher:
    """Texts that contain `text`. Case is ignored for ASCII letters, or by Unicode case folding if `text` has others."""
    if not ignore_case:
        return Matcher(lambda texts: [i for i, line in enumerate(texts) if text in line], text, False)
    if text.isascii():
        wanted = text.lower().encode()  # bytes.lower() knows ASCII only
        return Matcher(lambda texts: [i for i, line in enumerate(texts) if wanted in line.encode("utf-8", "replace").lower()], text, True)
    folded = text.casefold()
    return Matcher(lambda texts: [i for i, line in enumerate(texts) if folded in line.casefold()], None, True)


SEARCHED = 64_000
"""Characters of a line in which a pattern is looked for: a search ends between two lines, so one of 60 MB would take 18 minutes."""


def regex_matcher(pattern: str, ignore_case: bool = False) -> Matcher:
    """Texts in whose first SEARCHED characters the RE2 pattern is found. Raises InvalidRegex."""
    single, options = checked(pattern, ignore_case=ignore_case, capture=False)
    joined = re2.compile(f"(?m:{pattern})".encode(), options) if _works_joined(pattern, single) else None
    literal = required_literal(pattern)
    if ignore_case and literal is not None:
        # RE2 folds K with the Kelvin sign and S with the long s; stores may not.
        literal = max(re.split(r"[kKsS]|[^\x00-\x7f]", literal), key=len) or None

    def match(texts: list[str]) -> list[int]:
        encoded = [text[:SEARCHED].encode("utf-8", "replace") for text in texts]
        numbers = range(len(texts)) if joined is None else _candidates(joined, encoded)
        return [i for i in numbers if single.search(encoded[i]) is not None]

    return Matcher(match, literal, ignore_case)


# A call of RE2 costs ten times what it does with one log line. So the lines of a stretch are joined by newlines and searched together,
# and only the lines that a match touches are looked at one by one. Some patterns could match a line alone and not inside the joined text:
# \A and \z, flags that could undo the (?m) around it, and \Q, which could swallow its end.
JOINED_BYTES = 250_000
"""Joined text is searched in parts of about this size: RE2 holds the interpreter lock."""

_ONLY_ALONE = re.compile(r"\\[AzCQ]|\(\?(?!:|P?<|i\)|i:)")


def _works_joined(pattern: str, single: re2._Regexp) -> bool:
    return not _ONLY_ALONE.search(pattern) and single.search(b"") is None


def _candidates(joined: re2._Regexp, lines: list[bytes]) -> list[int]:
    """The lines that matches of the joined text touch."""
    found: list[int] = []
    start = size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size >= JOINED_BYTES or number == len(lines) - 1:
            found += _touched(joined, lines[start : number + 1], start)
            start, size = number + 1, 0
    return found


def _touched(joined: re2._Regexp, lines: list[bytes], offset: int) -> list[int]:
    """At most one search per line: after a match it goes on with the next line."""
    text = b"\n".join(lines)
    ends = list(accumulate(len(line) + 1 for line in lines))
    found: list[int] = []
    position = 0
    while (hit := joined.search(text, position)) is not None:
        start, end = hit.span()
        first = bisect_right(ends, start)
        last = min(bisect_right(ends, max(end - 1, start)), len(lines) - 1)
        found.extend(range(offset + first, offset + last + 1))
        position = ends[last]
        if position >= len(text):
            break
    return found


_REPEAT = re.compile(r"\{\d*(?:,\d*)?\}")


def required_literal(pattern: str) -> str | None:
    """The longest text that every match of the pattern must contain, found by a simple scan; None: unknown.

    Only what stands outside of groups and classes, with no quantifier that could make it vanish, counts.
    (RE2 computes such texts for `re2.Filter`, but the Python package does not expose them.)
    """
    runs, run, depth, i = [], "", 0, 0
    while i < len(pattern):
        char = pattern[i]
        size = 1
        plain: str | None = None
        if char == "\\":
            size, plain = _escape(pattern, i)
            if size == 0:
                return None
        elif char == "[":
            size = _class_length(pattern, i)
        elif char == "{":
            repeat = _REPEAT.match(pattern, i)
            size = len(repeat[0]) if repeat else 1
        elif char == "(":
            if pattern.startswith("(?", i) and not re.match(r"\(\?(?::|P?<)", pattern[i:]):
                return None  # flags: they may ignore case from here on
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == "|" and depth == 0:
            return None
        elif char not in ".^$*+?{}|":
            plain = char
        following = pattern[i + size : i + size + 1]
        if plain is not None and depth == 0 and (not following or following not in "*?{"):
            run += plain
            if following == "+":
                runs.append(run)
                run = ""
        else:
            runs.append(run)
            run = ""
        i += size
    longest = max([*runs, run], key=len)
    return longest or None


def _escape(pattern: str, i: int) -> tuple[int, str | None]:
    """Length of the escape at `i`, and the character that it stands for, if it is plain punctuation. Length 0: unknown."""
    following = pattern[i + 1 : i + 2]
    if not following or following in "QExpPC0123456789":
        return 0, None
    return 2, following if not following.isalnum() else None


def _class_length(pattern: str, i: int) -> int:
    """Length of the character class that begins at `i`."""
    j = i + 1
    if pattern[j : j + 1] == "^":
        j += 1
    if pattern[j : j + 1] == "]":
        j += 1
    while j < len(pattern) and pattern[j] != "]":
        if pattern.startswith("[:", j):
            end = pattern.find(":]", j)
            j = end + 2 if end >= 0 else len(pattern)
        else:
            j += 2 if pattern[j] == "\\" else 1
    return j - i + 1
