"""Services that clients ask on the way, and that have nothing or little to say here: queues, workers, reports, pipelines."""

from __future__ import annotations

from typing import Any

from apiserver.bll.registry.filter_values import FilterValues
from apiserver.bll.registry.task_removal import TaskRemoval
from apiserver.bll.registry.tasks import Tasks
from apiserver.errors import InvalidTask
from apiserver.service_repo import Call, endpoint
from apiserver.services.batch_calls import for_each

Request = dict[str, Any]
Answer = dict[str, Any]

REPORT = "report"


class QueuesService:
    """There are no agents, so there are no queues."""

    @endpoint("queues.get_all")
    def get_all(self, call: Call, request: Request) -> Answer:
        return {"queues": []}

    @endpoint("queues.get_all_ex")
    def get_all_ex(self, call: Call, request: Request) -> Answer:
        return {"queues": []}

    @endpoint("queues.get_queue_metrics")
    def get_queue_metrics(self, call: Call, request: Request) -> Answer:
        return {"queues": []}


class WorkersService:
    """There are no agents."""

    @endpoint("workers.get_all")
    def get_all(self, call: Call, request: Request) -> Answer:
        return {"workers": []}

    @endpoint("workers.get_count")
    def get_count(self, call: Call, request: Request) -> Answer:
        return {"count": 0}

    @endpoint("workers.get_metric_keys")
    def get_metric_keys(self, call: Call, request: Request) -> Answer:
        return {"categories": []}

    @endpoint("workers.get_stats")
    def get_stats(self, call: Call, request: Request) -> Answer:
        return {"workers": []}

    @endpoint("workers.get_activity_report")
    def get_activity_report(self, call: Call, request: Request) -> Answer:
        return {"total": {"dates": [], "counts": []}, "active": {"dates": [], "counts": []}}


class ReportsService:
    """Reports are tasks."""

    def __init__(self, tasks: Tasks, filter_values: FilterValues) -> None:
        self._tasks = tasks
        self._filter_values = filter_values

    @endpoint("reports.get_all_ex")
    def get_all_ex(self, call: Call, request: Request) -> Answer:
        return self._tasks.find(call.company, {**request, "type": [REPORT]}, expand=True).answer("tasks")

    @endpoint("reports.get_tags")
    def get_tags(self, call: Call, request: Request) -> Answer:
        return {"tags": self._filter_values.tags_of_type(call.company, REPORT)}


class PipelinesService:
    """Runs of pipelines are tasks."""

    def __init__(self, tasks: Tasks, removal: TaskRemoval) -> None:
        self._tasks = tasks
        self._removal = removal

    @endpoint("pipelines.delete_runs")
    def delete_runs(self, call: Call, request: Request) -> Answer:
        def delete(id: str) -> Answer:
            (body,) = self._tasks.some(call.company, [id], ["project"])
            if request.get("project") and body.get("project") != request["project"]:
                raise InvalidTask(id, "it is in another project")
            self._removal.delete(call.company, id, force=True)
            return {"deleted": True}

        return for_each(call, request["ids"], delete)
