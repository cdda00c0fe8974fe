"""`events.get_group_series`: groups of runs as lines with bands."""

from __future__ import annotations

import math
import sys
import uuid

from tests.client import Client, scalar


def test_a_group_is_the_mean_of_its_runs_inside_their_extremes(server: Client) -> None:
    a, b, c = (uuid.uuid4().hex for _ in range(3))
    server.add_batch([scalar(a, "m", iter=iter, value=float(iter)) for iter in range(4)])
    server.add_batch([scalar(b, "m", iter=iter, value=10.0 + iter) for iter in range(2)])
    server.add_batch([scalar(c, "m", iter=0, value=-1.0), scalar(c, "m", iter=1, value=math.nan), scalar(c, "other", iter=0)])
    groups = [{"name": "ab", "tasks": [a, b]}, {"name": "c", "tasks": [c]}]
    ab, alone = server.call("events.get_group_series", groups=groups, metrics=[{"metric": "m"}])["groups"]
    assert (ab["group"], ab["runs"], ab["x"], ab["present"], ab["count"]) == ("ab", 2, [0, 1, 2, 3], [2, 2, 1, 1], [2, 2, 1, 1])
    assert (ab["mean"], ab["min"], ab["max"]) == ([5.0, 6.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0], [10.0, 11.0, 2.0, 3.0])
    assert (alone["mean"], alone["present"], alone["count"]) == ([-1.0, None], [1, 0], [1, 1])


def test_runs_of_different_lengths_share_buckets_and_count_the_same(server: Client) -> None:
    short, long = uuid.uuid4().hex, uuid.uuid4().hex
    server.add_batch([scalar(short, "m", iter=0, value=0.0)])
    server.add_batch([scalar(long, "m", iter=iter, value=1.0) for iter in range(1000)])
    groups = [{"name": "g", "tasks": [short, long]}]
    [line] = server.call("events.get_group_series", groups=groups, metrics=[{"metric": "m"}], buckets=10)["groups"]
    assert (line["interval"], line["mean"][0], line["mean"][1], line["count"][0]) == (128, 0.5, 1.0, 129)


def test_means_of_finite_numbers_are_finite(server: Client) -> None:
    tasks = [uuid.uuid4().hex for _ in range(3)]
    server.add_batch(
        [scalar(task, "m", iter=iter, value=value) for task in tasks for iter, value in enumerate((1.7e308, sys.float_info.max))]
    )
    [line] = server.call("events.get_group_series", groups=[{"name": "g", "tasks": tasks}], metrics=[{"metric": "m"}])["groups"]
    assert math.isclose(line["mean"][0], 1.7e308, rel_tol=1e-12) and line["mean"][1] == sys.float_info.max


def test_unknown_tasks_are_refused(server: Client) -> None:
    groups = [{"name": "g", "tasks": ["nope"]}]
    assert server.refused("events.get_group_series", groups=groups, metrics=[{"metric": "m"}]).codes == (400, 101)
