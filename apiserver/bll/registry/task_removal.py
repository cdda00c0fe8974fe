"""Resetting and deleting tasks: their events, files and output models go too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from apiserver.bll.registry import task_parts as parts
from apiserver.bll.registry.directory import OwnerKind, TaskDirectory
from apiserver.bll.registry.document_changes import in_parts
from apiserver.bll.registry.records import Body, Records, result
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

    def reset_many(
        self,
        company: str,
        user: str,
        ids: Sequence[str],
        *,
        force: bool,
        clear_all: bool = False,
        urls: bool = False,
        delete_models: bool = True,
        delete_files: bool = True,
    ) -> dict[str, Removed | TidemarkError]:
        """Set tasks back to `created` and remove the results of their runs. `clear_all` also clears script, parameters and configuration. For each the
        result, or the error: InvalidTaskStatus for published tasks (without `force`)."""
        relatives = Relatives(self._registry, company, ids)
        artifacts: dict[str, list[str]] = {}

        def change(body: Body) -> Body:
            require(body, RESETTABLE, force=force, doing="resetting")
            artifacts[body["id"]] = parts.artifact_urls(body)
            changed = step(body, "created", user=user, force=True)
            clear_run(body)
            if clear_all:
                body.update(script=None, hyperparams={}, configuration={}, container={}, execution={}, models={"input": [], "output": []})
            return changed

        found: dict[str, Removed | TidemarkError] = {}
        changed: dict[str, Body] = {}
        for id, outcome in self._records.change_many("task", company, ids, change, last_iteration=0):
            if isinstance(outcome, TidemarkError):
                found[id] = outcome
            else:
                changed[id] = outcome[0]
        events = self._events.delete_many(company, list(changed))
        leave = partial(relatives.reset, clear_all=clear_all)
        models = self._remove_models(company, list(changed), relatives, leave, delete=delete_models)
        self._delete_files(company, models if delete_files else {})
        for id, fields in changed.items():
            shown = _urls(artifacts[id], models[id]) if urls else None
            found[id] = Removed(fields, events[id], models[id].gone, shown, models_kept=models[id].kept)
        return found

    def delete_many(
        self,
        company: str,
        ids: Sequence[str],
        *,
        force: bool,
        steps: Mapping[str, Sequence[str]] | None = None,
        urls: bool = False,
        delete_models: bool = True,
        delete_files: bool = True,
    ) -> dict[str, Removed | TidemarkError]:
        """Delete tasks, each after its `steps` (children that are deleted with it). Their ids stay refused for an hour. For each the result, those of
        its steps added up, or the error of a task that stays.

        TaskCannotBeDeleted, unless forced, when it or a step runs, is published, has a published model, or is the parent of others that stay.
        """
        below = steps or {}
        every = list(dict.fromkeys(task for id in ids for task in (id, *below.get(id, ()))))
        relatives = Relatives(self._registry, company, every)
        tasks = self._records.own_many("task", company, every, ("status", "execution") if urls else ("status",))
        found: dict[str, Removed | TidemarkError] = {}
        families: dict[str, list[str]] = {}
        children: dict[str, list[str]] = {}
        """Of each task that goes: those that name it as their parent, and stay."""
        for id in ids:
            give_way()
            family = dict.fromkeys([id, *(task for task in below.get(id, ()) if task not in children)])
            stay = {task: [child for child in relatives.children(task) if not (child in children or child in family)] for task in family}
            try:
                if id in children:  # it goes as a step of another one
                    raise InvalidTask(id)
                for task in family:
                    _check_deletable(result(tasks[task]), relatives, stay[task], force=force)
                families[id] = list(family)
                children |= stay
            except TidemarkError as error:
                found[id] = error
        order = [task for first, *others in families.values() for task in (*others, first)]
        events = self._erase("task", company, order)
        models = self._remove_models(company, order, relatives, relatives.remove, delete=delete_models)
        self._delete_files(company, models if delete_files else {})
        # A public child keeps naming it.
        left = [child for task in order for child in children[task]]
        gone_or_public = (InvalidTask, NoWritePermission)
        self._records.change_all("task", company, left, lambda body: body.update(parent=None), touch=False, besides=gone_or_public)
        removed: dict[str, Removed] = {}
        for task in order:
            shown = _urls(parts.artifact_urls(result(tasks[task]).body), models[task]) if urls else None
            removed[task] = Removed({}, events[task], models[task].gone, shown, len(children[task]), models[task].kept)
        found |= {id: _together([removed[task] for task in members]) for id, members in families.items()}
        return found

    def remove_models(self, company: str, ids: Sequence[str]) -> None:
        """Remove models with their events."""
        self._erase("model", company, ids)

    def needed(self, company: str, files: Collection[str]) -> set[str]:
        """Those of some files that a model has: a file may be registered more than once."""
        return set(models_of_files(self._registry, company, files))

    def _erase(self, kind: OwnerKind, company: str, ids: Sequence[str]) -> Counter[str]:
        """Remove documents with their events; the number of events of each."""
        events: Counter[str] = Counter()
        for part in in_parts(ids):
            # The tombstones and the deletion come first, and the events are deleted once more afterwards, in case a batch still found a document.
            self._directory.add_tombstones(company, part, kind)
            events.update(self._events.delete_many(company, part))
            self._registry.delete_many(kind, company, part)
            events.update(self._events.delete_many(company, part))
        return events

    def _delete_files(self, company: str, models: Mapping[str, _OutputModels]) -> None:
        """Delete the files of these tasks; a model that stays needs its file."""
        if self._files is not None:
            for id, of_task in models.items():
                give_way()
                self._files.delete(company, id, keep=of_task.files_kept)

    def _remove_models(
        self, company: str, tasks: Sequence[str], relatives: Relatives, leave: Callable[[str], None], *, delete: bool
    ) -> dict[str, _OutputModels]:
        """Output models of the tasks: unpublished ones that nobody uses go, if `delete`, and the others only lose their task. Models that a task
        only names stay as they are. `leave` is called with each task in turn: what it used is free from then on."""
        # They may have been published since they were looked up.
        current = self._records.own_many("model", company, relatives.models if delete else (), ("ready",))
        doomed: list[str] = []
        orphans: list[str] = []
        found: dict[str, _OutputModels] = {}
        for task in tasks:
            give_way()
            leave(task)
            before = len(doomed), len(orphans)
            files: set[str] = set()
            files_kept: set[str] = set()
            for model in relatives.output_models(task):
                file = str(model.body.get("uri") or "")
                if not delete or model.body.get("task") != task:
                    files_kept.add(file)
                elif _is_free(current[model.id], task, relatives):
                    relatives.remove(model.id)
                    doomed.append(model.id)
                    files.add(file)
                else:
                    orphans.append(model.id)
                    files_kept.add(file)
            files_kept |= relatives.needed(files)
            gone, kept = len(doomed) - before[0], len(orphans) - before[1]
            found[task] = _OutputModels(gone, kept, sorted(files - files_kept - {""}), sorted(files_kept))
        self.remove_models(company, doomed)
        gone_or_public = (InvalidModel, NoWritePermission)
        self._records.change_all("model", company, orphans, lambda body: body.update(task=None), touch=False, besides=gone_or_public)
        return found


def _check_deletable(task: Document, relatives: Relatives, children: Sequence[str], *, force: bool) -> None:
    """`children`: the tasks that name it as their parent, and stay. Raises TaskCannotBeDeleted."""
    if force:
        return
    status = task.body.get("status") or "created"
    if status in PUBLISHED or status in ("queued", "in_progress"):
        raise TaskCannotBeDeleted("it runs or is published; stop it, or use force", id=task.id, current_status=status)
    if any(model.body.get("ready") for model in relatives.output_models(task.id)):
        raise TaskCannotBeDeleted("it has published models; use force", id=task.id)
    if children:
        raise TaskCannotBeDeleted("other tasks name it as their parent; use force", id=task.id, children=len(children))


def _is_free(model: Document | TidemarkError, task: str, relatives: Relatives) -> bool:
    """Whether a model of a task can go: it is there, not public, not published, and no other task uses it."""
    return isinstance(model, Document) and not model.body.get("ready") and not relatives.is_used(model.id, task)


def _urls(artifacts: Collection[str], models: _OutputModels) -> dict[str, list[str]]:
    """Files that clients may delete: those of the task's artifacts and of its models that went. The files of images and plots go with the
    events, so clients have none to delete."""
    return {"model_urls": models.files, "event_urls": [], "artifact_urls": sorted(set(artifacts).difference(models.files_kept))}


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
