"""Names of nested values: their parts, joined by `/`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

SEPARATOR = "/"


def joined_names(paths: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """A name for each path that no other of them has. Where two would have the same, `/` inside a part is `%2F` and `%` is `%25` in both."""
    names = {path: SEPARATOR.join(path) for path in paths}
    while shared := {name for name, count in Counter(names.values()).items() if count > 1}:
        names |= {path: SEPARATOR.join(map(escaped, path)) for path, name in names.items() if name in shared}
    return names


def escaped(part: str) -> str:
    """A part of a name without the separator."""
    return part.replace("%", "%25").replace(SEPARATOR, "%2F")
