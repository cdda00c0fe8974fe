"""Samples whole rows of a run: the first and the last, and every metric's minimum and maximum in each of many buckets.

One choice of rows for all metrics, as the min-max variant of M4 (Jugel et al., "M4: A Visualization-Oriented Time Series Data
Aggregation", VLDB 2014) makes it for one. Rows are cut into buckets of equal length; in each, the rows with the smallest and the greatest
finite value of every metric are taken. As many buckets are used as fit; the remainder is filled with evenly spaced rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from apiserver.stores.records import Floats, Ints


class MetricValues(NamedTuple):
    """The values of a metric and the rows they are in: arrays of equal length, rows ascending."""

    rows: Ints
    values: Floats


def choose_rows(count: int, metrics: Sequence[MetricValues], limit: int) -> Ints:
    """At most `limit` of the rows 0 .. count - 1, ascending, none twice; row 0 and the last row are among them (limit >= 2).

    No metric loses a minimum or maximum that `limit` rows could show: with 2 * metrics + 2 <= limit every metric keeps both of every
    bucket, else the most outstanding values win. With a limit of 1 it is row 0.
    """
    if count <= limit:
        return np.arange(count, dtype=np.int64)
    if limit <= 1:
        return np.arange(min(limit, 1), dtype=np.int64)
    finite = [_finite(metric) for metric in metrics]
    finite = [metric for metric in finite if len(metric.rows)]
    chosen = np.array([0, count - 1], dtype=np.int64)
    if finite:
        chosen = np.union1d(chosen, _extremes_that_fit(count, finite, limit - 2))
    return _filled(chosen, count, limit)


def _finite(metric: MetricValues) -> MetricValues:
    fine = np.isfinite(metric.values)
    return metric if fine.all() else MetricValues(metric.rows[fine], metric.values[fine])


def _extremes_that_fit(count: int, metrics: Sequence[MetricValues], room: int) -> Ints:
    """Extremes of as many buckets as `room` rows hold. Metrics often peak in the same rows, so more buckets may fit than the worst case."""
    buckets = room // (2 * len(metrics))
    if buckets < 1:
        return _most_outstanding(metrics, room)
    best = _extremes(count, metrics, buckets)
    for _ in range(4):
        wider = min(int(buckets * room / max(len(best), 1)), count)
        if wider <= buckets:
            break
        found = _extremes(count, metrics, wider)
        if len(found) > room:
            wider = (buckets + wider) // 2
            found = _extremes(count, metrics, wider)
            if len(found) > room:
                break
        buckets, best = wider, found
    return best


def _extremes(count: int, metrics: Sequence[MetricValues], buckets: int) -> Ints:
    """The rows with the first minimum and the first maximum of each metric in each bucket."""
    edges = np.linspace(0, count, buckets + 1).astype(np.int64)
    found = []
    for metric in metrics:
        starts = np.unique(np.searchsorted(metric.rows, edges[:-1]))
        starts = starts[starts < len(metric.rows)]
        sizes = np.diff(np.append(starts, len(metric.rows)))
        for extreme in (np.minimum, np.maximum):
            hits = np.flatnonzero(metric.values == np.repeat(extreme.reduceat(metric.values, starts), sizes))
            bucket = np.searchsorted(starts, hits, side="right")
            first = np.ones(len(hits), dtype=bool)
            first[1:] = bucket[1:] != bucket[:-1]
            found.append(metric.rows[hits[first]])
    return np.unique(np.concatenate(found))


def _most_outstanding(metrics: Sequence[MetricValues], room: int) -> Ints:
    """More metrics than rows: the extremes that are farthest from their metric's mean, in standard deviations."""
    candidates: list[tuple[float, int]] = []
    for metric in metrics:
        # Of values between -1 and 1: neither their differences nor their squares overflow.
        values = metric.values / (float(np.abs(metric.values).max()) or 1.0)
        middle, spread = float(values.mean()), float(values.std()) or 1.0
        positions = int(values.argmax()), int(values.argmin())
        candidates += [(-abs(float(values[at]) - middle) / spread, int(metric.rows[at])) for at in positions]
    rows: set[int] = set()
    for _, row in sorted(candidates):
        if len(rows) == room:
            break
        rows.add(row)
    return np.array(sorted(rows), dtype=np.int64)


def _filled(chosen: Ints, count: int, limit: int) -> Ints:
    """Fill the rest of the limit with evenly spaced rows."""
    room = limit - len(chosen)
    if room <= 0:
        return chosen
    even = np.setdiff1d(np.linspace(0, count - 1, room + 2).astype(np.int64), chosen)
    return np.union1d(chosen, even[:room] if len(even) > room else even)
