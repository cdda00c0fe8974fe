"""What a check found."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """One line of `tidemark doctor`: what was looked at, and, unless it is well, what to do."""

    level: Literal["ok", "warn", "FAIL"]
    text: str
    advice: str = ""
