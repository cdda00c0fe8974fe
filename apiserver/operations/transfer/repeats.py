"""Counts points that a later point of the same metric and step replaces: a step of a metric has one value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

_WIDEST = 1 << 62


class _Even(NamedTuple):
    """The steps `first`, `first` + `stride`, ... `last`; `stride` is 0 for a single step."""

    first: int
    last: int
    stride: int


class _Seen:
    """The steps of a metric so far, evenly spaced ones in a few bytes, and its last point."""

    def __init__(self) -> None:
        self.even: list[_Even] = []
        self.odd: list[Any] = []
        self.highest: int | None = None
        self.step: int | None = None
        self.value = 0.0

    def among(self, steps: Any) -> Any:
        """Which of these sorted steps were seen."""
        found = np.zeros(len(steps), bool)
        for first, last, stride in self.even:
            if first <= steps[-1] and last >= steps[0]:
                found |= (steps >= first) & (steps <= last) & ((steps - first) % max(stride, 1) == 0)
        for known in self.odd:
            if known[0] <= steps[-1] and known[-1] >= steps[0]:
                found |= np.isin(steps, known, assume_unique=True)
        return found

    def add(self, steps: Any) -> None:
        """Add sorted steps that were not seen."""
        self.highest = int(steps[-1]) if self.highest is None else max(self.highest, int(steps[-1]))
        strides = np.diff(steps)
        if len(strides) and (strides[0] <= 0 or not (strides == strides[0]).all()):  # not above 0: beyond 64 bits
            self.odd.append(steps)
            return
        new = _Even(int(steps[0]), int(steps[-1]), int(strides[0]) if len(strides) else 0)
        before = self.even[-1] if self.even else None
        if before is not None:
            gap = new.first - before.last
            if 0 < gap < _WIDEST and before.stride in (0, gap) and new.stride in (0, gap):
                self.even[-1] = _Even(before.first, new.last, gap)
                return
        self.even.append(new)

    def rewind(self, step: int) -> None:
        """Forget this step and later ones."""
        kept = (
            _Even(first, last - max(0, -(-(last - step + 1) // max(stride, 1))) * stride, stride)
            for first, last, stride in self.even
            if first < step
        )
        self.even = list(kept)
        self.odd = [part for steps in self.odd if len(part := steps[steps < step])]
        if self.highest is not None:
            self.highest = min(self.highest, step - 1)


class Repeats:
    """Counts the replaced points of a run."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def count(self, name: str, steps: Sequence[int], values: Sequence[float]) -> int:
        """How many points of the run these ones replace, or each other. A point that equals the one before it (as the epoch in all rows of a step) is not
        counted."""
        seen = self._seen.setdefault(name, _Seen())
        found, of = np.asarray(steps, np.int64), np.asarray(values, np.float64)
        new = np.ones(len(found), bool)
        new[1:] = (found[1:] != found[:-1]) | (of[1:] != of[:-1])
        new[0] = found[0] != seen.step or of[0] != seen.value
        seen.step, seen.value = int(found[-1]), float(of[-1])
        found = found[new]
        if not len(found):
            return 0
        count = len(found)
        if count > 1 and not (found[1:] > found[:-1]).all():
            found = np.unique(found)
        if seen.highest is not None and found[0] <= seen.highest:
            found = found[~seen.among(found)]
        if len(found):
            seen.add(found)
        return count - len(found)

    def rewind(self, step: int) -> None:
        """The points of this step and later are void."""
        for seen in self._seen.values():
            seen.rewind(step)

    def clear(self) -> None:
        """All points are void."""
        self._seen.clear()
