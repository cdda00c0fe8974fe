"""The tasks service: status changes, archiving, resetting, deleting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from apiserver.bll.registry.projection import TIMES, iso
from apiserver.bll.registry.relatives import Relatives
from apiserver.bll.registry.task_removal import Removed, TaskRemoval
from apiserver.bll.registry.task_runs import TaskRuns
from apiserver.bll.registry.tasks import Tasks
from apiserver.errors import InvalidTask, InvalidTaskStatus, TidemarkError
from apiserver.service_repo import Call, endpoint
from apiserver.services.batch_calls import Outcomes, for_each, for_each_with, for_parts

Request = dict[str, Any]
Answer = dict[str, Any]


class TasksStatusService:
    """Handlers of `tasks.*` that change a task's status, archive, reset or delete it."""

    def __init__(self, tasks: Tasks, runs: TaskRuns, removal: TaskRemoval) -> None:
        self._tasks = tasks
        self._runs = runs
        self._removal = removal

    @endpoint("tasks.started")
    def started(self, call: Call, request: Request) -> Answer:
        fields, new = self._runs.start(call.company, call.user, request["task"], **_said(request))
        return {"updated": 1, "fields": fields, "started": int(new)}

    @endpoint("tasks.stopped")
    def stopped(self, call: Call, request: Request) -> Answer:
        return self._move(call, request, "stopped")

    @endpoint("tasks.stop")
    def stop(self, call: Call, request: Request) -> Answer:
        return self._stop(call, request["task"], request)

    @endpoint("tasks.failed")
    def failed(self, call: Call, request: Request) -> Answer:
        return self._move(call, request, "failed")

    @endpoint("tasks.close")
    def close(self, call: Call, request: Request) -> Answer:
        return self._move(call, request, "closed")

    @endpoint("tasks.completed")
    def completed(self, call: Call, request: Request) -> Answer:
        fields, published = self._runs.complete(call.company, call.user, request["task"], **_said(request), publish=request["publish"])
        return {"updated": 1, "fields": fields, "published": int(published)}

    @endpoint("tasks.publish")
    def publish(self, call: Call, request: Request) -> Answer:
        fields = self._runs.publish(call.company, call.user, request["task"], **_said(request), models=request["publish_model"])
        return {"updated": 1, "fields": fields}

    @endpoint("tasks.reset")
    def reset(self, call: Call, request: Request) -> Answer:
        return self._reset(call, request["task"], request)

    @endpoint("tasks.delete")
    def delete(self, call: Call, request: Request) -> Answer:
        return self._delete(call, request["task"], request)

    # --- archive

    @endpoint("tasks.archive")
    def archive(self, call: Call, request: Request) -> Answer:
        return {"archived": self._archive_all(call, request, True)}

    @endpoint("tasks.unarchive")
    def unarchive(self, call: Call, request: Request) -> Answer:
        return {"unarchived": self._archive_all(call, request, False)}

    # --- many at once

    @endpoint("tasks.archive_many")
    def archive_many(self, call: Call, request: Request) -> Answer:
        return for_each(call, request["ids"], lambda id: {"archived": self._archive(call, id, request, True)})

    @endpoint("tasks.unarchive_many")
    def unarchive_many(self, call: Call, request: Request) -> Answer:
        return for_each(call, request["ids"], lambda id: {"unarchived": self._archive(call, id, request, False)})

    @endpoint("tasks.stop_many")
    def stop_many(self, call: Call, request: Request) -> Answer:
        return for_each(call, request["ids"], lambda id: {**self._stop(call, id, request), "stopped": True})

    @endpoint("tasks.publish_many")
    def publish_many(self, call: Call, request: Request) -> Answer:
        return for_each(call, request["ids"], lambda id: {**self.publish(call, {**request, "task": id}), "published": True})  # type: ignore[dict-item]

    @endpoint("tasks.reset_many")
    def reset_many(self, call: Call, request: Request) -> Answer:
        return for_each_with(
            call, request["ids"], self._relatives(call), lambda id, them: {**self._reset(call, id, request, them), "reset": True}
        )

    @endpoint("tasks.delete_many")
    def delete_many(self, call: Call, request: Request) -> Answer:
        if request["include_pipeline_steps"]:
            return for_each_with(call, request["ids"], self._relatives(call), lambda id, them: self._delete(call, id, request, them))
        return for_parts(call, request["ids"], lambda ids: self._delete_some(call, ids, request))

    # --- steps

    def _move(self, call: Call, request: Request, status: str) -> Answer:
        fields, _ = self._runs.move(call.company, call.user, request["task"], status, **_said(request))
        return {"updated": 1, "fields": fields}

    def _stop(self, call: Call, id: str, request: Request) -> Answer:
        answer = self._move(call, {**request, "task": id}, "stopped")
        for step in self._steps(call, id, request):
            if step["status"] in ("queued", "in_progress"):
                with suppress(InvalidTask, InvalidTaskStatus):  # it ended meanwhile, or was deleted
                    self._move(call, {**request, "task": step["id"]}, "stopped")
        return answer

    def _steps(self, call: Call, id: str, request: Request) -> list[dict[str, Any]]:
        return self._tasks.steps_of(call.company, id) if request["include_pipeline_steps"] else []

    def _archive(self, call: Call, id: str, request: Request, archived: bool) -> bool:
        reason, message = request["status_reason"], request["status_message"]
        for step in self._steps(call, id, request):
            with suppress(InvalidTask):  # deleted meanwhile
                self._tasks.archive(call.company, call.user, step["id"], archived=archived, reason=reason, message=message)
        return self._tasks.archive(call.company, call.user, id, archived=archived, reason=reason, message=message)

    def _archive_all(self, call: Call, request: Request, archived: bool) -> int:
        self._tasks.check_own(call.company, request["tasks"])  # all or none
        return sum(self._archive(call, id, request, archived) for id in dict.fromkeys(request["tasks"]))

    def _relatives(self, call: Call) -> Callable[[Sequence[str]], Relatives]:
        return lambda ids: self._removal.relatives(call.company, ids)

    def _reset(self, call: Call, id: str, request: Request, relatives: Relatives | None = None) -> Answer:
        removed = self._removal.reset(
            call.company, call.user, id, relatives, force=request["force"], clear_all=request["clear_all"], **_extent(request)
        )
        fields = {name: iso(value) if name in TIMES else value for name, value in removed.fields.items()}
        return {"updated": 1, "fields": fields, "deleted_indices": [], "dequeued": {}, **_told(removed)}

    def _delete(self, call: Call, id: str, request: Request, relatives: Relatives | None = None) -> Answer:
        steps = [step["id"] for step in self._steps(call, id, request)]
        return _deleted(self._removal.delete(call.company, id, relatives, force=request["force"], steps=steps, **_extent(request)))

    def _delete_some(self, call: Call, ids: Sequence[str], request: Request) -> Outcomes:
        found = self._removal.delete_many(call.company, ids, force=request["force"], **_extent(request))
        return {id: removed if isinstance(removed, TidemarkError) else _deleted(removed) for id, removed in found.items()}


def _deleted(removed: Removed) -> Answer:
    return {"deleted": True, "updated_children": removed.children, "updated_models": removed.models_kept, **_told(removed)}


def _said(request: Request) -> dict[str, Any]:
    return {"reason": request["status_reason"], "message": request["status_message"], "force": request.get("force", False)}


def _extent(request: Request) -> dict[str, bool]:
    return {
        "urls": request["return_file_urls"],
        "delete_models": request["delete_output_models"],
        "delete_files": request["delete_external_artifacts"],
    }


def _told(removed: Removed) -> Answer:
    told: Answer = {"frames": {}, "events": {"deleted": removed.events}, "deleted_models": removed.models}
    return told if removed.urls is None else {**told, "urls": removed.urls}
