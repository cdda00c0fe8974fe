"""Scroll ids of pages: small expiring states (what is read, and where the next page starts).

A state never changes: every page gets a new id for the page after it, and an id that is read twice gives the same page twice, because
clients retry. An id is bound to the caller's company, to the endpoint and to the owners that it was made for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from apiserver.bll.registry.directory import Owner
from apiserver.errors import InvalidScroll
from apiserver.stores.base import State

END = "FFFF"
"""The id of the page after the last one, where ClearML's old endpoints have a word for it. It is always valid, and always empty."""

SECONDS = 3600.0
KIND = "scroll"

StateT = TypeVar("StateT", bound=msgspec.Struct)


class Scroll(NamedTuple):
    """A scroll as a request names it: the caller's company, and the id (none: a first page is asked for)."""

    caller: str
    id: str | None = None


class Scrolls:
    """Keeps scroll states for `ttl` seconds each. `payload` is plain JSON data that belongs to the endpoint."""

    def __init__(self, state: State, ttl: float = SECONDS) -> None:
        self._state = state
        self._ttl = ttl

    def resume(self, endpoint: str, owners: Iterable[Owner], scroll: Scroll) -> dict[str, Any] | None:
        """The payload behind an id; None when there is no id (a first page).

        Raises InvalidScroll when the id is unknown, expired, or was made for another endpoint, caller or set of owners.
        """
        if not scroll.id:
            return None
        state = self._state.get(KIND, scroll.id)
        if state is None:
            raise InvalidScroll("unknown or expired", scroll_id=scroll.id[:64])
        if (state.get("endpoint"), state.get("company"), state.get("owners")) != (endpoint, scroll.caller, binding(owners)):
            raise InvalidScroll("made for something else", scroll_id=scroll.id[:64])
        payload: dict[str, Any] = state["payload"]
        return payload

    def keep(self, endpoint: str, owners: Iterable[Owner], scroll: Scroll, payload: Mapping[str, Any]) -> str:
        """A new id under which `payload` can be resumed."""
        state = {"endpoint": endpoint, "company": scroll.caller, "owners": binding(owners), "payload": dict(payload)}
        return self._state.create(KIND, state, self._ttl)

    def forget(self, scroll: Scroll) -> None:
        """Drop an id of the caller's company; anything else is ignored."""
        if scroll.id:
            state = self._state.get(KIND, scroll.id)
            if state is not None and state.get("company") == scroll.caller:
                self._state.delete(KIND, scroll.id)


def binding(owners: Iterable[Owner]) -> list[list[str]]:
    """The owners that an id is made for, as its state keeps them."""
    return sorted([owner.company, owner.kind, owner.id] for owner in owners)


def decoded(state: Mapping[str, Any], kind: type[StateT], scroll: Scroll) -> StateT:
    """A stored state as the struct that it was made from. Raises InvalidScroll for a state of another shape (another version's, say)."""
    try:
        return msgspec.convert(state, kind)
    except msgspec.ValidationError as error:
        raise InvalidScroll("its state can't be read", scroll_id=(scroll.id or "")[:64]) from error
