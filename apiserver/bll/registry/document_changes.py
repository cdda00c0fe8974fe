"""Concurrent changes of registry documents: read, change, store; repeated when the document was changed meanwhile (compare and set)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from apiserver.errors import NotAvailable
from apiserver.stores.errors import Conflict
from apiserver.stores.registry import Document, Kind, Registry

T = TypeVar("T")

ATTEMPTS = 50
"""How often a change is tried before the caller gets NotAvailable."""


def until_stored(attempt: Callable[[], T], what: str) -> T:
    """The result of `attempt`, which reads, changes and stores `what`; repeated as a whole while it raises Conflict. Raises NotAvailable."""
    for _ in range(ATTEMPTS):
        try:
            return attempt()
        except Conflict:
            continue
    raise NotAvailable(f"{what} is being changed by too many callers at once", retry_after=1)


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


def put(registry: Registry, kind: Kind, company: str, id: str, body: Mapping[str, Any]) -> None:
    """Store a document under this id, replacing an existing one."""

    def attempt() -> None:
        document = registry.get(kind, company, id)
        if document is None:
            registry.create(kind, company, id, body)
            return
        document.body = dict(body)
        registry.replace(document)

    until_stored(attempt, f"{kind} {id}")


def create_or_get(registry: Registry, kind: Kind, company: str, id: str, body: Mapping[str, Any]) -> Document:
    """The document of this id: the existing one, else this one."""

    def attempt() -> Document:
        found = registry.get(kind, company, id)  # first, because a full store can still be read
        return registry.create(kind, company, id, body) if found is None else found

    return until_stored(attempt, f"{kind} {id}")
