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
"""What calls without a version get, and what tokens advertise."""

NUMBERS_END = Version(2, 1)
"""Below, the envelope shows versions as JSON numbers, from here on as text (clients of the reference rely on both)."""


@lru_cache(maxsize=512)
def parse(text: str) -> Version | None:
    """`2.30`, or None when this is no version or has a leading zero. `20` is version 20.0."""
    text = text if "." in text else text + ".0"
    if len(text) > 20 or not WRITTEN.fullmatch(text):
        return None
    major, minor = text.split(".")
    return Version(int(major), int(minor))
