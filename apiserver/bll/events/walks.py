"""What image samples and plot samples share: the states of walks, who may use them, and how they are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiserver.bll.registry.directory import EntityKind
from apiserver.errors import InvalidScroll
from apiserver.stores.base import State

SECONDS = 3600.0


class Walks:
    """States of one kind of walk: `{company, entity, task, metric, navigate_current_metric, iteration, ...}`."""

    def __init__(self, state: State, kind: str, ttl: float = SECONDS) -> None:
        self._state = state
        self._kind = kind
        self._ttl = ttl

    def find(self, company: str, entity: EntityKind, task: str, scroll_id: str | None) -> dict[str, Any] | None:
        """The state of a walk through this task; None when unknown or expired. Raises InvalidScroll when it is somebody else's."""
        state = self._state.get(self._kind, scroll_id) if scroll_id else None
        if state is not None and (state["company"], state["entity"], state["task"]) != (company, entity, task):
            raise self.invalid(scroll_id, "made for something else")
        return state

    def begin(self, state: dict[str, Any]) -> str:
        """Keep a new walk."""
        return self._state.create(self._kind, state, self._ttl)

    def step(self, scroll_id: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> bool:
        """Change a walk; `change` works on the latest state and may run again when two steps meet. False when it expired."""
        return self._state.update(self._kind, scroll_id, change, self._ttl) is not None

    @staticmethod
    def invalid(scroll_id: str | None, why: str = "unknown or expired") -> InvalidScroll:
        return InvalidScroll(why, scroll_id=(scroll_id or "")[:64])


def fits(state: dict[str, Any], metric: str, navigate_current_metric: bool) -> bool:
    """Whether a walk can go on with this request: through the same metrics, and inside the same metric if it is to stay there."""
    return state["navigate_current_metric"] == navigate_current_metric and (not navigate_current_metric or state["metric"] == metric)
