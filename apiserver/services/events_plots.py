"""events.*: plots, the last ones of tasks, in pages of iterations, and one group at a time."""

from __future__ import annotations

from typing import Any

from apiserver.bll.events.metric_filter import metrics_filter, selections_by_task
from apiserver.bll.events.navigation import Navigation
from apiserver.bll.events.plot_samples import PlotSamples
from apiserver.bll.events.plots import Plots
from apiserver.service_repo import Call, endpoint
from apiserver.services.event_owners import EventOwners, scroll_of
from apiserver.stores.records import PLOT


class EventsPlotsService:
    """Reads plots."""

    def __init__(self, owners: EventOwners, plots: Plots, navigation: Navigation, samples: PlotSamples) -> None:
        self._owners = owners
        self._plots = plots
        self._navigation = navigation
        self._samples = samples

    @endpoint("events.get_task_plots", min_version="1.8")
    def get_task_plots(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        metrics = metrics_filter(request.get("metrics"))
        return self._plots.of_owner(self._owners.one(call, request), iters=request["iters"], metrics=metrics)

    @endpoint("events.get_task_plots")
    def get_task_plots_scrolled(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._plots.of_owner_scrolled(
            self._owners.one(call, request),
            scroll_of(call, request),
            iters=request["iters"],
            metrics=metrics_filter(request.get("metrics")),
        )

    @endpoint("events.get_multi_task_plots", min_version="1.8")
    def get_multi_task_plots(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._plots.of_owners(
            self._owners.several(call, request, request["tasks"]),
            scroll_of(call, request),
            iters=request["iters"],
            per_metric=request["last_iters_per_task_metric"],
            metrics=metrics_filter(request.get("metrics")),
            no_scroll=request["no_scroll"],
        )

    @endpoint("events.get_multi_task_plots")
    def get_multi_task_plots_scrolled(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._plots.of_owners_scrolled(
            self._owners.several(call, request, request["tasks"]),
            scroll_of(call, request),
            iters=request["iters"],
            metrics=metrics_filter(request.get("metrics")),
        )

    @endpoint("events.plots")
    def plots(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        selections = selections_by_task(request["metrics"])
        return self._navigation.page(
            self._owners.several(call, request, selections),
            scroll_of(call, request),
            PLOT,
            selections,
            iters=request["iters"],
            earlier=request["navigate_earlier"],
            refresh=request["refresh"],
        )

    @endpoint("events.get_plot_sample")
    def get_plot_sample(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._samples.get(
            self._owners.one(call, request),
            scroll_of(call, request),
            request["metric"],
            iteration=request.get("iteration"),
            refresh=request["refresh"],
            navigate_current_metric=request["navigate_current_metric"],
        )

    @endpoint("events.next_plot_sample")
    def next_plot_sample(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._samples.next(
            self._owners.one(call, request),
            scroll_of(call, request),
            earlier=request["navigate_earlier"],
            next_iteration=request["next_iteration"],
        )
