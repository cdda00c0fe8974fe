"""events.*: charts, raw points and last values of scalars; vectors."""

from __future__ import annotations

from typing import Any

from apiserver.bll.events.charts import ChartQuery, Charts
from apiserver.bll.events.latest import Latest
from apiserver.bll.events.listing import Listing
from apiserver.bll.events.metric_filter import metrics_filter
from apiserver.bll.events.pages import EventPages
from apiserver.bll.events.vectors import Vectors
from apiserver.service_repo import Call, Encoded, endpoint
from apiserver.services.event_owners import EventOwners, scroll_of
from apiserver.stores.records import SCALAR, VECTOR


class EventsScalarsService:
    """Reads scalars and vectors."""

    def __init__(self, owners: EventOwners, charts: Charts, latest: Latest, listing: Listing, pages: EventPages, vectors: Vectors) -> None:
        self._owners = owners
        self._charts = charts
        self._latest = latest
        self._listing = listing
        self._pages = pages
        self._vectors = vectors

    @endpoint("events.scalar_metrics_iter_histogram")
    def scalar_metrics_iter_histogram(self, call: Call, request: dict[str, Any]) -> Encoded:
        return Encoded(self._charts.of_owner(self._owners.one(call, request), _chart_query(request)))

    @endpoint("events.multi_task_scalar_metrics_iter_histogram")
    def multi_task_scalar_metrics_iter_histogram(self, call: Call, request: dict[str, Any]) -> Encoded:
        return Encoded(self._charts.of_owners(self._owners.several(call, request, request["tasks"]), _chart_query(request)))

    @endpoint("events.scalar_metrics_iter_raw", min_version="2.16")
    def scalar_metrics_iter_raw(self, call: Call, request: dict[str, Any]) -> Encoded:
        page = self._pages.raw(
            self._owners.one(call, request),
            scroll_of(call, request),
            request["metric"]["metric"],
            request["metric"].get("variants") or (),
            key=request["key"],
            batch_size=request["batch_size"],
            count_total=request["count_total"],
        )
        return Encoded(page)

    @endpoint("events.get_scalar_metric_data")
    def get_scalar_metric_data(self, call: Call, request: dict[str, Any]) -> Encoded:
        page = self._pages.of_metric(
            self._owners.one(call, request),
            scroll_of(call, request),
            request["metric"],
            no_scroll=request["no_scroll"],
        )
        return Encoded(page)

    @endpoint("events.get_scalar_metrics_and_variants")
    def get_scalar_metrics_and_variants(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"metrics": self._listing.variants(self._owners.one(call, request), SCALAR)}

    @endpoint("events.get_task_latest_scalar_values")
    def get_task_latest_scalar_values(self, call: Call, request: dict[str, Any]) -> Encoded:
        return Encoded(self._latest.of_owner(self._owners.task(call, request)))

    @endpoint("events.get_task_single_value_metrics")
    def get_task_single_value_metrics(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        metrics = metrics_filter(request.get("metrics"))
        return {"tasks": self._latest.single_values(self._owners.several(call, request, request["tasks"]), metrics)}

    @endpoint("events.get_vector_metrics_and_variants")
    def get_vector_metrics_and_variants(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"metrics": self._listing.variants(self._owners.one(call, request), VECTOR)}

    @endpoint("events.vector_metrics_iter_histogram")
    def vector_metrics_iter_histogram(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._vectors.of_series(self._owners.one(call, request), request["metric"], request["variant"])


def _chart_query(request: dict[str, Any]) -> ChartQuery:
    metrics = metrics_filter(request.get("metrics"))
    return ChartQuery(
        samples=request["samples"],
        key=request["key"],
        metrics=tuple((metric, tuple(variants)) for metric, variants in metrics.items()) if metrics else None,
        envelope=request["aggregation"] == "envelope",
        x_min=request.get("x_min"),
        x_max=request.get("x_max"),
        keep_non_finite=request["non_finite"] == "null",
    )
