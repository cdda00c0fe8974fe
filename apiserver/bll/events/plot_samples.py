"""The plots of a metric at one iteration, with steps to their neighbours (docs/protocol.md, "Plots")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from apiserver.bll.events.iterations import at_iterations, best_per_variant, exists, nearest, up_to
from apiserver.bll.events.plot_text import make_readable
from apiserver.bll.events.sample_navigation import SampleCursor, SampleNavigation, Span
from apiserver.bll.events.scrolls import Scroll
from apiserver.bll.registry.directory import Owner
from apiserver.stores.base import EventReader
from apiserver.stores.records import PLOT, EventQuery, StoredEvent
from apiserver.stores.state import State


class PlotSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`metrics`: metric -> (oldest, newest iteration)."""

    metrics: dict[str, Span]


class PlotSamples(SampleNavigation[PlotSnapshot]):
    """`get_plot_sample` and `next_plot_sample`: groups of plots in the order (iteration, metric)."""

    def __init__(self, events: EventReader, state: State, ttl: float) -> None:
        super().__init__(events, state, "plot_samples", PlotSnapshot, ttl)

    def get(
        self,
        owner: Owner,
        scroll: Scroll,
        metric: str,
        *,
        iteration: int | None = None,
        refresh: bool = False,
        navigate_current_metric: bool = True,
    ) -> dict[str, Any]:
        """`{scroll_id, events, min_iteration, max_iteration}`: the plots of all variants at the newest iteration of the metric, up to
        `iteration` if given, by variant.

        No events if there are none; the iterations are those of the metric, null if it is unknown. Plots without an iteration take no part.
        An unknown scroll id starts a new session. Raises InvalidScroll when the session is another company's, of another task, or navigates
        other metrics.
        """
        asked = SampleCursor(metric, navigate_current_metric)
        return _answer(*self._show(owner, scroll, asked, iteration=iteration, refresh=refresh))

    def next(self, owner: Owner, scroll: Scroll, *, earlier: bool = True, next_iteration: bool = False) -> dict[str, Any]:
        """The group before (`earlier`) or after the current one; with `next_iteration` in another iteration. At an end there are no events
        and the session stays where it is, under the same id. Raises InvalidScroll when the task has no such session."""
        return _answer(*self._step(owner, scroll, earlier=earlier, next_iteration=next_iteration))

    def _neighbour(
        self, owner: Owner, snapshot: PlotSnapshot, cursor: SampleCursor, earlier: bool, next_iteration: bool
    ) -> list[StoredEvent]:
        current, here = cursor.iteration or 0, cursor.metric
        metrics = [here] if cursor.within_metric else sorted(snapshot.metrics, reverse=earlier)
        if not next_iteration:
            beside = [metric for metric in metrics if (metric < here if earlier else metric > here)]
            found = self._first(owner, beside, current)
            if found is not None:
                return self._plots(owner, found, current)
        query = EventQuery(owner.id, [PLOT], metrics=dict.fromkeys(metrics, ()))
        other = self._events.iterations(owner.company, query, descending=earlier, count=1, beyond=current)
        found = self._first(owner, metrics, other[0]) if other else None
        return [] if found is None else self._plots(owner, found, other[0])

    def _newest(self, owner: Owner, cursor: SampleCursor, oldest: int, iteration: int | None) -> list[StoredEvent]:
        query = EventQuery(owner.id, [PLOT], metrics={cursor.metric: ()})
        newest = self._events.iterations(owner.company, query, descending=True, count=1, beyond=up_to(iteration))
        return self._plots(owner, cursor.metric, newest[0]) if newest else []

    def _span(self, snapshot: PlotSnapshot, cursor: SampleCursor) -> Span | None:
        return snapshot.metrics.get(cursor.metric)

    def _moved(self, cursor: SampleCursor, event: StoredEvent) -> SampleCursor:
        return SampleCursor(event["metric"], cursor.within_metric, iteration=event["iter"])

    def _first(self, owner: Owner, metrics: Sequence[str], iteration: int) -> str | None:
        def found_in(some: Sequence[str]) -> bool:
            return exists(self._events, owner, PLOT, dict.fromkeys(some, ()), iteration)

        return nearest(metrics, found_in)

    def _plots(self, owner: Owner, metric: str, iteration: int) -> list[StoredEvent]:
        best = best_per_variant(PLOT, at_iterations(self._events, owner, PLOT, {metric: ()}, [iteration]))
        found = [best[variant] for variant in sorted(best)]
        make_readable(found)
        return found

    def _survey(self, owner: Owner, metric: str | None) -> PlotSnapshot:
        metrics: dict[str, Span] = {}
        for series in self._events.series(owner.company, [owner.id], [PLOT], None if metric is None else {metric: ()}):
            if series.chart_min_iter is not None and series.chart_max_iter is not None:
                oldest, newest = metrics.get(series.key.metric, (series.chart_min_iter, series.chart_max_iter))
                metrics[series.key.metric] = min(oldest, series.chart_min_iter), max(newest, series.chart_max_iter)
        return PlotSnapshot(metrics)


def _answer(scroll_id: str, events: list[StoredEvent], span: Span | None) -> dict[str, Any]:
    oldest, newest = span or (None, None)
    return {"scroll_id": scroll_id, "events": events, "min_iteration": oldest, "max_iteration": newest}
