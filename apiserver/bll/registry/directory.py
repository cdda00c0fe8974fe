"""Which tasks and models exist, who may read them, and whether their events may change.

Event batches, reads and deletions resolve task ids here. Identity is (company, id); an object of another company is found only when it was made
public, and its events are read with the owner's company.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

from apiserver.bll.registry.document_changes import create_or_get, put
from apiserver.bll.registry.new_documents import DEFAULT_PROJECT, default_project_id, new_model, new_project, new_task, now_ms
from apiserver.bll.registry.public import find_readable
from apiserver.errors import InvalidModel, InvalidTask, ModelNotWritable, NoWritePermission, TaskNotWritable
from apiserver.stores.registry import Condition, Document, Registry

OwnerKind = Literal["task", "model"]

DELETED_FOR = 3600
"""Seconds that the id of a deleted task stays refused, so that late batches don't register it again."""

SWEEP_MS = 60_000
MOST_SWEPT = 1_000
"""Expired tombstones that one call removes."""

_FIELDS = ("name", "status", "ready", "public")


class Owner(NamedTuple):
    """A task or model that owns events: the company it belongs to, its id and kind, and the fields that answers about its events contain.

    `company` may differ from the caller's, when the task or model is public. `locked`: published (or publishing), its events may not change.
    """

    company: str
    id: str
    kind: OwnerKind
    name: str
    status: str
    locked: bool
    public: bool


class TaskDirectory:
    """Looks tasks and models up, and registers unknown ones.

    Never caches: a change by another worker process is seen by the next call. A look-up per batch costs 0.1 ms (embedded).
    """

    def __init__(self, registry: Registry, *, deleted_for: float = DELETED_FOR) -> None:
        """`deleted_for`: seconds that the id of a deleted task stays refused."""
        self._registry = registry
        self._deleted_for_ms = int(deleted_for * 1000)
        self._swept: dict[str, int] = {}
        """Company -> when its expired tombstones were removed last (ms)."""

    def resolve(self, company: str, ids: Collection[str], kind: OwnerKind = "task") -> dict[str, Owner]:
        """Those of `ids` that the company may read: its own, else public ones of other companies. Order as in `ids`."""
        found = find_readable(self._registry, kind, company, ids, fields=_FIELDS)
        return {id: _owner(found[id], kind) for id in dict.fromkeys(ids) if id in found}

    def own(self, company: str, id: str, kind: OwnerKind = "task") -> Owner | None:
        """The company's own object with this id; None if it has none, whatever other companies have made public."""
        document = self._registry.get_many(kind, company, [id], fields=_FIELDS).get(id)
        return None if document is None else _owner(document, kind)

    def readable(self, company: str, ids: Sequence[str], kind: OwnerKind = "task") -> dict[str, Owner]:
        """As `resolve`, but all of them. Raises InvalidTask or InvalidModel with all ids when one is unknown or foreign."""
        found = self.resolve(company, ids, kind)
        if len(found) < len(set(ids)):
            raise _unknown(kind, ids)
        return found

    def writable(self, company: str, id: str, kind: OwnerKind = "task", *, allow_locked: bool = False) -> Owner:
        """One object whose events this company may change.

        Raises InvalidTask or InvalidModel (unknown), NoWritePermission (public), TaskNotWritable or ModelNotWritable (published, without
        `allow_locked`).
        """
        owner = self.readable(company, [id], kind)[id]
        return self.unlocked(company, owner, allow_locked=allow_locked)

    def unlocked(self, company: str, owner: Owner, *, allow_locked: bool = False) -> Owner:
        """The owner, if this company may change its events. Raises NoWritePermission, TaskNotWritable or ModelNotWritable."""
        id, kind = owner.id, owner.kind
        if owner.company != company or owner.public:
            raise NoWritePermission(id=id)
        if owner.locked and not allow_locked:
            raise TaskNotWritable(id) if kind == "task" else ModelNotWritable(id)
        return owner

    def register(self, company: str, ids: Collection[str], kind: OwnerKind = "task", user: str = "") -> dict[str, Owner]:
        """Register unknown ids: name = id, in the default project, tasks in status in_progress. Existing ones are not changed."""
        if not ids:
            return {}
        project = self.default_project(company, user)
        now = now_ms()
        if kind == "task":
            fields = {"status": "in_progress", "started": now, "project": project}
            bodies = {id: new_task(id, company, user, now, fields) for id in ids}
        else:
            bodies = {id: new_model(id, company, user, now, {"project": project}) for id in ids}
        created = self._registry.create_many(kind, company, bodies)
        found = {id: _owner(Document(id, company, bodies[id]), kind) for id in created}
        others = [id for id in ids if id not in created]  # another batch registered them first
        return found | (self.resolve(company, others, kind) if others else {})

    def default_project(self, company: str, user: str = "") -> str:
        """The id of the project of registered tasks; created on first use."""
        id = default_project_id(company)
        if self._registry.get("project", company, id) is None:
            body = new_project(
                id, company, user, now_ms(), DEFAULT_PROJECT, None, [], {"description": "Tasks that nobody put into a project"}
            )
            create_or_get(self._registry, "project", company, id, body)
        return id

    def reset_progress(self, company: str, id: str, kind: OwnerKind = "task") -> None:
        """The events of this object are deleted: reset its last iteration, and move last_change for clients that poll it."""
        now = now_ms()
        self._registry.touch(kind, company, id, last_iteration=0, last_update=now, last_change=now)

    def set_progress(self, owner: Owner, last_iteration: int) -> None:
        """Events of this object were rewound: set its last iteration, and move last_change for clients that poll it."""
        now = now_ms()
        self._registry.touch(owner.kind, owner.company, owner.id, last_iteration=last_iteration, last_update=now, last_change=now)

    # --- deleted ids

    def was_deleted(self, company: str, ids: Collection[str], kind: OwnerKind = "task") -> set[str]:
        """Those of `ids` that have a tombstone that is still valid."""
        tombstones = self._registry.get_many("deleted", company, [_tombstone_id(kind, id) for id in ids])
        since = now_ms() - self._deleted_for_ms
        recent = {tombstone for tombstone, document in tombstones.items() if document.body.get("at", 0) > since}
        return {id for id in ids if _tombstone_id(kind, id) in recent}

    def add_tombstones(self, company: str, ids: Iterable[str], kind: OwnerKind = "task") -> None:
        """Refuse these ids for some time. Called before the object is deleted, so that no batch registers it in between. Expired tombstones are
        removed now and then: a search for them reads all."""
        now = now_ms()
        put(self._registry, "deleted", company, {_tombstone_id(kind, id): {"at": now} for id in ids})
        if now - self._swept.get(company, 0) < min(SWEEP_MS, self._deleted_for_ms):
            return
        self._swept[company] = now
        expired = [Condition("at", "range", (None, now - self._deleted_for_ms))]
        swept = self._registry.find("deleted", [company], expired, limit=MOST_SWEPT, fields=["id"])
        self._registry.delete_many("deleted", company, [old.id for old in swept])


def _tombstone_id(kind: OwnerKind, id: str) -> str:
    return f"{kind}:{id}"


def _unknown(kind: OwnerKind, ids: Sequence[str]) -> Exception:
    return InvalidTask(ids) if kind == "task" else InvalidModel(ids)


def _owner(document: Document, kind: OwnerKind) -> Owner:
    body = document.body
    status = body.get("status") or "created"
    locked = bool(body.get("ready")) if kind == "model" else status in ("published", "publishing")
    return Owner(document.company, document.id, kind, body.get("name") or document.id, status, locked, bool(body.get("public")))
