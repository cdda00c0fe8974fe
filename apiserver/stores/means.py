"""Means of finite numbers that are finite: a sum that overflows a double is computed again from scaled values.

A plain sum is exact for small values and fast, so it is tried first. Scaled by 2^-64, up to 2^64 values fit; only then do values below
1e-288 lose digits, beside others above 1e288.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from apiserver.stores.records import Floats, Ints

SCALE = 2.0**-64
GREATEST = sys.float_info.max


def mean_of(values: Floats) -> float | None:
    """The mean of the finite values; None when there are none."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    return sum_and_mean(finite)[1]


def bucket_means(values: Floats, starts: Ints, counts: Ints) -> Floats:
    """The mean of `counts` numbers in each stretch of `values` (finite; 0 where a bucket has fewer numbers than points); NaN for a count of 0."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        sums: Floats = np.add.reduceat(values, starts)
        means: Floats = sums / counts
        broken = ~np.isfinite(sums)
        if broken.any():
            scaled = np.add.reduceat(values * SCALE, starts)[broken] / counts[broken] / SCALE
            means[broken] = np.clip(scaled, -GREATEST, GREATEST)
    return means


def sum_and_mean(values: Floats | list[float]) -> tuple[float, float]:
    """Sum (infinite when it does not fit into a double) and mean of finite numbers, of which there is at least one."""
    if isinstance(values, list):
        total = float(sum(values))
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            total = float(values.sum())
    if math.isfinite(total):
        return total, total / len(values)
    return math.inf, _unscaled(float((np.asarray(values) * SCALE).sum()) / len(values))


def joined_mean(left: float, left_count: int, right: float, right_count: int) -> float:
    """The mean of two sets of numbers, of their means."""
    count = left_count + right_count
    return _unscaled(left * SCALE * (left_count / count) + right * SCALE * (right_count / count))


def _unscaled(scaled: float) -> float:
    return min(max(scaled / SCALE, -GREATEST), GREATEST)
