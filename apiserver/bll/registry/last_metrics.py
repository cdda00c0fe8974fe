"""`last_metrics`: the statistics of a task's scalar series, as clients expect them in the task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import orjson

from apiserver.common.encoding import encode, encoded_object
from apiserver.common.fairness import paced
from apiserver.errors import ValidationFailed
from apiserver.stores.base import SeriesReader
from apiserver.stores.records import SCALAR, Series, name_hash
from apiserver.stores.registry import Document
from apiserver.stores.series_parts import series_in_parts

GIVE_WAY = 1000
"""Series processed before yielding to other requests."""

LastMetrics = dict[str, dict[str, dict[str, Any]]]


class LastMetricsReader:
    """Puts `last_metrics` into documents. `most`: series in one answer with more than one document."""

    def __init__(self, events: SeriesReader, most: int) -> None:
        self._events = events
        self._most = most

    def add(self, documents: Sequence[Document], chosen: Mapping[str, Any]) -> None:
        """Per document {md5 of metric: {md5 of variant: statistics}}, both levels in the order of the hashes (clients take the first).

        `chosen`: the part of the answer below last_metrics that was asked for, as a tree; empty: all. Raises ValidationFailed when the documents
        have more series than one answer may hold.
        """
        owners: dict[str, list[str]] = {}
        for document in documents:
            owners.setdefault(document.company, []).append(document.id)
        found: dict[str, LastMetrics] = {}
        number = 0
        for series in self._series(owners):
            path = name_hash(series.key.metric), name_hash(series.key.variant)
            if not _is_chosen(path, chosen) or (entry := _entry(series)) is None:
                continue
            found.setdefault(series.key.task, {}).setdefault(path[0], {})[path[1]] = entry
            number += 1
            if number > self._most and len(documents) > 1:
                raise ValidationFailed(
                    "only_fields",
                    f"a choice without last_metrics, of some of them, or of fewer documents: one answer has at most {self._most} "
                    "series (events.max_list_series)",
                )
        for document in documents:
            metrics = found.get(document.id, {})
            ordered = {metric: dict(sorted(variants.items())) for metric, variants in paced(sorted(metrics.items()), GIVE_WAY)}
            many = sum(map(len, metrics.values())) > GIVE_WAY and not chosen
            document.body["last_metrics"] = _in_slices(ordered) if many else ordered

    def _series(self, owners: Mapping[str, Sequence[str]]) -> Iterator[Series]:
        parts = (part for company, ids in owners.items() for part in series_in_parts(self._events, company, ids, [SCALAR]))
        return paced(chain.from_iterable(parts), GIVE_WAY)


def _in_slices(metrics: LastMetrics) -> orjson.Fragment:
    """Encoded here, where others get their turns, metric by metric; what is encoded is let go."""
    encoded: dict[str, bytes] = {}
    for name in paced(list(metrics), GIVE_WAY):
        variants = metrics.pop(name)
        encoded[name] = encoded_object({hash: encode(entry) for hash, entry in paced(variants.items(), GIVE_WAY)})
    return orjson.Fragment(encoded_object(encoded))


def _is_chosen(path: tuple[str, str], chosen: Mapping[str, Any]) -> bool:
    if not chosen:
        return True
    variants = chosen.get(path[0])
    return variants is not None and (not variants or path[1] in variants)


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
