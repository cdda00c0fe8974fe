"""Patterns of clients, checked before anything is matched."""

from __future__ import annotations

from typing import Any

import re2

from apiserver.errors import InvalidRegex
from apiserver.stores.patterns import PatternTooLarge, compiled, options_of


def checked(pattern: str, *, ignore_case: bool, capture: bool = True) -> tuple[Any, re2.Options]:
    """A compiled pattern, and its options. Raises InvalidRegex for what RE2 can't read and for what is too large."""
    options = options_of(ignore_case=ignore_case)
    options.never_capture = not capture
    try:
        return compiled(pattern, options), options
    except (re2.error, UnicodeEncodeError, PatternTooLarge) as error:
        reason = error.args[0] if error.args else "unreadable"
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise InvalidRegex(text, pattern=pattern[:200]) from None
