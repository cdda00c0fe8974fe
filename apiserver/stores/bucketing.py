"""Buckets of points in arrays, for every engine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from apiserver.stores.means import bucket_means
from apiserver.stores.records import MIN_ITER, SINGLE_VALUE_ITER, BucketRequest, Buckets, Ends, Floats, Ints, Kinds


def buckets_of(request: BucketRequest, iters: Ints, values: Floats, timestamps: Ints, seqs: Ints) -> Buckets:
    """The answer to a request from points in the order of iterations; on the iteration axis, those inside its bounds. Columns of equal length."""
    where = int(np.searchsorted(iters, SINGLE_VALUE_ITER))
    if where < len(iters) and iters[where] == SINGLE_VALUE_ITER:
        shown = np.arange(len(iters)) != where
        iters, values, timestamps, seqs = iters[shown], values[shown], timestamps[shown], seqs[shown]
    x = iters
    if request.axis == "timestamp":
        order = np.argsort(timestamps, kind="stable")
        x = timestamps[order] - request.origin
        left = 0 if request.lo is None else int(np.searchsorted(x, request.lo, "left"))
        right = len(x) if request.hi is None else int(np.searchsorted(x, request.hi, "right"))
        order, x = order[left:right], x[left:right]
        iters, values, timestamps, seqs = iters[order], values[order], timestamps[order], seqs[order]
    found = bucketed(x, values, request.interval)
    if not len(x):
        return found
    starts = np.cumsum(found.count) - found.count
    if request.ends:
        found.ends = Ends(np.maximum.reduceat(iters, starts), np.maximum.reduceat(timestamps, starts))
    if request.kinds and not np.isfinite(values).all():
        found.kinds = _kinds(x, values, starts)
    if request.since_seq is not None:
        found = found.take(np.maximum.reduceat(seqs, starts) > request.since_seq)
    return found


def _kinds(x: Ints, values: Floats, starts: Ints) -> Kinds:
    nan = np.isnan(values)
    first_nan = int(x[nan.argmax()]) if nan.any() else None
    return Kinds(_counts(nan, starts), _counts(values == np.inf, starts), _counts(values == -np.inf, starts), first_nan)


def _counts(which: npt.NDArray[np.bool_], starts: Ints) -> Ints:
    return np.add.reduceat(which.astype(np.int64), starts)


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
        mean = bucket_means(values, starts, count)
        low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    else:
        filled = np.add.reduceat(finite.astype(np.int64), starts)
        mean = bucket_means(np.where(finite, values, 0.0), starts, filled)
        low = np.minimum.reduceat(np.where(finite, values, np.inf), starts)
        high = np.maximum.reduceat(np.where(finite, values, -np.inf), starts)
        low[filled == 0] = high[filled == 0] = np.nan
    return Buckets(starts_of[starts], mean, low, high, count, first_x, last_x)
