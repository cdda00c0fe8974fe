"""How much a task holds."""

from __future__ import annotations

from typing import Any

from apiserver.bll.registry.directory import TaskDirectory
from apiserver.stores.base import EventStore


class Storage:
    """The answer of get_task_storage."""

    def __init__(self, events: EventStore, tasks: TaskDirectory) -> None:
        self._events = events
        self._tasks = tasks

    def of_task(self, company: str, task: str, *, model_events: bool = False) -> dict[str, Any]:
        """Count, bytes as received, oldest and newest event (ms), in all and per event type. Raises InvalidTask or InvalidModel."""
        entity = self._tasks.readable(company, [task], "model" if model_events else "task")[task]
        types = self._events.storage(entity.company, task)
        return {
            "task": task,
            "count": sum(one.count for one in types),
            "bytes": sum(one.bytes for one in types),
            "oldest": min((one.oldest for one in types if one.oldest is not None), default=None),
            "newest": max((one.newest for one in types if one.newest is not None), default=None),
            "types": [
                {"type": one.type, "count": one.count, "bytes": one.bytes, "oldest": one.oldest, "newest": one.newest} for one in types
            ],
        }
