"""Pages of iterations of debug images and plots, with a cursor that the server keeps (docs/protocol.md, "Debug images" and "Plots").

A scroll id stands for a snapshot, taken when the session began or was refreshed (which metrics and variants there are, and from which
iteration on each variant's files are valid), and for a cursor: the span of iterations that was shown last. It belongs to one company and one
set of tasks; an id of the plots page used for images shows nothing and stays what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from apiserver.bll.events.iterations import at_iterations, best_per_variant, valid_iterations
from apiserver.bll.events.metric_filter import Selection
from apiserver.bll.events.navigation_sessions import NavigationSessions
from apiserver.bll.events.plot_text import make_readable
from apiserver.bll.events.sample_navigation import Span
from apiserver.bll.events.scrolls import Scroll
from apiserver.bll.registry.directory import Owner
from apiserver.stores.base import EventReader
from apiserver.stores.records import IMAGE, PLOT, EventQuery, StoredEvent
from apiserver.stores.state import State

MOST_ITERS = 1_000_000


class IterationSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`selections`: by task. `valid_from`: task -> metric -> variant -> iteration (0 for plots, which are always valid)."""

    type: str
    selections: dict[str, Selection]
    valid_from: dict[str, dict[str, dict[str, int]]]


class IterationCursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`spans`: task -> the iterations of the last page that showed something of it."""

    spans: dict[str, Span]


class Navigation:
    """`debug_images` (2.7 and newer) and `plots`."""

    def __init__(self, events: EventReader, state: State, ttl: float) -> None:
        self._events = events
        self._sessions = NavigationSessions(state, "iteration_pages", IterationSnapshot, IterationCursor, ttl)

    def page(
        self,
        owners: Mapping[str, Owner],
        scroll: Scroll,
        event_type: str,
        selections: Mapping[str, Selection],
        *,
        iters: int = 1,
        earlier: bool = True,
        refresh: bool = False,
    ) -> dict[str, Any]:
        """`{metrics: [{task, iterations: [{iter, events}]}], scroll_id}`, newest iteration first, one event per metric and variant.

        `selections`: by id of `owners`. The first page is the newest, later ones go on from the page before in either direction; at an end
        the page is empty and the cursor stays. An unknown scroll id starts again. `refresh`, and other metrics than before, start at the newest page again.
        Raises InvalidScroll when the id belongs to another company or to other tasks.
        """
        iters = min(iters, MOST_ITERS)
        session = self._sessions.find(owners.values(), scroll)
        if session is not None and session.snapshot.type != event_type and not refresh:
            return {"metrics": [{"task": task, "iterations": []} for task in selections], "scroll_id": session.id}
        if session is None or refresh or session.snapshot.type != event_type or session.snapshot.selections != selections:
            valid_from = {task: self._valid_from(event_type, owners[task], selection) for task, selection in selections.items()}
            snapshot = IterationSnapshot(event_type, dict(selections), valid_from)
            cursor, shown = self._show(snapshot, IterationCursor({}), owners, iters, earlier)
            return {"metrics": shown, "scroll_id": self._sessions.begin(owners.values(), scroll, snapshot, cursor)}
        cursor, shown = self._show(session.snapshot, session.cursor, owners, iters, earlier)
        return {"metrics": shown, "scroll_id": self._sessions.advance(session, cursor)}

    def _valid_from(self, event_type: str, owner: Owner, selection: Selection) -> dict[str, dict[str, int]]:
        """metric -> variant -> iteration, of the variants that there are now."""
        variants: dict[str, dict[str, int]] = {}
        if event_type == IMAGE:
            for image in self._events.image_variants(owner.company, owner.id, selection):
                variants.setdefault(image.metric, {})[image.variant] = image.valid_from
        else:
            for series in self._events.series(owner.company, [owner.id], [event_type], selection):
                if series.chart_count:
                    variants.setdefault(series.key.metric, {})[series.key.variant] = 0
        return variants

    def _show(
        self, snapshot: IterationSnapshot, cursor: IterationCursor, owners: Mapping[str, Owner], iters: int, earlier: bool
    ) -> tuple[IterationCursor, list[dict[str, Any]]]:
        """The cursor after a page, and the page."""
        # Variants that came up later are shown too, unless the request is about particular ones.
        named = any(variants for selection in snapshot.selections.values() for variants in (selection or {}).values())
        spans, shown = dict(cursor.spans), []
        for task in snapshot.selections:
            variants = snapshot.valid_from[task]
            span = spans.get(task)
            by_iteration = self._iterations(snapshot.type, owners[task], variants, named, span, iters, earlier) if variants else {}
            if by_iteration:
                spans[task] = min(by_iteration), max(by_iteration)
            iterations = [
                {"iter": iteration, "events": sorted(by_iteration[iteration], key=_by_name)}
                for iteration in sorted(by_iteration, reverse=True)
            ]
            shown.append({"task": task, "iterations": iterations})
        return IterationCursor(spans), shown

    def _iterations(
        self,
        event_type: str,
        owner: Owner,
        variants: dict[str, dict[str, int]],
        named: bool,
        span: Span | None,
        iters: int,
        earlier: bool,
    ) -> dict[int, list[StoredEvent]]:
        """The nearest iterations in the direction that have something to show; without a span, the newest ones."""
        descending = earlier or span is None
        beyond = None if span is None else span[0] if descending else span[1]
        metrics = {metric: list(of_metric) if named else [] for metric, of_metric in variants.items()}
        valid_from = {(metric, variant): first for metric, of_metric in variants.items() for variant, first in of_metric.items()}

        def visible(event: StoredEvent) -> bool:
            return event_type == PLOT or event["iter"] >= valid_from.get((event["metric"], event["variant"]), event["iter"])

        def read(iterations: list[int]) -> None:
            events = best_per_variant(event_type, at_iterations(self._events, owner, event_type, metrics, iterations))
            for (iteration, _, _), event in events.items():
                if visible(event):
                    found.setdefault(iteration, []).append(event)

        found: dict[int, list[StoredEvent]] = {}
        candidates = self._events.iterations(
            owner.company, EventQuery(owner.id, [event_type], metrics=metrics), descending=descending, count=iters, beyond=beyond
        )
        read(candidates)
        if event_type == IMAGE and len(found) < iters and len(candidates) == iters:
            # Some of them have only images whose files are gone: look for valid ones behind them, or the session would end too early.
            if not named:
                for series in self._events.series(owner.company, [owner.id], [IMAGE], metrics):
                    if series.chart_min_iter is not None:  # of a variant that came up later every image is shown
                        valid_from.setdefault((series.key.metric, series.key.variant), series.chart_min_iter)
            valid = valid_iterations(self._events, owner, valid_from, beyond=beyond, descending=descending, count=iters)
            read(sorted(set(valid) - set(candidates)))
        kept = sorted(found, reverse=descending)[:iters]
        for iteration in kept:
            make_readable(found[iteration])
        return {iteration: found[iteration] for iteration in kept}


def _by_name(event: StoredEvent) -> tuple[str, str]:
    return event["metric"], event["variant"]
