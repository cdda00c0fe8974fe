"""Which metrics and variants tasks have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apiserver.bll.events.charts import by_owner
from apiserver.bll.registry.directory import TaskDirectory
from apiserver.stores.base import EventStore


class Listing:
    """Names of metrics and variants, always complete."""

    def __init__(self, events: EventStore, tasks: TaskDirectory) -> None:
        self._events = events
        self._tasks = tasks

    def variants(self, company: str, task: str, event_type: str, *, model_events: bool = False) -> dict[str, list[str]]:
        """Metric -> variants of one event type, both ascending; single values included. Raises InvalidTask or InvalidModel."""
        entity = self._tasks.readable(company, [task], "model" if model_events else "task")[task]
        found: dict[str, list[str]] = {}
        for series in self._events.series(entity.company, [task], [event_type]):
            found.setdefault(series.key.metric, []).append(series.key.variant)
        return found

    def metrics_per_task(
        self, company: str, tasks: Sequence[str], event_type: str | None, *, model_events: bool = False
    ) -> list[dict[str, Any]]:
        """Per task, in the order of the request, the metrics that have events with an iteration other than the single-value one.

        `event_type` None: of all types. Raises InvalidTask or InvalidModel.
        """
        entities = self._tasks.readable(company, tasks, "model" if model_events else "task")
        found: dict[str, set[str]] = {}
        for owner, ids in by_owner(entities.values()).items():
            for series in self._events.series(owner, ids, _types(event_type)):
                if series.chart_count:
                    found.setdefault(series.key.task, set()).add(series.key.metric)
        return [{"task": task, "metrics": sorted(found.get(task, ()), key=str.encode)} for task in tasks]

    def together(self, company: str, tasks: Sequence[str], event_type: str | None, *, model_events: bool = False) -> list[dict[str, Any]]:
        """Metrics and variants that at least one of the tasks has, whatever the iteration. Raises InvalidTask or InvalidModel."""
        entities = self._tasks.readable(company, tasks, "model" if model_events else "task")
        found: dict[str, set[str]] = {}
        for owner, ids in by_owner(entities.values()).items():
            for series in self._events.series(owner, ids, _types(event_type)):
                found.setdefault(series.key.metric, set()).add(series.key.variant)
        return [{"metric": metric, "variants": sorted(found[metric], key=str.encode)} for metric in sorted(found, key=str.encode)]


def _types(event_type: str | None) -> list[str] | None:
    return None if event_type is None else [event_type]
