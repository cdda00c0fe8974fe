"""Tags of tasks and models, added and removed one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def with_tags(tags: Sequence[str] | None, add: Iterable[str], remove: Iterable[str]) -> list[str]:
    """The tags without those of `remove`, then those of `add` that are new; order is kept."""
    gone = set(remove)
    return list(dict.fromkeys([*(tag for tag in tags or () if tag not in gone), *add]))
