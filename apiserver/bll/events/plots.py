"""The last plots of one task, and of tasks side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import msgspec

from apiserver.bll.events.charts import ids_by_company
from apiserver.bll.events.metric_filter import selection_of
from apiserver.bll.events.newest_events import newest_first, newest_per_series
from apiserver.bll.events.pages import last_arrival
from apiserver.bll.events.plot_text import make_readable
from apiserver.bll.events.scrolls import END, LastPage, Scroll, Scrolls, ScrollState
from apiserver.bll.registry.directory import Owner
from apiserver.stores.base import EventReader
from apiserver.stores.records import PLOT, Cursor, EventQuery, Metrics, Series, StoredEvent, events_of

PAGE_PLOTS = 1_000
PAGE_CHARACTERS = 32_000_000
"""Limits of a page of several tasks' plots: number of plots, and characters of their JSON."""
SLICE = 100

Tree = dict[str, dict[str, dict[str, dict[str, dict[str, Any]]]]]
"""metric -> variant -> task -> iteration -> {name, plots}"""


class TaskPlotsScroll(LastPage, frozen=True, forbid_unknown_fields=True):
    endpoint: ClassVar[str] = "get_task_plots"


class SeriesPlotsScroll(LastPage, frozen=True, forbid_unknown_fields=True):
    endpoint: ClassVar[str] = "get_multi_task_plots_of_series"


class PlotGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """Plots that are read together: those of some metrics of a task at one iteration."""

    task: str
    iteration: int
    metrics: list[str]


class PlotsScroll(ScrollState, frozen=True, forbid_unknown_fields=True):
    """`groups`: all that is shown, newest iteration first. `until`: task -> the greatest seq that is shown. `iters`: plots per series and page.
    `variants`: the filter of the request, by metric. The next page starts in `groups[group]` behind `cursor`. `total`: plots of all pages."""

    endpoint: ClassVar[str] = "get_multi_task_plots"
    groups: list[PlotGroup]
    until: dict[str, int]
    iters: int
    variants: dict[str, list[str]]
    group: int = 0
    cursor: Cursor | None = None
    total: int | None = None

    def query(self, group: PlotGroup) -> EventQuery:
        """The plots of a group."""
        metrics = {name: self.variants.get(name, []) for name in group.metrics}
        return EventQuery(group.task, [PLOT], metrics=metrics, iters=[group.iteration], until_seq=self.until[group.task])


