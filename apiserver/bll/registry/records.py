"""Reading and changing single documents: ownership, public documents, concurrent changes without lost updates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import orjson

from apiserver.bll.registry.document_changes import in_parts, too_many_callers, until_all_stored
from apiserver.bll.registry.new_documents import now_ms
from apiserver.bll.registry.projection import LISTS
from apiserver.bll.registry.public import find_readable, list_owner, owners_of_public
from apiserver.common.fairness import give_way
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
U = TypeVar("U")

MAX_DOCUMENT = 16_000_000
"""Bytes of a document as JSON: what ClearML's own database takes."""
MAX_VALUES = 100_000
"""Values of a document, objects and lists too: each is found by its path, so together they are many times as long as the document."""

CHANGED_AT_ONCE = 100
"""Documents that are read, changed and stored at once: as a whole, so they are few."""

Body = dict[str, Any]
Changed = tuple[T, Body]
"""The result of a change, and the body after it."""


def result(outcome: T | TidemarkError) -> T:
    """The outcome of an operation on one of many documents, if it is no error; raises the error."""
    if isinstance(outcome, TidemarkError):
        raise outcome
    return outcome


def each_result(outcomes: Mapping[str, T | TidemarkError], make: Callable[[T], U]) -> dict[str, U | TidemarkError]:
    """What `make` makes of each result; errors stay."""
    return {id: outcome if isinstance(outcome, TidemarkError) else make(outcome) for id, outcome in outcomes.items()}


def unforeseen(outcomes: Mapping[str, object], ids: Iterable[str], *foreseen: type[TidemarkError]) -> TidemarkError | None:
    """The first error among the outcomes of some ids that is not of the kinds that are foreseen."""
    for id in ids:
        outcome = outcomes.get(id)
        if isinstance(outcome, TidemarkError) and not isinstance(outcome, foreseen):
            return outcome
    return None


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
        return result(self.own_many(kind, company, [id])[id])

    def own_many(
        self, kind: Kind, company: str, ids: Collection[str], fields: Collection[str] | None = None, *, public: bool = False
    ) -> dict[str, Document | TidemarkError]:
        """Documents that this company may change, by id, or what `own` raises. `public`: those of this company that are public are among them."""
        wanted = None if fields is None else {*fields, "public"}
        found = find_readable(self.registry, kind, company, ids, fields=wanted)
        return {id: _own(found[id], company, public=public) if id in found else unknown(kind, id) for id in ids}

    def check_own(self, kind: Kind, company: str, ids: Collection[str]) -> None:
        """To be called before several documents are changed: raises the kind's error with all ids if one is unknown, NoWritePermission if one is
        public."""
        found: dict[str, Document] = {}
        for part in in_parts(list(ids)):
            found |= find_readable(self.registry, kind, company, part, fields=["public"])
        if len(found) < len(set(ids)):
            raise unknown(kind, ids)
        for document in found.values():
            result(_own(document, company))

    def change(
        self, kind: Kind, company: str, id: str, change: Callable[[Body], T], *, touch: bool = True, last_iteration: int | None = None
    ) -> Changed[T]:
        """As `change_many`, for one. Raises its error."""
        return result(dict(self.change_many(kind, company, [id], change, touch=touch, last_iteration=last_iteration))[id])

    def change_all(
        self,
        kind: Kind,
        company: str,
        ids: Iterable[str],
        change: Callable[[Body], Any],
        *,
        touch: bool = True,
        public: bool = False,
        besides: tuple[type[TidemarkError], ...] = (),
    ) -> None:
        """As `change_many`. Raises the first error that is none of `besides`, before the documents that follow are changed."""
        for _, outcome in self.change_many(kind, company, ids, change, touch=touch, public=public):
            if not isinstance(outcome, besides):
                result(outcome)

    def change_many(
        self,
        kind: Kind,
        company: str,
        ids: Iterable[str],
        change: Callable[[Body], T],
        *,
        touch: bool = True,
        last_iteration: int | None = None,
        public: bool = False,
    ) -> Iterator[tuple[str, Changed[T] | TidemarkError]]:
        """Apply `change` to the bodies of documents of this company and store them, many at once; for each id the result of `change` and the body, or
        the error: what `own` raises, or `change`. An iterator, which changes nothing until it is read.

        `change` may run again on a newer body when another caller changed the document meanwhile. With `touch`, last_update and last_change become now;
        `last_iteration` is set when it is given. `public`: public documents may be changed too.
        """
        outcomes: dict[str, Changed[T] | TidemarkError] = {}

        def attempt(some: list[str]) -> list[str]:
            changed: dict[str, Document] = {}
            for id, found in self.own_many(kind, company, some, public=public).items():
                give_way()
                try:
                    document = result(found)
                    outcomes[id] = change(document.body), document.body
                    _tidy(document.body)
                    checked(document.body)
                    changed[id] = document
                except TidemarkError as error:
                    outcomes[id] = error
            moved: dict[str, int] = {"last_iteration": last_iteration} if last_iteration is not None else {}
            if touch:
                now = now_ms()
                moved |= {"last_update": now, "last_change": now}
            for document in changed.values():
                document.body.update(moved)
            replaced = self.registry.replace_many(kind, company, list(changed.values()), touch=moved or None)
            return [id for id in changed if id not in replaced]

        for part in in_parts(list(dict.fromkeys(ids)), CHANGED_AT_ONCE):
            for id in until_all_stored(part, attempt):
                outcomes[id] = too_many_callers(f"{kind} {id}")
            for id in part:
                yield id, outcomes.pop(id)

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
        self.publish_to_all(kind, company, changed, public)
        return len(changed)

    def publish_to_all(self, kind: Kind, company: str, ids: Collection[str], public: bool) -> None:
        """Make documents of this company readable by every company, or private again."""
        if public and ids:
            list_owner(self.registry, kind, company)
        self.change_all(kind, company, ids, lambda body: body.update(public=public), public=True)


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


def _own(document: Document, company: str, *, public: bool = False) -> Document | TidemarkError:
    """The document, if the company may change it, else NoWritePermission. `public`: it may be public."""
    if document.company != company or (document.body.get("public") and not public):
        return NoWritePermission(id=document.id)
    return document
