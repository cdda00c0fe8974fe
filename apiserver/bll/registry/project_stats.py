"""Statistics of projects: how many tasks in which status, how long they ran; counted in the store, never read one by one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from apiserver.bll.registry.new_documents import now_ms
from apiserver.bll.registry.query import TASKS, Where, conditions, list_conditions
from apiserver.bll.registry.records import Records
from apiserver.bll.registry.tasks import ARCHIVED
from apiserver.stores.base import Condition, Document

Body = dict[str, Any]

DAY = 86_400_000
STATES = ("active", "archived")
STATUSES = ("created", "queued", "in_progress", "stopped", "published", "publishing", "closed", "failed", "completed", "unknown")


class ProjectStats:
    """Answers `stats`, `own_tasks` and `own_models` of the project list."""

    def __init__(self, records: Records) -> None:
        self._registry = records.registry

    def stats(
        self,
        company: str,
        projects: Sequence[str],
        below: Mapping[str, Collection[str]],
        *,
        state: str | None,
        filters: Mapping[str, Any] | None,
        users: Sequence[str] = (),
    ) -> dict[str, Body]:
        """Per project `{active: {...}, archived: {...}}` (or only `state`), counting the tasks of the projects in `below` too."""
        every = sorted({*projects, *(id for ids in below.values() for id in ids)})
        where = [*list_conditions("project", every, negation=False), *conditions(filters or {}, TASKS)]
        if users:
            where += list_conditions("user", list(users), negation=False)
        found: dict[str, Body] = {project: {} for project in projects}
        for name in STATES if state not in STATES else (state,):
            archived: Where = [Condition("system_tags", "in", (ARCHIVED,), negate=name == "active")]
            counted = self._registry.tally("task", [company], [*where, *archived], ["project", "status"], total="active_duration")
            lately = Condition("completed", "range", (now_ms() - DAY, None))
            recent = self._registry.tally("task", [company], [*where, *archived, lately], ["project"])
            for project in projects:
                own = {project, *below.get(project, ())}
                found[project][name] = _summed(own, counted, recent)
        return found

    def own(self, company: str, projects: Sequence[str], filters: Mapping[str, Any] | None) -> dict[str, Body]:
        """Per project `own_tasks` and `own_models`: how many it holds itself, archived ones left out."""
        inside = [*list_conditions("project", list(projects), negation=False), Condition("system_tags", "in", (ARCHIVED,), negate=True)]
        tasks = self._registry.tally("task", [company], [*inside, *conditions(filters or {}, TASKS)], ["project"])
        models = self._registry.tally("model", [company], inside, ["project"])
        nothing = (0, 0.0)
        return {id: {"own_tasks": tasks.get((id,), nothing)[0], "own_models": models.get((id,), nothing)[0]} for id in projects}

    def sub_projects(self, below: Mapping[str, Sequence[Document]]) -> dict[str, list[Body]]:
        """Per project `[{id, name}]` of those below."""
        return {id: [{"id": item.id, "name": item.body.get("name")} for item in items] for id, items in below.items()}


def _summed(
    projects: Collection[str],
    counted: Mapping[tuple[Any, ...], tuple[int, float]],
    recent: Mapping[tuple[Any, ...], tuple[int, float]],
) -> Body:
    counts = dict.fromkeys(STATUSES, 0)
    seconds = 0.0
    for (project, status), (number, total) in counted.items():
        if project in projects:
            name = status if status in counts else "unknown"
            counts[name] += number
            seconds += total
    return {
        "status_count": counts,
        "total_tasks": sum(counts.values()),
        "total_runtime": int(seconds),
        "completed_tasks_24h": sum(number for (project,), (number, _) in recent.items() if project in projects),
    }
