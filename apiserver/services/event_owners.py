"""Resolves the task and model ids of a request to owners of events, once per call, before anything is read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apiserver.bll.events.scrolls import Scroll
from apiserver.bll.registry.directory import Owner, OwnerKind, TaskDirectory
from apiserver.service_repo import Call
from apiserver.stores.records import rewound

Request = dict[str, Any]


class EventOwners:
    """Resolves ids of a request. Unknown ids and those of other companies raise InvalidTask or InvalidModel."""

    def __init__(self, directory: TaskDirectory) -> None:
        self._directory = directory

    def task(self, call: Call, request: Request) -> Owner:
        """The task that `task` names."""
        return self._directory.readable(call.company, [request["task"]])[request["task"]]

    def one(self, call: Call, request: Request) -> Owner:
        """The task in the field `task`, or the model if the request has `model_events`. With `rewound`: the owner of its rewound events."""
        owner = self.several(call, request, [request["task"]])[request["task"]]
        return owner._replace(id=rewound(owner.id)) if request.get("rewound") else owner

    def of_series(self, call: Call, request: Request, ids: Iterable[str]) -> dict[str, Owner]:
        """As `several`, but keyed by the owners' ids (with `rewound`: those that own the rewound events), in the order of `ids`."""
        owners = self.several(call, request, ids)
        return {rewound(id): owner._replace(id=rewound(id)) for id, owner in owners.items()} if request["rewound"] else owners

    def several(self, call: Call, request: Request, ids: Iterable[str]) -> dict[str, Owner]:
        """The tasks with these ids, or the models when the request has `model_events`; in the order of `ids`."""
        return self._directory.readable(call.company, list(ids), "model" if request["model_events"] else "task")

    def writable(self, call: Call, request: Request, kind: OwnerKind = "task") -> Owner:
        """The task or model whose events the caller may change, published ones with `allow_locked`. Raises NoWritePermission,
        TaskNotWritable or ModelNotWritable."""
        return self._directory.writable(call.company, request[kind], kind, allow_locked=request["allow_locked"])


def scroll_of(call: Call, request: Request) -> Scroll:
    """The scroll that a request names or begins."""
    return Scroll(call.company, request.get("scroll_id"))
