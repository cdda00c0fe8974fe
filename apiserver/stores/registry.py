"""The port for documents: tasks, models, projects, users, keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from apiserver.stores.errors import Conflict

Kind = Literal[
    "task",
    "project",
    "model",
    "user",
    "credential",
    "company",
    "secret",
    "preference",
    "queue",
    "revoked",
    "deleted",
    "generation",
    "public",
    "view",
]

ACTIVITY_FIELDS = ("last_iteration", "last_update", "last_change")
"""Fields of task and model documents that `EventStore.append` moves (ms since the epoch for the two times). `replace` leaves them alone;
`Registry.touch` sets them."""


@dataclass(slots=True)
class Document:
    """A registry document. `body` is plain JSON data and holds the id too; `version` is for compare-and-set, and begins with the kind."""

    id: str
    company: str
    body: dict[str, Any]
    version: Any = None


class Condition(NamedTuple):
    """One condition on a field (`path`: dotted, or a tuple when names hold dots).

    op: `in` (the field, or an item of a list field, equals one of the values; None stands for absent or null), `all` (a list field holds
    every value), `range` (values = (lo, hi), either may be None, inclusive), `exists`, `matches` (RE2 pattern, values = (pattern,
    ignore_case), found anywhere in the text). `negate` turns it round.
    """

    path: str | tuple[str, ...]
    op: Literal["in", "all", "range", "exists", "matches"]
    values: Sequence[Any] = ()
    negate: bool = False


@dataclass(slots=True)
class AnyOf:
    """At least one of the groups holds; a group is a list of conditions that must all hold."""

    groups: list[list[Condition]] = field(default_factory=list)


class Sort(NamedTuple):
    """Order by a field; absent values come last in both directions. `last_metrics.<md5>.<md5>.<field>` sorts tasks by a statistic of a series
    (field: value, min_value, max_value, mean_value, first_value, count, ..._iteration). With `numeric` texts that are decimal numbers count as
    numbers, which come before other texts."""

    path: str | tuple[str, ...]
    descending: bool = False
    numeric: bool = False


class Registry(Protocol):
    """Small documents of a company, strongly consistent: what was written is found by the next call, on any worker."""

    def get(self, kind: Kind, company: str, id: str) -> Document | None:
        """One document, or None."""
        return self.get_many(kind, company, [id]).get(id)

    def get_many(self, kind: Kind, company: str, ids: Collection[str], *, fields: Collection[str] | None = None) -> dict[str, Document]:
        """The documents that exist, by id. With `fields` (top-level names), others may be left out of the bodies: such a document is for
        reading, never for `replace`."""

    def find_anywhere(self, kind: Kind, ids: Collection[str]) -> list[Document]:
        """Documents of any company with one of these ids (credentials). The caller checks whether it may use them."""

    def companies(self) -> list[str]:
        """Companies that have documents, in order."""

    def create(self, kind: Kind, company: str, id: str, body: Mapping[str, Any]) -> Document:
        """Raises Conflict when the id is taken in this company."""
        made = self.create_many(kind, company, {id: body})
        if id not in made:
            raise Conflict(f"{kind} {id} exists already")
        return made[id]

    def create_many(self, kind: Kind, company: str, bodies: Mapping[str, Mapping[str, Any]]) -> dict[str, Document]:
        """Create documents by their ids in one go; those whose ids were free, by id. Those whose ids were taken stay as they are."""

    def replace(self, document: Document, *, touch: Mapping[str, int] | None = None) -> Document:
        """As `replace_many`, for one. Raises Conflict when somebody changed it since it was read."""
        replaced = self.replace_many(document.version[0], document.company, [document], touch=touch)
        if document.id not in replaced:
            raise Conflict(f"{document.version[0]} {document.id} was changed by someone else")
        return replaced[document.id]

    def replace_many(
        self, kind: Kind, company: str, documents: Collection[Document], *, touch: Mapping[str, int] | None = None
    ) -> dict[str, Document]:
        """Store the bodies of those documents that nobody changed since they were read; these, by id. Activity fields in a body are ignored;
        those in `touch` are set, as `Registry.touch` does, together with it."""

    def delete(self, kind: Kind, company: str, id: str) -> bool:
        """False when there was none."""
        return id in self.delete_many(kind, company, [id])

    def delete_many(self, kind: Kind, company: str, ids: Collection[str]) -> set[str]:
        """Delete documents; those of the ids that there were."""

    def touch(
        self,
        kind: Kind,
        company: str,
        id: str,
        *,
        last_iteration: int | None = None,
        last_update: int | None = None,
        last_change: int | None = None,
    ) -> None:
        """Set activity fields (None: leave)."""

    def find(
        self,
        kind: Kind,
        companies: Sequence[str],
        where: Sequence[Condition | AnyOf] = (),
        *,
        order: Sequence[Sort] = (),
        offset: int = 0,
        limit: int | None = None,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        """Matching documents. `fields` (top-level names) may be used to leave out the rest (id always comes; such a document is not for
        `replace`); ties are ordered by id, then company. No hidden limit."""

    def count(self, kind: Kind, companies: Sequence[str], where: Sequence[Condition | AnyOf] = ()) -> int:
        """The exact number of matching documents."""

    def tally(
        self,
        kind: Kind,
        companies: Sequence[str],
        where: Sequence[Condition | AnyOf],
        by: Sequence[str | tuple[str, ...]],
        *,
        total: str | tuple[str, ...] | None = None,
        greatest: bool = False,
    ) -> dict[tuple[Any, ...], tuple[int, float]]:
        """Matching documents counted by the values of one or more fields (None: absent or null; a list field counts once per item, and as
        None when empty): for each combination the number of documents and the sum of the numbers at `total` (with `greatest` the greatest of
        them, which must not be negative; 0.0 without any). Exact, and all combinations."""

    def names(self, kind: Kind, companies: Sequence[str], where: Sequence[Condition | AnyOf], field: str) -> set[tuple[str, str]]:
        """The names in a field that is an object of objects (`hyperparams`: sections and parameters) of the matching documents."""
