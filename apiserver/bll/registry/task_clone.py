"""Cloning tasks: the configuration of another task in a new one, without its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apiserver.bll.registry.projects import Projects
from apiserver.bll.registry.public import find_readable
from apiserver.bll.registry.records import Body, Records, checked
from apiserver.bll.registry.tags import ARCHIVED
from apiserver.bll.registry.tasks import Tasks
from apiserver.errors import InvalidModel

OF_THE_SOURCE = frozenset({ARCHIVED, "development"})
"""System tags that say something of the source: where it is kept, and that it ran from a developer's machine."""

_COPIED = ("type", "script", "hyperparams", "configuration", "container")


class TaskClone:
    """Clones tasks."""

    def __init__(self, records: Records, tasks: Tasks, projects: Projects) -> None:
        self._records = records
        self._tasks = tasks
        self._projects = projects

    def clone(self, company: str, user: str, id: str, request: Mapping[str, Any]) -> tuple[str, Body | None]:
        """Create a new task; returns its id, and the project if that was made for it.

        Models that the request names have to exist, with `validate_references` those of the source too (InvalidModel).
        """
        source = self._records.readable("task", company, id).body
        fields = self._fields(company, source, id, request)
        self._check_models(company, fields, request)
        body, made = self._tasks.prepare(company, user, fields), None
        if not request.get("new_task_project") and request.get("new_project_name"):
            checked(body)  # a task that can't be stored leaves no project behind
            body["project"], created = self._projects.find_or_create(company, user, request["new_project_name"])
            made = {"id": body["project"], "name": request["new_project_name"]} if created else None
        return self._tasks.store(body), made

    def _fields(self, company: str, source: Body, id: str, request: Mapping[str, Any]) -> Body:
        fields: Body = {name: source[name] for name in _COPIED if source.get(name)}
        execution = {**(source.get("execution") or {}), **(request.get("execution_overrides") or {})}
        execution["artifacts"] = [item for item in execution.get("artifacts") or [] if item.get("mode") == "input"]
        system_tags = [tag for tag in source.get("system_tags") or [] if tag not in OF_THE_SOURCE]
        fields |= {
            "name": request.get("new_task_name") or source.get("name") or id,
            "comment": request.get("new_task_comment", source.get("comment") or ""),
            "parent": request.get("new_task_parent") or id,
            "project": request.get("new_task_project") or (source.get("project") if source.get("company") == company else None),
            "tags": request.get("new_task_tags", source.get("tags") or []),
            "system_tags": request.get("new_task_system_tags", system_tags),
            "execution": execution,
            "models": {"input": request.get("new_task_input_models", (source.get("models") or {}).get("input") or []), "output": []},
        }
        for name in ("hyperparams", "configuration", "container"):
            if f"new_task_{name}" in request:
                fields[name] = request[f"new_task_{name}"]
        destination = (source.get("output") or {}).get("destination")
        if destination:
            fields["output_dest"] = destination
        return fields

    def _check_models(self, company: str, fields: Body, request: Mapping[str, Any]) -> None:
        if request.get("validate_references"):
            wanted = set(_models(fields))
        else:
            wanted = set(
                _models({"execution": request.get("execution_overrides"), "models": {"input": request.get("new_task_input_models")}})
            )
        missing = wanted - set(find_readable(self._records.registry, "model", company, sorted(wanted), fields=["public"]))
        if missing:
            raise InvalidModel(sorted(missing))


def _models(fields: Mapping[str, Any]) -> Iterator[str]:
    """The models that the fields of a task use as its input."""
    model = (fields.get("execution") or {}).get("model")
    if isinstance(model, str) and model:
        yield model
    yield from (item["model"] for item in (fields.get("models") or {}).get("input") or [] if item.get("model"))
