"""The plots of a metric at one iteration, with steps to the neighbours (spec C.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apiserver.bll.events.iterations import at_iterations, best_per_variant, exists, nearest, up_to
from apiserver.bll.events.logs import without_cursors
from apiserver.bll.events.navigation_sessions import SECONDS, Walk
from apiserver.bll.events.sample_navigation import Known, Place, Samples
from apiserver.bll.registry.directory import TaskDirectory
from apiserver.stores.base import EventStore, State
from apiserver.stores.records import PLOT, EventQuery, StoredEvent


class PlotSamples(Samples):
    """`get_plot_sample` and `next_plot_sample`. A walk visits groups (iteration, metric) in that order."""

    def __init__(self, store: EventStore, directory: TaskDirectory, state: State, ttl: float = SECONDS) -> None:
        super().__init__(store, directory, state, "plot_samples", ttl)

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
        return _answer(
            *self._show(
                company,
                task,
                {"metric": metric},
                iteration=iteration,
                refresh=refresh,
                navigate_current_metric=navigate_current_metric,
                scroll_id=scroll_id,
                model_events=model_events,
            )
        )

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
        and the walk stays where it is, under the same id. Raises InvalidTask or InvalidModel; InvalidScroll when there is no such walk through this task."""
        return _answer(
            *self._step(company, task, scroll_id=scroll_id, earlier=earlier, next_iteration=next_iteration, model_events=model_events)
        )

    def _neighbour(self, owner: str, task: str, walk: Walk, earlier: bool, next_iteration: bool) -> list[StoredEvent]:
        current, here = walk.place["iteration"], walk.place["metric"]
        metrics = [here] if walk.place["inside"] else sorted(walk.known["metrics"], reverse=earlier)
        if not next_iteration:
            beside = [metric for metric in metrics if (metric < here if earlier else metric > here)]
            found = self._first(owner, task, beside, current)
            if found is not None:
                return self._plots(owner, task, found, current)
        query = EventQuery(task, [PLOT], metrics=dict.fromkeys(metrics, ()))
        other = self._store.iterations(owner, query, descending=earlier, count=1, beyond=current)
        found = self._first(owner, task, metrics, other[0]) if other else None
        return [] if found is None else self._plots(owner, task, found, other[0])

    def _newest(self, owner: str, task: str, place: Place, oldest: int, iteration: int | None) -> list[StoredEvent]:
        query = EventQuery(task, [PLOT], metrics={place["metric"]: ()})
        newest = self._store.iterations(owner, query, descending=True, count=1, beyond=up_to(iteration))
        return self._plots(owner, task, place["metric"], newest[0]) if newest else []

    def _bounds(self, known: Known, place: Place) -> list[int] | None:
        found: list[int] | None = known["metrics"].get(place["metric"])
        return found

    def _first(self, owner: str, task: str, metrics: Sequence[str], iteration: int) -> str | None:
        def found_in(some: Sequence[str]) -> bool:
            return exists(self._store, owner, task, PLOT, dict.fromkeys(some, ()), iteration)

        return nearest(metrics, found_in)

    def _plots(self, owner: str, task: str, metric: str, iteration: int) -> list[StoredEvent]:
        best = best_per_variant(PLOT, at_iterations(self._store, owner, task, PLOT, {metric: ()}, [iteration]))
        return without_cursors([best[place] for place in sorted(best)])

    def _survey(self, owner: str, task: str, metric: str | None) -> Known:
        """`metrics`: metric -> [oldest, newest iteration]."""
        metrics: dict[str, list[int]] = {}
        for series in self._store.series(owner, [task], [PLOT], None if metric is None else {metric: ()}):
            if series.chart_min_iter is not None and series.chart_max_iter is not None:
                oldest, newest = metrics.get(series.key.metric, (series.chart_min_iter, series.chart_max_iter))
                metrics[series.key.metric] = [min(oldest, series.chart_min_iter), max(newest, series.chart_max_iter)]
        return {"metrics": metrics}


def _answer(scroll_id: str, events: list[StoredEvent], bounds: list[int] | None) -> dict[str, Any]:
    oldest, newest = bounds or (None, None)
    return {"scroll_id": scroll_id, "events": events, "min_iteration": oldest, "max_iteration": newest}
