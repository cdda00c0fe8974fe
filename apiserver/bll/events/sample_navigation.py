"""Navigation from sample to sample: what single debug images and groups of plots have in common.

The wire is described in docs/protocol.md, sections "Debug images" and "Plots".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic

import msgspec

from apiserver.bll.events.navigation_sessions import NavigationSession, NavigationSessions, SnapshotT, invalid
from apiserver.bll.events.scrolls import Scroll
from apiserver.bll.registry.directory import Owner
from apiserver.stores.base import EventReader
from apiserver.stores.records import StoredEvent
from apiserver.stores.state import State

Span = tuple[int, int]
"""Oldest and newest iteration."""


class SampleCursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The sample that was shown last. `within_metric`: the session stays in its metric. `variant`: of images only. `iteration` None: the
    session has not shown anything yet."""

    metric: str
    within_metric: bool
    variant: str = ""
    iteration: int | None = None


class SampleNavigation(ABC, Generic[SnapshotT]):
    """Navigation through one kind of sample, which the subclass defines."""

    def __init__(self, events: EventReader, state: State, kind: str, snapshot: type[SnapshotT], ttl: float) -> None:
        self._events = events
        self._sessions = NavigationSessions(state, kind, snapshot, SampleCursor, ttl)

    @abstractmethod
    def _survey(self, owner: Owner, metric: str | None) -> SnapshotT:
        """The samples there are, of one metric or of all."""

    @abstractmethod
    def _span(self, snapshot: SnapshotT, cursor: SampleCursor) -> Span | None:
        """Oldest and newest iteration of the cursor's metric (and variant); None when it is unknown."""

    @abstractmethod
    def _newest(self, owner: Owner, cursor: SampleCursor, oldest: int, iteration: int | None) -> list[StoredEvent]:
        """The newest sample of the cursor's metric (and variant) from `oldest` on, up to `iteration` if given."""

    @abstractmethod
    def _neighbour(self, owner: Owner, snapshot: SnapshotT, cursor: SampleCursor, earlier: bool, next_iteration: bool) -> list[StoredEvent]:
        """The sample before or after the cursor; empty at an end."""

    @abstractmethod
    def _moved(self, cursor: SampleCursor, event: StoredEvent) -> SampleCursor:
        """The cursor at the sample that `event` is part of."""

    def _show(
        self, owner: Owner, scroll: Scroll, asked: SampleCursor, *, iteration: int | None, refresh: bool
    ) -> tuple[str, list[StoredEvent], Span | None]:
        """The newest sample of what was `asked` for: its scroll id, its events, its span. An unknown scroll id starts a new session."""
        session = self._sessions.find([owner], scroll)
        if session is not None and not _fits(session, asked):
            raise invalid(scroll, "navigates other metrics")
        if session is None or refresh:
            snapshot = self._survey(owner, asked.metric if asked.within_metric else None)
        else:
            snapshot = session.snapshot
        cursor = asked if session is None else session.cursor
        span = self._span(snapshot, asked)
        events = [] if span is None else self._newest(owner, asked, span[0], iteration)
        if events:
            cursor = self._moved(cursor, events[0])
        if session is None or refresh:
            return self._sessions.begin([owner], scroll, snapshot, cursor), events, span
        return self._sessions.advance(session, cursor), events, span

    def _step(self, owner: Owner, scroll: Scroll, *, earlier: bool, next_iteration: bool) -> tuple[str, list[StoredEvent], Span | None]:
        """The neighbour of what was shown last. At an end there are no events, and the session stays where it is, under the same id."""
        session = self._sessions.find([owner], scroll)
        if session is None:
            raise invalid(scroll)
        cursor, events = session.cursor, []
        if cursor.iteration is not None:
            events = self._neighbour(owner, session.snapshot, cursor, earlier, next_iteration)
        if events:
            cursor = self._moved(cursor, events[0])
        return self._sessions.advance(session, cursor), events, self._span(session.snapshot, cursor) if events else None


def _fits(session: NavigationSession[SnapshotT, SampleCursor], asked: SampleCursor) -> bool:
    """Whether a session can go on with this request."""
    cursor = session.cursor
    return cursor.within_metric == asked.within_metric and (not asked.within_metric or cursor.metric == asked.metric)
