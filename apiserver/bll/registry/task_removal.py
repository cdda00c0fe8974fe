"""Resetting and deleting tasks: their events, files and output models go too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from apiserver.bll.registry import task_parts as parts
from apiserver.bll.registry.directory import TaskDirectory
from apiserver.bll.registry.records import Body, Records
from apiserver.bll.registry.relatives import Relatives, models_of_files
from apiserver.bll.registry.task_status import PUBLISHED, clear_run, require, step
from apiserver.common.fairness import give_way
from apiserver.errors import InvalidModel, InvalidTask, NoWritePermission, TaskCannotBeDeleted, TidemarkError
from apiserver.stores.base import EventStore
from apiserver.stores.registry import Document

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


class _Doomed(NamedTuple):
    """A task that is about to go, and the tasks that name it as their parent and stay."""

    task: Document
    children: list[str]


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

    def relatives(self, company: str, ids: Sequence[str]) -> Relatives:
        """What `reset` and `delete` look up of tasks, for some of them at once."""
        return Relatives(self._registry, company, ids)

    def reset(
        self,
        company: str,
        user: str,
        id: str,
        relatives: Relatives | None = None,
        *,
        force: bool,
        clear_all: bool = False,
        urls: bool = False,
        delete_models: bool = True,
        delete_files: bool = True,
    ) -> Removed:
        """Set the task back to `created` and remove the results of its run. `clear_all` also clears script, parameters and configuration.

        Raises InvalidTaskStatus for published tasks (without `force`).
        """
        task = self._records.own("task", company, id)
        require(task.body, RESETTABLE, force=force, doing="resetting")
        relatives = relatives or self.relatives(company, [id])

        def change(body: Body) -> Body:
            require(body, RESETTABLE, force=force, doing="resetting")
            changed = step(body, "created", user=user, force=True)
            clear_run(body)
            if clear_all:
                body.update(script=None, hyperparams={}, configuration={}, container={}, execution={}, models={"input": [], "output": []})
            return changed

        changed, _ = self._records.change("task", company, id, change, last_iteration=0)
        events = self._events.delete(company, id)
        relatives.reset(id, clear_all=clear_all)
        models = self._remove_models(company, task, relatives, delete=delete_models)
        if delete_files and self._files is not None:
            self._files.delete(company, id, keep=models.files_kept)  # a model that stays needs its file
        return Removed(changed, events, models.gone, _urls(task, models) if urls else None, models_kept=models.kept)

    def delete(
        self,
        company: str,
        id: str,
        relatives: Relatives | None = None,
        *,
        force: bool,
        urls: bool = False,
        delete_models: bool = True,
        delete_files: bool = True,
        steps: Sequence[str] = (),
    ) -> Removed:
        """Delete a task, after its `steps` (children that are deleted with it). Its id stays refused for an hour. `relatives`: those of some tasks,
        this one among them.

        Raises TaskCannotBeDeleted, unless forced, when it runs, is published, has a published model, or is the parent of others.
        """
        if relatives is None or not relatives.tasks.issuperset(steps):
            relatives = Relatives(self._registry, company, [id, *steps], relatives.gone if relatives else None)
        doomed = self._doomed(company, id, relatives, besides=steps, force=force)
        extent: dict[str, Any] = {"urls": urls, "delete_models": delete_models, "delete_files": delete_files}
        gone = [self.delete(company, child, relatives, force=force, **extent) for child in steps]
        return _together([*self._remove(company, [doomed], relatives, **extent), *gone])

    def delete_many(
        self, company: str, ids: Sequence[str], *, force: bool, urls: bool = False, delete_models: bool = True, delete_files: bool = True
    ) -> dict[str, Removed | TidemarkError]:
        """As `delete` of one after the other, but with few requests to the store: the result for each, or the error of a task that stays."""
        relatives = self.relatives(company, ids)
        found: dict[str, Removed | TidemarkError] = {}
        doomed: dict[str, _Doomed] = {}
        for id in ids:
            give_way()
            try:
                doomed[id] = self._doomed(company, id, relatives, besides=doomed, force=force)
            except TidemarkError as error:
                found[id] = error
        extent: dict[str, Any] = {"urls": urls, "delete_models": delete_models, "delete_files": delete_files}
        found.update(zip(doomed, self._remove(company, list(doomed.values()), relatives, **extent), strict=True))
        return {id: found[id] for id in ids}

    def _doomed(self, company: str, id: str, relatives: Relatives, *, besides: Collection[str], force: bool) -> _Doomed:
        """A task that may be deleted, if those in `besides` go too. Raises as `delete`."""
        task = self._records.own("task", company, id)
        status = task.body.get("status") or "created"
        children = [child for child in relatives.children(id) if child not in besides]
        if not force and (status in PUBLISHED or status in ("queued", "in_progress")):
            raise TaskCannotBeDeleted("it runs or is published; stop it, or use force", id=id, current_status=status)
        if not force and any(model.body.get("ready") for model in relatives.output_models(id)):
            raise TaskCannotBeDeleted("it has published models; use force", id=id)
        if not force and children:
            raise TaskCannotBeDeleted("other tasks name it as their parent; use force", id=id, children=len(children))
        return _Doomed(task, children)

    def _remove(
        self, company: str, doomed: Sequence[_Doomed], relatives: Relatives, *, urls: bool, delete_models: bool, delete_files: bool
    ) -> list[Removed]:
        """Remove the tasks; the results in their order."""
        if not doomed:
            return []
        ids = [task.id for task, _ in doomed]
        # The tombstones and the deletion come first, and the events are deleted once more afterwards, in case a batch still found a task.
        self._directory.add_tombstones(company, ids)
        events = Counter(self._events.delete_many(company, ids))
        for id in ids:
            self._registry.delete("task", company, id)
        events.update(self._events.delete_many(company, ids))
        removed = []
        for task, children in doomed:
            give_way()
            relatives.remove(task.id)
            models = self._remove_models(company, task, relatives, delete=delete_models)
            if delete_files and self._files is not None:
                self._files.delete(company, task.id, keep=models.files_kept)  # a model that stays needs its file
            for child in children:
                with suppress(InvalidTask):  # deleted meanwhile
                    self._records.change("task", company, child, lambda body: body.update(parent=None), touch=False)
            found = _urls(task, models) if urls else None
            removed.append(Removed({}, events[task.id], models.gone, found, len(children), models.kept))
        return removed

    def remove_model(self, company: str, model: Document) -> None:
        """Remove a model with its events."""
        self._directory.add_tombstones(company, [model.id], "model")
        self._events.delete(company, model.id)
        self._registry.delete("model", company, model.id)
        self._events.delete(company, model.id)

    def needed(self, company: str, files: Collection[str]) -> set[str]:
        """Those of some files that a model has: a file may be registered more than once."""
        return set(models_of_files(self._registry, company, files))

    def _remove_models(self, company: str, task: Document, relatives: Relatives, *, delete: bool) -> _OutputModels:
        """Output models of the task: unpublished ones that nobody uses go, if `delete`, and the others only lose their task. Models that the
        task only names stay as they are."""
        gone, kept = 0, 0
        files: set[str] = set()
        files_kept: set[str] = set()
        for model in relatives.output_models(task.id):
            own = model.body.get("task") == task.id
            goes = delete and own and self._remove_unused(company, model, task.id, relatives)
            gone += goes
            kept += delete and own and not goes
            (files if goes else files_kept).add(str(model.body.get("uri") or ""))
        files_kept |= relatives.needed(files)
        return _OutputModels(gone, kept, sorted(files - files_kept - {""}), sorted(files_kept))

    def _remove_unused(self, company: str, model: Document, task: str, relatives: Relatives) -> bool:
        """Delete a model of a task, or only remove its reference to the task if it is published, public or used. True if it was deleted."""
        try:
            current = self._records.own("model", company, model.id)  # it may have been published since it was looked up
            if current.body.get("ready") or relatives.is_used(model.id, task):
                self._records.change("model", company, model.id, lambda body: body.update(task=None), touch=False)
                return False
            self.remove_model(company, current)
            relatives.remove(model.id)
        except (InvalidModel, NoWritePermission):
            return False
        return True


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
