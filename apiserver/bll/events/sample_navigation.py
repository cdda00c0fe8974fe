"""Walks from sample to sample: what single images and groups of plots have in common (spec C.2, C.3)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from apiserver.bll.events.navigation_sessions import SECONDS, Walk, Walks, first_place, fits
from apiserver.bll.registry.directory import OwnerKind, TaskDirectory
from apiserver.stores.base import EventStore, State
from apiserver.stores.records import StoredEvent

Known = dict[str, Any]
"""What there was to walk through when the walk began or was refreshed, as JSON."""

Place = dict[str, Any]
"""Where a walk stands: `metric`, `inside` (whether it stays in its metric), `iteration` (None: it has not shown anything yet), and what a kind adds."""


class Samples(ABC):
    """One kind of walk. Its subclass says what a sample is."""

    def __init__(self, store: EventStore, directory: TaskDirectory, state: State, kind: str, ttl: float = SECONDS) -> None:
        self._store = store
        self._directory = directory
        self._walks = Walks(state, kind, ttl)

    @abstractmethod
    def _survey(self, owner: str, task: str, metric: str | None) -> Known:
        """What there is to walk through, in one metric or in all."""

    @abstractmethod
    def _bounds(self, known: Known, place: Place) -> list[int] | None:
        """Oldest and newest iteration of what is shown at a place; None when it is unknown."""

    @abstractmethod
    def _newest(self, owner: str, task: str, place: Place, oldest: int, iteration: int | None) -> list[StoredEvent]:
        """The newest sample of the place's metric (and variant) from `oldest` on, up to `iteration` if given."""

    @abstractmethod
    def _neighbour(self, owner: str, task: str, walk: Walk, earlier: bool, next_iteration: bool) -> list[StoredEvent]:
        """The sample before or after the one that the walk showed last; empty at an end."""

    def _placed(self, event: StoredEvent) -> Place:
        """The part of a place that says which sample is shown."""
        return {"metric": event["metric"], "iteration": event["iter"]}

    def _show(
        self,
        company: str,
        task: str,
        asked: Place,
        *,
        iteration: int | None,
        refresh: bool,
        navigate_current_metric: bool,
        scroll_id: str | None,
        model_events: bool,
    ) -> tuple[str, list[StoredEvent], list[int] | None]:
        """The newest sample of what was `asked` for: the id of its place, its events, its bounds. An unknown scroll id starts a new walk."""
        entity, owner = self._owner(company, task, model_events)
        metric = asked["metric"]
        walk = self._walks.find(company, entity, [task], scroll_id)
        if walk is not None and not fits(walk, metric, navigate_current_metric):
            raise self._walks.invalid(scroll_id, "walks through other metrics")
        place = walk.place if walk is not None else first_place(metric, navigate_current_metric) | asked
        if walk is None or refresh:
            known = self._survey(owner, task, metric if navigate_current_metric else None)
        else:
            known = walk.known
        bounds = self._bounds(known, asked)
        events = [] if bounds is None else self._newest(owner, task, asked, bounds[0], iteration)
        if events:
            place = place | self._placed(events[0])
        if walk is None or refresh:
            return self._walks.begin(company, entity, [task], known, place), events, bounds
        return self._walks.go_on(walk, company, entity, [task], place), events, bounds

    def _step(
        self, company: str, task: str, *, scroll_id: str | None, earlier: bool, next_iteration: bool, model_events: bool
    ) -> tuple[str, list[StoredEvent], list[int] | None]:
        """The neighbour of what was shown last. At an end there are no events, and the walk stays where it is, under the same id."""
        entity, owner = self._owner(company, task, model_events)
        walk = self._walks.find(company, entity, [task], scroll_id)
        if walk is None:
            raise self._walks.invalid(scroll_id)
        shown = walk.place["iteration"] is not None
        events = self._neighbour(owner, task, walk, earlier, next_iteration) if shown else []
        place = walk.place | self._placed(events[0]) if events else walk.place
        return self._walks.go_on(walk, company, entity, [task], place), events, self._bounds(walk.known, place) if events else None

    def _owner(self, company: str, task: str, model_events: bool) -> tuple[OwnerKind, str]:
        entity: OwnerKind = "model" if model_events else "task"
        return entity, self._directory.readable(company, [task], entity)[task].company
