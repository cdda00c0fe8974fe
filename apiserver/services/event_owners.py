"""The owners of events that a request is about: resolved once per call, before anything is read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apiserver.bll.events.scrolls import Scroll
from apiserver.bll.registry.directory import Owner, OwnerKind, TaskDirectory
from apiserver.service_repo import Call
from apiserver.stores.records import rewound

Request = dict[str, Any]


class EventOwners:
    """Turns the ids of a request into owners of events. Unknown and foreign ids raise InvalidTask or InvalidModel."""

    def __init__(self, directory: TaskDirectory) -> None:
        self._directory = directory

    def task(self, call: Call, request: Request) -> Owner:
        """The task that `task` names."""
        return self._directory.readable(call.company, [request["task"]])[request["task"]]

    def one(self, call: Call, request: Request) -> Owner:
        """The task that `task` names, or the model when the request has `model_events`; with `rewound`, the owner of what was rewound of it."""
        owner = self.several(call, request, [request["task"]])[request["task"]]
        return owner._replace(id=rewound(owner.id)) if request.get("rewound") else owner

    def of_series(self, call: Call, request: Request, ids: Iterable[str]) -> dict[str, Owner]:
        """The same as `several` by the ids of the owners: with `rewound` those of what was rewound, in the order of `ids`."""
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
