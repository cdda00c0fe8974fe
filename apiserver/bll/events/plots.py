"""The last plots of one task, and of tasks side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apiserver.bll.events.charts import ids_by_company
from apiserver.bll.events.newest_events import newest_first, newest_per_series
from apiserver.bll.events.pages import last_arrival
from apiserver.bll.events.scrolls import END, Scroll, Scrolls
from apiserver.bll.registry.directory import Owner
from apiserver.stores.base import EventReader
from apiserver.stores.records import PLOT, Cursor, EventQuery, Metrics, Series, StoredEvent, events_of

PAGE_PLOTS = 1_000
PAGE_CHARACTERS = 32_000_000
"""A page of plots side by side ends after so many plots, or so much plot text."""
SLICE = 100

Tree = dict[str, dict[str, dict[str, dict[str, dict[str, Any]]]]]
"""metric -> variant -> task -> iteration -> {name, plots}"""


class Plots:
    """`get_task_plots` and `get_multi_task_plots`. InvalidScroll for ids of other scrolls."""

    def __init__(self, events: EventReader, scrolls: Scrolls) -> None:
        self._events = events
        self._scrolls = scrolls

    def of_owner(self, owner: Owner, *, iters: int = 1, metrics: Metrics | None = None) -> dict[str, Any]:
        """`{plots, returned, total, scroll_id}`: of every metric and variant the `iters` plots with the greatest iterations, all in one
        answer: metric, variant ascending, iteration descending. Plots that were found to be no JSON when they came in are left out."""
        plots = newest_per_series(self._events, owner, PLOT, metrics, iters, lambda event: event.get("valid_plot") is not False)
        return {"plots": events_of(plots), "returned": len(plots), "total": len(plots), "scroll_id": None}

    def of_owner_scrolled(self, owner: Owner, scroll: Scroll, *, iters: int = 1, metrics: Metrics | None = None) -> dict[str, Any]:
        """As clients below 1.8 ask: newest iteration first, not filtered by validity; `total` counts all plots of the task. The second page
        is empty and ends the scroll."""
        if scroll.id == END:
            return {"plots": [], "returned": 0, "total": 0, "scroll_id": None}
        state = self._scrolls.resume("get_task_plots", [owner], scroll)
        if state is not None:
            return {"plots": [], "returned": 0, "total": state["total"], "scroll_id": END}
        total = sum(series.count for series in self._events.series(owner.company, [owner.id], [PLOT], metrics))
        plots = newest_first(newest_per_series(self._events, owner, PLOT, metrics, iters))
        next_id = self._scrolls.keep("get_task_plots", [owner], scroll, {"total": total}) if plots else END
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
        state = self._scrolls.resume("get_multi_task_plots", owners.values(), scroll)
        if state is None:
            state = self._plan(owners, min(iters, 1_000_000), per_metric, metrics)
        tree: Tree = {}
        position, total = self._read(owners, state, tree, None if no_scroll else PAGE_PLOTS)
        if not tree:
            return _side_by_side({}, total, None if no_scroll else END)
        next_id = None
        if not no_scroll:
            rest = {"units": []} if position[0] == len(state["units"]) else {"position": position}
            next_id = self._scrolls.keep(
                "get_multi_task_plots", owners.values(), scroll, state | {"position": [0, None], "total": total} | rest
            )
        return _side_by_side(tree, total, next_id)

    def of_owners_scrolled(
        self, owners: Mapping[str, Owner], scroll: Scroll, *, iters: int = 1, metrics: Metrics | None = None
    ) -> dict[str, Any]:
        """As clients below 1.8 ask: the last `iters` plots of every series, in one page; `total` counts all plots of the tasks."""
        if scroll.id == END:
            return _side_by_side({}, 0, None)
        state = self._scrolls.resume("get_multi_task_plots_of_series", owners.values(), scroll)
        if state is not None:
            return _side_by_side({}, state["total"], END)
        tree: Tree = {}
        total = 0
        for owner in owners.values():
            total += sum(series.count for series in self._events.series(owner.company, [owner.id], [PLOT], metrics))
            _plant(tree, owner, events_of(newest_per_series(self._events, owner, PLOT, metrics, iters)), iters)
        next_id = self._scrolls.keep("get_multi_task_plots_of_series", owners.values(), scroll, {"total": total}) if tree else END
        return _side_by_side(tree, total, next_id)

    def _plan(self, owners: Mapping[str, Owner], iters: int, per_metric: bool, metrics: Metrics | None) -> dict[str, Any]:
        """What is to be read: `units` of [task, iteration, metrics], newest iteration first; `until` bounds the arrival per task."""
        units: list[list[Any]] = []
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
            units += [[task, iteration, sorted(names)] for iteration, names in by_iteration.items()]
        units.sort(key=lambda unit: -unit[1])
        variants = {metric: list(wanted) for metric, wanted in metrics.items()} if metrics is not None else {}
        return {"units": units, "until": until, "iters": iters, "variants": variants, "position": [0, None], "total": None}

    def _read(self, owners: Mapping[str, Owner], state: dict[str, Any], tree: Tree, most: int | None) -> tuple[list[Any], int]:
        """Fill `tree` with a page; where the next one starts, and how many plots there are on all pages."""
        units, (number, start) = state["units"], state["position"]
        after = Cursor(*start) if start else None
        read = characters = 0
        while number < len(units):
            owner = owners[units[number][0]]
            query = _unit_query(state, units[number])
            page = self._events.page(owner.company, query, "iter", descending=True, after=after, limit=SLICE)
            _plant(tree, owner, events_of(page), state["iters"])
            read += len(page)
            characters += sum(len(event.get("plot_str") or "") for event, _ in page)
            if len(page) < SLICE:
                number, after = number + 1, None
            else:
                after = page[-1].cursor
            if most is not None and (read >= most or characters >= PAGE_CHARACTERS):
                break
        total = state["total"]
        if total is None:
            total = (
                read
                if number == len(units)
                else sum(self._events.count(owners[unit[0]].company, _unit_query(state, unit)) for unit in units)
            )
        return [number, list(after) if after is not None else None], total


def _unit_query(state: dict[str, Any], unit: list[Any]) -> EventQuery:
    task, iteration, names = unit
    metrics = {name: state["variants"].get(name, ()) for name in names}
    return EventQuery(task, [PLOT], metrics=metrics, iters=[iteration], until_seq=state["until"][task])


def _plant(tree: Tree, owner: Owner, plots: Iterable[StoredEvent], most: int) -> None:
    """Put plots (newest first) into the tree, at most `most` per series and page. Those without iteration stand under "null"."""
    for plot in plots:
        of_task = tree.setdefault(plot["metric"], {}).setdefault(plot["variant"], {}).setdefault(owner.id, {})
        if sum(len(leaf["plots"]) for leaf in of_task.values()) < most:
            iteration = plot.get("iter")
            leaf = of_task.setdefault("null" if iteration is None else str(iteration), {"name": owner.name, "plots": []})
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
