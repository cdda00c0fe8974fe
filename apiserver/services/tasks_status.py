"""The tasks service: status changes, archiving, resetting, deleting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from apiserver.bll.registry.document_changes import in_parts
from apiserver.bll.registry.projection import TIMES, iso
from apiserver.bll.registry.records import each_result, result, unforeseen
from apiserver.bll.registry.task_removal import Removed, TaskRemoval
from apiserver.bll.registry.task_runs import TaskRuns
from apiserver.bll.registry.tasks import Tasks
from apiserver.errors import InvalidTask, InvalidTaskStatus, TidemarkError
from apiserver.service_repo import Call, endpoint
from apiserver.services.batch_calls import Outcomes, for_all, for_one

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
        return for_one(request["task"], lambda ids: self._stop(call, ids, request))

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
        return for_one(request["task"], lambda ids: self._publish(call, ids, request))

    @endpoint("tasks.reset")
    def reset(self, call: Call, request: Request) -> Answer:
        return for_one(request["task"], lambda ids: self._reset(call, ids, request))

    @endpoint("tasks.delete")
    def delete(self, call: Call, request: Request) -> Answer:
        return for_one(request["task"], lambda ids: self._delete(call, ids, request))

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
        return for_all(
            call, request["ids"], lambda ids: each_result(self._archive(call, ids, request, True), lambda moved: {"archived": moved})
        )

    @endpoint("tasks.unarchive_many")
    def unarchive_many(self, call: Call, request: Request) -> Answer:
        return for_all(
            call, request["ids"], lambda ids: each_result(self._archive(call, ids, request, False), lambda moved: {"unarchived": moved})
        )

    @endpoint("tasks.stop_many")
    def stop_many(self, call: Call, request: Request) -> Answer:
        return for_all(call, request["ids"], lambda ids: self._stop(call, ids, request), stopped=True)

    @endpoint("tasks.publish_many")
    def publish_many(self, call: Call, request: Request) -> Answer:
        return for_all(call, request["ids"], lambda ids: self._publish(call, ids, request), published=True)

    @endpoint("tasks.reset_many")
    def reset_many(self, call: Call, request: Request) -> Answer:
        return for_all(call, request["ids"], lambda ids: self._reset(call, ids, request), reset=True)

    @endpoint("tasks.delete_many")
    def delete_many(self, call: Call, request: Request) -> Answer:
        return for_all(call, request["ids"], lambda ids: self._delete(call, ids, request))

    # --- steps

    def _move(self, call: Call, request: Request, status: str) -> Answer:
        fields, _ = self._runs.move(call.company, call.user, request["task"], status, **_said(request))
        return {"updated": 1, "fields": fields}

    def _stop(self, call: Call, ids: Sequence[str], request: Request) -> Outcomes:
        said = _said(request)
        moved = self._runs.move_many(call.company, call.user, ids, "stopped", **said)
        outcomes = each_result(moved, lambda found: {"updated": 1, "fields": found[0]})
        steps = self._steps(call, [id for id, found in moved.items() if not isinstance(found, TidemarkError)], request)
        running = {id: [step["id"] for step in of_run if step["status"] in ("queued", "in_progress")] for id, of_run in steps.items()}
        ended = self._runs.move_many(call.company, call.user, list(chain(*running.values())), "stopped", **said)
        # A step may have ended meanwhile, or been deleted.
        return outcomes | _failed(ended, running, InvalidTask, InvalidTaskStatus)

    def _publish(self, call: Call, ids: Sequence[str], request: Request) -> Outcomes:
        found = self._runs.publish_many(call.company, call.user, ids, **_said(request), models=request["publish_model"])
        return each_result(found, lambda told: {"updated": 1, "fields": told})

    def _steps(self, call: Call, ids: Sequence[str], request: Request) -> dict[str, list[dict[str, Any]]]:
        return self._tasks.steps_of(call.company, ids) if request["include_pipeline_steps"] else {}

    def _archive(self, call: Call, ids: Sequence[str], request: Request, archived: bool) -> dict[str, bool | TidemarkError]:
        """For each task whether that changed anything. A step that is named too counts as itself when it is named before its run."""
        extent: dict[str, Any] = {"archived": archived, "reason": request["status_reason"], "message": request["status_message"]}
        before = {id: number for number, id in enumerate(ids)}
        steps = {
            id: [step["id"] for step in of_run if before.get(step["id"], len(ids)) > before[id]]
            for id, of_run in self._steps(call, ids, request).items()
        }
        below = self._tasks.archive_many(call.company, call.user, list(chain(*steps.values())), **extent)
        failed = _failed(below, steps, InvalidTask)  # deleted meanwhile
        return self._tasks.archive_many(call.company, call.user, [id for id in ids if id not in failed], **extent) | failed

    def _archive_all(self, call: Call, request: Request, archived: bool) -> int:
        self._tasks.check_own(call.company, request["tasks"])  # all or none
        parts = in_parts(list(dict.fromkeys(request["tasks"])))
        return sum(result(moved) for ids in parts for moved in self._archive(call, ids, request, archived).values())

    def _reset(self, call: Call, ids: Sequence[str], request: Request) -> Outcomes:
        extent = {"force": request["force"], "clear_all": request["clear_all"], **_extent(request)}
        found = self._removal.reset_many(call.company, call.user, ids, **extent)
        return each_result(found, _reset)

    def _delete(self, call: Call, ids: Sequence[str], request: Request) -> Outcomes:
        steps = {id: [step["id"] for step in of_run] for id, of_run in self._steps(call, ids, request).items()}
        found = self._removal.delete_many(call.company, ids, force=request["force"], steps=steps, **_extent(request))
        return each_result(found, _deleted)


def _failed(outcomes: Mapping[str, object], steps: Mapping[str, Sequence[str]], *foreseen: type[TidemarkError]) -> dict[str, TidemarkError]:
    """The runs one of whose steps failed, with its error, if that is not foreseen."""
    failed = {id: unforeseen(outcomes, of_run, *foreseen) for id, of_run in steps.items()}
    return {id: error for id, error in failed.items() if error is not None}


def _reset(removed: Removed) -> Answer:
    fields = {name: iso(value) if name in TIMES else value for name, value in removed.fields.items()}
    return {"updated": 1, "fields": fields, "deleted_indices": [], "dequeued": {}, **_told(removed)}


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
