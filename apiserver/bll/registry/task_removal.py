"""Resetting and deleting tasks: their events, files and output models go too."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

from apiserver.bll.registry import task_parts as parts
from apiserver.bll.registry.directory import TaskDirectory
from apiserver.bll.registry.query import Where
from apiserver.bll.registry.records import Body, Records
from apiserver.bll.registry.task_status import PUBLISHED, clear_run, require, step
from apiserver.errors import InvalidModel, NoWritePermission, TaskCannotBeDeleted
from apiserver.stores.base import EventStore
from apiserver.stores.registry import AnyOf, Condition, Document

RESETTABLE = frozenset({"created", "queued", "in_progress", "stopped", "closed", "failed", "completed", "unknown"})


class TaskFiles(Protocol):
    """The files that a task uploaded to this server."""

    def delete(self, company: str, task: str, *, keep: Collection[str] = ()) -> bool:
        """Remove all files of a task but those that a URL of `keep` names; False when it had none."""


class Removed(NamedTuple):
    """The result: deleted events and output models; `urls` only on request."""

    fields: Body
    events: int
    models: int
    urls: dict[str, list[str]] | None
    children: int = 0
    models_kept: int = 0


class _OutputModels(NamedTuple):
    """The outcome for a task's output models: how many were deleted, how many only lost their task, the files of the deleted and of the
    remaining ones."""

    gone: int
    kept: int
    files: list[str]
    files_kept: list[str]


class TaskRemoval:
    """Everything acknowledged before a reset or delete is gone when it returns."""

    def __init__(self, records: Records, events: EventStore, directory: TaskDirectory, files: TaskFiles | None) -> None:
        """`files` None: no file server here."""
        self._records = records
        self._registry = records.registry
        self._events = events
        self._directory = directory
        self._files = files

    def reset(
        self,
        company: str,
        user: str,
        id: str,
        *,
        force: bool,
        clear_all: bool = False,
        urls: bool = False,
        delete_models: bool = True,
        delete_files: bool = True,
    ) -> Removed:
        """Back to `created`, without what the run left. `clear_all` also clears script, parameters and configuration.

        Raises InvalidTaskStatus for published tasks (without `force`).
        """
        task = self._records.own("task", company, id)
        require(task.body, RESETTABLE, force=force, doing="resetting")

        def change(body: Body) -> Body:
            require(body, RESETTABLE, force=force, doing="resetting")
            changed = step(body, "created", user=user, force=True)
            clear_run(body)
            if clear_all:
                body.update(script=None, hyperparams={}, configuration={}, container={}, execution={}, models={"input": [], "output": []})
            return changed

        changed, _ = self._records.change("task", company, id, change, last_iteration=0)
        events = self._events.delete(company, id)
        models = self._remove_models(company, task, delete=delete_models)
        if delete_files and self._files is not None:
            self._files.delete(company, id, keep=models.files_kept)  # a model that stays needs its file
        return Removed(changed, events, models.gone, _urls(task, models) if urls else None, models_kept=models.kept)

    def delete(
        self,
        company: str,
        id: str,
        *,
        force: bool,
        urls: bool = False,
        delete_models: bool = True,
        delete_files: bool = True,
        steps: Sequence[str] = (),
    ) -> Removed:
        """Delete a task, after its `steps` (children that are deleted with it). Its id stays refused for an hour.

        Raises TaskCannotBeDeleted, unless forced, when it runs, is published, has a published model, or is the parent of others.
        """
        task = self._records.own("task", company, id)
        status = task.body.get("status") or "created"
        children = self._registry.find("task", [company], [Condition("parent", "in", (id,))], fields=["id"])
        children = [child for child in children if child.id not in steps]
        if not force and (status in PUBLISHED or status in ("queued", "in_progress")):
            raise TaskCannotBeDeleted("it runs or is published; stop it, or use force", id=id, current_status=status)
        if not force and any(model.body.get("ready") for model in self._output_models(company, task)):
            raise TaskCannotBeDeleted("it has published models; use force", id=id)
        if not force and children:
            raise TaskCannotBeDeleted("other tasks name it as their parent; use force", id=id, children=len(children))
        extent: dict[str, Any] = {"urls": urls, "delete_models": delete_models, "delete_files": delete_files}
        gone = [self.delete(company, child, force=force, **extent) for child in steps]
        # The tombstone and the deletion come first, and the events are deleted once more afterwards, in case a batch still found the task.
        self._directory.add_tombstones(company, [id])
        events = self._events.delete(company, id)
        self._registry.delete("task", company, id)
        events += self._events.delete(company, id)
        models = self._remove_models(company, task, delete=delete_models)
        if delete_files and self._files is not None:
            self._files.delete(company, id, keep=models.files_kept)  # a model that stays needs its file
        for child in children:
            self._records.change("task", company, child.id, lambda body: body.update(parent=None), touch=False)
        found = _urls(task, models) if urls else None
        return _together([Removed({}, events, models.gone, found, len(children), models.kept), *gone])

    def remove_model(self, company: str, model: Document) -> None:
        """Remove a model with its events."""
        self._directory.add_tombstones(company, [model.id], "model")
        self._events.delete(company, model.id)
        self._registry.delete("model", company, model.id)
        self._events.delete(company, model.id)

    def users_of(self, company: str, model: str, besides: str) -> int:
        """How many other tasks name a model: in their lists of models, or as clients before 2.13 do."""
        paths = ("models.input.model", "models.output.model", "execution.model")
        where: Where = [AnyOf([[Condition(path, "in", (model,))] for path in paths]), Condition("id", "in", (besides,), negate=True)]
        return self._registry.count("task", [company], where)

    def needed(self, company: str, files: Collection[str]) -> set[str]:
        """Those of some files that a model has: a file may be registered more than once."""
        wanted = sorted(file for file in files if file)
        if not wanted:
            return set()
        found = self._registry.find("model", [company], [Condition("uri", "in", wanted)], fields=["uri"])
        return {model.body["uri"] for model in found}

    def _remove_models(self, company: str, task: Document, *, delete: bool) -> _OutputModels:
        """Output models of the task: unpublished ones that nobody uses go, if `delete`, and the others only lose their task. Models that the
        task only names stay as they are."""
        gone, kept = 0, 0
        files: set[str] = set()
        files_kept: set[str] = set()
        for model in self._output_models(company, task):
            own = model.body.get("task") == task.id
            goes = delete and own and self._remove_unused(company, model, task.id)
            gone += goes
            kept += delete and own and not goes
            (files if goes else files_kept).add(str(model.body.get("uri") or ""))
        files_kept |= self.needed(company, files)
        return _OutputModels(gone, kept, sorted(files - files_kept - {""}), sorted(files_kept))

    def _remove_unused(self, company: str, model: Document, task: str) -> bool:
        """Remove a model of a task, or take the task from it where it is published, public or used; whether it is gone."""
        try:
            if model.body.get("ready") or model.body.get("public") or self.users_of(company, model.id, task):
                self._records.change("model", company, model.id, lambda body: body.update(task=None), touch=False)
                return False
            self.remove_model(company, model)
        except (InvalidModel, NoWritePermission):
            return False
        return True

    def _output_models(self, company: str, task: Document) -> list[Document]:
        """The models that a task made, or that it names as its output."""
        named = [item.get("model") for item in (task.body.get("models") or {}).get("output") or [] if item.get("model")]
        mine: list[list[Condition]] = [[Condition("task", "in", (task.id,))]]
        if named:
            mine.append([Condition("id", "in", named)])
        return self._registry.find("model", [company], [AnyOf(mine)], fields=["task", "ready", "public", "uri"])


def _urls(task: Document, models: _OutputModels) -> dict[str, list[str]]:
    """Files that clients may delete: those of the task's artifacts and of its models that went. The files of images and plots go with the
    events, so clients have none to delete."""
    artifacts = set(parts.artifact_urls(task.body)).difference(models.files_kept)
    return {"model_urls": models.files, "event_urls": [], "artifact_urls": sorted(artifacts)}


def _together(removed: Sequence[Removed]) -> Removed:
    """The results of several tasks, added up."""
    first = removed[0]
    urls = first.urls
    if urls is not None:
        urls = {name: sorted({url for one in removed for url in (one.urls or {}).get(name, ())}) for name in urls}
    return Removed(
        first.fields,
        sum(one.events for one in removed),
        sum(one.models for one in removed),
        urls,
        sum(one.children for one in removed),
        sum(one.models_kept for one in removed),
    )
