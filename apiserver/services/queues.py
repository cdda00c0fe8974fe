"""queues.*: always empty, as there are no agents that would work on queues."""

from __future__ import annotations

from typing import Any

from apiserver.service_repo import Call, endpoint

Request = dict[str, Any]
Answer = dict[str, Any]


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
