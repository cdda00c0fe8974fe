"""What `tasks.get_by_id` says of a task's scalars."""

from __future__ import annotations

import hashlib
import math
import threading
import uuid
from typing import Any

from hypothesis import strategies as st

from tests.client import SINGLE_VALUE_ITER, Client, log, scalar
from tests.properties import prove


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def statistics(client: Client, task: str, metric: str = "loss", variant: str = "train") -> dict[str, Any]:
    return client.task(task)["last_metrics"][md5(metric)][md5(variant)]  # type: ignore[no-any-return]


def test_statistics_are_right_after_each_batch(server: Client, task: str) -> None:
    server.add_batch([scalar(task, iter=iter, value=value) for iter, value in [(1, 5.0), (2, 3.0), (3, 8.0)]])
    found = statistics(server, task)
    assert found == found | {
        "metric": "loss",
        "variant": "train",
        "value": 8.0,
        "min_value": 3.0,
        "min_value_iteration": 2,
        "max_value": 8.0,
        "max_value_iteration": 3,
        "first_value": 5.0,
        "first_value_iteration": 1,
        "count": 3,
        "mean_value": 16 / 3,
    }


def test_value_belongs_to_the_greatest_iteration_not_to_the_latest_batch(server: Client, task: str) -> None:
    server.add_batch([scalar(task, iter=10, value=1.0)])
    server.add_batch([scalar(task, iter=5, value=2.0)])
    found = statistics(server, task)
    assert (found["value"], found["first_value"], found["first_value_iteration"], found["count"]) == (1.0, 2.0, 5, 2)


def test_an_overwritten_point_counts_once_and_moves_minimum_and_mean(server: Client, task: str) -> None:
    server.add_batch([scalar(task, iter=1, value=-100.0), scalar(task, iter=2, value=4.0)])
    server.add_batch([scalar(task, iter=1, value=6.0)])
    found = statistics(server, task)
    assert (found["min_value"], found["min_value_iteration"], found["count"], found["mean_value"]) == (4.0, 2, 2, 5.0)


def test_a_single_value_is_the_latest_report(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "Summary", "acc", iter=SINGLE_VALUE_ITER, value=0.9, timestamp=2000)])
    server.add_batch([scalar(task, "Summary", "acc", iter=SINGLE_VALUE_ITER, value=0.1, timestamp=1000)])
    found = statistics(server, task, "Summary", "acc")
    assert (found["value"], found["count"]) == (0.1, 1)
    assert {found[name] for name in ("min_value_iteration", "max_value_iteration", "first_value_iteration")} == {SINGLE_VALUE_ITER}
    assert server.task(task)["last_iteration"] in (None, 0)


def test_a_single_value_after_points_of_its_series_is_the_newest_report(server: Client, task: str) -> None:
    single = scalar(task, iter=SINGLE_VALUE_ITER, value=0.5)

    def value() -> tuple[float, int]:
        found = statistics(server, task)
        return found["value"], found["iter"]

    server.add_batch([scalar(task, iter=10, value=1.0)])
    server.add_batch([single])
    assert value() == (0.5, SINGLE_VALUE_ITER)
    server.add_batch([scalar(task, iter=5, value=2.0)])  # late: iteration 10 is still the last one
    assert value() == (0.5, SINGLE_VALUE_ITER)
    server.add_batch([scalar(task, iter=11, value=3.0)])
    assert value() == (3.0, 11)
    server.add_batch([{**single, "value": 0.75}])  # replaced: computed anew
    assert value() == (0.75, SINGLE_VALUE_ITER)
    server.add_batch([scalar(task, iter=11, value=4.0)])
    assert value() == (4.0, 11)


def test_the_order_inside_a_batch_says_whether_a_single_value_is_the_newest(server: Client, task: str) -> None:
    batch = {
        "first": [scalar(task, "first", iter=SINGLE_VALUE_ITER, value=0.5), scalar(task, "first", iter=1, value=1.0)],
        "last": [scalar(task, "last", iter=1, value=1.0), scalar(task, "last", iter=SINGLE_VALUE_ITER, value=0.5)],
        "between": [scalar(task, "between", iter=SINGLE_VALUE_ITER, value=0.5), scalar(task, "between", iter=1, value=1.0)],
    }
    server.add_batch([scalar(task, "between", iter=9, value=9.0)])
    server.add_batch([event for events in batch.values() for event in events])
    assert {name: statistics(server, task, name)["value"] for name in batch} == {"first": 1.0, "last": 0.5, "between": 0.5}


