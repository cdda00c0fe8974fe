"""What every event store promises of numbers: a mean of finite numbers is finite, and points without a finite value are counted by kind."""

from __future__ import annotations

import math
import random
import sys

import numpy as np
import pytest

from apiserver.stores.records import BucketRequest
from tests.contract.batches import T0, Builder
from tests.contract.stores import StoreContract, Stores, known

GREATEST = sys.float_info.max
HUGE = {
    "two of a sign": [1.7e308, 1.7e308],
    "the greatest": [GREATEST] * 7,
    "of both signs": [-1.7e308, -1.7e308, 1.7e308, 1.7e308, 1.7e308, -1.7e308],
    "one small": [1.7e308, 1.7e308, 1.0],
    "with odd ones": [1.7e308, math.nan, 1.7e308, math.inf, 1.0e308, -math.inf],
}


def mean(values: list[float]) -> float:
    """Calculated with integers of any size."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(map(int, finite)) / len(finite) if len(finite) else math.nan


class NumberContract(StoreContract):
    """Means that don't overflow, NaN and infinities."""

    @pytest.mark.parametrize("together", [True, False])
    def test_means_of_huge_numbers_are_finite(self, stores: Stores, together: bool) -> None:
        whole = {name: list(enumerate(values)) for name, values in HUGE.items()}
        parts = [whole] if together else [{name: points[half::2] for name, points in whole.items()} for half in (0, 1)]
        parts.append({name: points[-1:] for name, points in whole.items()})  # replaces a point: computed anew
        for part in parts:
            builder = Builder()
            for name, points in part.items():
                builder.scalars("t", "loss", name, points)
            stores.events.append(stores.company, builder.build())
            if part is parts[0] and not together:
                continue
            every = stores.events.series(stores.company, ["t"])
            requests = [BucketRequest(series, "iter", 100, extremes=extremes) for series in every for extremes in (True, False)]
            for request, buckets in zip(requests, stores.events.buckets(stores.company, requests), strict=True):
                statistics, wanted = request.series.statistics, mean(HUGE[request.series.key.variant])
                assert statistics is not None and statistics.mean_value == pytest.approx(wanted, rel=1e-12, abs=1e295)
                np.testing.assert_allclose(buckets.mean, [wanted], rtol=1e-12, atol=1e295)
                assert buckets.count.tolist() == [statistics.count]

    def test_a_chart_keeps_huge_and_small_buckets_apart(self, stores: Stores) -> None:
        """The means that fit are those of a plain calculation."""
        points = [(step, 1.7e308) for step in range(10)] + [(step, step * 1e-300) for step in range(10, 30)]
        stores.events.append(stores.company, Builder().scalars("t", "loss", "train", points).build())
        (buckets,) = stores.events.buckets(stores.company, [BucketRequest(known(stores, "t"), "iter", 10)])
        np.testing.assert_allclose(buckets.mean, [1.7e308, 14.5e-300, 24.5e-300], rtol=1e-12)
        np.testing.assert_allclose(buckets.max, [1.7e308, 19e-300, 29e-300], rtol=1e-12)

    def test_points_without_a_finite_value_are_counted_by_kind(self, stores: Stores) -> None:
        rng = random.Random(20_261_130)
        odd = [math.nan, math.inf, -math.inf]
        points = [(step, rng.choice([*odd, 1.0, 2.0])) for step in sorted(rng.sample(range(-400, 400), 300))]
        builder = Builder().scalars("t", "loss", "train", [(step, 0.5) for step in range(20)]).scalars("t", "loss", "nan", [(7, math.nan)])
        for step, value in points:
            builder.scalar("t", "loss", "mixed", step, value, timestamp=T0 + (step * 7919) % 100_000)
        stores.events.append(stores.company, builder.build())
        mixed = known(stores, "t", variant="mixed")
        requests = [
            BucketRequest(mixed, "iter", 1, kinds=True),
            BucketRequest(mixed, "iter", 30, kinds=True),
            BucketRequest(mixed, "iter", 30, -77, 200, kinds=True),
        ]
        requests += [
            BucketRequest(mixed, "timestamp", 1, kinds=True),
            BucketRequest(mixed, "timestamp", 5000, T0 + 700, T0 + 80_000, extremes=False, kinds=True),
        ]
        requests += [
            BucketRequest(known(stores, "t", variant="nan"), "iter", 10, kinds=True),
            BucketRequest(known(stores, "t"), "iter", 5, kinds=True),
        ]
        *answers, only_nan, finite = stores.events.buckets(stores.company, requests)
        for request, got in zip(requests, answers, strict=False):
            xs = [step if request.axis == "iter" else T0 + (step * 7919) % 100_000 for step, _ in points]
            shown = [
                (x, value)
                for x, (_, value) in zip(xs, points, strict=True)
                if (request.lo is None or x >= request.lo) and (request.hi is None or x <= request.hi)
            ]
            expected = {x // request.interval * request.interval: [0, 0, 0] for x, _ in shown}
            for x, value in shown:
                if not math.isfinite(value):
                    kind = 0 if math.isnan(value) else odd.index(value)
                    expected[x // request.interval * request.interval][kind] += 1
            assert got.kinds is not None and got.x.tolist() == sorted(expected)
            kinds = (got.kinds.nan, got.kinds.pos_inf, got.kinds.neg_inf)
            assert np.array(kinds).T.tolist() == [expected[x] for x in sorted(expected)]
            assert got.kinds.first_nan == min(x for x, value in shown if math.isnan(value))
            assert int(got.count.sum()) == len(shown)
        assert (only_nan.x.tolist(), only_nan.count.tolist(), only_nan.mean.tolist()[0]) == ([0], [1], pytest.approx(math.nan, nan_ok=True))
        assert only_nan.kinds is not None and (only_nan.kinds.nan.tolist(), only_nan.kinds.first_nan) == ([1], 7)
        assert finite.kinds is None
