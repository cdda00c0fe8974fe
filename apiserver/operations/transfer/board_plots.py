"""TensorBoard histograms as plots: one per step, and one of the distribution over all steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from apiserver.operations.transfer.pieces import Figure

_SHARES = (0.0, 0.0668, 0.1587, 0.3085, 0.5, 0.6915, 0.8413, 0.9332, 1.0)
"""The quantiles that TensorBoard draws: multiples of half a standard deviation of a normal distribution."""
_STEPS = 500
"""Most steps of a distribution: beyond it, every second step is dropped and the stride doubles."""
_MAX_TAGS = 2_000
DISTRIBUTION = "distribution"
"""The variant of the plot over all steps."""


def histogram_figure(found: Any) -> dict[str, Any]:
    """A histogram as a Plotly bar chart with bars as wide as their bins; empty bins are left out."""
    filled = np.asarray(found.counts) != 0
    left, right = np.asarray(found.left, np.float64)[filled], np.asarray(found.right, np.float64)[filled]
    bars = {
        "type": "bar",
        "x": ((left + right) / 2).tolist(),
        "y": np.asarray(found.counts, np.float64)[filled].tolist(),
        "width": (right - left).tolist(),
    }
    return {"data": [bars], "layout": {"bargap": 0, "xaxis": {"title": {"text": "value"}}, "yaxis": {"title": {"text": "count"}}}}


class Distributions:
    """Quantiles over the steps of every tag, down-sampled to `_STEPS` steps."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[int, int, list[float]]]] = {}
        self._strides: dict[str, tuple[int, int]] = {}
        self._changed: set[str] = set()

    def add(self, tag: str, step: int, time: int, found: Any) -> None:
        """Add the histogram of a step; `time` in epoch ms."""
        quantiles = _quantiles(found)
        if quantiles is None or (tag not in self._rows and len(self._rows) >= _MAX_TAGS):
            return
        rows = self._rows.setdefault(tag, [])
        stride, count = self._strides.get(tag, (1, 0))
        self._strides[tag] = stride, count + 1
        if count % stride == 0:
            self._changed.add(tag)
            rows.append((step, time, quantiles))
            if len(rows) > _STEPS:
                del rows[1::2]
                self._strides[tag] = stride * 2, count + 1

    def rewind(self, step: int) -> None:
        """Remove this step and later ones."""
        for tag, rows in self._rows.items():
            rows[:] = [row for row in rows if row[0] < step]
            self._changed.add(tag)

    def figures(self) -> Iterator[Figure]:
        """A plot for each tag that changed since the last call."""
        for tag in sorted(self._changed):
            rows = sorted(self._rows[tag], key=lambda row: row[0])
            if not rows:
                continue  # a rewind removed them all
            steps = [step for step, _, _ in rows]
            lines = [
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": f"{share:.0%}",
                    "x": steps,
                    "y": [quantiles[number] for _, _, quantiles in rows],
                    "line": {"width": 2 if share == 0.5 else 1},
                    **({"fill": "tonexty"} if number else {}),
                }
                for number, share in enumerate(_SHARES)
            ]
            layout = {"xaxis": {"title": {"text": "step"}}, "yaxis": {"title": {"text": "value"}}}
            # Always at step 0, so that each new plot replaces the one before.
            yield Figure(tag, DISTRIBUTION, 0, rows[-1][1], {"data": lines, "layout": layout})
        self._changed.clear()


def _quantiles(found: Any) -> list[float] | None:
    """The quantiles `_SHARES` of a histogram, interpolated linearly inside a bin; None for an empty one."""
    counts = np.asarray(found.counts, np.float64)
    total = counts.sum()
    if not len(counts) or not np.isfinite(total) or total <= 0:
        return None
    above = np.concatenate([[0.0], np.cumsum(counts)]) / total
    edges = np.concatenate([found.left[:1], found.right])
    return [float(value) for value in np.interp(_SHARES, above, edges)]
