"""Pages of iterations of debug images and plots, with a position that the server keeps (spec C.1).

A scroll id stands for what was known when the walk began or was refreshed (which metrics and variants there are, and from which iteration on
each variant's files are valid) and for the span of iterations that was shown last. It belongs to one company and one set of tasks; an id of
the plots page used for images shows nothing and stays what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apiserver.bll.events.iterations import at_iterations, best_per_variant, valid_iterations
from apiserver.bll.events.logs import without_cursors
from apiserver.bll.events.navigation_sessions import SECONDS, Walks
from apiserver.bll.registry.directory import OwnerKind, TaskDirectory
from apiserver.stores.base import EventStore, State
from apiserver.stores.records import IMAGE, PLOT, EventQuery, StoredEvent

MOST_ITERS = 1_000_000

Selection = dict[str, list[str]] | None
"""Metric -> variants (empty: all of them); None: all metrics."""


class Navigation:
    """`debug_images` (2.7 and newer) and `plots`."""

    def __init__(self, store: EventStore, directory: TaskDirectory, state: State, ttl: float = SECONDS) -> None:
        self._store = store
        self._directory = directory
        self._walks = Walks(state, "iteration_pages", ttl)

    def page(
        self,
        company: str,
        event_type: str,
        wanted: Iterable[Mapping[str, Any]],
        *,
        iters: int = 1,
        earlier: bool = True,
        refresh: bool = False,
        scroll_id: str | None = None,
        model_events: bool = False,
    ) -> dict[str, Any]:
        """`{metrics: [{task, iterations: [{iter, events}]}], scroll_id}`, newest iteration first, one event per metric and variant.

        The first page is the newest, later ones go on from the page before in either direction; at an end the page is empty and the
        position stays. An unknown scroll id starts anew. `refresh`, and other metrics than before, start at the newest page again.
        Raises InvalidTask or InvalidModel; InvalidScroll when the id belongs to another company or to other tasks.
        """
        iters = min(iters, MOST_ITERS)
        selections = folded(wanted)
        entity: OwnerKind = "model" if model_events else "task"
        owners = {id: one.company for id, one in self._directory.readable(company, list(selections), entity).items()}
        walk = self._walks.find(company, entity, list(selections), scroll_id)
        if walk is not None and walk.known["type"] != event_type and not refresh:
            return {"metrics": [{"task": task, "iterations": []} for task in selections], "scroll_id": walk.id}
        if walk is None or refresh or walk.known["type"] != event_type or walk.known["selections"] != selections:
            variants = {task: self._variants(event_type, owners[task], task, selection) for task, selection in selections.items()}
            known = {"type": event_type, "selections": selections, "variants": variants}
            place, shown = self._show(event_type, known, {}, owners, iters, earlier)
            return {"metrics": shown, "scroll_id": self._walks.begin(company, entity, list(selections), known, place)}
        place, shown = self._show(event_type, walk.known, walk.place, owners, iters, earlier)
        return {"metrics": shown, "scroll_id": self._walks.go_on(walk, company, entity, list(selections), place)}

    def _variants(self, event_type: str, owner: str, task: str, selection: Selection) -> dict[str, dict[str, int]]:
        """metric -> variant -> border (0 for plots, which have none), of the variants that there are now."""
        variants: dict[str, dict[str, int]] = {}
        if event_type == IMAGE:
            for image in self._store.image_variants(owner, task, selection):
                variants.setdefault(image.metric, {})[image.variant] = image.valid_from
        else:
            for series in self._store.series(owner, [task], [event_type], selection):
                if series.chart_count:
                    variants.setdefault(series.key.metric, {})[series.key.variant] = 0
        return variants

    def _show(
        self, event_type: str, known: dict[str, Any], place: dict[str, list[int]], owners: dict[str, str], iters: int, earlier: bool
    ) -> tuple[dict[str, list[int]], list[dict[str, Any]]]:
        """The place after a page, and the page. A place is task -> [oldest, newest] iteration of the last page that showed something."""
        # Variants that came up later are shown too, unless the request is about particular ones.
        named = any(variants for selection in known["selections"].values() for variants in (selection or {}).values())
        place, shown = dict(place), []
        for task in known["selections"]:
            variants = known["variants"][task]
            span = place.get(task)
            by_iteration = self._iterations(event_type, owners[task], task, variants, named, span, iters, earlier) if variants else {}
            if by_iteration:
                place[task] = [min(by_iteration), max(by_iteration)]
            iterations = [
                {"iter": iteration, "events": without_cursors(sorted(by_iteration[iteration], key=_by_name))}
                for iteration in sorted(by_iteration, reverse=True)
            ]
            shown.append({"task": task, "iterations": iterations})
        return place, shown

    def _iterations(
        self,
        event_type: str,
        owner: str,
        task: str,
        variants: dict[str, dict[str, int]],
        named: bool,
        span: list[int] | None,
        iters: int,
        earlier: bool,
    ) -> dict[int, list[StoredEvent]]:
        """The nearest iterations in the direction that have something to show; without a span, the newest ones."""
        descending = earlier or span is None
        beyond = None if span is None else span[0] if descending else span[1]
        metrics = {metric: list(of_metric) if named else [] for metric, of_metric in variants.items()}
        borders = {(metric, variant): border for metric, of_metric in variants.items() for variant, border in of_metric.items()}

        def visible(event: StoredEvent) -> bool:
            return event_type == PLOT or event["iter"] >= borders.get((event["metric"], event["variant"]), event["iter"])

        def read(iterations: list[int]) -> None:
            events = best_per_variant(event_type, at_iterations(self._store, owner, task, event_type, metrics, iterations))
            for (iteration, _, _), event in events.items():
                if visible(event):
                    found.setdefault(iteration, []).append(event)

        found: dict[int, list[StoredEvent]] = {}
        candidates = self._store.iterations(
            owner, EventQuery(task, [event_type], metrics=metrics), descending=descending, count=iters, beyond=beyond
        )
        read(candidates)
        if event_type == IMAGE and len(found) < iters and len(candidates) == iters:
            # Some of them have only images whose files are gone: look for valid ones behind them, or the walk would end too early.
            if not named:
                for series in self._store.series(owner, [task], [IMAGE], metrics):
                    if series.chart_min_iter is not None:  # of a variant that came up later every image is shown
                        borders.setdefault((series.key.metric, series.key.variant), series.chart_min_iter)
            valid = valid_iterations(self._store, owner, task, borders, beyond=beyond, descending=descending, count=iters)
            read(sorted(set(valid) - set(candidates)))
        kept = sorted(found, reverse=descending)[:iters]
        return {iteration: found[iteration] for iteration in kept}


def folded(wanted: Iterable[Mapping[str, Any]]) -> dict[str, Selection]:
    """`[{task, metric, variants}]` as task -> selection, in order of appearance. An entry without a metric means all metrics of its task,
    whatever its other entries say; of two entries for one metric the later one counts."""
    selections: dict[str, Selection] = {}
    for entry in wanted:
        task, metric = entry["task"], entry.get("metric")
        selection = selections.setdefault(task, {})
        if metric is None:
            selections[task] = None
        elif selection is not None:
            selection[metric] = list(dict.fromkeys(entry.get("variants") or ()))
    return selections


def _by_name(event: StoredEvent) -> tuple[str, str]:
    return event["metric"], event["variant"]
