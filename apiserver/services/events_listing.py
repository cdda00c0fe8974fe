"""events.*: which metrics there are, events of any type page by page, and how much a task holds."""

from __future__ import annotations

from typing import Any

from apiserver.bll.events.listing import Listing
from apiserver.bll.events.metric_filter import metrics_filter
from apiserver.bll.events.pages import Pages
from apiserver.bll.events.storage import Storage
from apiserver.service_repo import Call, Encoded, endpoint


class EventsListingService:
    """Lists metrics, events and sizes."""

    def __init__(self, listing: Listing, pages: Pages, storage: Storage) -> None:
        self._listing = listing
        self._pages = pages
        self._storage = storage

    @endpoint("events.get_task_metrics")
    def get_task_metrics(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        event_type = _event_type(request["event_type"])
        return {"metrics": self._listing.metrics_per_task(call.company, request["tasks"], event_type, model_events=request["model_events"])}

    @endpoint("events.get_multi_task_metrics")
    def get_multi_task_metrics(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        event_type = _event_type(request["event_type"])
        return {"metrics": self._listing.together(call.company, request["tasks"], event_type, model_events=request["model_events"])}

    @endpoint("events.get_task_events")
    def get_task_events(self, call: Call, request: dict[str, Any]) -> Encoded:
        page = self._pages.of_events(
            call.company,
            request["task"],
            event_type=_event_type(request["event_type"]),
            metrics=metrics_filter(request.get("metrics")),
            descending=request["order"] == "desc",
            batch_size=request["batch_size"],
            count_total=request["count_total"],
            scroll_id=request.get("scroll_id"),
            model_events=request["model_events"],
        )
        return Encoded(page)

    @endpoint("events.clear_scroll", min_version="2.18")
    def clear_scroll(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        self._pages.forget(call.company, request.get("scroll_id"))
        return {}

    @endpoint("events.get_task_storage")
    def get_task_storage(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._storage.of_task(call.company, request["task"], model_events=request["model_events"])


def _event_type(name: str) -> str | None:
    """None stands for all types."""
    return None if name == "*" else name
