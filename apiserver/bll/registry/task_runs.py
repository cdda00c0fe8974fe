"""Status changes of tasks: started, stopped, completed, failed, closed, published."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from apiserver.bll.registry import task_status
from apiserver.bll.registry.projection import TIMES, iso
from apiserver.bll.registry.records import Records
from apiserver.errors import InvalidModel, InvalidTaskStatus, NoWritePermission

Body = dict[str, Any]


class TaskRuns:
    """Status changes. Every method returns the changed fields for the answer (times as ISO text)."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def move(
        self, company: str, user: str, id: str, status: str, *, reason: str = "", message: str = "", force: bool = False
    ) -> tuple[Body, str]:
        """Take a task to a status; the changed fields and the status it had. Raises InvalidTask, InvalidTaskStatus."""

        def change(body: Body) -> tuple[Body, str]:
            old = body.get("status") or "created"
            return task_status.step(body, status, reason=reason, message=message, user=user, force=force), old

        (changed, old), body = self._records.change("task", company, id, change)
        return _told(changed, body), old

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

    def publish(
        self, company: str, user: str, id: str, *, reason: str = "", message: str = "", force: bool = False, models: bool = True
    ) -> Body:
        """To published: read-only from then on. With `models` the task's output models are published too.

        Raises InvalidTaskStatus when the task is published already or (without `force`) has never run.
        """

        def change(body: Body) -> Body:
            old = body.get("status") or "created"
            if old == "published" or (old in ("created", "queued") and not force):
                raise InvalidTaskStatus("only a task that has ended can be published", id=id, current_status=old, new_status="published")
            return task_status.step(body, "published", reason=reason, message=message, user=user, force=force)

        changed, body = self._records.change("task", company, id, change)
        if models:
            for item in (body.get("models") or {}).get("output") or []:
                self._publish_model(company, item.get("model"))
        return _told(changed, body)

    def _publish_model(self, company: str, id: Any) -> None:
        if not isinstance(id, str):
            return
        with suppress(InvalidModel, NoWritePermission):  # deleted, or of another company: the task is published all the same
            self._records.change("model", company, id, lambda body: body.update(ready=True))


def _told(changed: Body, body: Body) -> Body:
    fields = {**changed, "last_update": body["last_update"], "last_change": body["last_change"]}
    return {name: iso(value) if name in TIMES else value for name, value in fields.items()}
