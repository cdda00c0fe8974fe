"""events.*: series of any tasks as columns of numbers, for pages that draw many charts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apiserver.bll.events.columns import CONTENT_TYPE
from apiserver.bll.events.metric_filter import metrics_filter
from apiserver.bll.events.series_charts import MAX_CHOICES, SeriesCharts, SeriesQuery, Wanted
from apiserver.bll.events.thumbnails import ChartThumbnails, ThumbnailQuery
from apiserver.errors import ValidationFailed
from apiserver.service_repo import Call, Encoded, RawResponse, endpoint
from apiserver.service_repo.call import Answer
from apiserver.services.event_owners import EventOwners
from apiserver.stores.records import shown_owner


class EventsSeriesService:
    """Reads many series in one call."""

    def __init__(self, owners: EventOwners, charts: SeriesCharts, thumbnails: ChartThumbnails) -> None:
        self._owners = owners
        self._charts = charts
        self._thumbnails = thumbnails

    @endpoint("events.get_series")
    def get_series(self, call: Call, request: dict[str, Any]) -> Answer:
        wanted: dict[str, list[dict[str, Any]]] = {}
        for entry in request["series"]:
            wanted.setdefault(entry["task"], []).append(entry)
        owners = self._owners.of_series(call, request, wanted)
        query = _series_query(request, tuple((id, _metrics_of(wanted[shown_owner(id)])) for id in owners))
        if _wants_columns(call):
            return _columns(self._charts.as_columns(owners, query))
        return Encoded(self._charts.as_json(owners, query))

    @endpoint("events.get_group_series")
    def get_group_series(self, call: Call, request: dict[str, Any]) -> Encoded:
        groups = {group["name"]: group["tasks"] for group in request["groups"]}
        tasks = list(dict.fromkeys(task for ids in groups.values() for task in ids))
        metrics = _metrics_of(request["metrics"])
        names = sum(max(1, len(variants)) for _, variants in metrics)
        if len(tasks) * names > MAX_CHOICES:
            raise ValidationFailed(
                "groups",
                f"groups of at most {MAX_CHOICES:,} series (tasks x metrics, or x variants if named); they have {len(tasks) * names:,}",
            )
        owners = self._owners.several(call, request, tasks)
        return Encoded(self._charts.groups(owners, _series_query(request, tuple((task, metrics) for task in tasks)), groups))

    @endpoint("events.get_thumbnails")
    def get_thumbnails(self, call: Call, request: dict[str, Any]) -> Answer:
        metrics = metrics_filter(request.get("metrics"))
        chosen = tuple((metric, tuple(variants)) for metric, variants in metrics.items()) if metrics else None
        query = ThumbnailQuery(chosen, request["width"])
        owners = self._owners.several(call, request, request["tasks"])
        if _wants_columns(call):
            return _columns(self._thumbnails.as_columns(owners, query))
        return Encoded(self._thumbnails.as_json(owners, query))


def _metrics_of(entries: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(metric, variants): entries for one metric are joined; one without variants means all of them."""
    wanted: dict[str, dict[str, None] | None] = {}  # None: all variants
    for entry in entries:
        known, more = wanted.setdefault(entry["metric"], {}), entry.get("variants")
        if not more:
            wanted[entry["metric"]] = None
        elif known is not None:
            known.update(dict.fromkeys(more))
    return tuple((metric, tuple(variants or ())) for metric, variants in wanted.items())


def _series_query(request: Mapping[str, Any], series: Wanted) -> SeriesQuery:
    return SeriesQuery(
        series=series,
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
