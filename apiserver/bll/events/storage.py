"""Number and size of a task's events."""

from __future__ import annotations

from typing import Any

from apiserver.bll.registry.directory import Owner
from apiserver.stores.base import SeriesReader


class TaskStorage:
    """The answer of get_task_storage."""

    def __init__(self, events: SeriesReader) -> None:
        self._events = events

    def of_owner(self, owner: Owner) -> dict[str, Any]:
        """Number of events, bytes as received, times of the oldest and newest event (ms), in total and by event type."""
        types = self._events.storage(owner.company, owner.id)
        return {
            "task": owner.id,
            "count": sum(one.count for one in types),
            "bytes": sum(one.bytes for one in types),
            "oldest": min((one.oldest for one in types if one.oldest is not None), default=None),
            "newest": max((one.newest for one in types if one.newest is not None), default=None),
            "types": [
                {"type": one.type, "count": one.count, "bytes": one.bytes, "oldest": one.oldest, "newest": one.newest} for one in types
            ],
        }
