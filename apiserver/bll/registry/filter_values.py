"""The values that filter menus offer: types, users, tags, parents, parameters and metrics of the tasks or models of some projects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from apiserver.bll.registry.directory import OwnerKind
from apiserver.bll.registry.projects import Projects
from apiserver.bll.registry.query import PROJECTS, Where, conditions, list_conditions, pattern_condition
from apiserver.bll.registry.records import Records
from apiserver.bll.registry.tags import ARCHIVED
from apiserver.stores.base import SeriesReader
from apiserver.stores.conditions import number_of, searched
from apiserver.stores.patterns import PatternTime
from apiserver.stores.records import SCALAR, name_hash
from apiserver.stores.registry import Condition, Sort

Body = dict[str, Any]

PAGE = 5000


class FilterValues:
    """Distinct values of fields. `projects` None or empty: all projects; sub-projects are included by default."""

    def __init__(self, records: Records, events: SeriesReader, projects: Projects) -> None:
        self._registry = records.registry
        self._events = events
        self._projects = projects

    def task_types(self, company: str, projects: Sequence[str] | None) -> list[str]:
        """The types of the tasks, in order."""
        return self._values("task", company, self._inside(company, projects), "type")

    def user_ids(self, company: str, kind: OwnerKind, projects: Sequence[str] | None, *, subprojects: bool) -> list[str]:
        """The ids of the users who created the tasks or models, sorted."""
        return self._values(kind, company, self._inside(company, projects, subprojects), "user")

    def active_users(self, company: str, projects: Sequence[str]) -> set[str]:
        """Who has a task or model in some projects or below, or made one of these; empty: in any project."""
        inside = self._inside(company, projects)
        made: Where = [Condition("id", "in", self._projects.with_descendants(company, projects))] if projects else []
        found = {user for kind in ("task", "model") for user in self._values(kind, company, inside, "user")}  # type: ignore[arg-type]
        return found | set(self._values("project", company, made, "user"))

    def user_names(self, company: str, ids: Sequence[str]) -> list[Body]:
        """`[{id, name}]` of users; the name of an unknown user is its id."""
        known = self._registry.get_many("user", company, ids, fields=["name"])
        return [{"id": id, "name": (known[id].body.get("name") or id) if id in known else id} for id in ids]

    def tags(
        self, company: str, kind: Literal["task", "model", "project"], projects: Sequence[str] | None, filters: Mapping[str, Any] | None
    ) -> list[str]:
        """The tags of tasks, models or projects that pass a filter on tags and system tags, in order."""
        where = self._inside(company, projects) if kind != "project" else []
        wanted = {name: value for name, value in (filters or {}).items() if name in ("tags", "system_tags")}
        return self._values(kind, company, [*where, *conditions(wanted, PROJECTS)], "tags")

    def tags_of_type(self, company: str, type: str) -> list[str]:
        """The tags of the tasks of one type, in order."""
        return self._values("task", company, [Condition("type", "in", (type,))], "tags")

    def system_tags(self, company: str, kind: Literal["task", "model", "project"], projects: Sequence[str] | None) -> list[str]:
        """The system tags in use, in order."""
        return self._values(kind, company, self._inside(company, projects) if kind != "project" else [], "system_tags")

    def parents(
        self, company: str, projects: Sequence[str] | None, state: str | None, *, subprojects: bool, name: str | None = None
    ) -> list[Body]:
        """The tasks that tasks name as their parents: `[{id, name, project: {id, name}}]`, by name. `state`: active, archived or None."""
        where = self._inside(company, projects, subprojects)
        if state in ("active", "archived"):
            where.append(Condition("system_tags", "in", (ARCHIVED,), negate=state == "active"))
        ids = self._values("task", company, where, "parent")
        filters: Where = [Condition("id", "in", ids)]
        if name:
            filters += conditions({"_any_": {"pattern": name, "fields": ["name"]}}, PROJECTS)
        found = self._registry.find("task", [company], filters, order=[Sort("name")], fields=["name", "project"]) if ids else []
        projects_of = {task.body["project"] for task in found if task.body.get("project")}
        names = self._registry.get_many("project", company, projects_of, fields=["name"])
        answers = []
        for task in found:
            project = task.body.get("project")
            answer: Body = {"id": task.id, "name": task.body.get("name") or task.id}
            if project:
                answer["project"] = {"id": project, "name": names[project].body.get("name") if project in names else None}
            answers.append(answer)
        return answers

    def hyper_parameters(self, company: str, projects: Sequence[str] | None, *, subprojects: bool) -> list[Body]:
        """`[{section, name}]` of all parameters of the tasks, in order."""
        found = self._registry.names("task", [company], self._inside(company, projects, subprojects), "hyperparams")
        return [{"section": section, "name": name} for section, name in sorted(found)]

    def hyperparam_values(
        self, company: str, projects: Sequence[str] | None, section: str, name: str, *, subprojects: bool, pattern: str | None = None
    ) -> list[str]:
        """The values that a parameter has in the tasks, in order, of numbers if all are; with `pattern` (RE2, upper and lower case alike) those in which it is found.
        Raises InvalidRegex and PatternTooSlow."""
        where = self._inside(company, projects, subprojects)
        path = ("hyperparams", section, name, "value")
        holds = searched(PatternTime(), *pattern_condition(path, pattern, ignore_case=True, name="pattern").values) if pattern else None
        found = self._registry.tally("task", [company], [*where, Condition(path, "exists")], [path])
        return _in_order(value for (value,) in found if isinstance(value, str) and (holds is None or holds(value)))

    def metric_variants(
        self, company: str, kind: OwnerKind, projects: Sequence[str] | None, ids: Sequence[str] | None, *, subprojects: bool
    ) -> list[Body]:
        """All scalar series of the tasks or models: `[{metric, metric_hash, variant, variant_hash}]`, by metric and variant."""
        where = [*self._inside(company, projects, subprojects), *(list_conditions("id", list(ids), negation=False) if ids else [])]
        tasks = [document.id for document in self._registry.find(kind, [company], where, fields=["id"])]
        names: set[tuple[str, str]] = set()
        for start in range(0, len(tasks), PAGE):
            names.update(self._events.series_names(company, tasks[start : start + PAGE], SCALAR))
        return [
            {"metric": metric, "metric_hash": name_hash(metric), "variant": variant, "variant_hash": name_hash(variant)}
            for metric, variant in sorted(names)
        ]

    def metadata_keys(self, company: str, projects: Sequence[str] | None, *, subprojects: bool) -> list[str]:
        """The keys of the models' metadata, in order."""
        found: set[str] = set()
        for model in self._registry.find("model", [company], self._inside(company, projects, subprojects), fields=["metadata"]):
            found.update(model.body.get("metadata") or {})
        return sorted(found)

    def _values(self, kind: Literal["task", "model", "project"], company: str, where: Where, field: str) -> list[str]:
        found = self._registry.tally(kind, [company], where, [field])
        return sorted(value for (value,) in found if isinstance(value, str))

    def _inside(self, company: str, projects: Iterable[str] | None, subprojects: bool = True) -> Where:
        wanted = [project for project in projects or () if project]
        if not wanted:
            return []
        ids = self._projects.with_descendants(company, wanted) if subprojects else wanted
        return list_conditions("project", ids, negation=False)


def _in_order(values: Iterable[str]) -> list[str]:
    """Sorted as numbers if all are numbers, else as text."""
    found = sorted(values)
    numbers = [number for value in found if (number := number_of(value)) is not None]
    if len(numbers) < len(found):
        return found
    return [value for _, value in sorted(zip(numbers, found, strict=True))]
