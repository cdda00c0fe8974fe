"""Charts over both axes, with ranges and both kinds of buckets, against a naive model."""

from __future__ import annotations

import math
import uuid
from typing import Any

from hypothesis import strategies as st

from tests.client import SINGLE_VALUE_ITER, Client, scalar
from tests.properties import prove

Point = tuple[int, int, float]
"""iteration, timestamp, value"""


def naive(points: list[Point], key: str, samples: int, x_min: int | None, x_max: int | None) -> list[tuple[int, list[tuple[int, float]]]]:
    """(bucket start, its (x, value) pairs), ascending. The width comes from the range's own span and number of points."""
    at = sorted((point[0 if key == "iter" else 1], point[2]) for point in points)
    lo = at[0][0] if x_min is None else max(at[0][0], x_min)
    hi = at[-1][0] if x_max is None else min(at[-1][0], x_max)
    inside = [(x, value) for x, value in at if lo <= x <= hi]
    width = 1 if samples == 0 or len(inside) < samples else max(1, -(-(hi - lo + 1) // samples))
    buckets: dict[int, list[tuple[int, float]]] = {}
    for x, value in inside:
        buckets.setdefault(x // width * width, []).append((x, value))
    return sorted(buckets.items())


points = st.lists(
    st.tuples(st.integers(-30, 120), st.integers(1000, 1200), st.floats(-1e6, 1e6)),
    min_size=1,
    max_size=50,
    unique_by=lambda point: point[0],
)
bound = st.one_of(st.none(), st.integers(-40, 1210))


def test_every_chart_equals_the_naive_model(server: Client, engine: str) -> None:
    @prove(engine, points, st.sampled_from(["iter", "timestamp"]), st.integers(0, 60), bound, bound, st.booleans())
    def holds(sent: list[Point], key: str, samples: int, x_min: int | None, x_max: int | None, envelope: bool) -> None:
        task = uuid.uuid4().hex
        server.add_batch(
            [scalar(task, "m", "v", iter=iter, timestamp=time, value=value) for iter, time, value in sent]
            + [scalar(task, "m", "v", iter=SINGLE_VALUE_ITER, timestamp=5, value=1e9)]
        )
        request: dict[str, Any] = {"key": key, "samples": samples, "x_min": x_min, "x_max": x_max}
        if envelope:
            request["aggregation"] = "envelope"
        found = server.call("events.scalar_metrics_iter_histogram", {"task": task, **request})
        expected = naive(sent, key, samples, x_min, x_max)
        if not expected:
            assert found == {}
            return
        chart = found["m"]["v"]
        values = [[value for _, value in bucket] for _, bucket in expected]
        assert all(math.isclose(y, math.fsum(v) / len(v), rel_tol=1e-9, abs_tol=1e-6) for y, v in zip(chart["y"], values, strict=True))
        if not envelope:
            assert chart["x"] == [start for start, _ in expected]
            assert samples == 0 or len(chart["x"]) <= samples + 1
            return
        assert (chart["min"], chart["max"]) == ([min(v) for v in values], [max(v) for v in values])
        assert (chart["count"], chart["points"]) == ([len(v) for v in values], sum(map(len, values)))
        starts = [start for start, _ in expected]
        starts[-1] = expected[-1][1][-1][0]
        starts[0] = expected[0][1][0][0]
        assert chart["x"] == starts
