"""Scroll ids of pages: small expiring states (what is read, and the cursor at which the next page starts).

A state never changes: every page gets a new id for the page after it, and an id that is read twice gives the same page twice, because
clients retry. An id is bound to the caller's company, to the endpoint and to the owners that it was made for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple, TypeVar

import msgspec

from apiserver.bll.registry.directory import Owner
from apiserver.errors import FieldsValueError, InvalidScroll
from apiserver.stores.errors import StateTooLarge
from apiserver.stores.state import State

END = "FFFF"
"""The id of the page after the last one in ClearML's old endpoints: always valid, always an empty page."""

KIND = "scroll"

StateT = TypeVar("StateT", bound="ScrollState")
StructT = TypeVar("StructT", bound=msgspec.Struct)


class Scroll(NamedTuple):
    """A scroll as a request names it: the caller's company, and the id (none: a first page is asked for)."""

    caller: str
    id: str | None = None


class ScrollState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a scroll knows between two pages. `endpoint`: the pages that the state belongs to."""

    endpoint: ClassVar[str]


class LastPage(ScrollState, frozen=True, forbid_unknown_fields=True):
    """The state after a page that held everything: the next page is empty. Base of the endpoints that answer in one page."""

    total: int


class _KeptScroll(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scroll in the state store."""

    endpoint: str
    company: str
    owners: list[list[str]]
    state: dict[str, Any]


class Scrolls:
    """Keeps scroll states for `ttl` seconds each."""

    def __init__(self, store: State, ttl: float) -> None:
        self._store = store
        self._ttl = ttl

    def resume(self, kind: type[StateT], owners: Iterable[Owner], scroll: Scroll) -> StateT | None:
        """The state behind an id; None when there is no id (a first page).

        Raises InvalidScroll when the id is unknown, expired, or was made for another endpoint, caller or set of owners, and when its state
        can't be read.
        """
        if not scroll.id:
            return None
        found = self._store.get(KIND, scroll.id)
        if found is None:
            raise InvalidScroll("unknown or expired", scroll_id=scroll.id[:64])
        kept = decoded(found, _KeptScroll, scroll)
        if (kept.endpoint, kept.company, kept.owners) != (kind.endpoint, scroll.caller, binding(owners)):
            raise InvalidScroll("made for something else", scroll_id=scroll.id[:64])
        return decoded(kept.state, kind, scroll)

    def keep(self, state: ScrollState, owners: Iterable[Owner], scroll: Scroll) -> str:
        """A new id under which `state` can be resumed."""
        kept = _KeptScroll(state.endpoint, scroll.caller, binding(owners), msgspec.to_builtins(state))
        with state_limit():
            return self._store.create(KIND, msgspec.to_builtins(kept), self._ttl, company=scroll.caller)

    def forget(self, scroll: Scroll) -> None:
        """Drop an id of the caller's company; anything else is ignored."""
        if scroll.id:
            found = self._store.get(KIND, scroll.id)
            if found is not None and found.get("company") == scroll.caller:
                self._store.delete(KIND, scroll.id)


def binding(owners: Iterable[Owner]) -> list[list[str]]:
    """The owners that an id is made for, as its state keeps them."""
    return sorted([owner.company, owner.kind, owner.id] for owner in owners)


def decoded(state: Mapping[str, Any], kind: type[StructT], scroll: Scroll) -> StructT:
    """A stored state as the struct that it was made from. Raises InvalidScroll for a state of another shape (another version's, say)."""
    try:
        return msgspec.convert(state, kind)
    except msgspec.ValidationError as error:
        raise InvalidScroll("its state can't be read", scroll_id=(scroll.id or "")[:64]) from error


@contextmanager
def state_limit() -> Iterator[None]:
    """Raises FieldsValueError for a request whose state would exceed the company's limit."""
    try:
        yield
    except StateTooLarge as error:
        limit = f"the scroll of this request would take more than {error.limit} bytes (engine.company_state_bytes): name fewer metrics"
        raise FieldsValueError(limit) from error
