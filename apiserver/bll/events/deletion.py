"""Deleting the events of a task or model."""

from __future__ import annotations

from apiserver.bll.registry.directory import Owner, TaskDirectory
from apiserver.stores.base import EventWriter


class Deletion:
    """Deletes synchronously and completely: what was acknowledged before the call is gone when it returns, statistics too."""

    def __init__(self, events: EventWriter, directory: TaskDirectory) -> None:
        self._events = events
        self._directory = directory

    def delete(self, owner: Owner) -> int:
        """Delete all events of a task or model that the caller may write; returns how many there were."""
        # Reset first: a batch that is acknowledged from here on raises the progress again and loses nothing.
        self._directory.reset_progress(owner.company, owner.id, owner.kind)
        return self._events.delete(owner.company, owner.id)