class Plots:
    """`get_task_plots` and `get_multi_task_plots`. InvalidScroll for ids of other scrolls."""

    def __init__(self, events: EventReader, scrolls: Scrolls) -> None:
        self._events = events
        self._scrolls = scrolls

    def of_owner(self, owner: Owner, *, iters: int = 1, metrics: Metrics | None = None) -> dict[str, Any]:
        """`{plots, returned, total, scroll_id}`: of every metric and variant the `iters` plots with the greatest iterations, all in one
        answer: metric, variant ascending, iteration descending. Plots that were found not to be JSON when they arrived are left out."""
        plots = newest_per_series(self._events, owner, PLOT, metrics, iters, lambda event: event.get("valid_plot") is not False)
        events = events_of(plots)
        make_readable(events)
        return {"plots": events, "returned": len(plots), "total": len(plots), "scroll_id": None}

    def of_owner_scrolled(self, owner: Owner, scroll: Scroll, *, iters: int = 1, metrics: Metrics | None = None) -> dict[str, Any]:
        """For API versions before 1.8: newest iteration first, not filtered by validity; `total` counts all plots of the task. The second page is
        empty and ends the scroll."""
        if scroll.id == END:
            return {"plots": [], "returned": 0, "total": 0, "scroll_id": None}
        state = self._scrolls.resume(TaskPlotsScroll, [owner], scroll)
        if state is not None:
            return {"plots": [], "returned": 0, "total": state.total, "scroll_id": END}
        total = sum(series.count for series in self._events.series(owner.company, [owner.id], [PLOT], metrics))
        plots = newest_first(newest_per_series(self._events, owner, PLOT, metrics, iters))
        make_readable(plots)
        next_id = self._scrolls.keep(TaskPlotsScroll(total), [owner], scroll) if plots else END
        return {"plots": plots, "returned": len(plots), "total": total, "scroll_id": next_id}

    def of_owners(
        self,
        owners: Mapping[str, Owner],
        scroll: Scroll,
        *,
        iters: int = 1,
        per_metric: bool = True,
        metrics: Metrics | None = None,
        no_scroll: bool = False,
    ) -> dict[str, Any]:
        """`{plots: metric -> variant -> task -> iteration -> {name, plots}, returned, total, scroll_id}`, keys descending.

        The plots of the last `iters` iterations of every metric of each task (or, not `per_metric`, of each task), at most `iters` per
        series. A page holds about 1,000 plots; with `no_scroll` everything is in one answer. `returned` counts the metrics of the page,
        `total` the plots of all pages.
        """
        if scroll.id == END:
            return _side_by_side({}, 0, None)
        state = self._scrolls.resume(PlotsScroll, owners.values(), scroll)
        if state is None:
            state = self._plan(owners, min(iters, 1_000_000), per_metric, metrics)
        tree: Tree = {}
        state = self._read(owners, state, tree, None if no_scroll else PAGE_PLOTS)
        total = state.total or 0
        if not tree:
            return _side_by_side({}, total, None if no_scroll else END)
        return _side_by_side(tree, total, None if no_scroll else self._scrolls.keep(state, owners.values(), scroll))

    def of_owners_scrolled(
        self, owners: Mapping[str, Owner], scroll: Scroll, *, iters: int = 1, metrics: Metrics | None = None
    ) -> dict[str, Any]:
        """For API versions before 1.8: the last `iters` plots of every series, in one page; `total` counts all plots of the tasks."""
        if scroll.id == END:
            return _side_by_side({}, 0, None)
        state = self._scrolls.resume(SeriesPlotsScroll, owners.values(), scroll)
        if state is not None:
            return _side_by_side({}, state.total, END)
        tree: Tree = {}
        total = 0
        for owner in owners.values():
            total += sum(series.count for series in self._events.series(owner.company, [owner.id], [PLOT], metrics))
            _plant(tree, owner, events_of(newest_per_series(self._events, owner, PLOT, metrics, iters)), iters)
        next_id = self._scrolls.keep(SeriesPlotsScroll(total), owners.values(), scroll) if tree else END
        return _side_by_side(tree, total, next_id)

    def _plan(self, owners: Mapping[str, Owner], iters: int, per_metric: bool, metrics: Metrics | None) -> PlotsScroll:
        """The state before the first page: the groups to read."""
        plan: list[PlotGroup] = []
        until: dict[str, int] = {}
        by_task: dict[str, list[Series]] = {task: [] for task in owners}
        for company, ids in ids_by_company(owners.values()).items():
            for one in self._events.series(company, ids, [PLOT], metrics):
                by_task[one.key.task].append(one)
        for task, owner in owners.items():
            series = by_task[task]
            until[task] = last_arrival(series)
            groups: dict[str, list[tuple[str, int]]] = {}
            for one in series:
                if one.chart_max_iter is not None:
                    groups.setdefault(one.key.metric if per_metric else "", []).append((one.key.metric, one.chart_max_iter))
            by_iteration: dict[int, set[str]] = {}
            for group in groups.values():
                names = {metric for metric, _ in group}
                last = [max(iteration for _, iteration in group)]
                if iters > 1:
                    query = EventQuery(task, [PLOT], metrics={name: (metrics or {}).get(name, ()) for name in names})
                    last = self._events.iterations(owner.company, query, descending=True, count=iters)
                for iteration in last:
                    by_iteration.setdefault(iteration, set()).update(names)
            plan += [PlotGroup(task, iteration, sorted(names)) for iteration, names in by_iteration.items()]
        plan.sort(key=lambda group: -group.iteration)
        return PlotsScroll(plan, until, iters, selection_of(metrics) or {})

    def _read(self, owners: Mapping[str, Owner], state: PlotsScroll, tree: Tree, most: int | None) -> PlotsScroll:
        """Fill `tree` with a page; the state after it."""
        groups, number, after = state.groups, state.group, state.cursor
        read = characters = 0
        while number < len(groups):
            owner = owners[groups[number].task]
            page = self._events.page(owner.company, state.query(groups[number]), "iter", descending=True, after=after, limit=SLICE)
            _plant(tree, owner, events_of(page), state.iters)
            read += len(page)
            characters += sum(len(event.get("plot_str") or "") for event, _ in page)
            if len(page) < SLICE:
                number, after = number + 1, None
            else:
                after = page[-1].cursor
            if most is not None and (read >= most or characters >= PAGE_CHARACTERS):
                break
        total = state.total
        if total is None and number == len(groups):
            total = read
        elif total is None:
            total = sum(self._events.count(owners[group.task].company, state.query(group)) for group in groups)
        if number == len(groups):
            return msgspec.structs.replace(state, groups=[], group=0, cursor=None, total=total)
        return msgspec.structs.replace(state, group=number, cursor=after, total=total)


def _plant(tree: Tree, owner: Owner, plots: Iterable[StoredEvent], most: int) -> None:
    """Put plots (newest first) into the tree, at most `most` per series and page. The key of plots without iteration is "null"."""
    for plot in plots:
        of_task = tree.setdefault(plot["metric"], {}).setdefault(plot["variant"], {}).setdefault(owner.id, {})
        if sum(len(leaf["plots"]) for leaf in of_task.values()) < most:
            iteration = plot.get("iter")
            leaf = of_task.setdefault("null" if iteration is None else str(iteration), {"name": owner.name, "plots": []})
            make_readable([plot])
            leaf["plots"].append(plot)


def _side_by_side(tree: Tree, total: int, scroll_id: str | None) -> dict[str, Any]:
    plots = {
        metric: {
            variant: {task: _descending(tree[metric][variant][task]) for task in sorted(tree[metric][variant], reverse=True)}
            for variant in sorted(tree[metric], reverse=True)
        }
        for metric in sorted(tree, reverse=True)
    }
    return {"plots": plots, "returned": len(plots), "total": total, "scroll_id": scroll_id}


def _descending(leaves: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    ordered = sorted(leaves, key=lambda iteration: (iteration != "null", int(iteration) if iteration != "null" else 0), reverse=True)
    return {iteration: leaves[iteration] for iteration in ordered}
