"""Scroll ids of pages: small expiring states (what is read, and where the next page starts).

A state never changes: every page gets a new id for the page after it, and an id that is read twice gives the same page twice, because
clients retry. An id is bound to the company, to the endpoint and to the tasks that it was made for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.errors import InvalidScroll
from apiserver.stores.base import State

END = "FFFF"
"""The id of the page after the last one, where ClearML's old endpoints have a word for it. It is always valid, and always empty."""

SECONDS = 3600.0
KIND = "scroll"


class Scrolls:
    """Keeps scroll states for `ttl` seconds each. `payload` is plain JSON data that belongs to the endpoint."""

    def __init__(self, state: State, ttl: float = SECONDS) -> None:
        self._state = state
        self._ttl = ttl

    def resume(self, endpoint: str, company: str, tasks: str | Sequence[str], scroll_id: str | None) -> dict[str, Any] | None:
        """The payload behind an id; None when there is no id (a first page).

        Raises InvalidScroll when the id is unknown, expired, or was made for another endpoint, company or set of tasks.
        """
        if not scroll_id:
            return None
        state = self._state.get(KIND, scroll_id)
        if state is None:
            raise InvalidScroll("unknown or expired", scroll_id=scroll_id[:64])
        if (state.get("endpoint"), state.get("company"), state.get("tasks")) != (endpoint, company, _listed(tasks)):
            raise InvalidScroll("made for something else", scroll_id=scroll_id[:64])
        payload: dict[str, Any] = state["payload"]
        return payload

    def keep(self, endpoint: str, company: str, tasks: str | Sequence[str], payload: Mapping[str, Any]) -> str:
        """A new id under which `payload` can be resumed."""
        state = {"endpoint": endpoint, "company": company, "tasks": _listed(tasks), "payload": dict(payload)}
        return self._state.create(KIND, state, self._ttl)

    def forget(self, company: str, scroll_id: str | None) -> None:
        """Drop an id of this company; anything else is ignored."""
        if scroll_id:
            state = self._state.get(KIND, scroll_id)
            if state is not None and state.get("company") == company:
                self._state.delete(KIND, scroll_id)


def _listed(tasks: str | Sequence[str]) -> list[str]:
    return [tasks] if isinstance(tasks, str) else sorted(set(tasks))
