"""workers.*: always empty, as there are no agents."""

from __future__ import annotations

from typing import Any

from apiserver.service_repo import Call, endpoint

Request = dict[str, Any]
Answer = dict[str, Any]


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
