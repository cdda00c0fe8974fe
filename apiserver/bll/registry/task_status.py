"""The status machine of a task: which status may follow which, and what a change of status sets."""

from __future__ import annotations

from typing import Any

from apiserver.bll.registry.new_documents import now_ms
from apiserver.errors import InvalidTaskStatus

Body = dict[str, Any]

NEXT: dict[str, frozenset[str]] = {
    "created": frozenset({"queued", "in_progress"}),
    "queued": frozenset({"created", "in_progress", "stopped"}),
    "in_progress": frozenset({"stopped", "failed", "created", "completed"}),
    "stopped": frozenset({"created", "queued", "in_progress", "closed", "failed", "completed", "publishing", "published"}),
    "closed": frozenset({"created", "failed", "stopped", "publishing", "published"}),
    "failed": frozenset({"created", "queued", "in_progress", "stopped", "publishing", "published"}),
    "completed": frozenset({"created", "queued", "in_progress", "closed", "publishing", "published"}),
    "publishing": frozenset({"published"}),
    "published": frozenset({"created"}),
    "unknown": frozenset({"created", "stopped", "failed"}),
}
"""Status -> what may follow. A step to the same status is never an error; `force` allows every step."""

STATUSES = tuple(NEXT)
PUBLISHED = frozenset({"published", "publishing"})
ENDED = frozenset({"stopped", "closed", "failed", "completed"})

_OF_A_RUN = ("started", "completed", "published", "active_duration", "last_worker", "last_worker_report")


def check_step(body: Body, new: str, *, force: bool) -> None:
    """Raise InvalidTaskStatus when the step is not allowed. Published tasks leave that status by force only."""
    old = body.get("status") or "created"
    if force or old == new:
        return
    if new not in NEXT.get(old, frozenset()) or old in PUBLISHED:
        raise InvalidTaskStatus(f"a task that is {old} can't become {new}", id=body["id"], current_status=old, new_status=new)


def require(body: Body, allowed: frozenset[str], *, force: bool, doing: str) -> None:
    """Raise InvalidTaskStatus unless the task is in one of the statuses."""
    status = body.get("status") or "created"
    if not force and status not in allowed:
        expected = sorted(allowed)
        raise InvalidTaskStatus(f"{doing} needs another status, or force", id=body["id"], current_status=status, expected=expected)


def step(body: Body, new: str, *, reason: str = "", message: str = "", user: str = "", force: bool = False) -> Body:
    """Take the task to a status; returns the changed fields for the answer."""
    check_step(body, new, force=force)
    old = body.get("status") or "created"
    now = now_ms()
    changed: Body = {"status": new, "status_reason": reason, "status_message": message, "status_changed": now}
    if new == "in_progress" and (old != "in_progress" or not body.get("started")):
        changed["started"] = now
        for field in ("completed", "active_duration"):
            body.pop(field, None)
    if new in ENDED and old not in ENDED:
        changed["completed"] = now
        if body.get("started"):
            changed["active_duration"] = max(0, now - body["started"]) // 1000
    if new == "published":
        changed["published"] = now
    body.update(changed)
    body["last_changed_by"] = user
    return changed


def clear_run(body: Body) -> None:
    """Remove the results of a run: times, output models and artifacts, runtime. What the user configured stays."""
    for field in _OF_A_RUN:
        body.pop(field, None)
    execution = dict(body.get("execution") or {})
    execution["artifacts"] = [item for item in execution.get("artifacts") or [] if item.get("mode") == "input"]
    body["execution"] = execution
    body["output"] = {name: value for name, value in (body.get("output") or {}).items() if name == "destination"}
    body["models"] = {"input": (body.get("models") or {}).get("input") or [], "output": []}
    body["runtime"] = {}


def active_duration(body: Body) -> int | None:
    """Seconds the task has run: until last_update while it runs, until its end afterwards."""
    if body.get("status") == "in_progress" and body.get("started"):
        return max(0, int(body.get("last_update") or 0) - int(body["started"])) // 1000
    duration: int | None = body.get("active_duration")
    return duration
