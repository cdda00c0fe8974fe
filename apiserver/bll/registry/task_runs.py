"""Status changes of tasks: started, stopped, completed, failed, closed, published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apiserver.bll.registry import task_status
from apiserver.bll.registry.projection import TIMES, iso
from apiserver.bll.registry.records import Records, result, unforeseen
from apiserver.bll.registry.relatives import output_models
from apiserver.errors import InvalidModel, InvalidTaskStatus, NoWritePermission, TidemarkError

Body = dict[str, Any]


class TaskRuns:
    """Status changes. Every method returns the changed fields for the answer (times as ISO text), the `_many` ones by id."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def move(
        self, company: str, user: str, id: str, status: str, *, reason: str = "", message: str = "", force: bool = False
    ) -> tuple[Body, str]:
        """Take a task to a status; the changed fields and the status it had. Raises InvalidTask, InvalidTaskStatus."""
        return result(self.move_many(company, user, [id], status, reason=reason, message=message, force=force)[id])

    def move_many(
        self, company: str, user: str, ids: Sequence[str], status: str, *, reason: str = "", message: str = "", force: bool = False
    ) -> dict[str, tuple[Body, str] | TidemarkError]:
        """As `move` for several tasks; for each its result, or the error."""

        def change(body: Body) -> tuple[Body, str]:
            old = body.get("status") or "created"
            return task_status.step(body, status, reason=reason, message=message, user=user, force=force), old

        moved: dict[str, tuple[Body, str] | TidemarkError] = {}
        for id, outcome in self._records.change_many("task", company, ids, change):
            if isinstance(outcome, TidemarkError):
                moved[id] = outcome
            else:
                (changed, old), body = outcome
                moved[id] = _told(changed, body), old
        return moved

    def start(self, company: str, user: str, id: str, *, reason: str = "", message: str = "", force: bool = False) -> tuple[Body, bool]:
        """To in_progress; the changed fields, and whether it was not running before."""
        fields, old = self.move(company, user, id, "in_progress", reason=reason, message=message, force=force)
        return fields, old != "in_progress"

    def complete(
        self, company: str, user: str, id: str, *, reason: str = "", message: str = "", force: bool = False, publish: bool = False
    ) -> tuple[Body, bool]:
        """To completed, and on to published when asked; the changed fields, and whether it was published."""
        fields, _ = self.move(company, user, id, "completed", reason=reason, message=message, force=force)
        if not publish:
            return fields, False
        return {**fields, **self.publish(company, user, id)}, True

    def publish(self, company: str, user: str, id: str) -> Body:
        """As `publish_many`, for one task. Raises its error."""
        return result(self.publish_many(company, user, [id])[id])

    def publish_many(
        self, company: str, user: str, ids: Sequence[str], *, reason: str = "", message: str = "", force: bool = False, models: bool = True
    ) -> dict[str, Body | TidemarkError]:
        """To published: read-only from then on. With `models` the tasks' output models are published too. For each task the changed fields, or the
        error.

        InvalidTaskStatus when the task is published already or (without `force`) has never run.
        """

        def change(body: Body) -> Body:
            old = body.get("status") or "created"
            if old == "published" or (old in ("created", "queued") and not force):
                raise InvalidTaskStatus(
                    "only a task that has ended can be published", id=body["id"], current_status=old, new_status="published"
                )
            return task_status.step(body, "published", reason=reason, message=message, user=user, force=force)

        published: dict[str, Body | TidemarkError] = {}
        made: dict[str, list[str]] = {}
        for id, outcome in self._records.change_many("task", company, ids, change):
            if isinstance(outcome, TidemarkError):
                published[id] = outcome
            else:
                changed, body = outcome
                published[id] = _told(changed, body)
                made[id] = [model for model in output_models(body) if isinstance(model, str)] if models else []
        every = [model for some in made.values() for model in some]
        ready = dict(self._records.change_many("model", company, every, lambda body: body.update(ready=True)))
        for id, some in made.items():
            # Deleted, or of another company: the task is published all the same.
            failed = unforeseen(ready, some, InvalidModel, NoWritePermission)
            if failed is not None:
                published[id] = failed
        return published


def _told(changed: Body, body: Body) -> Body:
    fields = {**changed, "last_update": body["last_update"], "last_change": body["last_change"]}
    return {name: iso(value) if name in TIMES else value for name, value in fields.items()}
