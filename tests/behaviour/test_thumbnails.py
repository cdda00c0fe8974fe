"""`events.get_thumbnails`: series in a few cells of one byte."""

from __future__ import annotations

import math
import uuid

import numpy as np

from apiserver.bll.events.columns import CONTENT_TYPE, decode_columns
from tests.client import SINGLE_VALUE_ITER, Client, scalar


def test_cells_show_where_a_series_lies_inside_its_own_range(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", iter=iter, value=10.0 + iter) for iter in range(100)])
    [series] = server.call("events.get_thumbnails", tasks=[task], width=10)["series"]
    assert (series["interval"], series["low"], series["high"], series["last"], series["points"]) == (16, 10.0, 109.0, 109.0, 100)
    assert (series["first_x"], series["last_x"]) == (0, 99)
    levels = [[round(value / 99 * 254) for value in (start, min(start + 15, 99))] for start in range(0, 100, 16)]
    assert [series["min"], series["max"]] == [[low for low, _ in levels], [high for _, high in levels]]
    assert series["min"][0] < series["mean"][0] < series["max"][0]


def test_a_spike_in_a_long_series_is_the_top_of_its_cell(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", iter=iter, value=1000.0 if iter == 7000 else 0.0) for iter in range(10_000)])
    [series] = server.call("events.get_thumbnails", tasks=[task])["series"]
    assert [level for level in series["max"] if level] == [254] and max(series["mean"]) < 5


def test_gaps_and_series_without_finite_values_are_marked(server: Client, task: str) -> None:
    lines = [scalar(task, "gap", iter=iter) for iter in (0, 9)] + [scalar(task, "none", iter=3, value=math.nan)]
    server.add_batch([*lines, scalar(task, "gap", iter=SINGLE_VALUE_ITER, value=5.0)])
    gap, none = server.call("events.get_thumbnails", tasks=[task])["series"]
    assert (gap["low"], gap["high"], gap["mean"]) == (1.0, 1.0, [127, *[255] * 8, 127])
    assert (none["low"], none["high"], none["last"], none["mean"], none["points"]) == (None, None, None, [255], 1)


def test_numbers_whose_distance_is_infinite_still_have_levels(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", iter=iter, value=value) for iter, value in enumerate((-1.7e308, 0.0, 1.7e308))])
    [series] = server.call("events.get_thumbnails", tasks=[task])["series"]
    assert series["mean"] == [0, 127, 254]


def test_columns_hold_the_same_as_json_for_many_tasks(server: Client) -> None:
    tasks = [uuid.uuid4().hex for _ in range(3)]
    server.add_batch([scalar(task, metric, iter=iter, value=iter % 7) for task in tasks for metric in ("a", "b") for iter in range(50)])
    body = {"tasks": tasks, "metrics": [{"metric": "b"}]}
    plain = server.call("events.get_thumbnails", body)["series"]
    assert [(one["task"], one["metric"]) for one in plain] == [(task, "b") for task in tasks]
    answer = server.raw("/events.get_thumbnails", body, headers={"Accept": CONTENT_TYPE})
    for one, other in zip(plain, decode_columns(answer.body)["series"], strict=True):
        columns = other.pop("columns")
        assert all(column.dtype == np.uint8 for column in columns.values())
        assert {**other, **{name: column.tolist() for name, column in columns.items()}} == one | {"n": 25}


def test_too_many_cells_are_refused_with_the_limit(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", f"v{number}", iter=0) for number in range(2_501)])
    error = server.refused("events.get_thumbnails", tasks=[task], width=400)
    assert error.codes == (400, 12) and "1,000,000" in error.msg
