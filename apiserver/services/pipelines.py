"""pipelines.*: deletes runs of pipelines, which are tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apiserver.bll.registry.pipeline_runs import PipelineRuns
from apiserver.bll.registry.records import each_result
from apiserver.bll.registry.task_removal import TaskRemoval
from apiserver.errors import InvalidTask
from apiserver.service_repo import Call, endpoint
from apiserver.services.batch_calls import Outcomes, for_all

Request = dict[str, Any]
Answer = dict[str, Any]


class PipelinesService:
    """Runs of pipelines are tasks."""

    def __init__(self, runs: PipelineRuns, removal: TaskRemoval) -> None:
        self._runs = runs
        self._removal = removal

    @endpoint("pipelines.delete_runs")
    def delete_runs(self, call: Call, request: Request) -> Answer:
        self._runs.check_some_stay(call.company, request["ids"], request.get("project"))

        def delete(ids: Sequence[str]) -> Outcomes:
            elsewhere = self._runs.outside(call.company, ids, request.get("project"))
            found = self._removal.delete_many(call.company, [id for id in ids if id not in elsewhere], force=True)
            return each_result(found, lambda _: {"deleted": True}) | {id: InvalidTask(id, "it is in another project") for id in elsewhere}

        return for_all(call, request["ids"], delete)
