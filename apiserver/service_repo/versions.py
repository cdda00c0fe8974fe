"""API versions: parsing, comparing, and how the envelope shows them (docs/protocol.md, "Paths and versions")."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

WRITTEN = re.compile(r"(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)")


class Version(NamedTuple):
    """Compared component-wise: 1.9 < 1.10."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


MAXIMUM = Version(2, 34)
"""The version of calls without one, and the `api_version` of tokens."""

NUMBERS_END = Version(2, 1)
"""Below this version the envelope shows versions as JSON numbers, from here on as text, as ClearML's server does: clients rely on both."""


@lru_cache(maxsize=512)
def parse(text: str) -> Version | None:
    """Parse `2.30`; `20` is version 20.0. None for anything else, also for a leading zero."""
    text = text if "." in text else text + ".0"
    if len(text) > 20 or not WRITTEN.fullmatch(text):
        return None
    major, minor = text.split(".")
    return Version(int(major), int(minor))
