"""events.*: lists of metrics, pages of events of any type, storage of a task."""

from __future__ import annotations

from typing import Any

from apiserver.bll.events.listing import Listing
from apiserver.bll.events.metric_filter import metrics_filter
from apiserver.bll.events.pages import EventPages
from apiserver.bll.events.storage import TaskStorage
from apiserver.service_repo import Call, Encoded, endpoint
from apiserver.services.event_owners import EventOwners, scroll_of


class EventsListingService:
    """Lists metrics, events and sizes."""

    def __init__(self, owners: EventOwners, listing: Listing, pages: EventPages, storage: TaskStorage) -> None:
        self._owners = owners
        self._listing = listing
        self._pages = pages
        self._storage = storage

    @endpoint("events.get_task_metrics")
    def get_task_metrics(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        event_type = _event_type(request["event_type"])
        owners = self._owners.several(call, request, request["tasks"])
        return {"metrics": self._listing.metrics_per_task([owners[id] for id in request["tasks"]], event_type)}

    @endpoint("events.get_multi_task_metrics")
    def get_multi_task_metrics(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        event_type = _event_type(request["event_type"])
        return {"metrics": self._listing.together(self._owners.several(call, request, request["tasks"]), event_type)}

    @endpoint("events.get_task_events")
    def get_task_events(self, call: Call, request: dict[str, Any]) -> Encoded:
        page = self._pages.of_events(
            self._owners.one(call, request),
            scroll_of(call, request),
            event_type=_event_type(request["event_type"]),
            metrics=metrics_filter(request.get("metrics")),
            descending=request["order"] == "desc",
            batch_size=request["batch_size"],
            count_total=request["count_total"],
        )
        return Encoded(page)

    @endpoint("events.clear_scroll", min_version="2.18")
    def clear_scroll(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        self._pages.forget(scroll_of(call, request))
        return {}

    @endpoint("events.get_task_storage")
    def get_task_storage(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._storage.of_owner(self._owners.one(call, request))


def _event_type(name: str) -> str | None:
    """The event type, None for all types."""
    return None if name == "*" else name
