"""Documents that every company may read.

A short list names the companies that ever made a document public, so that an unknown id (most are ids of new tasks) is not searched in all companies.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from apiserver.stores.errors import Conflict
from apiserver.stores.registry import Condition, Document, Kind, Registry


def list_owner(registry: Registry, kind: Kind, company: str) -> None:
    """Put a company on the list; called before a document of this kind becomes public."""
    with suppress(Conflict):  # already on the list
        registry.create("public", "", f"{kind}:{company}", {"kind": kind, "owner": company})


def owners_of_public(registry: Registry, kind: Kind, company: str) -> list[str]:
    """The other companies that may have public documents of this kind."""
    entries = registry.find("public", [""], [Condition("kind", "in", (kind,))])
    return sorted({entry.body["owner"] for entry in entries} - {company})


def find_readable(
    registry: Registry, kind: Kind, company: str, ids: Collection[str], *, fields: Collection[str] | None = None
) -> dict[str, Document]:
    """The documents with these ids that the company may read: its own, else public ones of others."""
    found = registry.get_many(kind, company, ids, fields=fields)
    missing = [id for id in ids if id not in found]
    if missing:
        wanted = None if fields is None else {*fields, "public"}
        for owner in owners_of_public(registry, kind, company):
            theirs = registry.get_many(kind, owner, missing, fields=wanted)
            found |= {id: document for id, document in theirs.items() if document.body.get("public")}
    return found
