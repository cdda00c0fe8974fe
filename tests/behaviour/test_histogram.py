"""Charts: `scalar_metrics_iter_histogram`, against a naive model of the rules (docs/protocol.md, "Charts")."""

from __future__ import annotations

import math
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.client import SINGLE_VALUE_ITER, Client, scalar
from tests.properties import prove


def put(client: Client, task: str, points: dict[int, float], metric: str = "loss", variant: str = "train") -> None:
    client.add_batch(
        [scalar(task, metric, variant, iter=iter, value=value, timestamp=1_700_000_000_000 + iter) for iter, value in points.items()]
    )


def series(client: Client, task: str, **request: Any) -> dict[str, Any]:
    return client.histogram(task, **request)["loss"]["train"]  # type: ignore[no-any-return]


def naive(points: dict[int, float], samples: int) -> dict[int, list[tuple[int, float]]]:
    """Bucket start -> its points: every point by itself when there are fewer than `samples`, else equal widths anchored at 0."""
    lo, hi = min(points), max(points)
    interval = 1 if samples == 0 or len(points) < samples else max(1, -(-(hi - lo + 1) // samples))
    buckets: dict[int, list[tuple[int, float]]] = {}
    for iter, value in sorted(points.items()):
        buckets.setdefault(iter // interval * interval, []).append((iter, value))
    return buckets


@pytest.mark.parametrize(
    ("iters", "samples", "x"),
    [
        (range(13), 5, [0, 3, 6, 9, 12]),
        (range(5, 25), 4, [5, 10, 15, 20]),
        ([-7, -3, 0, 2, 5], 3, [-10, -5, 0, 5]),
        (range(4), 2, [0, 2]),
        (range(4), 4, [0, 1, 2, 3]),
        (range(100), 10, list(range(0, 100, 10))),
    ],
)
def test_buckets_have_equal_widths_anchored_at_zero(server: Client, task: str, iters: Any, samples: int, x: list[int]) -> None:
    put(server, task, {iter: float(iter) for iter in iters})
    assert series(server, task, samples=samples)["x"] == x


def test_twenty_five_thousand_points_become_1924_buckets(server: Client, task: str) -> None:
    put(server, task, {iter: float(iter % 7) for iter in range(25_000)})
    found = series(server, task, samples=2000)
    assert found["x"] == list(range(0, 25_000, 13))
    assert len(found["y"]) == 1924


def test_the_default_is_six_thousand_samples(server: Client, task: str) -> None:
    put(server, task, {iter: float(iter) for iter in range(7000)})
    assert series(server, task)["x"] == list(range(0, 7000, 2))


def test_zero_samples_are_all_points(server: Client, task: str) -> None:
    put(server, task, {iter * 3: float(iter) for iter in range(9000)})
    found = series(server, task, samples=0)
    assert found == {"name": "train", "x": [iter * 3 for iter in range(9000)], "y": [float(iter) for iter in range(9000)]}


def test_values_are_doubles(server: Client, task: str) -> None:
    put(server, task, {1: 0.1, 2: 1e300, 3: -1e-300})
    assert series(server, task)["y"] == [0.1, 1e300, -1e-300]


def test_single_values_and_events_without_iteration_are_in_no_chart(server: Client, task: str) -> None:
    server.add_batch(
        [scalar(task, "Summary", "acc", iter=SINGLE_VALUE_ITER, value=0.9), scalar(task, iter=None), scalar(task, iter=1, value=2.0)]
    )
    assert server.histogram(task) == {"loss": {"train": {"name": "train", "x": [1], "y": [2.0]}}}
    assert "Summary" not in server.histogram(task, key="timestamp")


def test_iterations_below_the_single_value_one_are_charted(server: Client, task: str) -> None:
    put(server, task, {-(2**40): 1.0, -(2**31) - 1: 2.0, -(2**31) + 1: 3.0})
    assert series(server, task)["x"] == [-(2**40), -(2**31) - 1, -(2**31) + 1]


def test_an_empty_task_has_no_charts(server: Client) -> None:
    assert server.histogram(server.new_task()) == {}


def test_metrics_and_variants_are_in_alphabetical_order_whatever_their_lengths(server: Client, task: str) -> None:
    names = ["zeta", "Zeta", "alpha", "ä", "a b", ""]
    for i, name in enumerate(names):
        put(server, task, dict.fromkeys(range(3 ** (i + 1)), 1.0), name, "v2")
        put(server, task, {0: 1.0}, name, "v1")
    found = server.histogram(task, samples=10)
    assert list(found) == sorted(names, key=str.encode)
    assert all(list(variants) == ["v1", "v2"] for variants in found.values())


def test_a_filter_keeps_the_named_metrics_and_variants(server: Client, task: str) -> None:
    server.add_batch([scalar(task, metric, variant, iter=1) for metric in "abc" for variant in "xyz"])
    found = server.histogram(task, metrics=[{"metric": "a"}, {"metric": "b", "variants": ["z", "x"]}, {"metric": "nothing"}])
    assert {metric: list(variants) for metric, variants in found.items()} == {"a": ["x", "y", "z"], "b": ["x", "z"]}


def test_more_than_eight_thousand_series_are_all_there(server: Client, task: str) -> None:
    server.add_batch([scalar(task, f"m{m:03d}", f"v{v:02d}", iter=1) for m in range(100) for v in range(85)])
    found = server.histogram(task)
    assert len(found) == 100 and {len(variants) for variants in found.values()} == {85}


def test_time_keys_bucket_by_time(server: Client, task: str) -> None:
    at = 1_700_000_000_000
    server.add_batch([scalar(task, iter=i, value=float(i), timestamp=at + 1000 * i) for i in range(4)])
    assert series(server, task, key="timestamp") == {"name": "train", "x": [at, at + 1000, at + 2000, at + 3000], "y": [0.0, 1.0, 2.0, 3.0]}
    iso = series(server, task, key="iso_time")["x"]
    assert iso == ["2023-11-14T22:13:20.000Z", "2023-11-14T22:13:21.000Z", "2023-11-14T22:13:22.000Z", "2023-11-14T22:13:23.000Z"]
    two = series(server, task, key="timestamp", samples=2)
    interval = -(-3001 // 2)
    assert two["x"] == sorted({(at + 1000 * i) // interval * interval for i in range(4)})


def test_equal_timestamps_fall_into_one_bucket(server: Client, task: str) -> None:
    server.add_batch([scalar(task, iter=i, value=float(i), timestamp=5000 + i // 2) for i in range(4)])
    assert series(server, task, key="timestamp") == {"name": "train", "x": [5000, 5001], "y": [0.5, 2.5]}


@pytest.mark.parametrize("year", [1, 1969, 9999])
def test_iso_times_cover_the_years_one_to_9999(server: Client, task: str, year: int) -> None:
    moment = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    server.add_batch([scalar(task, iter=1, timestamp=(moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))])
    assert series(server, task, key="iso_time")["x"] == [f"{year:04d}-12-31T23:59:59.000Z"]


def test_the_envelope_keeps_spikes_and_both_ends(server: Client, task: str) -> None:
    points = dict.fromkeys(range(3, 1003), 0.0)
    points[500], points[777] = 99.0, -99.0
    put(server, task, points)
    found = series(server, task, samples=10, aggregation="envelope")
    assert set(found) == {"name", "x", "y", "min", "max", "count", "points"}
    assert len({len(found[name]) for name in ("x", "y", "min", "max", "count")}) == 1
    assert (max(found["max"]), min(found["min"])) == (99.0, -99.0)
    assert (found["x"][0], found["x"][-1]) == (3, 1002)
    assert found["points"] == sum(found["count"]) == 1000


def test_a_range_is_inclusive_and_a_zoom_shows_every_point(server: Client, task: str) -> None:
    put(server, task, {iter: float(iter) for iter in range(10_000)})
    found = series(server, task, samples=100, x_min=5000, x_max=5049)
    assert found["x"] == list(range(5000, 5050))
    by_time = series(server, task, samples=0, key="timestamp", x_min=1_700_000_000_010, x_max=1_700_000_000_012)
    assert by_time["y"] == [10.0, 11.0, 12.0]


def test_a_chart_is_new_right_after_a_write(server: Client, task: str) -> None:
    for number in range(5):
        server.add_batch([scalar(task, iter=number, value=float(number))])
        assert series(server, task)["x"] == list(range(number + 1))
    server.add_batch([scalar(task, iter=0, value=9.0)])
    assert series(server, task)["y"][0] == 9.0


values = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf]))
series_of_points = st.dictionaries(st.one_of(st.integers(-50, 200), st.integers(-(2**40), 2**40)), values, min_size=1, max_size=60)


def close(a: float | None, b: float | None) -> bool:
    return a is b is None or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-9))


def test_mean_buckets_equal_the_naive_model(server: Client, engine: str) -> None:
    @prove(engine, series_of_points, st.integers(0, 80))
    def holds(points: dict[int, float], samples: int) -> None:
        task = uuid.uuid4().hex
        put(server, task, points)
        if SINGLE_VALUE_ITER in points:
            return
        found = server.histogram(task, samples=samples).get("loss", {}).get("train", {"x": [], "y": []})
        shown = dict(zip(found["x"], found["y"], strict=True))
        for start, bucket in naive(points, samples).items():
            finite = [value for _, value in bucket if math.isfinite(value)]
            if finite:  # a bucket without a finite value is left out
                assert close(shown.pop(start), math.fsum(finite) / len(finite))
        assert not shown
        assert found["x"] == sorted(found["x"])


def test_envelope_buckets_equal_the_naive_model(server: Client, engine: str) -> None:
    @prove(engine, series_of_points, st.integers(1, 80))
    def holds(points: dict[int, float], samples: int) -> None:
        task = uuid.uuid4().hex
        points = {iter: value for iter, value in points.items() if math.isfinite(value)}
        if not points or SINGLE_VALUE_ITER in points:
            return
        put(server, task, points)
        found = series(server, task, samples=samples, aggregation="envelope")
        buckets = naive(points, samples)
        ordered = [buckets[start] for start in sorted(buckets)]
        assert found["count"] == [len(bucket) for bucket in ordered]
        assert found["min"] == [min(value for _, value in bucket) for bucket in ordered]
        assert found["max"] == [max(value for _, value in bucket) for bucket in ordered]
        assert found["points"] == len(points)
        assert all(close(a, math.fsum(value for _, value in bucket) / len(bucket)) for a, bucket in zip(found["y"], ordered, strict=True))
        assert (found["x"][0], found["x"][-1]) == (min(points), max(points)) or len(ordered) == 1
