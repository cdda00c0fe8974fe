"""Counts the projects, tasks, models and so on that match filters, for the numbers beside a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from apiserver.bll.registry.models import Models
from apiserver.bll.registry.project_list import ProjectList
from apiserver.bll.registry.query import list_conditions
from apiserver.bll.registry.records import Records
from apiserver.bll.registry.tasks import Tasks
from apiserver.stores.registry import Condition, Kind


class _Entity(NamedTuple):
    kind: Kind
    where: tuple[Condition, ...] = ()
    hidden: bool = False
    """Whether they lie in hidden projects."""


_DATASET, _PIPELINE = (Condition("system_tags", "in", (tag,)) for tag in ("dataset", "pipeline"))

_ENTITIES = {
    "projects": _Entity("project"),
    "tasks": _Entity("task"),
    "models": _Entity("model"),
    "datasets": _Entity("project", (_DATASET,), hidden=True),
    "dataset_versions": _Entity("task", (_DATASET,), hidden=True),
    "pipelines": _Entity("project", (_PIPELINE,), hidden=True),
    "pipeline_runs": _Entity("task", (_PIPELINE,), hidden=True),
    "reports": _Entity("task", (Condition("type", "in", ("report",)),), hidden=True),
}


class EntityCounts:
    """Counts the entities that a list with the same filters would return."""

    names = tuple(_ENTITIES)

    def __init__(self, records: Records, tasks: Tasks, models: Models, projects: ProjectList) -> None:
        self._records = records
        self._filters = {"task": tasks.filters, "model": models.filters, "project": projects.filters}

    def count(self, company: str, name: str, request: Mapping[str, Any]) -> int:
        """How many match. Raises InvalidRegex and ValidationFailed for filters that can't be read."""
        entity = _ENTITIES[name]
        wanted = {**request, "search_hidden": True} if entity.hidden else request
        companies, where = self._records.scope(entity.kind, company)
        where += [*self._filters[entity.kind](company, wanted), *entity.where]
        if entity.kind != "project" and request.get("active_users"):
            where += list_conditions("user", request["active_users"], negation=False)
        return self._records.registry.count(entity.kind, companies, where)
