"""NaN, infinities and numbers near the greatest double: charts, statistics and last values say what is there."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.client import Client, scalar

NAN, INF = math.nan, math.inf
MIXED = [1.0, NAN, INF, -INF, 0.5, 0.25, 0.2, 2.0]


def put(server: Client, task: str, values: list[float | None], variant: str = "train", first: int = 0) -> None:
    server.add_batch(
        [scalar(task, "loss", variant, iter=first + i, value=value, timestamp=1_000_000 + i) for i, value in enumerate(values)]
    )


def chart(server: Client, task: str, variant: str = "train", **request: Any) -> dict[str, Any]:
    return server.histogram(task, **request)["loss"][variant]  # type: ignore[no-any-return]


@pytest.mark.parametrize("samples", [0, 3, 5, 8, 100])
@pytest.mark.parametrize("key", ["iter", "timestamp", "iso_time"])
def test_an_envelope_counts_every_point_at_every_resolution(server: Client, task: str, samples: int, key: str) -> None:
    put(server, task, list(MIXED))
    for kept in ("omit", "null"):
        found = chart(server, task, aggregation="envelope", samples=samples, key=key, non_finite=kept)
        assert found["points"] == 8
        assert {len(found[name]) for name in ("x", "y", "min", "max", "count", "nan", "pos_inf", "neg_inf")} == {len(found["x"])}
        assert found["first_nan"] == {"iter": 1, "timestamp": 1_000_001, "iso_time": "1970-01-01T00:16:40.001Z"}[key]
    assert (sum(found["nan"]), sum(found["pos_inf"]), sum(found["neg_inf"]), sum(found["count"])) == (1, 1, 1, 8)
    assert [y is None for y in found["y"]] == [y is None for y in found["min"]]


def test_points_without_a_finite_value_keep_their_place_where_the_request_says_so(server: Client, task: str) -> None:
    put(server, task, list(MIXED))
    put(server, task, [NAN, None, INF], "odd")
    kept = server.histogram(task, non_finite="null")["loss"]
    assert kept["train"]["x"] == list(range(8)) and kept["train"]["y"] == [1.0, None, None, None, 0.5, 0.25, 0.2, 2.0]
    assert kept["odd"]["x"] == [0, 1, 2] and kept["odd"]["y"] == [None] * 3
    assert chart(server, task)["x"] == [0, 4, 5, 6, 7] and "odd" not in server.histogram(task)["loss"]
    many = server.call("events.multi_task_scalar_metrics_iter_histogram", tasks=[task], non_finite="null", aggregation="envelope")
    odd = many["metrics"]["loss"]["odd"][task]
    assert (odd["y"], odd["nan"], odd["pos_inf"], odd["neg_inf"], odd["first_nan"]) == ([None] * 3, [1, 1, 0], [0, 0, 1], [0, 0, 0], 0)
    assert (odd["x"], odd["points"]) == ([0, 1, 2], 3)


def test_a_finite_series_has_no_other_points(server: Client, task: str) -> None:
    put(server, task, [1.0, 2.0, 3.0])
    found = chart(server, task, aggregation="envelope", non_finite="null")
    assert set(found) == {"name", "x", "y", "min", "max", "count", "points"} and found["points"] == 3


def test_a_range_counts_its_own_points(server: Client, task: str) -> None:
    put(server, task, list(MIXED))
    found = chart(server, task, aggregation="envelope", non_finite="null", x_min=2, x_max=4)
    assert (found["x"], found["points"], found["nan"], found["first_nan"]) == ([2, 3, 4], 3, [0, 0, 0], None)


def test_another_answer_to_non_finite_is_refused(server: Client, task: str) -> None:
    assert server.refused("events.scalar_metrics_iter_histogram", task=task, non_finite="zero").codes == (400, 12)


@pytest.mark.parametrize("values", [[1.7e308, 1.7e308], [-1.7e308] * 3, [1.7e308, 1.7e308, -1.7e308], [1.7e308, NAN, 1.7e308]])
def test_means_of_huge_numbers_are_finite_everywhere(server: Client, task: str, values: list[float]) -> None:
    finite = [value for value in values if math.isfinite(value)]
    mean = pytest.approx(sum(map(int, finite)) / len(finite), rel=1e-12)
    put(server, task, list(values))
    for _ in range(2):
        for aggregation in ("mean", "envelope"):
            found = chart(server, task, samples=1, aggregation=aggregation)
            assert found["y"] == [mean], found
        assert (found["min"], found["max"]) == ([min(finite)], [max(finite)])
        (metrics,) = server.task(task)["last_metrics"].values()
        assert metrics["train" if "train" in metrics else next(iter(metrics))]["mean_value"] == mean
        (latest,) = server.call("events.get_task_latest_scalar_values", task=task)["metrics"][0]["variants"]
        assert latest["last_10_value"] == latest["last_100_value"] == mean
        put(server, task, values[-1:], first=len(values) - 1)  # replaced: computed anew


def test_tasks_are_ordered_by_means_of_huge_numbers(server: Client, task: str) -> None:
    other = server.new_task("other")
    put(server, task, [1.7e308, 1.7e308])
    put(server, other, [1.6e308, 1.6e308])
    names = list(server.task(task)["last_metrics"].items())
    metric, variant = names[0][0], next(iter(names[0][1]))
    field = f"last_metrics.{metric}.{variant}.mean_value"
    for order, wanted in ((field, [other, task]), ("-" + field, [task, other])):
        found = server.call("tasks.get_all", id=[task, other], order_by=[order], only_fields=["id"])["tasks"]
        assert [one["id"] for one in found] == wanted


def test_a_run_of_huge_numbers_is_sampled(server: Client, task: str) -> None:
    """Down-sampling with more metrics than rows compares how far values are from their mean."""
    lines = [scalar(task, f"m{n}", "v", iter=i, value=1.7e308 * (-1) ** (i * n)) for n in range(90) for i in range(150)]
    lines += [scalar(task, "spike", "v", iter=i, value=-1.7e308 if i == 77 else 1e-3) for i in range(150)]
    server.add_batch(lines)
    answer = server.send("GET", f"/api/runs/{task}/metrics_step?downsample=100")
    assert answer.status == 200
    rows = answer.json["rows"]
    assert any(row.get("spike/v") == -1.7e308 for row in rows)
