"""Buckets of points that are at hand as arrays, for every engine."""

from __future__ import annotations

import numpy as np

from apiserver.stores.records import MIN_ITER, Buckets, Floats, Ints


def bucketed(x: Ints, values: Floats, interval: int) -> Buckets:
    """Buckets of sorted points. `interval` 1 keeps distinct x apart."""
    if not len(x):
        none, empty = np.empty(0, np.int64), np.empty(0, np.float64)
        return Buckets(none, empty, empty, empty, none)
    if interval == 1:
        keys, starts_of = x, x
    elif interval > 2**62:  # one bucket on each side of zero, whose start may lie outside the 64-bit range
        keys = np.where(x < 0, -1, 0)
        starts_of = np.where(x < 0, max(-interval, MIN_ITER), 0)
    else:
        keys = x // interval
        starts_of = np.maximum(keys, -(2**63) // interval + 1) * interval
        lowest = -(2**63) // interval
        if keys[0] == lowest:
            starts_of = np.where(keys == lowest, MIN_ITER, starts_of)
    starts = np.concatenate(([0], np.flatnonzero(keys[1:] != keys[:-1]) + 1))
    first_x, last_x = int(x[0]), int(x[-1])
    finite = np.isfinite(values)
    if len(starts) == len(x):
        mean = low = high = values if finite.all() else np.where(finite, values, np.nan)
        return Buckets(starts_of, mean, low, high, np.ones(len(x), np.int64), first_x, last_x)
    count = np.diff(np.append(starts, len(x)))
    if finite.all():
        mean = np.add.reduceat(values, starts) / count
        low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    else:
        filled = np.add.reduceat(finite.astype(np.int64), starts)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.add.reduceat(np.where(finite, values, 0.0), starts) / filled
        low = np.minimum.reduceat(np.where(finite, values, np.inf), starts)
        high = np.maximum.reduceat(np.where(finite, values, -np.inf), starts)
        low[filled == 0] = high[filled == 0] = np.nan
    return Buckets(starts_of[starts], mean, low, high, count, first_x, last_x)
