"""What is known of a series, against plain calculations."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.stores import series_row
from apiserver.stores.elastic.series.row import LastPoints
from apiserver.stores.records import LAST_VALUES, MAX_ITER, MIN_ITER, SINGLE_VALUE_ITER
from apiserver.stores.series_row import SeriesRow

ITERS = st.one_of(st.integers(MIN_ITER, MAX_ITER), st.integers(0, 300), st.just(SINGLE_VALUE_ITER))
VALUES = st.one_of(st.floats(width=32), st.sampled_from([0.0, 1.0, 2.0]))


@given(st.dictionaries(ITERS, st.tuples(VALUES, st.integers(0, 2**53)), min_size=1, max_size=40))
def test_few_points_are_counted_as_many_are(points: dict[int, tuple[float, int]]) -> None:
    iters = sorted(points)
    values, times = [points[i][0] for i in iters], [points[i][1] for i in iters]
    few, many = SeriesRow(), SeriesRow()
    few.add_points(iters, values, times, list(range(len(iters))))
    assert len(iters) <= series_row.FEW
    if iters != [SINGLE_VALUE_ITER]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(series_row, "FEW", 0)
            many.add_points(iters, values, times, list(range(len(iters))))
        assert math.isclose(few.sum, many.sum, rel_tol=1e-9, abs_tol=1e-6 * max(1.0, *(abs(v) for v in values if math.isfinite(v)), 1.0))
        few.sum = many.sum = 0.0
        few.mean_value = many.mean_value = None
        assert few == many


FEW_ITERS = st.one_of(st.integers(-3, 6), st.just(SINGLE_VALUE_ITER), st.just(SINGLE_VALUE_ITER - 1))


@given(st.lists(st.lists(FEW_ITERS, min_size=1, max_size=4, unique=True), min_size=1, max_size=6))
def test_the_value_is_the_newest_report(batches: list[list[int]]) -> None:
    """Of the point of the greatest iteration and the single value the one that arrived later; a row that can't know is stale."""
    whole, sums = SeriesRow(), SeriesRow()
    arrived: dict[int, int] = {}
    for batch in batches:
        new = [iteration for iteration in batch if iteration not in arrived]
        if not new:
            continue
        arrived |= {iteration: len(arrived) + place for place, iteration in enumerate(new)}
        iters = sorted(new)
        columns = ([float(i % 1000) for i in iters], [arrived[i] for i in iters], [arrived[i] for i in iters])
        part = SeriesRow()
        part.add_points(iters, *columns)
        sums.add(part)
        whole.add_points(iters, *columns)
    others = [iteration for iteration in arrived if iteration != SINGLE_VALUE_ITER]
    candidates = [max(others)] if others else []
    candidates += [SINGLE_VALUE_ITER] if SINGLE_VALUE_ITER in arrived else []
    expected = max(candidates, key=arrived.__getitem__)
    at_once = SeriesRow()
    every = sorted(arrived)
    at_once.add_points(every, [0.0] * len(every), [0] * len(every), [arrived[i] for i in every])
    assert at_once.value_iter == expected
    for row in (whole, sums):
        assert row.stale or (row.value_iter, row.value_timestamp) == (expected, arrived[expected])
        if SINGLE_VALUE_ITER not in arrived or len(batches) == 1:
            assert not row.stale


@given(st.lists(st.lists(ITERS, min_size=1, max_size=130), min_size=1, max_size=5), st.integers(1, 40))
def test_last_points_of_batches_are_those_of_all(batches: list[list[int]], evenly: int) -> None:
    seen: dict[int, float] = {}
    joined: LastPoints | None = None
    for number, batch in enumerate(
        [*batches, list(range(1000, 1000 + 3 * evenly, 3)), list(range(1000 + 3 * evenly, 1000 + 6 * evenly, 3))]
    ):
        new = sorted(set(batch) - seen.keys())
        if not new:
            continue
        values = [number + place / 1000 for place in range(len(new))]
        seen |= zip(new, values, strict=True)
        some = LastPoints.of(new, values)
        joined = some if joined is None else joined.joined(some)
        last = joined.arrays()
        wanted = sorted(seen)[-LAST_VALUES:]
        assert last.iters.tolist() == wanted
        assert last.values.tolist() == [seen[i] for i in wanted]
