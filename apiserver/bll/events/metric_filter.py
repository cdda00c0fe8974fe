"""The metrics and variants that a request names, as the filter that stores understand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apiserver.stores.records import Metrics

Selection = dict[str, list[str]] | None
"""Metric -> variants (empty: all of them); None: all metrics."""


def metrics_filter(entries: Iterable[Mapping[str, Any]] | None) -> Metrics | None:
    """`[{metric, variants}]` as metric -> variants. Of two entries for one metric the later one counts; nothing named: no filter."""
    filters = {entry["metric"]: tuple(dict.fromkeys(entry.get("variants") or ())) for entry in entries or ()}
    return filters or None


def selection_of(metrics: Metrics | None) -> Selection:
    """A filter in plain lists, as states keep it."""
    return None if metrics is None else {metric: list(variants) for metric, variants in metrics.items()}


def selections_by_task(entries: Iterable[Mapping[str, Any]]) -> dict[str, Selection]:
    """`[{task, metric, variants}]` as task -> selection, in order of appearance. An entry without a metric means all metrics of its task,
    whatever its other entries say; of two entries for one metric the later one counts."""
    selections: dict[str, Selection] = {}
    for entry in entries:
        task, metric = entry["task"], entry.get("metric")
        selection = selections.setdefault(task, {})
        if metric is None:
            selections[task] = None
        elif selection is not None:
            selection[metric] = list(dict.fromkeys(entry.get("variants") or ()))
    return selections
