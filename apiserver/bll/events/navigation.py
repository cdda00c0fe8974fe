"""Pages of iterations of debug images and plots, with a position that the server keeps (spec C.1).

The state of a scroll id knows, per task, which metrics and variants there were when it was made (or refreshed), from which iteration on
each variant's files are valid, and the span of iterations that was shown last. It belongs to one company and one set of tasks; an id of
the plots page used for images shows nothing and moves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apiserver.bll.events.iterations import at_iterations, best_per_variant, valid_iterations
from apiserver.bll.events.logs import without_cursors
from apiserver.bll.registry.directory import EntityKind, TaskDirectory
from apiserver.errors import InvalidScroll
from apiserver.stores.base import EventStore, State
from apiserver.stores.records import IMAGE, PLOT, EventQuery, StoredEvent

KIND = "event_pages"
SECONDS = 3600.0
MOST_ITERS = 1_000_000

Selection = dict[str, list[str]] | None
"""Metric -> variants (empty: all of them); None: all metrics."""


class Navigation:
    """`debug_images` (2.7 and newer) and `plots`."""

    def __init__(self, store: EventStore, directory: TaskDirectory, state: State, ttl: float = SECONDS) -> None:
        self._store = store
        self._directory = directory
        self._state = state
        self._ttl = ttl

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
        kind: EntityKind = "model" if model_events else "task"
        owners = {id: entity.company for id, entity in self._directory.readable(company, list(selections), kind).items()}
        state = self._state.get(KIND, scroll_id) if scroll_id else None
        if state is not None and scroll_id is not None:
            if (state["company"], state["kind"]) != (company, kind) or {entry["task"] for entry in state["tasks"]} != set(selections):
                raise InvalidScroll("made for something else", scroll_id=scroll_id[:64])
            if state["type"] == event_type:
                answer = self._go_on(scroll_id, event_type, selections, owners, iters, earlier, refresh)
                if answer is not None:
                    return {"metrics": answer, "scroll_id": scroll_id}
            elif not refresh:
                return {"metrics": [{"task": task, "iterations": []} for task in selections], "scroll_id": scroll_id}
        entries = [self._entry(event_type, owners[task], task, selection) for task, selection in selections.items()]
        shown = self._show(event_type, entries, owners, iters, earlier)
        state = {"company": company, "kind": kind, "type": event_type, "tasks": entries}
        return {"metrics": shown, "scroll_id": self._state.create(KIND, state, self._ttl)}

    def _go_on(
        self,
        scroll_id: str,
        event_type: str,
        selections: dict[str, Selection],
        owners: dict[str, str],
        iters: int,
        earlier: bool,
        refresh: bool,
    ) -> list[dict[str, Any]] | None:
        """The next page of a state; None when it expired meanwhile."""
        shown: list[dict[str, Any]] = []

        def change(state: dict[str, Any]) -> dict[str, Any]:
            for number, entry in enumerate(state["tasks"]):
                task = entry["task"]
                if refresh or entry["selection"] != selections[task]:
                    state["tasks"][number] = self._entry(event_type, owners[task], task, selections[task])
            shown[:] = self._show(event_type, state["tasks"], owners, iters, earlier)
            return state

        return None if self._state.update(KIND, scroll_id, change, self._ttl) is None else shown

    def _entry(self, event_type: str, owner: str, task: str, selection: Selection) -> dict[str, Any]:
        """What a state knows of a task: `variants` is metric -> variant -> border (0 for plots, which have none)."""
        variants: dict[str, dict[str, int]] = {}
        if event_type == IMAGE:
            for image in self._store.image_variants(owner, task, selection):
                variants.setdefault(image.metric, {})[image.variant] = image.valid_from
        else:
            for series in self._store.series(owner, [task], [event_type], selection):
                if series.chart_count:
                    variants.setdefault(series.key.metric, {})[series.key.variant] = 0
        return {"task": task, "selection": selection, "variants": variants, "newest": None, "oldest": None}

    def _show(
        self, event_type: str, entries: list[dict[str, Any]], owners: dict[str, str], iters: int, earlier: bool
    ) -> list[dict[str, Any]]:
        """A page of every task; positions in `entries` move."""
        # Variants that came up later are shown too, unless the request is about particular ones.
        named = any(variants for entry in entries for variants in (entry["selection"] or {}).values())
        shown = []
        for entry in entries:
            by_iteration = self._iterations(event_type, owners[entry["task"]], entry, named, iters, earlier) if entry["variants"] else {}
            if by_iteration:
                entry["newest"], entry["oldest"] = max(by_iteration), min(by_iteration)
            iterations = [
                {"iter": iteration, "events": without_cursors(sorted(by_iteration[iteration], key=_by_name))}
                for iteration in sorted(by_iteration, reverse=True)
            ]
            shown.append({"task": entry["task"], "iterations": iterations})
        return shown

    def _iterations(
        self, event_type: str, owner: str, entry: dict[str, Any], named: bool, iters: int, earlier: bool
    ) -> dict[int, list[StoredEvent]]:
        """The nearest iterations in the direction that have something to show."""
        task = entry["task"]
        descending = earlier or entry["newest"] is None
        beyond = entry["oldest"] if descending else entry["newest"]
        metrics = {metric: list(variants) if named else [] for metric, variants in entry["variants"].items()}
        borders = {(metric, variant): border for metric, variants in entry["variants"].items() for variant, border in variants.items()}

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
