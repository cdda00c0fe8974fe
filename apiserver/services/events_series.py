"""events.*: series of any tasks as columns of numbers, for pages that draw many charts."""

from __future__ import annotations

from typing import Any

from apiserver.bll.events.columns import CONTENT_TYPE
from apiserver.bll.events.metric_filter import metrics_filter
from apiserver.bll.events.series_charts import SeriesCharts, SeriesQuery
from apiserver.bll.events.thumbnails import ChartThumbnails, ThumbnailQuery
from apiserver.service_repo import Call, Encoded, RawResponse, endpoint
from apiserver.service_repo.call import Answer
from apiserver.services.event_owners import EventOwners


class EventsSeriesService:
    """Reads many series in one call."""

    def __init__(self, owners: EventOwners, charts: SeriesCharts, thumbnails: ChartThumbnails) -> None:
        self._owners = owners
        self._charts = charts
        self._thumbnails = thumbnails

    @endpoint("events.get_series")
    def get_series(self, call: Call, request: dict[str, Any]) -> Answer:
        query = _series_query(request)
        owners = self._owners.several(call, request, [task for task, _ in query.series])
        if _wants_columns(call):
            return _columns(self._charts.as_columns(owners, query))
        return Encoded(self._charts.as_json(owners, query))

    @endpoint("events.get_group_series")
    def get_group_series(self, call: Call, request: dict[str, Any]) -> Encoded:
        groups = {group["name"]: group["tasks"] for group in request["groups"]}
        tasks = list(dict.fromkeys(task for ids in groups.values() for task in ids))
        wanted = [{"task": task, **entry} for task in tasks for entry in request["metrics"]]
        owners = self._owners.several(call, request, tasks)
        return Encoded(self._charts.groups(owners, _series_query({**request, "series": wanted}), groups))

    @endpoint("events.get_thumbnails")
    def get_thumbnails(self, call: Call, request: dict[str, Any]) -> Answer:
        metrics = metrics_filter(request.get("metrics"))
        chosen = tuple((metric, tuple(variants)) for metric, variants in metrics.items()) if metrics else None
        query = ThumbnailQuery(chosen, request["width"])
        owners = self._owners.several(call, request, request["tasks"])
        if _wants_columns(call):
            return _columns(self._thumbnails.as_columns(owners, query))
        return Encoded(self._thumbnails.as_json(owners, query))


def _series_query(request: dict[str, Any]) -> SeriesQuery:
    """Entries for the same metric of a task are joined; one without variants means all of them."""
    wanted: dict[str, dict[str, tuple[str, ...]]] = {}
    for entry in request["series"]:
        metrics = wanted.setdefault(entry["task"], {})
        known, more = metrics.get(entry["metric"]), tuple(entry.get("variants") or ())
        metrics[entry["metric"]] = () if known == () or not more else tuple(dict.fromkeys((known or ()) + more))
    return SeriesQuery(
        series=tuple((task, tuple(metrics.items())) for task, metrics in wanted.items()),
        axis=request["axis"],
        buckets=request["buckets"],
        x_min=request.get("x_min"),
        x_max=request.get("x_max"),
        since_seq=request.get("since_seq"),
    )


def _wants_columns(call: Call) -> bool:
    return CONTENT_TYPE in call.headers.get("Accept", "")


def _columns(body: bytes) -> RawResponse:
    return RawResponse(body, CONTENT_TYPE, {"Vary": "Accept"})
