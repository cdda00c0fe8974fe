"""Deleting the events of a task or model."""

from __future__ import annotations

from apiserver.bll.registry.directory import OwnerKind, TaskDirectory
from apiserver.stores.base import EventStore


class Deletion:
    """Deletes synchronously and completely: what was acknowledged before the call is gone when it returns, statistics too."""

    def __init__(self, events: EventStore, tasks: TaskDirectory) -> None:
        self._events = events
        self._tasks = tasks

    def of_task(self, company: str, task: str, *, allow_locked: bool = False) -> int:
        """The number of deleted events. Raises InvalidTask, NoWritePermission (public, of another company) or TaskNotWritable."""
        self._tasks.writable(company, task, allow_locked=allow_locked)
        return self._delete(company, task, "task")

    def of_model(self, company: str, model: str, *, allow_locked: bool = False) -> int:
        """The same for a model. Raises InvalidModel, NoWritePermission or ModelNotWritable."""
        self._tasks.writable(company, model, "model", allow_locked=allow_locked)
        return self._delete(company, model, "model")

    def _delete(self, company: str, id: str, kind: OwnerKind) -> int:
        # Reset first: a batch that is acknowledged from here on raises it again and loses nothing.
        self._tasks.reset_progress(company, id, kind)
        return self._events.delete(company, id)
