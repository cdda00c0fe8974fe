"""Tags of tasks and models, added and removed one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

ARCHIVED = "archived"


def with_tags(tags: Sequence[str] | None, add: Iterable[str], remove: Iterable[str]) -> list[str]:
    """The tags without those of `remove`, then those of `add` that are new; order is kept."""
    gone = set(remove)
    return list(dict.fromkeys([*(tag for tag in tags or () if tag not in gone), *add]))


def set_archived(body: dict[str, Any], archived: bool, user: str) -> bool:
    """Archive or unarchive a task or model; False when nothing changed."""
    before = body.get("system_tags") or []
    body["system_tags"] = with_tags(before, [ARCHIVED] if archived else [], [ARCHIVED])
    body["last_changed_by"] = user
    return archived != (ARCHIVED in before)
