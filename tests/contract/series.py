"""What every event store promises of series: names, extents, statistics, buckets."""

from __future__ import annotations

import math
import random

import numpy as np

from apiserver.stores.records import LAST_VALUES, PLOT, SCALAR, SINGLE_VALUE_ITER, BucketRequest, rewound
from tests.contract.batches import T0, Builder
from tests.contract.numbers import NumberContract
from tests.contract.stores import Stores, known


class SeriesContract(NumberContract):
    """Names, extents, statistics and buckets of series."""

    def test_series_are_right_after_every_write(self, stores: Stores) -> None:
        """New series, more points, overwrites, single batches with hundreds of series, deletes: read after each, as pages that poll do."""
        rng = random.Random(20_261_126)
        model: dict[str, dict[str, dict[int, float]]] = {"a": {}, "b": {}}
        for step in range(40):
            task = rng.choice("ab")
            action = rng.choice(["one", "one", "several", "several", "delete"]) if step not in (11, 23) else "hundreds"
            if action == "delete":
                stores.events.delete(stores.company, task)
                model[task] = {}
            else:
                names = [f"s{number}" for number in range(300 if action == "hundreds" else 6)]
                chosen = names if action == "hundreds" else rng.sample(names, 1 if action == "one" else 4)
                builder = Builder()
                for name in chosen:
                    for iteration in {rng.randrange(12) for _ in range(3)}:
                        value = rng.random()
                        builder.scalar(task, "loss", name, iteration, value)
                        model[task].setdefault(name, {})[iteration] = value
                stores.events.append(stores.company, builder.build())
            asked = rng.choice([["a"], ["b"], ["a", "b"]])
            found = {(one.key.task, one.key.variant): one for one in stores.events.series(stores.company, asked)}
            assert found.keys() == {(task, name) for task in asked for name in model[task]}, f"step {step}"
            for (task, name), one in found.items():
                points = model[task][name]
                assert one.statistics is not None
                assert (one.count, one.min_iter, one.max_iter) == (len(points), min(points), max(points)), f"step {step}"
                assert one.statistics.value == points[max(points)] and one.statistics.max_value == max(points.values()), f"step {step}"

    def test_last_values_are_right_after_every_write(self, stores: Stores) -> None:
        """Points at the end, in gaps, long before the end, and once more; evenly spaced or not, of any size."""
        rng = random.Random(20_261_127)
        model: dict[str, dict[int, float]] = {"even": {}, "odd": {}, "far": {}}
        for step in range(30):
            if step == 17:
                stores.events.delete(stores.company, "t")
                model = {name: {} for name in model}
            builder = Builder()
            for name in rng.sample(sorted(model), 2):
                last = max(model[name], default=0)
                if name == "even":
                    iterations = [last + 10 * (number + 1) for number in range(rng.choice([1, 12, 150]))]
                elif name == "odd":
                    iterations = list({last + rng.randrange(-300, 100) for _ in range(rng.choice([1, 30]))})
                else:
                    iterations = [rng.randrange(-(2**62), 2**62) for _ in range(rng.choice([1, 60]))] + [SINGLE_VALUE_ITER]
                for iteration in iterations:
                    value = rng.choice([rng.random(), rng.random(), math.nan, math.inf])
                    builder.scalar("t", "loss", name, iteration, value)
                    model[name][iteration] = value
            builder.event(PLOT, "t", "plot", "v", step, plot_str="{}")
            stores.events.append(stores.company, builder.build())
            found = {series.key.variant: last for series, last in stores.events.latest(stores.company, "t")}
            assert found.keys() == {name for name, points in model.items() if points} | {"v"} and found["v"] is None, f"step {step}"
            for name, points in model.items():
                if points:
                    columns, wanted = found[name], sorted(points)[-LAST_VALUES:]
                    assert columns is not None and columns.iters.tolist() == wanted, f"step {step}, {name}"
                    np.testing.assert_array_equal(columns.values, [points[iteration] for iteration in wanted])

    def test_series_are_listed_in_byte_order_with_their_extents(self, stores: Stores) -> None:
        builder = Builder()
        for metric in ("b", "a", "Z", "é", "z"):
            builder.scalars("t2", metric, "v", [(-5, 1.0), (10, 2.0)])
        builder.scalar("t1", "only", "v", SINGLE_VALUE_ITER, 4.0, timestamp=T0)
        stores.events.append(stores.company, builder.build())
        found = stores.events.series(stores.company, ["t1", "t2"])
        assert [(series.key.task, series.key.metric) for series in found] == [
            ("t1", "only"),
            *(("t2", m) for m in ("Z", "a", "b", "z", "é")),
        ]
        assert (found[0].count, found[0].chart_count, found[0].chart_max_iter) == (1, 0, None)
        assert (found[1].min_iter, found[1].max_iter, found[1].chart_count) == (-5, 10, 2)
        assert [s.key.metric for s in stores.events.series(stores.company, ["t2"], metrics={"a": [], "z": ["v"], "b": ["w"]})] == ["a", "z"]

    def test_names_of_series_are_listed_once_over_many_tasks(self, stores: Stores) -> None:
        builder = Builder()
        for number in range(30):
            builder.scalar(f"t{number}", "loss", "train", 1, 1.0).scalar(f"t{number}", "é", f"v{number % 3}", 1, 1.0).log(f"t{number}", "x")
        builder.scalar("other", "elsewhere", "v", 1, 1.0)
        stores.events.append(stores.company, builder.build())
        tasks = [f"t{number}" for number in range(30)]
        names = [("loss", "train"), ("é", "v0"), ("é", "v1"), ("é", "v2")]
        assert stores.events.series_names(stores.company, tasks, SCALAR) == names
        assert stores.events.series_names(stores.company, ["t1", "nope"], SCALAR) == [names[0], names[2]]
        assert stores.events.series_names(stores.company, tasks, PLOT) == stores.events.series_names(stores.company, [], SCALAR) == []
        stores.events.delete(stores.company, "other")
        assert stores.events.series_names(stores.company, ["other"], SCALAR) == []

    def test_single_values_stay_out_of_charts(self, stores: Stores) -> None:
        builder = Builder().scalar("t", "loss", "train", SINGLE_VALUE_ITER, 100.0, timestamp=T0 - 10**9)
        stores.events.append(stores.company, builder.scalars("t", "loss", "train", [(1, 1.0), (2, 3.0)]).build())
        stores.events.append(stores.company, Builder().scalar("t", "loss", "train", 2, 5.0).build())  # counted anew
        (series,) = stores.events.series(stores.company, ["t"])
        assert (series.count, series.min_iter) == (3, SINGLE_VALUE_ITER)
        assert (series.chart_count, series.chart_min_iter, series.chart_max_iter, series.chart_min_timestamp) == (2, 1, 2, T0 + 1000)
        (buckets,) = stores.events.buckets(stores.company, [BucketRequest(known(stores, "t"), "iter", 10)])
        assert (buckets.x.tolist(), buckets.mean.tolist(), buckets.count.tolist()) == ([0], [3.0], [2])
        assert (buckets.first_x, buckets.last_x) == (1, 2)

    def test_buckets_agree_with_a_plain_calculation(self, stores: Stores) -> None:
        rng = np.random.default_rng(7)
        iters = sorted({int(i) for i in rng.integers(-3000, 3000, 700)})
        values = rng.normal(size=len(iters))
        values[::50] = np.nan
        builder = Builder()
        for step, value in zip(iters, values, strict=True):
            builder.scalar("t", "loss", "train", step, float(value), timestamp=T0 + (step * 7919) % 100_000)
        stores.events.append(stores.company, builder.build())
        times = [T0 + (step * 7919) % 100_000 for step in iters]
        series, none = known(stores, "t"), known(stores, "t", "none")
        requests = [BucketRequest(series, "iter", 1), BucketRequest(series, "iter", 37), BucketRequest(series, "iter", 100, -501, 777)]
        requests += [BucketRequest(series, "timestamp", 1000, T0 + 5_000, T0 + 60_000), BucketRequest(none, "iter", 1)]
        requests += [BucketRequest(series, "iter", 37, extremes=False)]
        for request, got in zip(requests, stores.events.buckets(stores.company, requests), strict=True):
            xs = iters if request.axis == "iter" else times
            expected: dict[int, list[float]] = {}
            inside = []
            for x, value in zip(xs, values, strict=True):
                if request.series is series and (request.lo is None or x >= request.lo) and (request.hi is None or x <= request.hi):
                    expected.setdefault(x // request.interval * request.interval, []).append(value)
                    inside.append(x)
            assert got.x.tolist() == sorted(expected)
            assert got.count.tolist() == [len(expected[x]) for x in sorted(expected)]
            assert (got.first_x, got.last_x) == ((min(inside), max(inside)) if inside else (None, None))
            for column, function in ((got.mean, np.nanmean), (got.min, np.nanmin), (got.max, np.nanmax))[: 3 if request.extremes else 1]:
                wanted = [math.nan if np.isnan(expected[x]).all() else float(function(expected[x])) for x in sorted(expected)]
                np.testing.assert_allclose(column, wanted, rtol=1e-12)

    def test_several_tasks_are_deleted_at_once(self, stores: Stores) -> None:
        for count, task in enumerate("abcd", 1):
            stores.events.append(stores.company, Builder().scalars(task, "m", "v", [(step, 1.0) for step in range(count)]).build())
        stores.events.append(stores.company, Builder().scalar(rewound("b"), "m", "v", 9, 1.0).log("a", "line").build())
        assert stores.events.delete_many(stores.company, ["a", "b", "nothing", "d"]) == {"a": 2, "b": 2, "nothing": 0, "d": 4}
        found = stores.events.series(stores.company, ["a", rewound("b"), "b", "c", "d"])
        assert [(one.key.task, one.count) for one in found] == [("c", 3)]
        assert stores.events.delete_many(stores.company, ["a", "b"]) == {"a": 0, "b": 0}
        stores.events.append(stores.company, Builder().scalar("a", "m", "v", 1, 1.0).build())
        assert known(stores, "a", "m", "v").count == 1
