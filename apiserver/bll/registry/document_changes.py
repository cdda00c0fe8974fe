"""Changing registry documents when others change them too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from apiserver.stores.base import Conflict, Document, Kind, Registry

ATTEMPTS = 20


def change(registry: Registry, kind: Kind, company: str, id: str, edit: Callable[[dict[str, Any]], bool]) -> Document | None:
    """Read, let `edit` change the body in place, and store it if nobody was faster, else again. `edit` returns whether there is something
    to store. The document afterwards; None when there is none."""
    for attempt in range(ATTEMPTS):
        document = registry.get(kind, company, id)
        if document is None or not edit(document.body):
            return document
        try:
            return registry.replace(document)
        except Conflict:
            if attempt == ATTEMPTS - 1:
                raise
    return None


def create_or_get(registry: Registry, kind: Kind, company: str, id: str, body: Mapping[str, Any]) -> Document:
    """The document of this id: the one that was there, else this one."""
    try:
        return registry.create(kind, company, id, body)
    except Conflict:
        found = registry.get(kind, company, id)
        if found is None:  # deleted between the two
            raise
        return found
