"""`events.get_series`: many series as columns, against a naive model."""

from __future__ import annotations

import json
import math
import uuid
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from apiserver.bll.events.columns import CONTENT_TYPE, decode_columns
from apiserver.bll.events.ladder import ladder_width
from tests.client import SINGLE_VALUE_ITER, Client, scalar
from tests.process import wait_until
from tests.properties import prove

T0 = 1_700_000_000_000

values = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf]))
points = st.lists(
    st.tuples(st.integers(-30, 120), st.integers(1000, 1200), values), min_size=1, max_size=50, unique_by=lambda point: point[0]
)
bound = st.one_of(st.none(), st.integers(-40, 1210))


def series_of(server: Client, *wanted: tuple[str, str], **fields: Any) -> dict[str, Any]:
    return server.call("events.get_series", series=[{"task": task, "metric": metric} for task, metric in wanted], **fields)


def columns_of(server: Client, *wanted: tuple[str, str], **fields: Any) -> dict[str, Any]:
    body = {"series": [{"task": task, "metric": metric} for task, metric in wanted], **fields}
    answer = server.raw("/events.get_series", body, headers={"Accept": CONTENT_TYPE})
    assert (answer.status, answer.headers["content-type"]) == (200, CONTENT_TYPE), answer.body[:300]
    return decode_columns(answer.body)


def settled(server: Client, task: str, **fields: Any) -> dict[str, Any]:
    """The series, and a `seq` that covers all of it. A server that another test killed may have left a batch of this company pending, and until that
    is given up (a minute) `seq` stays below it, so that points come again."""

    def read() -> dict[str, Any] | None:
        found = series_of(server, (task, "m"), buckets=100, **fields)
        return None if series_of(server, (task, "m"), buckets=100, since_seq=found["seq"], **fields)["series"] else found

    found: dict[str, Any] = wait_until(read, 180, "nothing is newer than the seq of an answer")
    return found


def test_runs_that_reported_the_same_steps_share_their_columns(server: Client) -> None:
    long, short = uuid.uuid4().hex, uuid.uuid4().hex
    for task, count in ((long, 30), (short, 20)):
        server.add_batch([scalar(task, "m", "v", iter=i, timestamp=T0 + i, value=i * 0.5 + len(task) * count) for i in range(count)])
    wanted = [(long, "m"), (short, "m")]
    body = {"series": [{"task": task, "metric": metric} for task, metric in wanted]}
    raw = server.raw("/events.get_series", body, headers={"Accept": CONTENT_TYPE}).body
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[4:8], "little")])
    first, second = (one["columns"] for one in header["series"])
    assert {name for name in first if first[name] == second[name]} == {"x", "iter", "time", "count"}
    assert first["min"] == first["mean"] == first["max"], "buckets of one point have one value"
    plain = series_of(server, *wanted)["series"]
    for one, other in zip(columns_of(server, *wanted)["series"], plain, strict=True):
        assert {name: column.tolist() for name, column in one["columns"].items()} == {name: other[name] for name in one["columns"]}


