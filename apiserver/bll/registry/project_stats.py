"""Statistics of projects: number of tasks by status, and how long they ran. The store computes them; tasks are not read one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from apiserver.bll.registry.new_documents import now_ms
from apiserver.bll.registry.projection import iso
from apiserver.bll.registry.projects import DATASETS, HIDDEN
from apiserver.bll.registry.query import TASKS, Where, conditions, list_conditions
from apiserver.bll.registry.records import Records
from apiserver.bll.registry.tags import ARCHIVED
from apiserver.stores.registry import Condition, Document, Sort

Body = dict[str, Any]

DAY = 86_400_000
DATASET = "dataset"
STATES = ("active", "archived")
STATUSES = ("created", "queued", "in_progress", "stopped", "published", "publishing", "closed", "failed", "completed", "unknown")


class ProjectStats:
    """Answers `stats`, `own_tasks`, `own_models`, `own_datasets` and `dataset_stats` of the project list."""

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
        hidden: bool = False,
    ) -> dict[str, Body]:
        """Per project `{active: {...}, archived: {...}}` (or only `state`), counting the tasks of the projects in `below` too.

        Tasks with the system tag `hidden` count with `hidden` only.
        """
        every = sorted({*projects, *(id for ids in below.values() for id in ids)})
        where = [*list_conditions("project", every, negation=False), *conditions(filters or {}, TASKS), *_shown(hidden)]
        if users:
            where += list_conditions("user", list(users), negation=False)
        found: dict[str, Body] = {project: {} for project in projects}
        for name in STATES if state not in STATES else (state,):
            archived: Where = [Condition("system_tags", "in", (ARCHIVED,), negate=name == "active")]
            counted = self._registry.tally("task", [company], [*where, *archived], ["project", "status"], total="active_duration")
            lately = [Condition("status", "in", ("completed",)), Condition("completed", "range", (now_ms() - DAY, None))]
            recent = self._registry.tally("task", [company], [*where, *archived, *lately], ["project"])
            runs = self._registry.tally("task", [company], [*where, *archived], ["project"], total="started", greatest=True)
            for project in projects:
                own = {project, *below.get(project, ())}
                found[project][name] = _summed(own, counted, recent, runs)
        return found

    def own(self, company: str, projects: Sequence[str], filters: Mapping[str, Any] | None, *, hidden: bool = False) -> dict[str, Body]:
        """Per project `own_tasks`, `own_models` and `own_datasets`: how many it holds itself, archived ones left out, hidden ones with
        `hidden` only."""
        inside = [*list_conditions("project", list(projects), negation=False), *_shown(hidden)]
        inside.append(Condition("system_tags", "in", (ARCHIVED,), negate=True))
        tasks = self._registry.tally("task", [company], [*inside, *conditions(filters or {}, TASKS)], ["project"])
        models = self._registry.tally("model", [company], inside, ["project"])
        is_dataset = Condition("system_tags", "in", (DATASET,))
        below = self._registry.find("project", [company], [Condition("path", "in", list(projects)), is_dataset], fields=["name", "path"])
        datasets = Counter(_holder(document.body) for document in below)
        nothing = (0, 0.0)
        return {
            id: {
                "own_tasks": tasks.get((id,), nothing)[0],
                "own_models": models.get((id,), nothing)[0],
                "own_datasets": datasets[id],
            }
            for id in projects
        }

    def datasets(self, below: Sequence[Document]) -> Body:
        """`{count, tags}` of the datasets among these projects."""
        found = [document.body for document in below if DATASET in (document.body.get("system_tags") or ())]
        return {"count": len(found), "tags": sorted({tag for body in found for tag in body.get("tags") or ()})}

    def newest_versions(self, company: str, projects: Sequence[str]) -> dict[str, Body]:
        """Per dataset `{file_count, total_size}` of its newest version, as the SDK noted them; projects without versions are left out."""
        where = [*list_conditions("project", list(projects), negation=False), Condition("system_tags", "in", (DATASET,))]
        versions = self._registry.find("task", [company], where, order=[Sort("last_update")], fields=["project", "runtime"])
        newest = {task.body["project"]: task.body.get("runtime") or {} for task in versions}
        return {
            project: {"file_count": _integer(runtime.get("ds_file_count")), "total_size": _integer(runtime.get("ds_total_size"))}
            for project, runtime in newest.items()
        }

    def sub_projects(self, below: Mapping[str, Sequence[Document]]) -> dict[str, list[Body]]:
        """Per project `[{id, name}]` of those below."""
        return {id: [{"id": item.id, "name": item.body.get("name")} for item in items] for id, items in below.items()}


def _summed(
    projects: Collection[str],
    counted: Mapping[tuple[Any, ...], tuple[int, float]],
    recent: Mapping[tuple[Any, ...], tuple[int, float]],
    runs: Mapping[tuple[Any, ...], tuple[int, float]],
) -> Body:
    counts = dict.fromkeys(STATUSES, 0)
    seconds = 0.0
    for (project, status), (number, total) in counted.items():
        if project in projects:
            name = status if status in counts else "unknown"
            counts[name] += number
            seconds += total
    last = max((started for (project,), (_, started) in runs.items() if project in projects), default=0.0)
    return {
        "status_count": counts,
        "total_tasks": sum(counts.values()),
        "total_runtime": int(seconds),
        "completed_tasks_24h": sum(number for (project,), (number, _) in recent.items() if project in projects),
        "last_task_run": iso(int(last)) if last else None,
    }


def _shown(hidden: bool) -> Where:
    return [] if hidden else [Condition("system_tags", "in", (HIDDEN,), negate=True)]


def _holder(dataset: Mapping[str, Any]) -> str | None:
    """The project that a dataset belongs to: the one above it, or above the folder `.datasets` that it is in."""
    path = dataset.get("path") or []
    in_folder = DATASETS in dataset["name"].split("/")[-2:-1]
    above = path[:-1] if in_folder else path
    return above[-1] if above else None


def _integer(value: Any) -> int:
    try:
        return int(value or 0)
    except (TypeError, ValueError, OverflowError):
        return 0
