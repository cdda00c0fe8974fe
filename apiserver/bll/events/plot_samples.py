"""The plots of a metric at one iteration, with steps to the neighbours (spec C.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apiserver.bll.events.iterations import at_iterations, best_per_variant, exists, nearest, up_to
from apiserver.bll.events.logs import without_cursors
from apiserver.bll.events.walks import SECONDS, Walks, fits
from apiserver.bll.registry.directory import EntityKind, TaskDirectory
from apiserver.stores.base import EventStore, State
from apiserver.stores.records import PLOT, EventQuery, StoredEvent


class PlotSamples:
    """`get_plot_sample` and `next_plot_sample`. A walk visits groups (iteration, metric) in that order."""

    def __init__(self, store: EventStore, directory: TaskDirectory, state: State, ttl: float = SECONDS) -> None:
        self._store = store
        self._directory = directory
        self._walks = Walks(state, "plot_samples", ttl)

    def get(
        self,
        company: str,
        task: str,
        metric: str,
        *,
        iteration: int | None = None,
        refresh: bool = False,
        navigate_current_metric: bool = True,
        scroll_id: str | None = None,
        model_events: bool = False,
    ) -> dict[str, Any]:
        """`{scroll_id, events, min_iteration, max_iteration}`: the plots of all variants at the newest iteration of the metric, up to
        `iteration` if given, by variant.

        No events if there are none; the iterations are those of the metric, null if it is unknown. Plots without an iteration take no part.
        An unknown scroll id starts a new walk. Raises InvalidTask or InvalidModel; InvalidScroll when the walk is another company's, of
        another task, or through other metrics.
        """
        entity: EntityKind = "model" if model_events else "task"
        owner = self._directory.readable(company, [task], entity)[task].company
        found = self._walks.find(company, entity, task, scroll_id)
        events: list[StoredEvent] = []
        bounds: list[int] | None = None

        def show(state: dict[str, Any]) -> dict[str, Any]:
            nonlocal events, bounds
            events, bounds = [], state["metrics"].get(metric)
            if bounds is not None:
                query = EventQuery(task, [PLOT], metrics={metric: ()})
                newest = self._store.iterations(owner, query, descending=True, count=1, beyond=up_to(iteration))
                events = self._plots(owner, task, metric, newest[0]) if newest else []
            if events:
                state |= {"metric": metric, "iteration": events[0]["iter"]}
            return state

        def change(state: dict[str, Any]) -> dict[str, Any]:
            if not fits(state, metric, navigate_current_metric):
                raise self._walks.invalid(scroll_id, "walks through other metrics")
            if refresh:
                state["metrics"] = self._metrics(owner, task, metric if navigate_current_metric else None)
            return show(state)

        if found is None or scroll_id is None or not self._walks.step(scroll_id, change):
            state = {
                "company": company,
                "entity": entity,
                "task": task,
                "metric": metric,
                "iteration": None,
                "navigate_current_metric": navigate_current_metric,
                "metrics": self._metrics(owner, task, metric if navigate_current_metric else None),
            }
            scroll_id = self._walks.begin(show(state))
        return _answer(scroll_id, events, bounds)

    def next(
        self,
        company: str,
        task: str,
        *,
        scroll_id: str | None,
        earlier: bool = True,
        next_iteration: bool = False,
        model_events: bool = False,
    ) -> dict[str, Any]:
        """The group before (`earlier`) or after the current one; with `next_iteration` in another iteration. At an end there are no events
        and the walk stays where it is. Raises InvalidTask or InvalidModel; InvalidScroll when there is no such walk through this task."""
        entity: EntityKind = "model" if model_events else "task"
        owner = self._directory.readable(company, [task], entity)[task].company
        if self._walks.find(company, entity, task, scroll_id) is None or scroll_id is None:
            raise self._walks.invalid(scroll_id)
        events: list[StoredEvent] = []
        bounds: list[int] | None = None

        def change(state: dict[str, Any]) -> dict[str, Any] | None:
            nonlocal events, bounds
            events, bounds = [], None
            place = self._neighbour(owner, task, state, earlier, next_iteration)
            events = self._plots(owner, task, place[1], place[0]) if place is not None else []
            if not events:
                return None
            state |= {"metric": events[0]["metric"], "iteration": events[0]["iter"]}
            bounds = state["metrics"][state["metric"]]
            return state

        if not self._walks.step(scroll_id, change):
            raise self._walks.invalid(scroll_id)
        return _answer(scroll_id, events, bounds)

    def _neighbour(self, owner: str, task: str, state: dict[str, Any], earlier: bool, next_iteration: bool) -> tuple[int, str] | None:
        """Iteration and metric of the next group."""
        current, here = state["iteration"], state["metric"]
        if current is None:
            return None  # the walk has not shown anything yet
        metrics = [here] if state["navigate_current_metric"] else sorted(state["metrics"], reverse=earlier)
        if not next_iteration:
            beside = [metric for metric in metrics if (metric < here if earlier else metric > here)]
            found = self._first(owner, task, beside, current)
            if found is not None:
                return current, found
        query = EventQuery(task, [PLOT], metrics=dict.fromkeys(metrics, ()))
        other = self._store.iterations(owner, query, descending=earlier, count=1, beyond=current)
        if not other:
            return None
        found = self._first(owner, task, metrics, other[0])
        return None if found is None else (other[0], found)

    def _first(self, owner: str, task: str, metrics: Sequence[str], iteration: int) -> str | None:
        def found_in(some: Sequence[str]) -> bool:
            return exists(self._store, owner, task, PLOT, dict.fromkeys(some, ()), iteration)

        return nearest(metrics, found_in)

    def _plots(self, owner: str, task: str, metric: str, iteration: int) -> list[StoredEvent]:
        best = best_per_variant(PLOT, at_iterations(self._store, owner, task, PLOT, {metric: ()}, [iteration]))
        return without_cursors([best[place] for place in sorted(best)])

    def _metrics(self, owner: str, task: str, metric: str | None) -> dict[str, list[int]]:
        """metric -> [oldest, newest iteration]."""
        metrics: dict[str, list[int]] = {}
        for series in self._store.series(owner, [task], [PLOT], None if metric is None else {metric: ()}):
            if series.chart_min_iter is not None and series.chart_max_iter is not None:
                oldest, newest = metrics.get(series.key.metric, (series.chart_min_iter, series.chart_max_iter))
                metrics[series.key.metric] = [min(oldest, series.chart_min_iter), max(newest, series.chart_max_iter)]
        return metrics


def _answer(scroll_id: str, events: list[StoredEvent], bounds: list[int] | None) -> dict[str, Any]:
    oldest, newest = bounds or (None, None)
    return {"scroll_id": scroll_id, "events": events, "min_iteration": oldest, "max_iteration": newest}