def test_last_iteration_never_falls_and_ignores_monitors_and_single_values(server: Client, task: str) -> None:
    server.add_batch([scalar(task, iter=7)])
    server.add_batch(
        [scalar(task, iter=3), scalar(task, ":monitor:machine", "cpu", iter=900), scalar(task, "Summary", "x", iter=SINGLE_VALUE_ITER)]
    )
    assert server.task(task)["last_iteration"] == 7
    server.add_batch([log(task, "a line", iter=11)])
    assert server.task(task)["last_iteration"] == 11


def test_a_batch_of_negative_iterations_gives_zero(server: Client, task: str) -> None:
    server.add_batch([scalar(task, iter=-5)])
    assert server.task(task)["last_iteration"] == 0


def test_last_metrics_are_keyed_by_md5_and_ordered_by_it(server: Client, task: str) -> None:
    server.add_batch([scalar(task, f"Metric{m}", f"Variant{v}", iter=1, value=float(m)) for m in range(5) for v in range(5)])
    found = server.task(task)["last_metrics"]
    assert list(found) == sorted(md5(f"Metric{m}") for m in range(5))
    for variants in found.values():
        assert list(variants) == sorted(md5(f"Variant{v}") for v in range(5))
    assert found[md5("Metric4")][md5("Variant4")]["metric"] == "Metric4"


def test_more_series_than_the_reference_keeps_are_all_recorded(server: Client, task: str) -> None:
    server.add_batch([scalar(task, f"m{m}", f"v{v}", iter=1) for m in range(50) for v in range(50)])
    assert sum(len(variants) for variants in server.task(task)["last_metrics"].values()) == 2500


def test_the_axis_label_is_kept_with_the_series_and_not_on_the_event(server: Client, task: str) -> None:
    server.add_batch([scalar(task, iter=1, x_axis_label="epochs")], version="2.22")
    assert statistics(server, task)["x_axis_label"] == "epochs"
    assert server.histogram(task)["loss"]["train"]["x_axis_label"] == "epochs"
    assert "x_axis_label" not in server.events(task, "training_stats_scalar")[0]


def test_an_empty_name_has_the_md5_of_nothing(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "", "", iter=1, value=2.0)])
    assert statistics(server, task, "", "")["value"] == 2.0


def test_nan_and_infinity_take_no_part_in_minimum_maximum_and_mean(server: Client, task: str) -> None:
    lines = [
        scalar(task, iter=1, value=2.0),
        scalar(task, iter=2, value=float("nan")),
        scalar(task, iter=3, value=float("inf")),
        scalar(task, iter=4, value=4.0),
    ]
    server.add_batch(lines)
    found = statistics(server, task)
    assert (found["min_value"], found["max_value"], found["mean_value"], found["count"]) == (2.0, 4.0, 3.0, 4)


def test_a_change_moves_last_update_and_last_change(server: Client, task: str) -> None:
    server.add_batch([log(task, "a")])
    before = server.task(task)
    server.add_batch([log(task, "b")])
    after = server.task(task)
    for name in ("last_update", "last_change"):
        assert after[name] >= before[name]


def test_many_writers_of_one_task_lose_nothing(server: Client, task: str) -> None:
    def write(writer: int) -> None:
        for batch in range(10):
            points = [scalar(task, "m", f"v{v}", iter=(writer * 10 + batch) * 10 + i, value=float(i)) for v in range(3) for i in range(10)]
            server.add_batch(points)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = server.task(task)
    assert found["last_iteration"] == 599
    for v in range(3):
        one = found["last_metrics"][md5("m")][md5(f"v{v}")]
        assert (one["count"], one["min_value"], one["max_value"], one["mean_value"], one["first_value_iteration"]) == (
            600,
            0.0,
            9.0,
            4.5,
            0,
        )


batches = st.lists(st.lists(st.tuples(st.integers(-5, 12), st.floats(-1e3, 1e3)), min_size=1, max_size=10), min_size=1, max_size=5)


def test_statistics_equal_those_of_the_stored_points(server: Client, engine: str) -> None:
    @prove(engine, batches)
    def holds(batches: list[list[tuple[int, float]]]) -> None:
        task = uuid.uuid4().hex
        points: dict[int, float] = {}
        for batch in batches:
            server.add_batch([scalar(task, iter=iter, value=value) for iter, value in batch])
            points.update(batch)
        found = statistics(server, task)
        lowest, highest = min(points.values()), max(points.values())
        assert found["value"] == points[max(points)]
        assert (found["first_value"], found["first_value_iteration"]) == (points[min(points)], min(points))
        assert (found["min_value"], found["min_value_iteration"]) == (lowest, min(i for i, v in points.items() if v == lowest))
        assert (found["max_value"], found["max_value_iteration"]) == (highest, min(i for i, v in points.items() if v == highest))
        assert found["count"] == len(points)
        assert math.isclose(found["mean_value"], sum(points.values()) / len(points), rel_tol=1e-9, abs_tol=1e-9)
        assert server.task(task)["last_iteration"] == max(0, *points)
