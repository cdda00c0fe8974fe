"""Concurrent changes of registry documents: read, change, store; repeated when the document was changed meanwhile (compare and set)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from apiserver.errors import NotAvailable
from apiserver.stores.errors import Conflict
from apiserver.stores.registry import Document, Kind, Registry

T = TypeVar("T")

ATTEMPTS = 50
"""How often a change is tried before the caller gets NotAvailable."""


AT_ONCE = 200
"""Tasks or models that are looked up, changed or deleted at once."""


def in_parts(ids: Sequence[str], size: int = AT_ONCE) -> Iterator[Sequence[str]]:
    """Slices of up to `size` ids."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def until_all_stored(ids: Iterable[str], attempt: Callable[[list[str]], Collection[str]]) -> list[str]:
    """Call `attempt` with the ids that are left, until none is: it reads, changes and stores their documents, and returns the ids of those that met
    another change. The ids for which that never ended."""
    left = list(ids)
    for _ in range(ATTEMPTS):
        if not left:
            break
        left = list(attempt(left))
    return left


def too_many_callers(what: str) -> NotAvailable:
    """The error for a document that never could be stored."""
    return NotAvailable(f"{what} is being changed by too many callers at once", retry_after=1)


def until_stored(attempt: Callable[[], T], what: str) -> T:
    """The result of `attempt`, which reads, changes and stores `what`; repeated as a whole while it raises Conflict. Raises NotAvailable."""
    for _ in range(ATTEMPTS):
        try:
            return attempt()
        except Conflict:
            continue
    raise too_many_callers(what)


def change(registry: Registry, kind: Kind, company: str, id: str, edit: Callable[[dict[str, Any]], bool]) -> Document | None:
    """Let `edit` change the body in place, and store it when `edit` returns True; `edit` may run again on a newer body.

    The document afterwards; None when there is none.
    """

    def attempt() -> Document | None:
        document = registry.get(kind, company, id)
        if document is None or not edit(document.body):
            return document
        return registry.replace(document)

    return until_stored(attempt, f"{kind} {id}")


def put(registry: Registry, kind: Kind, company: str, bodies: Mapping[str, Mapping[str, Any]]) -> None:
    """Store documents by their ids, replacing existing ones. Raises NotAvailable."""

    def attempt(ids: list[str]) -> list[str]:
        made = registry.create_many(kind, company, {id: bodies[id] for id in ids})
        taken = [id for id in ids if id not in made]
        there = registry.get_many(kind, company, taken)
        for id, document in there.items():
            document.body = dict(bodies[id])
        replaced = registry.replace_many(kind, company, list(there.values()))
        return [id for id in taken if id not in replaced]

    left = until_all_stored(bodies, attempt)
    if left:
        raise too_many_callers(f"{kind} {left[0]}")


def create_or_get(registry: Registry, kind: Kind, company: str, id: str, body: Mapping[str, Any]) -> Document:
    """The document of this id: the existing one, else this one."""

    def attempt() -> Document:
        found = registry.get(kind, company, id)  # first, because a full store can still be read
        return registry.create(kind, company, id, body) if found is None else found

    return until_stored(attempt, f"{kind} {id}")
