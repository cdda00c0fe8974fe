"""Reading projects: filters, the tree, statistics; and changing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.bll.registry.paging import DocumentPage, DocumentPages
from apiserver.bll.registry.project_stats import ProjectStats
from apiserver.bll.registry.projection import Projector, iso, top_fields, tree_of
from apiserver.bll.registry.projects import CONTENTS, HIDDEN, Projects, clean_name, is_hidden
from apiserver.bll.registry.query import PROJECTS, Where, conditions, sorts
from apiserver.bll.registry.records import Records
from apiserver.errors import ExpectedUnique, FieldsConflict, InvalidProject, ProjectLocationFixed
from apiserver.stores.registry import Condition, Document, Sort

Body = dict[str, Any]

_FIELDS = ("description", "tags", "system_tags", "default_output_destination")


class ProjectList:
    """Reads, changes, moves and merges projects; `Projects` creates them."""

    def __init__(self, records: Records, pages: DocumentPages, projects: Projects, stats: ProjectStats) -> None:
        self._records = records
        self._registry = records.registry
        self._projects = projects
        self._stats = stats
        self._pages = pages

    def get(self, company: str, id: str) -> Body:
        """One project as clients see it. Raises InvalidProject."""
        document = self._records.readable("project", company, id)
        return Projector(self._registry, "project", company, expand=False).project([document.body], {})[0]

    def find(self, company: str, request: Mapping[str, Any], *, expand: bool) -> DocumentPage:
        """One page of projects, with statistics when the request asks for them."""
        tree = tree_of(request.get("only_fields"))
        companies, where = self._records.scope("project", company)
        where += self.filters(company, request)
        order = sorts(request.get("order_by"), [Sort("created")])
        page = self._pages.read("project", companies, where, order, request, top_fields(tree, ("public", "company")), scope=company)
        rows = Projector(self._registry, "project", company, expand=expand).project([document.body for document in page.documents], tree)
        if expand and rows:
            self._add_statistics(company, request, page.documents, rows)
        return page.with_rows(rows)

    def filters(self, company: str, request: Mapping[str, Any]) -> Where:
        """The conditions of a request."""
        wanted = {name: value for name, value in request.items() if name not in ("parent", "project")}
        where = conditions(wanted, PROJECTS)
        parents = request.get("parent") or []
        parents = [parents] if isinstance(parents, str) else [parent for parent in parents if parent]
        if request.get("shallow_search"):
            where.append(Condition("parent", "in", parents or (None,)))
        elif parents:
            where.append(Condition("path", "in", parents))
        if not request.get("search_hidden") and not request.get("id"):
            where.append(Condition("system_tags", "in", (HIDDEN,), negate=True))
        users = request.get("active_users") or []
        if users:
            of_users = self._registry.tally("task", [company], [Condition("user", "in", users)], ["project"])
            where.append(Condition("id", "in", self._with_ancestors(company, [id for (id,) in of_users if id])))
        if request.get("children_type"):
            where.append(Condition("id", "in", self._above_children(company, request)))
        return where

    def _above_children(self, company: str, request: Mapping[str, Any]) -> list[str]:
        """The projects with datasets, pipelines or reports in them or further below, of which the request's tags are."""
        kind = request["children_type"]
        given = request.get("children_tags_filter") or {}
        filters = {"tags": request.get("children_tags"), "filters": given if "tags" in given else {"tags": given} if given else None}
        tagged = conditions(filters, PROJECTS)
        if kind == "report":
            found = self._registry.tally("task", [company], [Condition("type", "in", ("report",)), *tagged], ["project"])
            return self._with_ancestors(company, [id for (id,) in found if id])
        children = self._registry.find("project", [company], [Condition("system_tags", "in", (kind,)), *tagged], fields=["path"])
        return sorted({above for document in children for above in document.body.get("path") or []})

    def _with_ancestors(self, company: str, ids: Sequence[str]) -> list[str]:
        found = self._registry.get_many("project", company, ids, fields=["path"])
        return sorted({*found, *(above for document in found.values() for above in document.body.get("path") or [])})

    def _add_statistics(self, company: str, request: Mapping[str, Any], documents: Sequence[Document], rows: Sequence[Body]) -> None:
        ids = [document.id for document in documents]
        filters, hidden = request.get("include_stats_filter"), bool(request.get("search_hidden"))
        with_datasets = request.get("children_type") == "dataset"
        if request.get("include_stats"):
            every = self._below(company, ids)
            below = {id: [item for item in items if hidden or not is_hidden(item.body)] for id, items in every.items()}
            nested = {id: [item.id for item in items] for id, items in below.items()} if request.get("stats_with_children", True) else {}
            users = request.get("active_users") or []
            state = request.get("stats_for_state")
            found = self._stats.stats(company, ids, nested, state=state, filters=filters, users=users, hidden=hidden)
            sub_projects = self._stats.sub_projects(below if nested else {})
            for id, row in zip(ids, rows, strict=True):
                row["stats"] = found[id]
                datasets = self._stats.datasets(every[id])
                if with_datasets or datasets["count"]:
                    row["stats"]["datasets"] = datasets
                row["sub_projects"] = sub_projects.get(id, [])
        if request.get("check_own_contents"):
            own = self._stats.own(company, ids, filters, hidden=hidden)
            for id, row in zip(ids, rows, strict=True):
                row.update(own[id])
        if request.get("include_dataset_stats"):
            versions = self._stats.newest_versions(company, ids)
            for id, row in zip(ids, rows, strict=True):
                if id in versions:
                    row["dataset_stats"] = versions[id]

    def _below(self, company: str, ids: Sequence[str]) -> dict[str, list[Document]]:
        below: dict[str, list[Document]] = {id: [] for id in ids}
        for document in self._projects.descendants(company, ids, fields=("name", "path", "tags", "system_tags")):
            for above in document.body.get("path") or []:
                if above in below:
                    below[above].append(document)
        return below

    # --- changing

    def update(self, company: str, user: str, id: str, fields: Mapping[str, Any]) -> Body:
        """Change fields; a new name renames the projects below along. Raises InvalidProject, ExpectedUnique, InvalidProjectName, and
        ProjectLocationFixed for a name below another project."""
        changed = {name: fields[name] for name in _FIELDS if name in fields}
        if "name" in fields:
            changed["name"] = name = clean_name(fields["name"])
            old = self._records.own("project", company, id).body["name"]
            if name.rpartition("/")[0] != old.rpartition("/")[0]:
                raise ProjectLocationFixed("projects.move moves it", id=id, name=name)
            self._rename(company, user, id, name)
        rest = {name: value for name, value in changed.items() if name != "name"}
        body = self._records.change("project", company, id, lambda body: body.update(rest))[1]
        return {**changed, "last_update": iso(body["last_update"])}

    def move(self, company: str, user: str, id: str, new_location: str) -> int:
        """Put a project (and all below) under another one, named in full; empty: to the top. How many projects moved."""
        document = self._records.own("project", company, id)
        above = new_location.strip("/ ")
        basename = document.body["name"].rsplit("/", 1)[-1]
        return self._rename(company, user, id, clean_name(f"{above}/{basename}"))

    def merge(self, company: str, user: str, id: str, destination: str) -> tuple[int, int]:
        """Put the tasks, models and sub-projects of a project into another one and remove it; returns how many entities and projects moved."""
        source = self._records.own("project", company, id)
        target = self._records.own("project", company, destination)
        if id == destination or id in (target.body.get("path") or []):
            raise FieldsConflict("a project can't be merged into itself or into a project below it", id=id)
        entities = 0
        for kind in CONTENTS:
            inside = self._registry.find(kind, [company], [Condition("project", "in", (id,))], fields=["id"])
            self._records.change_all(kind, company, [one.id for one in inside], lambda body: body.update(project=destination))
            entities += len(inside)
        children = self._registry.find("project", [company], [Condition("parent", "in", (id,))], fields=["name"])
        for child in children:
            self._rename(company, user, child.id, f"{target.body['name']}/{child.body['name'].rsplit('/', 1)[-1]}")
        self._registry.delete("project", company, source.id)
        return entities, len(children)

    def _rename(self, company: str, user: str, id: str, name: str) -> int:
        """Give a project its full name, move those below along, and set parents and paths; returns how many projects changed."""
        document = self._records.own("project", company, id)
        old = document.body["name"]
        if name == old:
            return 0
        if name.startswith(f"{old}/"):
            raise FieldsConflict("a project can't be moved below itself", id=id, name=name)
        taken = self._projects.by_name(company, name)
        if taken is not None and taken.id != id:
            raise ExpectedUnique("a project of this name exists", name=name)
        above, _, _ = name.rpartition("/")
        path: list[str] = []
        if above:
            parent, _ = self._projects.find_or_create(company, user, above)
            holder = self._registry.get("project", company, parent)
            if holder is None:
                raise InvalidProject(id=parent)
            path = [*(holder.body.get("path") or []), parent]
        below = self._projects.descendants(company, [id], fields=("name", "path"))
        places = {id: _place(name, path)}
        for child in below:
            inner = child.body.get("path") or []
            places[child.id] = _place(name + child.body["name"][len(old) :], [*path, *inner[inner.index(id) :]])
        self._records.change_all("project", company, places, lambda body: body.update(places[body["id"]]))
        return len(places)


def _place(name: str, path: list[str]) -> Body:
    """The fields of a project with this name, below those of the path."""
    return {"name": name, "basename": name.rsplit("/", 1)[-1], "path": path, "parent": path[-1] if path else None}
