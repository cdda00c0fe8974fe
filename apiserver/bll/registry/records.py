"""Reading and changing single documents: ownership, public documents, concurrent changes without lost updates."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

import orjson

from apiserver.bll.registry.document_changes import until_stored
from apiserver.bll.registry.new_documents import now_ms
from apiserver.bll.registry.projection import LISTS
from apiserver.bll.registry.public import find_readable, list_owner, owners_of_public
from apiserver.common.json_shape import check_shape
from apiserver.errors import (
    BadBody,
    InvalidModel,
    InvalidProject,
    InvalidQueue,
    InvalidTask,
    NotFound,
    NoWritePermission,
    TidemarkError,
    ValidationFailed,
)
from apiserver.stores.registry import AnyOf, Condition, Document, Kind, Registry

T = TypeVar("T")

MAX_DOCUMENT = 16_000_000
"""Bytes of a document as JSON: what ClearML's own database takes."""
MAX_VALUES = 100_000
"""Values of a document, objects and lists too: each is found by its path, so together they are many times as long as the document."""

Body = dict[str, Any]


def unknown(kind: Kind, id: str | Collection[str]) -> TidemarkError:
    """The error for an id that is unknown to this company, or for ids of which one is."""
    if kind == "task":
        return InvalidTask(id)
    if kind == "model":
        return InvalidModel(id)
    if kind == "project":
        return InvalidProject(id=id)
    if kind == "queue":
        return InvalidQueue(id=id)
    return NotFound(id=id)


class Records:
    """Documents of one registry, as the services of tasks, models and projects use them."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def readable(self, kind: Kind, company: str, id: str, fields: Collection[str] | None = None) -> Document:
        """A document of this company, or a public one of another company. Raises the kind's error for an unknown id."""
        document = find_readable(self.registry, kind, company, [id], fields=fields).get(id)
        if document is None:
            raise unknown(kind, id)
        return document

    def own(self, kind: Kind, company: str, id: str) -> Document:
        """A document that this company may change. Raises the kind's error, or NoWritePermission for a public one."""
        return _own(self.readable(kind, company, id), company)

    def check_own(self, kind: Kind, company: str, ids: Collection[str]) -> None:
        """To be called before several documents are changed: raises the kind's error with all ids if one is unknown, NoWritePermission if one is
        public."""
        found = find_readable(self.registry, kind, company, ids, fields=["public"])
        if len(found) < len(set(ids)):
            raise unknown(kind, ids)
        for document in found.values():
            _own(document, company)

    def change(
        self, kind: Kind, company: str, id: str, change: Callable[[Body], T], *, touch: bool = True, last_iteration: int | None = None
    ) -> tuple[T, Body]:
        """Apply `change` to the body of a document of this company and store it; returns the result of `change` and the body.

        `change` may run again on a newer body when another caller changed the document meanwhile. With `touch`, last_update and last_change become now;
        `last_iteration` is set when it is given.
        """

        def attempt() -> tuple[T, Body]:
            document = self.own(kind, company, id)
            result = change(document.body)
            self._store(document, touch=touch, last_iteration=last_iteration)
            return result, document.body

        return until_stored(attempt, f"{kind} {id}")

    def _store(self, document: Document, *, touch: bool = True, last_iteration: int | None = None) -> None:
        """Write a changed document back and update the times in its body. Raises Conflict when it was changed meanwhile."""
        _tidy(document.body)
        checked(document.body)
        moved: dict[str, int] = {}
        if touch:
            now = now_ms()
            moved = {"last_update": now, "last_change": now}
        if last_iteration is not None:
            moved["last_iteration"] = last_iteration
        document.body.update(moved)
        self.registry.replace(document, touch=moved or None)

    def create(self, kind: Kind, company: str, id: str, body: Body) -> Document:
        """As `Registry.create`. Raises ValidationFailed for values that JSON can't represent."""
        _tidy(body)
        checked(body)
        return self.registry.create(kind, company, id, body)

    def scope(self, kind: Kind, company: str) -> tuple[list[str], list[Condition | AnyOf]]:
        """The companies and conditions of a search over the documents of this company and public ones of others."""
        owners = owners_of_public(self.registry, kind, company)
        if not owners:
            return [company], []
        mine = [Condition("company", "in", (company,))]
        return [company, *owners], [AnyOf([mine, [Condition("public", "in", (True,))]])]

    def share(self, kind: Kind, company: str, ids: Collection[str], *, public: bool) -> int:
        """Let every company read documents, or only their own again; returns how many changed.

        Raises the kind's error for unknown ids, and for documents that are not public where they should become private.
        """
        found = self.registry.get_many(kind, company, ids, fields=["public"])
        for id in ids:
            if id not in found or not (public or found[id].body.get("public")):
                raise unknown(kind, id)
        changed = [id for id, document in found.items() if bool(document.body.get("public")) != public]
        for id in changed:
            self.publish_to_all(kind, company, id, public)
        return len(changed)

    def publish_to_all(self, kind: Kind, company: str, id: str, public: bool) -> None:
        """Make a document of this company readable by every company, or private again."""
        if public:
            list_owner(self.registry, kind, company)

        def attempt() -> None:
            document = self.registry.get(kind, company, id)
            if document is None:
                raise unknown(kind, id)
            document.body["public"] = public
            self._store(document)

        until_stored(attempt, f"{kind} {id}")


def _tidy(body: Body) -> None:
    for name in LISTS:
        if body.get(name) == []:
            body[name] = None


def checked(body: Body) -> Body:
    """The body, if it can be stored as JSON. Raises ValidationFailed for integers beyond 64 bits, lone surrogates, too deep nesting, and bodies that are
    too long."""
    try:
        text = orjson.dumps(body)
    except TypeError as error:
        raise ValidationFailed("", f"made of 64-bit integers, finite numbers and valid text ({error})") from None
    if len(text) > MAX_DOCUMENT:
        raise ValidationFailed(
            "", f"so short that the document (task, model, project, user) has at most {MAX_DOCUMENT:,} bytes as JSON", len(text)
        )
    try:
        check_shape(text, MAX_VALUES)
    except BadBody as error:
        raise ValidationFailed("", f"made so that the document (task, model, project, user) can be stored: {error.extra}") from None
    return body


def _own(document: Document, company: str) -> Document:
    """The document, if the company may change it; raises NoWritePermission."""
    if document.company != company or document.body.get("public"):
        raise NoWritePermission(id=document.id)
    return document