def test_every_answer_equals_the_naive_model(server: Client, engine: str) -> None:
    @prove(engine, points, st.sampled_from(["iter", "timestamp", "relative"]), st.integers(2, 60), bound, bound)
    def holds(sent: list[tuple[int, int, float]], axis: str, buckets: int, x_min: int | None, x_max: int | None) -> None:
        task = uuid.uuid4().hex
        lines = [scalar(task, "m", "v", iter=iter, timestamp=time, value=value) for iter, time, value in sent]
        server.add_batch([*lines, scalar(task, "m", "v", iter=SINGLE_VALUE_ITER, timestamp=5, value=1e9)])
        origin = min(time for _, time, _ in sent) if axis == "relative" else 0
        at = sorted((iter if axis == "iter" else time - origin, iter, time, value) for iter, time, value in sent)
        lo = at[0][0] if x_min is None else max(at[0][0], x_min)
        hi = at[-1][0] if x_max is None else min(at[-1][0], x_max)
        found = series_of(server, (task, "m"), axis=axis, buckets=buckets, x_min=x_min, x_max=x_max)["series"]
        inside = [point for point in at if lo <= point[0] <= hi]
        if not inside:
            assert found == []
            return
        [series] = found
        width = ladder_width(lo, hi, buckets, "iter" if axis == "iter" else "timestamp")
        expected: dict[int, list[tuple[int, int, int, float]]] = {}
        for point in inside:
            expected.setdefault(point[0] // width * width, []).append(point)
        assert (series["interval"], series["x"]) == (width, list(expected))
        assert len(series["x"]) <= buckets
        assert (series["points"], series["first_x"], series["last_x"]) == (len(inside), inside[0][0], inside[-1][0])
        of = list(expected.values())
        assert series["count"] == [len(bucket) for bucket in of]
        assert series["iter"] == [max(point[1] for point in bucket) for bucket in of]
        assert series["time"] == [max(point[2] for point in bucket) for bucket in of]
        for name, test in (("nan", math.isnan), ("pos_inf", lambda v: v == math.inf), ("neg_inf", lambda v: v == -math.inf)):
            kinds = [sum(test(point[3]) for point in bucket) for bucket in of]
            assert series.get(name, [0] * len(of)) == kinds
        assert series.get("first_nan") == next((point[0] for point in inside if math.isnan(point[3])), None)
        for place, bucket in enumerate(of):
            finite = [point[3] for point in bucket if math.isfinite(point[3])]
            if not finite:
                assert (series["mean"][place], series["min"][place], series["max"][place]) == (None, None, None)
            else:
                assert (series["min"][place], series["max"][place]) == (min(finite), max(finite))
                assert math.isclose(series["mean"][place], math.fsum(finite) / len(finite), rel_tol=1e-9, abs_tol=1e-6)


def test_columns_hold_the_same_as_json(server: Client, task: str) -> None:
    lines = [scalar(task, "m", variant, iter=iter, timestamp=T0 + iter, value=iter / 7) for iter in range(300) for variant in "ab"]
    server.add_batch(
        [*lines, scalar(task, "m", "b", iter=7, timestamp=T0, value=math.nan), scalar(task, "few", iter=3, timestamp=T0, value=2.0)]
    )
    for axis in ("iter", "timestamp", "relative"):
        wanted = [(task, "few"), (task, "m")]
        plain, packed = series_of(server, *wanted, axis=axis, buckets=50), columns_of(server, *wanted, axis=axis, buckets=50)
        assert packed["seq"] == plain["seq"] and len(packed["series"]) == 3
        for one, other in zip(plain["series"], packed["series"], strict=True):
            columns = {name: [None if math.isnan(v) else v for v in column.tolist()] for name, column in other.pop("columns").items()}
            assert other.pop("n") == len(one["x"])
            assert {**other, **columns} == one


def test_series_of_a_metric_share_their_grid_and_other_metrics_do_not_coarsen_it(server: Client) -> None:
    short, long = uuid.uuid4().hex, uuid.uuid4().hex
    server.add_batch([scalar(short, "loss", iter=iter) for iter in range(100)] + [scalar(short, "acc", iter=iter) for iter in range(5)])
    server.add_batch([scalar(long, "loss", iter=iter) for iter in range(0, 1000, 10)])
    found = series_of(server, (short, "loss"), (long, "loss"), (short, "acc"), buckets=128)["series"]
    assert [(one["task"], one["metric"], one["interval"]) for one in found] == [(short, "acc", 1), (short, "loss", 8), (long, "loss", 8)]


def test_closed_buckets_keep_their_content_while_a_series_grows(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", iter=iter, value=math.sin(iter)) for iter in range(1000)])
    [before] = series_of(server, (task, "m"), buckets=100)["series"]
    server.add_batch([scalar(task, "m", iter=iter, value=math.sin(iter)) for iter in range(1000, 1200)])
    [after] = series_of(server, (task, "m"), buckets=100)["series"]
    closed = len(before["x"]) - 1
    assert before["interval"] == after["interval"] == 16
    for name in ("x", "mean", "min", "max", "count", "iter", "time"):
        assert after[name][:closed] == before[name][:closed]


def test_since_seq_returns_whole_changed_buckets_only_late_points_included(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", variant, iter=iter, value=1.0) for iter in range(1000) for variant in "ab"])
    first = settled(server, task)
    server.add_batch([scalar(task, "m", "a", iter=5, value=3.0), scalar(task, "m", "a", iter=1000, value=2.0)])
    for read in (series_of, columns_of):
        news = read(server, (task, "m"), buckets=100, since_seq=first["seq"])
        [series] = news["series"]
        columns = {name: np.asarray(column).tolist() for name, column in series.get("columns", series).items()}
        assert (series["variant"], columns["x"], columns["count"], columns["max"]) == ("a", [0, 992], [16, 9], [3.0, 2.0])
        assert int(news["seq"]) > int(first["seq"])
    whole = series_of(server, (task, "m"), buckets=100)["series"][0]
    assert (whole["count"][0], whole["max"][0], whole["count"][-1]) == (16, 3.0, 9)


@pytest.mark.parametrize("fields", [{}, {"x_min": 5, "x_max": 950}, {"axis": "timestamp"}, {"axis": "relative", "x_min": 5}])
def test_with_since_seq_the_ends_and_the_first_nan_are_those_of_the_whole_range(server: Client, task: str, fields: dict[str, Any]) -> None:
    odd = {10: "NaN", 700: "NaN", 900: "Infinity"}
    for variant in ("odd", "plain"):
        value = {iter: odd.get(iter, 1.0) if variant == "odd" else 1.0 for iter in range(1000)}
        server.add_batch(
            [
                f'{{"type":"training_stats_scalar","task":"{task}","metric":"m","variant":"{variant}","iter":{iter},"timestamp":{T0 + iter},"value":{value[iter]}}}'
                for iter in value
            ]
        )
    seq = settled(server, task, **fields)["seq"]
    server.add_batch([scalar(task, "m", variant, iter=500, timestamp=T0 + 500, value=7.0) for variant in ("odd", "plain")])
    whole = series_of(server, (task, "m"), buckets=100, **fields)["series"]
    news = series_of(server, (task, "m"), buckets=100, since_seq=seq, **fields)["series"]
    assert [one["variant"] for one in whole] == [one["variant"] for one in news] == ["odd", "plain"]
    for before, now in zip(whole, news, strict=True):
        assert len(now["x"]) == 1 and now["max"] == [7.0]
        assert set(now) == set(before) - {"rewinds"}
        for name in ("first_x", "last_x", "first_nan", "interval"):
            assert now.get(name) == before.get(name), name
    assert (news[0]["nan"], news[0]["pos_inf"]) == ([0], [0]) and "nan" not in news[1]


def test_a_run_that_was_resumed_shows_what_it_has_not_reported_again(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", iter=iter, timestamp=T0 + 1000 * iter) for iter in range(50)])
    server.add_batch([scalar(task, "m", iter=iter, timestamp=T0 + 10**6 + 1000 * iter) for iter in range(30, 40)])
    [series] = series_of(server, (task, "m"))["series"]
    assert series["rewinds"] == [[40, 49]]


def test_a_choice_of_variants(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", variant, iter=1) for variant in "abc"])
    wanted = [{"task": task, "metric": "m", "variants": ["c"]}, {"task": task, "metric": "m", "variants": ["a", "nope"]}]
    found = server.call("events.get_series", series=wanted)["series"]
    assert [one["variant"] for one in found] == ["a", "c"]


def test_iterations_of_64_bits_are_exact_in_json(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", iter=iter) for iter in (-(2**63), -5, 2**63 - 1)])
    [series] = series_of(server, (task, "m"), buckets=2)["series"]
    assert (series["interval"], series["count"], series["iter"]) == (2**63, [2, 1], [-5, 2**63 - 1])
    assert (series["first_x"], series["last_x"]) == (-(2**63), 2**63 - 1)


def test_refusals_are_envelopes_whatever_is_accepted(server: Client, task: str) -> None:
    for accept in ("*/*", CONTENT_TYPE):
        body = json.dumps({"series": [{"task": "nope", "metric": "m"}]}).encode()
        answer = server.raw("/events.get_series", body, headers={"Accept": accept, "Content-Type": "application/json"})
        assert answer.codes == (400, 101)
    assert server.refused("events.get_series", series=[]).codes == (400, 12)
    assert server.refused("events.get_series", series=[{"task": task, "metric": "m"}], buckets=1).codes == (400, 12)
