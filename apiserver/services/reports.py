"""reports.*: lists reports, which are tasks of a type of their own."""

from __future__ import annotations

from typing import Any

from apiserver.bll.registry.filter_values import FilterValues
from apiserver.bll.registry.tasks import Tasks
from apiserver.service_repo import Call, endpoint

Request = dict[str, Any]
Answer = dict[str, Any]

REPORT = "report"


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
