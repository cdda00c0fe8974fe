"""events.*: plots, the last ones of tasks, in pages of iterations, and one group at a time."""

from __future__ import annotations

from typing import Any

from apiserver.bll.events.metric_filter import metrics_filter
from apiserver.bll.events.navigation import Navigation
from apiserver.bll.events.plot_samples import PlotSamples
from apiserver.bll.events.plots import Plots
from apiserver.service_repo import Call, endpoint
from apiserver.stores.records import PLOT


class EventsPlotsService:
    """Shows plots."""

    def __init__(self, plots: Plots, navigation: Navigation, samples: PlotSamples) -> None:
        self._plots = plots
        self._navigation = navigation
        self._samples = samples

    @endpoint("events.get_task_plots", min_version="1.8")
    def get_task_plots(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        metrics = metrics_filter(request.get("metrics"))
        return self._plots.of_task(
            call.company, request["task"], iters=request["iters"], metrics=metrics, model_events=request["model_events"]
        )

    @endpoint("events.get_task_plots")
    def get_task_plots_scrolled(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._plots.of_task_scrolled(
            call.company,
            request["task"],
            iters=request["iters"],
            metrics=metrics_filter(request.get("metrics")),
            scroll_id=request.get("scroll_id"),
            model_events=request["model_events"],
        )

    @endpoint("events.get_multi_task_plots", min_version="1.8")
    def get_multi_task_plots(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._plots.of_tasks(
            call.company,
            request["tasks"],
            iters=request["iters"],
            per_metric=request["last_iters_per_task_metric"],
            metrics=metrics_filter(request.get("metrics")),
            no_scroll=request["no_scroll"],
            scroll_id=request.get("scroll_id"),
            model_events=request["model_events"],
        )

    @endpoint("events.get_multi_task_plots")
    def get_multi_task_plots_scrolled(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._plots.of_tasks_scrolled(
            call.company,
            request["tasks"],
            iters=request["iters"],
            metrics=metrics_filter(request.get("metrics")),
            scroll_id=request.get("scroll_id"),
            model_events=request["model_events"],
        )

    @endpoint("events.plots")
    def plots(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._navigation.page(
            call.company,
            PLOT,
            request["metrics"],
            iters=request["iters"],
            earlier=request["navigate_earlier"],
            refresh=request["refresh"],
            scroll_id=request.get("scroll_id"),
            model_events=request["model_events"],
        )

    @endpoint("events.get_plot_sample")
    def get_plot_sample(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._samples.get(
            call.company,
            request["task"],
            request["metric"],
            iteration=request.get("iteration"),
            refresh=request["refresh"],
            navigate_current_metric=request["navigate_current_metric"],
            scroll_id=request.get("scroll_id"),
            model_events=request["model_events"],
        )

    @endpoint("events.next_plot_sample")
    def next_plot_sample(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._samples.next(
            call.company,
            request["task"],
            scroll_id=request.get("scroll_id"),
            earlier=request["navigate_earlier"],
            next_iteration=request["next_iteration"],
            model_events=request["model_events"],
        )
