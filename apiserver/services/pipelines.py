"""pipelines.*: deletes runs of pipelines, which are tasks."""

from __future__ import annotations

from typing import Any

from apiserver.bll.registry.pipeline_runs import PipelineRuns
from apiserver.bll.registry.task_removal import TaskRemoval
from apiserver.bll.registry.tasks import Tasks
from apiserver.errors import InvalidTask
from apiserver.service_repo import Call, endpoint
from apiserver.services.batch_calls import for_each

Request = dict[str, Any]
Answer = dict[str, Any]


class PipelinesService:
    """Runs of pipelines are tasks."""

    def __init__(self, tasks: Tasks, runs: PipelineRuns, removal: TaskRemoval) -> None:
        self._tasks = tasks
        self._runs = runs
        self._removal = removal

    @endpoint("pipelines.delete_runs")
    def delete_runs(self, call: Call, request: Request) -> Answer:
        self._runs.check_some_stay(call.company, request["ids"], request.get("project"))

        def delete(id: str) -> Answer:
            (body,) = self._tasks.some(call.company, [id], ["project"])
            if request.get("project") and body.get("project") != request["project"]:
                raise InvalidTask(id, "it is in another project")
            self._removal.delete(call.company, id, force=True)
            return {"deleted": True}

        return for_each(call, request["ids"], delete)
