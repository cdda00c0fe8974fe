"""The result of a check."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """One line of `tidemark doctor`: what was checked and, unless it is in order, what to do."""

    level: Literal["ok", "warn", "FAIL"]
    text: str
    advice: str = ""
