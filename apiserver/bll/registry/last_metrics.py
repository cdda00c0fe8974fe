"""`last_metrics`: the statistics of a task's scalar series, as clients expect them in the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.fairness import give_way
from apiserver.stores.base import SeriesReader
from apiserver.stores.records import SCALAR, Series, name_hash

GIVE_WAY = 1000
"""Series between two chances for other requests."""

LastMetrics = dict[str, dict[str, dict[str, Any]]]


def last_metrics(events: SeriesReader, owners: Mapping[str, Sequence[str]]) -> dict[str, LastMetrics]:
    """Per task {md5 of metric: {md5 of variant: statistics}}, both levels in the order of the hashes (clients take the first).

    `owners`: company -> its tasks (or models).
    """
    found: dict[str, LastMetrics] = {}
    for company, ids in owners.items():
        for number, series in enumerate(events.series(company, ids, types=[SCALAR])):
            if number % GIVE_WAY == GIVE_WAY - 1:
                give_way()
            entry = _entry(series)
            if entry is not None:
                of_task = found.setdefault(series.key.task, {})
                of_task.setdefault(name_hash(series.key.metric), {})[name_hash(series.key.variant)] = entry
    return {id: {metric: dict(sorted(variants.items())) for metric, variants in sorted(metrics.items())} for id, metrics in found.items()}


def _entry(series: Series) -> dict[str, Any] | None:
    known = series.statistics
    if known is None or not known.count:
        return None
    entry: dict[str, Any] = {
        "metric": series.key.metric,
        "variant": series.key.variant,
        "value": known.value,
        "min_value": known.min_value,
        "min_value_iteration": known.min_value_iter,
        "max_value": known.max_value,
        "max_value_iteration": known.max_value_iter,
        "first_value": known.first_value,
        "first_value_iteration": known.first_value_iter,
        "count": known.count,
        "mean_value": known.mean_value,
        "iter": known.value_iter,
        "timestamp": known.value_timestamp,
    }
    if known.x_axis_label is not None:
        entry["x_axis_label"] = known.x_axis_label
    return entry
