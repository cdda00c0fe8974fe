"""Flattening of nested objects: the name of a value is its path, joined by `/`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

SEPARATOR = "/"
MAX_LEVELS = 20
"""Objects inside each other that are taken apart; deeper ones are values."""

Path = tuple[str, ...]


def leaves(values: Mapping[str, Any], above: Path = (), *, mark: str = "") -> Iterator[tuple[Path, Any]]:
    """Flatten nested objects: (path, value). Empty objects are values, and so are those with the key `mark`. There may be any number of leaves,
    because objects of YAML can contain themselves."""
    for name, value in values.items():
        path = (*above, str(name))
        if isinstance(value, Mapping) and value and not (mark and mark in value) and len(above) < MAX_LEVELS:
            yield from leaves(value, path, mark=mark)
        else:
            yield path, value


def named(found: Iterable[tuple[Path, Any]]) -> Iterator[tuple[str, Any]]:
    """(name, value) of leaves. No two have the same name."""
    by_path = dict(found)
    return ((name, by_path[path]) for path, name in joined_names(by_path).items())


def joined_names(paths: Iterable[Path]) -> dict[Path, str]:
    """A unique name for each path. Where two would be equal, `/` inside a part is `%2F` and `%` is `%25` in both."""
    names = {path: SEPARATOR.join(path) for path in paths}
    while shared := {name for name, count in Counter(names.values()).items() if count > 1}:
        names |= {path: SEPARATOR.join(map(escaped, path)) for path, name in names.items() if name in shared}
    return names


def escaped(part: str) -> str:
    """A part of a name without the separator."""
    return part.replace("%", "%25").replace(SEPARATOR, "%2F")
