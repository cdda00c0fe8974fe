"""Navigation through images or plots, kept by the server under random scroll ids.

A scroll id is immutable: every step returns a new one, and an id that is read twice gives the same step twice, because clients retry. The
snapshot (which metrics and variants there are) is large and shared by all steps of a session, and by all sessions of a company that begin with
the same one; the cursor of a step is small.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from apiserver.bll.events.scrolls import Scroll, binding, decoded, state_limit
from apiserver.bll.registry.directory import Owner
from apiserver.errors import InvalidScroll
from apiserver.stores.state import State

SnapshotT = TypeVar("SnapshotT", bound=msgspec.Struct)
CursorT = TypeVar("CursorT", bound=msgspec.Struct)


class _Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the state store keeps of a step. `snapshot`: the id of the session's snapshot."""

    company: str
    owners: list[list[str]]
    snapshot: str
    cursor: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NavigationSession(Generic[SnapshotT, CursorT]):
    """A session at one step: `snapshot` as it was when the session began or was refreshed, `cursor` as the step left it."""

    id: str
    snapshot: SnapshotT
    cursor: CursorT
    step: _Step


class NavigationSessions(Generic[SnapshotT, CursorT]):
    """Sessions of one kind. Each belongs to the caller's company and to one or more owners of events."""

    def __init__(self, state: State, kind: str, snapshot: type[SnapshotT], cursor: type[CursorT], ttl: float) -> None:
        self._state = state
        self._kind = kind
        self._snapshots = f"{kind}_snapshot"
        self._snapshot_type = snapshot
        self._cursor_type = cursor
        self._ttl = ttl

    def find(self, owners: Iterable[Owner], scroll: Scroll) -> NavigationSession[SnapshotT, CursorT] | None:
        """The session behind an id; None when unknown or expired. Raises InvalidScroll when it was made for another caller or other owners,
        or when its state can't be read."""
        stored = self._state.get(self._kind, scroll.id) if scroll.id else None
        if stored is None or scroll.id is None:
            return None
        step = decoded(stored, _Step, scroll)
        if (step.company, step.owners) != (scroll.caller, binding(owners)):
            raise invalid(scroll, "made for something else")
        snapshot = self._state.get(self._snapshots, step.snapshot)
        if snapshot is None:
            return None
        return NavigationSession(
            scroll.id, decoded(snapshot, self._snapshot_type, scroll), decoded(step.cursor, self._cursor_type, scroll), step
        )

    def begin(self, owners: Iterable[Owner], scroll: Scroll, snapshot: SnapshotT, cursor: CursorT) -> str:
        """The id of the first step of a new session."""
        with state_limit():
            snapshot_id = self._state.create(self._snapshots, msgspec.to_builtins(snapshot), self._ttl, company=scroll.caller, shared=True)
        return self._keep(_Step(scroll.caller, binding(owners), snapshot_id, msgspec.to_builtins(cursor)))

    def advance(self, session: NavigationSession[SnapshotT, CursorT], cursor: CursorT) -> str:
        """The id of the next step of a session; its present id when the cursor did not move."""
        self._state.renew(self._snapshots, session.step.snapshot, self._ttl)
        if cursor == session.cursor:
            self._state.renew(self._kind, session.id, self._ttl)
            return session.id
        return self._keep(msgspec.structs.replace(session.step, cursor=msgspec.to_builtins(cursor)))

    def _keep(self, step: _Step) -> str:
        with state_limit():
            return self._state.create(self._kind, msgspec.to_builtins(step), self._ttl, company=step.company)


def invalid(scroll: Scroll, why: str = "unknown or expired") -> InvalidScroll:
    """The refusal of an id."""
    return InvalidScroll(why, scroll_id=(scroll.id or "")[:64])
