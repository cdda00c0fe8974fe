"""Bucket widths in steps: full buckets keep their bounds while the series grows, so a live chart does not jitter."""

from __future__ import annotations

from apiserver.stores.records import Axis

_DAY = 86_400_000
_TIMES = (
    *(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000),
    *(60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 28_800_000),
    *(_DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY),
)
"""Milliseconds: 1, 2 and 5 of each decade below a second, what clocks and calendars show above."""


def ladder_width(first: int, last: int, buckets: int, axis: Axis) -> int:
    """The least width with which [first, last] is at most `buckets` (2 or more) buckets that begin at multiples of the width: a power of two of
    iterations; milliseconds as clocks count them, and powers of two times 30 days above."""

    def fits(width: int) -> bool:
        return last // width - first // width < buckets

    width = 1
    if axis == "timestamp":
        known = next((width for width in _TIMES if fits(width)), None)
        if known is not None:
            return known
        width = _TIMES[-1]
    while not fits(width):
        width *= 2
    return width
