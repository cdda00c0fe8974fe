"""events.*: reporting events, and deleting those of a task or model."""

from __future__ import annotations

from typing import Any

from apiserver.bll.events.deletion import Deletion
from apiserver.bll.events.ingest import Ingest
from apiserver.bll.events.rewinding import Rewinding
from apiserver.service_repo import Call, endpoint
from apiserver.services.event_owners import EventOwners


class EventsWriteService:
    """Reports and deletes events."""

    def __init__(self, owners: EventOwners, ingest: Ingest, deletion: Deletion, rewinding: Rewinding) -> None:
        self._owners = owners
        self._ingest = ingest
        self._deletion = deletion
        self._rewinding = rewinding

    @endpoint("events.add")
    def add(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._ingest.add_objects(call.company, call.user, [request], call.worker)

    @endpoint("events.add_batch")
    def add_batch(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        if call.is_batch:
            return self._ingest.add_lines(call.company, call.user, call.body, call.worker)
        return self._ingest.add_objects(call.company, call.user, [request] if request else [], call.worker)

    @endpoint("events.delete_for_task")
    def delete_for_task(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        # `deleted` is a boolean: the SDK's own client refuses a number here. The number has a field of its own.
        owner = self._owners.writable(call, request)
        return {"deleted": True, "deleted_count": self._deletion.delete(owner)}

    @endpoint("events.delete_for_model")
    def delete_for_model(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        owner = self._owners.writable(call, request, "model")
        return {"deleted": True, "deleted_count": self._deletion.delete(owner)}

    @endpoint("events.rewind")
    def rewind(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"rewound": self._rewinding.rewind(self._owners.writable(call, request), request["iteration"])}
