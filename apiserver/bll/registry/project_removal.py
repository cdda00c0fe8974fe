"""Deletes projects: their contents, the conditions, the deletion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from apiserver.bll.registry.document_changes import in_parts
from apiserver.bll.registry.projects import CONTENTS, Projects
from apiserver.bll.registry.records import Body, Records, result
from apiserver.bll.registry.tags import ARCHIVED
from apiserver.bll.registry.task_removal import TaskRemoval
from apiserver.errors import NoWritePermission, ProjectHasDatasets, ProjectHasModels, ProjectHasPipelines, ProjectHasTasks
from apiserver.stores.registry import Condition

URLS = ("model_urls", "artifact_urls", "event_urls")

_ACTIVE = Condition("system_tags", "in", (ARCHIVED,), negate=True)
_REPORT = Condition("type", "in", ("report",))


class _Tree(NamedTuple):
    """A project and those below it, by kind."""

    every: list[str]
    regular: list[str]
    datasets: list[str]
    pipelines: list[str]


class ProjectRemoval:
    """Answers validate_delete and delete. The tasks and models of datasets and pipelines count as these, not as tasks and models."""

    def __init__(self, records: Records, projects: Projects, removal: TaskRemoval) -> None:
        self._records = records
        self._registry = records.registry
        self._projects = projects
        self._removal = removal

    def contents(self, company: str, id: str) -> dict[str, int]:
        """The contents that a delete would remove, in the project and those below.

        `tasks`, `reports`, `models`, and how many of each are not archived; `datasets` with versions; `pipelines` with runs that are not
        archived.
        """
        return self._contents(company, self._tree(company, id))

    def _contents(self, company: str, tree: _Tree) -> dict[str, int]:
        inside = Condition("project", "in", tree.regular)
        task = [inside, _REPORT._replace(negate=True)]
        report, model = [inside, _REPORT], [inside]
        count = self._registry.count
        return {
            "tasks": count("task", [company], task),
            "non_archived_tasks": count("task", [company], [*task, _ACTIVE]),
            "reports": count("task", [company], report),
            "non_archived_reports": count("task", [company], [*report, _ACTIVE]),
            "models": count("model", [company], model),
            "non_archived_models": count("model", [company], [*model, _ACTIVE]),
            "datasets": len(self._registry.tally("task", [company], [Condition("project", "in", tree.datasets)], ["project"])),
            "pipelines": len(self._registry.tally("task", [company], [Condition("project", "in", tree.pipelines), _ACTIVE], ["project"])),
        }

    def delete(self, company: str, id: str, *, force: bool, delete_contents: bool) -> Body:
        """Remove a project and those below it.

        Without `force` it must hold no task and no model that is not archived (ProjectHasTasks, ProjectHasModels), no dataset with versions
        (ProjectHasDatasets) and no pipeline with runs (ProjectHasPipelines). Its tasks and models are deleted with `delete_contents`, and the
        answer has the URLs of their files; else they are left without a project.
        """
        tree = self._tree(company, id)
        if not force:
            self._check_empty(id, self._contents(company, tree))
        inside = [Condition("project", "in", tree.every)]
        public = [*inside, Condition("public", "in", (True,))]
        if self._registry.count("task", [company], public) or self._registry.count("model", [company], public):
            raise NoWritePermission("it holds public tasks or models; make them private first", id=id)
        tasks = [task.id for task in self._registry.find("task", [company], inside, fields=["id"])]
        if delete_contents:
            answer = self._delete_contents(company, tasks, inside)
        else:
            for kind in CONTENTS:
                ids = [document.id for document in self._registry.find(kind, [company], inside, fields=["id"])]
                self._records.change_all(kind, company, ids, lambda body: body.update(project=None), touch=False)
            answer = {"disassociated_tasks": len(tasks), "deleted_tasks": 0, "deleted_models": 0}
        self._registry.delete_many("project", company, tree.every[::-1])
        return {"deleted": len(tree.every), **answer}

    def _delete_contents(self, company: str, tasks: Sequence[str], inside: Sequence[Condition]) -> Body:
        urls: dict[str, set[str]] = {name: set() for name in URLS}
        deleted_models = 0
        for part in in_parts(tasks):
            for outcome in self._removal.delete_many(company, part, force=True, urls=True).values():
                removed = result(outcome)
                deleted_models += removed.models
                for name, found in (removed.urls or {}).items():
                    urls.setdefault(name, set()).update(found)
        models = self._registry.find("model", [company], inside, fields=["uri"])
        self._removal.remove_models(company, [model.id for model in models])
        deleted_models += len(models)
        urls["model_urls"].update(model.body["uri"] for model in models if model.body.get("uri"))
        urls["model_urls"] -= self._removal.needed(company, urls["model_urls"])
        shown = {name: sorted(found) for name, found in urls.items()}
        return {"disassociated_tasks": 0, "deleted_tasks": len(tasks), "deleted_models": deleted_models, "urls": shown}

    def _tree(self, company: str, id: str) -> _Tree:
        self._records.own("project", company, id)
        every = self._projects.with_descendants(company, [id])
        bodies = self._registry.get_many("project", company, every, fields=["system_tags"])
        tags = {id: set(document.body.get("system_tags") or ()) for id, document in bodies.items()}
        datasets = [id for id in every if "dataset" in tags.get(id, ())]
        pipelines = [id for id in every if "pipeline" in tags.get(id, ()) and id not in datasets]
        special = {*datasets, *pipelines}
        return _Tree(every, [id for id in every if id not in special], datasets, pipelines)

    def _check_empty(self, id: str, found: dict[str, int]) -> None:
        tasks = found["non_archived_tasks"] + found["non_archived_reports"]
        if tasks:
            raise ProjectHasTasks("use force", id=id, tasks=tasks)
        if found["non_archived_models"]:
            raise ProjectHasModels("use force", id=id, models=found["non_archived_models"])
        if found["datasets"]:
            raise ProjectHasDatasets("delete their versions first, or use force", id=id, datasets=found["datasets"])
        if found["pipelines"]:
            raise ProjectHasPipelines("archive their runs first, or use force", id=id, pipelines=found["pipelines"])
