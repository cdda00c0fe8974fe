"""Objects that every company may read.

Who ever made one public stays on a short list: so nobody searches all companies for an id that is not there, and most ids that are asked for
and not known are those of new tasks.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from apiserver.stores.base import Condition, Conflict, Document, Kind, Registry


def list_owner(registry: Registry, kind: Kind, company: str) -> None:
    """To be called before an object of this kind becomes public."""
    with suppress(Conflict):  # it is on the list already
        registry.create("public", "", f"{kind}:{company}", {"kind": kind, "owner": company})


def owners_of_public(registry: Registry, kind: Kind, company: str) -> list[str]:
    """The other companies that may have public objects of this kind."""
    marks = registry.find("public", [""], [Condition("kind", "in", (kind,))])
    return sorted({mark.body["owner"] for mark in marks} - {company})


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
