"""The last values of scalar series, and single values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from apiserver.bll.events.charts import ids_by_company
from apiserver.bll.registry.directory import Owner
from apiserver.common.encoding import encode
from apiserver.common.fairness import drained, paced
from apiserver.stores.base import EventReader
from apiserver.stores.means import mean_of
from apiserver.stores.records import (
    LAST_VALUES,
    SCALAR,
    SEQ_SHIFT,
    SINGLE_VALUE_ITER,
    EventQuery,
    Floats,
    LastValues,
    Metrics,
    Series,
    SeriesKey,
)

SERIES = 200
"""Series processed before yielding to other requests."""


class Latest:
    """Answers of get_task_latest_scalar_values and get_task_single_value_metrics."""

    def __init__(self, events: EventReader) -> None:
        self._events = events

    def of_owner(self, owner: Owner) -> bytes:
        """Last value and means of the last 10 and 100 values of every scalar series, with name and status of the task.

        "Last" is by iteration. A single value counts only in a series that has nothing else.
        """
        metrics: dict[str, list[bytes]] = {}
        last_iters: list[int] = []
        last_written = 0
        for series, last in paced(drained(self._events.latest(owner.company, owner.id)), SERIES):
            if series.chart_max_iter is not None:
                last_iters.append(series.chart_max_iter)
            if series.key.type != SCALAR:
                continue
            last_written = max(last_written, series.last_written)
            values = self._values_without_iteration(owner.company, series) if last is None else _chart_values(last)
            variant = {
                "name": series.key.variant,
                "last_value": _number(values[-1]) if len(values) else None,
                "last_10_value": mean_of(values[-10:]),
                "last_100_value": mean_of(values[-100:]),
            }
            metrics.setdefault(series.key.metric, []).append(encode(variant))  # bytes: objects are freed all at once, at the end
        shown = [
            b'{"name":%b,"variants":[%b]}' % (encode(metric), b",".join(variants)) for metric, variants in paced(metrics.items(), SERIES)
        ]
        rest = {
            "last_iter": max(last_iters, default=0),
            "name": owner.name,
            "status": owner.status,
            "last_timestamp": last_written >> SEQ_SHIFT,
        }
        return b'{"metrics":[%b],%b' % (b",".join(shown), encode(rest)[1:])

    def _values_without_iteration(self, company: str, series: Series) -> Floats:
        """The last values of scalars that were reported without any iteration: by time."""
        query = EventQuery(series.key.task, [SCALAR], {series.key.metric: [series.key.variant]})
        page = self._events.page(company, query, "timestamp", descending=True, limit=LAST_VALUES)
        values = [event.get("value") for event, _ in reversed(page)]
        return np.array([np.nan if value is None else value for value in values], np.float64)

    def single_values(self, owners: Mapping[str, Owner], metrics: Metrics | None = None) -> list[dict[str, Any]]:
        """The single values of each owner that has any, by metric and variant."""
        found: dict[str, list[dict[str, Any]]] = {}
        for company, ids in ids_by_company(owners.values()).items():
            mixed: dict[str, dict[SeriesKey, Series]] = {}
            for series in self._events.series(company, ids, [SCALAR], metrics):
                stats = series.statistics
                if stats is None or stats.count == series.chart_count:
                    continue
                if series.chart_count:
                    mixed.setdefault(series.key.task, {})[series.key] = series  # its statistics are those of later iterations
                else:
                    found.setdefault(series.key.task, []).append(_single(series, stats.value, stats.value_timestamp or 0))
            for task, several in mixed.items():
                for columns in self._events.points(company, list(several), lo=SINGLE_VALUE_ITER, hi=SINGLE_VALUE_ITER):
                    series = several[columns.key]
                    found.setdefault(task, []).append(_single(series, _number(columns.values[0]), int(columns.timestamps[0])))
        for values in found.values():
            values.sort(key=lambda value: (value["metric"].encode(), value["variant"].encode()))
        return [{"task": task, "task_name": owner.name, "values": found[task]} for task, owner in owners.items() if task in found]


def _single(series: Series, value: float | None, timestamp: int) -> dict[str, Any]:
    return {"metric": series.key.metric, "variant": series.key.variant, "value": value, "timestamp": timestamp}


def _chart_values(last: LastValues) -> Floats:
    """The values in order of iteration, without the single value if there are others."""
    shown = last.iters != SINGLE_VALUE_ITER
    return last.values[shown] if shown.any() else last.values


def _number(value: Any) -> float | None:
    number = float(value)
    return number if np.isfinite(number) else None
