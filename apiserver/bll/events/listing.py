"""Which metrics and variants tasks have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.bll.events.charts import ids_by_company
from apiserver.bll.registry.directory import Owner
from apiserver.stores.base import SeriesReader
from apiserver.stores.records import LOG, SINGLE_VALUE_ITER, Series


class Listing:
    """Names of metrics and variants, always complete."""

    def __init__(self, events: SeriesReader) -> None:
        self._events = events

    def variants(self, owner: Owner, event_type: str) -> dict[str, list[str]]:
        """Metric -> variants of one event type, both ascending; single values included."""
        found: dict[str, list[str]] = {}
        for series in self._events.series(owner.company, [owner.id], [event_type]):
            found.setdefault(series.key.metric, []).append(series.key.variant)
        return found

    def metrics_per_task(self, owners: Sequence[Owner], event_type: str | None) -> list[dict[str, Any]]:
        """Per owner, in the order given, the metrics that have events with an iteration other than the single-value one; log lines without a
        metric don't count.

        `event_type` None: of all types.
        """
        found: dict[str, set[str]] = {}
        for company, ids in ids_by_company(owners).items():
            for series in self._events.series(company, ids, _types(event_type)):
                if series.chart_count or _is_log_with_metric(series):
                    found.setdefault(series.key.task, set()).add(series.key.metric)
        return [{"task": owner.id, "metrics": sorted(found.get(owner.id, ()), key=str.encode)} for owner in owners]

    def together(self, owners: Mapping[str, Owner], event_type: str | None) -> list[dict[str, Any]]:
        """Metrics and variants that at least one of the owners has, whatever the iteration."""
        found: dict[str, set[str]] = {}
        for company, ids in ids_by_company(owners.values()).items():
            for series in self._events.series(company, ids, _types(event_type)):
                found.setdefault(series.key.metric, set()).add(series.key.variant)
        return [{"metric": metric, "variants": sorted(found[metric], key=str.encode)} for metric in sorted(found, key=str.encode)]


def _is_log_with_metric(series: Series) -> bool:
    return series.key.type == LOG and series.key.metric != "" and series.max_iter is not None and series.max_iter > SINGLE_VALUE_ITER


def _types(event_type: str | None) -> list[str] | None:
    return None if event_type is None else [event_type]
