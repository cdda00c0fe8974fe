"""Projects: a tree by names (`a/b/c`); missing parents are created."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from apiserver.bll.registry.new_documents import new_id, new_project, now_ms, project_id
from apiserver.bll.registry.records import Records, checked
from apiserver.errors import ExpectedUnique, InvalidProject, InvalidProjectName, NoWritePermission
from apiserver.stores.errors import Conflict
from apiserver.stores.registry import Condition, Document, Kind, Sort

Body = dict[str, Any]

CONTENTS: tuple[Kind, ...] = ("task", "model")
"""Kinds of documents that lie in projects."""
USE_RESOLUTION_MS = 10_000
MAX_LEVELS = 100
"""Parts of a project's name; each is a project of its own, made by a recursion."""

HIDDEN = "hidden"
DATASETS = ".datasets"
HIDDEN_NAMES = frozenset({DATASETS, ".pipelines", ".reports"})
"""Folders that clients make below a project for datasets, pipelines and reports, which have their own pages: hidden, with everything below
them."""


def is_hidden(body: Mapping[str, Any]) -> bool:
    """Whether a project is left out of lists and counts unless they ask for hidden ones."""
    return HIDDEN in (body.get("system_tags") or ()) or not HIDDEN_NAMES.isdisjoint(body["name"].split("/"))


def clean_name(name: str) -> str:
    """A full project name: parts separated by single slashes. Raises InvalidProjectName when nothing is left, or too much."""
    parts = [part.strip() for part in name.split("/")]
    kept = [part for part in parts if part]
    if not kept:
        raise InvalidProjectName("it must be a path of names such as a/b", name=name)
    if len(kept) > MAX_LEVELS:
        raise InvalidProjectName(f"it has {len(kept)} levels; at most {MAX_LEVELS} are allowed", name=name[:200])
    return "/".join(kept)


class Projects:
    """Creates and finds projects. Names are unique inside a company."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._registry = records.registry

    def by_name(self, company: str, name: str) -> Document | None:
        """The project of this full name."""
        found = self._registry.find("project", [company], [Condition("name", "in", (name,))], order=[Sort("created")], limit=1)
        return found[0] if found else None

    def create(self, company: str, user: str, name: str, fields: Mapping[str, Any]) -> str:
        """Create a new project, with the projects above it; returns its id. Raises ExpectedUnique when the name is taken."""
        name = clean_name(name)
        if self.by_name(company, name) is not None:
            raise ExpectedUnique("a project of this name exists", name=name)
        id, created = self._make(company, user, name, fields)
        if not created:
            raise ExpectedUnique("a project of this name exists", name=name)
        return id

    def find_or_create(self, company: str, user: str, name: str, fields: Mapping[str, Any] | None = None) -> tuple[str, bool]:
        """The id of the project of this name, and whether it was created."""
        name = clean_name(name)
        found = self.by_name(company, name)
        return (found.id, False) if found is not None else self._make(company, user, name, fields or {})

    def note_use(self, company: str, id: str) -> None:
        """Set `last_update` of a project that got a task or model, at most once in ten seconds (many new tasks cost one write)."""
        document = self._registry.get("project", company, id)
        if document is None or now_ms() - int(document.body.get("last_update") or 0) < USE_RESOLUTION_MS:
            return
        places = (id, *(document.body.get("path") or []))
        gone_or_public = (InvalidProject, NoWritePermission)
        self._records.change_all("project", company, places, lambda body: None, besides=gone_or_public)

    def _make(self, company: str, user: str, name: str, fields: Mapping[str, Any]) -> tuple[str, bool]:
        """The id of the project of this name, and whether this call made it (False: another caller made it meanwhile)."""
        id = project_id(company, name)
        checked(new_project(id, company, user, now_ms(), name, id, [id] * name.count("/"), dict(fields)))  # before those above are made
        above, _, _ = name.rpartition("/")
        parent, path = None, []
        if above:
            parent, _ = self.find_or_create(company, user, above)
            document = self._registry.get("project", company, parent)
            path = [*(document.body.get("path") or []), parent] if document else [parent]
        body = new_project(id, company, user, now_ms(), name, parent, path, dict(fields))
        if body["basename"] in HIDDEN_NAMES:
            body["system_tags"] = list(dict.fromkeys([*(body["system_tags"] or []), HIDDEN]))
        try:
            self._records.create("project", company, id, body)
            return id, True
        except Conflict:
            # By its id: a search may not see yet what another worker process is writing.
            there = self._registry.get("project", company, id)
            if there is not None and there.body.get("name") == name:
                return id, False
        body["id"] = new_id()  # the id is that of a project which had this name once and was renamed
        self._records.create("project", company, body["id"], body)
        return str(body["id"]), True

    def descendants(self, company: str, ids: Collection[str], fields: Sequence[str] = ("name",)) -> list[Document]:
        """All projects below any of these, the nearest first."""
        if not ids:
            return []
        return self._registry.find("project", [company], [Condition("path", "in", list(ids))], order=[Sort("name")], fields=fields)

    def with_descendants(self, company: str, ids: Collection[str]) -> list[str]:
        """These ids (and operators of list filters among them), then those of all projects below."""
        return list(dict.fromkeys([*ids, *(document.id for document in self.descendants(company, ids))]))
