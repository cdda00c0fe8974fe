"""Rows of a run as JSON: in slices that have few cells, whatever the number of columns, and as a stream when they are long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apiserver.bll.registry.directory import Owner
from apiserver.bll.runs import row_encoding
from apiserver.bll.runs.answers import RowSelection, RunAnswers
from apiserver.bll.runs.export import export_run
from apiserver.bll.runs.rows import Cells, Window
from apiserver.stores.base import EventStore
from apiserver.stores.batch import EventBatch, Points, Touch
from apiserver.stores.options import WriteOptions
from apiserver.stores.records import SCALAR, SeriesKey
from apiserver.stores.sqlite import open_sqlite

RUN = Owner("company", "run", "task", "run", "completed", False, False)


def window_of(rows: list[dict[str, Any]], columns: list[str]) -> Window:
    cells = {}
    for name in columns:
        where = [number for number, row in enumerate(rows) if name in row]
        values = [rows[number][name] for number in where]
        array = np.array(values, float) if all(isinstance(value, float) for value in values) else np.array(values, object)
        cells[name] = Cells(None if len(where) == len(rows) else np.array(where, np.int64), array)
    return Window(np.arange(len(rows)), {name: cell for name, cell in cells.items() if len(cell.values)})


CELLS = st.one_of(st.floats(allow_nan=False), st.text(max_size=3), st.booleans(), st.none())
ROWS = st.lists(st.dictionaries(st.sampled_from("abcdef"), CELLS, max_size=6), max_size=30)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROWS, st.integers(1, 9), st.integers(1, 9))
def test_rows_come_as_they_were_logged_in_slices_of_few_cells(rows: list[dict[str, Any]], cells: int, most: int) -> None:
    window = window_of(rows, list("abcdef"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_encoding, "SLICE_CELLS", cells)
        patch.setattr(row_encoding, "SLICE", most)
        patch.setattr(row_encoding, "BLOCK_CELLS", 2 * cells)
        slices = list(row_encoding.row_slices(window, window.steps.tolist()))
    expected = [{"global_step": number, **{name: row[name] for name in sorted(row)}} for number, row in enumerate(rows)]
    found = [row for part in slices for row in part]
    assert found == expected and [list(row) for row in found] == [list(row) for row in expected]
    assert all(len(part) <= most for part in slices)
    assert all(len(part) == 1 or sum(len(row) - 1 for row in part) <= cells for part in slices)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    events, _ = open_sqlite(tmp_path / "events.db", WriteOptions())
    yield events
    events.close()


def fill(store: EventStore, columns: int, iters: dict[int, list[int]], name: str) -> None:
    points = {}
    lines = 0
    for number in range(columns):
        mine = iters[number % len(iters)]
        key = SeriesKey(RUN.id, SCALAR, name.format(number), "")
        points[key] = Points(
            mine, [1.5] * len(mine), [1_700_000_000_000] * len(mine), list(range(lines, lines + len(mine))), [9] * len(mine)
        )
        lines += len(mine)
    store.append(RUN.company, EventBatch(1_700_000_000_000, "w", lines, points, touches={RUN.id: Touch()}))


def test_an_answer_of_many_columns_with_long_names_is_a_stream_of_small_pieces(store: EventStore) -> None:
    fill(store, 1_200, {0: list(range(60))}, "{:06}" + "x" * 1_000)
    answers = RunAnswers(store, 1_000_000)
    for answer in (
        answers.metrics_step(RUN, RowSelection()),
        answers.metrics_step(RUN, RowSelection(downsample=60)),
        answers.fast(RUN, RowSelection(), None),
    ):
        assert not isinstance(answer.body, bytes)
        sizes = [len(piece) for piece in answer.body]
        assert sum(sizes) > 60 * 1_200 * 1_000 and max(sizes) < 2 * row_encoding.SLICE_CELLS * 1_030


def test_a_csv_file_of_many_columns_comes_in_small_pieces(store: EventStore) -> None:
    fill(store, 3_000, {number: [number] for number in range(3_000)}, "m{}")
    sizes = [len(piece) for piece in export_run(store, None, RUN, "csv")]  # type: ignore[arg-type]  # the catalogue is for reports
    assert sum(sizes) > 9_000_000 and max(sizes) < 100_000
