"""Places in a walk through images or plots, kept under random ids.

An id never changes what it stands for: every step returns a new one, and an id that is read twice gives the same step twice, because
clients retry. What is known of the tasks (which variants there are) is large and shared by all places of a walk; a place is small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apiserver.bll.registry.directory import OwnerKind
from apiserver.errors import InvalidScroll
from apiserver.stores.base import State

SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Walk:
    """Where a walk stands: `known` as it was when the walk began or was refreshed, `place` as the last step left it. Plain JSON both."""

    id: str
    known_id: str
    known: dict[str, Any]
    place: dict[str, Any]


class Walks:
    """Walks of one kind. Each belongs to a company and to one or more tasks (or models)."""

    def __init__(self, state: State, kind: str, ttl: float = SECONDS) -> None:
        self._state = state
        self._kind = kind
        self._ttl = ttl

    def find(self, company: str, entity: OwnerKind, tasks: Sequence[str], scroll_id: str | None) -> Walk | None:
        """The walk behind an id; None when unknown or expired. Raises InvalidScroll when it is somebody else's."""
        state = self._state.get(self._kind, scroll_id) if scroll_id else None
        if state is None or scroll_id is None:
            return None
        if (state["company"], state["entity"], state["tasks"]) != (company, entity, sorted(tasks)):
            raise self.invalid(scroll_id, "made for something else")
        known = self._state.get(f"{self._kind}_known", state["known"])
        return None if known is None else Walk(scroll_id, state["known"], known, state["place"])

    def begin(self, company: str, entity: OwnerKind, tasks: Sequence[str], known: dict[str, Any], place: dict[str, Any]) -> str:
        """The id of the first place of a new walk."""
        known_id = self._state.create(f"{self._kind}_known", known, self._ttl)
        return self._keep(company, entity, tasks, known_id, place)

    def go_on(self, walk: Walk, company: str, entity: OwnerKind, tasks: Sequence[str], place: dict[str, Any]) -> str:
        """The id of another place of the same walk; the id it came from when it did not move."""
        self._state.update(f"{self._kind}_known", walk.known_id, _unchanged, self._ttl)
        if place == walk.place:
            self._state.update(self._kind, walk.id, _unchanged, self._ttl)
            return walk.id
        return self._keep(company, entity, tasks, walk.known_id, place)

    def _keep(self, company: str, entity: OwnerKind, tasks: Sequence[str], known_id: str, place: dict[str, Any]) -> str:
        state = {"company": company, "entity": entity, "tasks": sorted(tasks), "known": known_id, "place": place}
        return self._state.create(self._kind, state, self._ttl)

    @staticmethod
    def invalid(scroll_id: str | None, why: str = "unknown or expired") -> InvalidScroll:
        """The refusal of an id."""
        return InvalidScroll(why, scroll_id=(scroll_id or "")[:64])


def first_place(metric: str, inside: bool) -> dict[str, Any]:
    """The place of a walk from sample to sample that has not shown anything; `inside`: it stays inside its metric."""
    return {"metric": metric, "inside": inside, "iteration": None}


def fits(walk: Walk, metric: str, inside: bool) -> bool:
    """Whether a walk from sample to sample can go on with this request."""
    return bool(walk.place["inside"] == inside and (not inside or walk.place["metric"] == metric))


def _unchanged(state: dict[str, Any]) -> None:
    """Renews the expiry, nothing else."""
