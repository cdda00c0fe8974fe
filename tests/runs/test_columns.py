"""No two series share a column, in the runs API and in exports; exports spell NaN and infinities."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.bll.runs.columns import attribute, column_names
from apiserver.stores.records import SCALAR, SeriesKey
from tests.client import json_lines, scalar
from tests.runs.conftest import Runs

JOINED = [("a", "b/c"), ("a/b", "c"), ("a/b/c", "a/b/c"), ("a/b/c", ""), ("a", "b%2Fc"), ("loss", "train"), ("lr", "lr"), ("x/y", "z")]


def report(runs: Runs, task: str, points: list[tuple[str, str, int, float | None]]) -> None:
    body = json_lines(scalar(task, metric, variant, iter=step, value=value) for metric, variant, step, value in points)
    answer = runs.post_lines("/events.add_batch", body)
    assert answer["data"]["errors"] == 0, answer


def exported(runs: Runs, task: str, form: str) -> str:
    response = runs.get(f"/api/runs/{task}/export", params={"format": form})
    assert response.status_code == 200
    response.encoding = "utf-8"
    return response.text


def test_series_of_equal_joined_names_have_columns_of_their_own(runs: Runs, run: str) -> None:
    report(runs, run, [(*pair, 1, float(number)) for number, pair in enumerate(JOINED)])
    (row,) = runs.steps(run)["rows"]
    assert sorted(value for name, value in row.items() if name != "global_step") == [float(n) for n in range(len(JOINED))]
    assert (row["loss/train"], row["lr"], row["x/y/z"]) == (5.0, 6.0, 7.0)
    names, values = csv.reader(io.StringIO(exported(runs, run, "csv")))
    assert dict(zip(names, map(float, values), strict=True)) == row
    assert json.loads(exported(runs, run, "jsonl")) == row
    fast = runs.get(f"/api/v2/experiments/{run}/metrics/fast").json()["columns"]
    assert set(fast) == set(row)
    one = runs.get(f"/api/v2/experiments/{run}/metrics/fast", params={"metric_names": "a/b%2Fc"}).json()["columns"]
    assert one == ["global_step", "a/b%2Fc"]


def test_a_run_whose_id_has_slashes_is_one_part_of_every_path(runs: Runs, run: str) -> None:
    """Elsewhere too ids are what was meant: a neighbour whose id is the first part, and codes that stand for nothing."""
    ids = [run, f"{run}/events", f"{run}/模 %2F/x"]
    for number, id in enumerate(ids):
        runs.rows(quote(id, safe=""), [{"global_step": number, "loss": number / 2}])
        runs.log(quote(id, safe=""), f"line {number}")
    for number, id in enumerate(ids):
        path = f"/api/runs/{quote(id, safe='')}"
        assert runs.get(path).json()["id"] == id
        assert [row["loss"] for row in runs.steps(quote(id, safe=""))["rows"]] == [number / 2]
        assert f"{number / 2}" in runs.get(f"{path}/export?format=csv").text
        assert runs.get(f"/api/v2/experiments/{quote(id, safe='')}/metrics/fast").status_code == 200
        with runs.socket(quote(id, safe="")) as socket:
            assert f"line {number}" in str(socket.recv(timeout=10))
    assert runs.get(f"/api/runs/{run}%1Fevents").status_code == runs.get(f"/api/runs/{run}/events/export").status_code == 404


def test_a_row_and_its_texts_stay_one_column_beside_a_metric_of_the_same_name(runs: Runs, run: str) -> None:
    runs.rows(
        run, [{"global_step": 1, "a/b": 0.5}, {"global_step": 2, "a/b": "broken"}, *({"global_step": n, "a/b": 1.0} for n in range(3, 300))]
    )
    report(runs, run, [("a", "b", 1, 7.0)])
    for rows in (runs.steps(run)["rows"], runs.steps(run, downsample=299)["rows"]):
        assert rows[:2] == [{"global_step": 1, "a%2Fb": 0.5, "a/b": 7.0}, {"global_step": 2, "a%2Fb": "broken"}]


@given(st.sets(st.tuples(st.text("a/%2F", max_size=4), st.text("a/%2F", max_size=4)), max_size=8))
def test_columns_are_injective_and_plain_where_they_can_be(pairs: set[tuple[str, str]]) -> None:
    keys = [SeriesKey("t", SCALAR, *pair) for pair in pairs]
    names = column_names([*keys, *(attribute("t", "text", metric) for metric, variant in pairs if metric == variant)])
    assert len({names[key] for key in keys}) == len(keys)
    plain = {key: key.metric if key.variant in ("", key.metric) else f"{key.metric}/{key.variant}" for key in keys}
    escaped = {name for key, name in names.items() if name != plain.get(key, name)}
    for key in keys:
        if list(plain.values()).count(plain[key]) == 1 and not escaped:
            assert names[key] == plain[key]
        if key.metric == key.variant:
            assert names[attribute("t", "text", key.metric)] == names[key]


def test_exports_spell_what_is_no_finite_number(runs: Runs, run: str) -> None:
    values: list[float | None] = [1.0, math.nan, math.inf, -math.inf, None]
    report(runs, run, [("loss", "loss", step, value) for step, value in enumerate(values)] + [("other", "other", 1, 2.0)])
    runs.rows(
        run, [{"global_step": 1, "stage": "x", "note": None}, {"global_step": 2, "mixed": "text"}, {"global_step": 3, "mixed": math.nan}]
    )
    table = list(csv.DictReader(io.StringIO(exported(runs, run, "csv"))))
    assert [row["loss"] for row in table] == ["1.0", "NaN", "inf", "-inf", "NaN"]
    assert [row["other"] for row in table] == ["", "2.0", "", "", ""]
    assert [row["note"] for row in table] == [""] * 5 and [row["mixed"] for row in table] == ["", "", "text", "NaN", ""]
    lines: list[dict[str, Any]] = [json.loads(line) for line in exported(runs, run, "jsonl").splitlines()]
    assert [row["loss"] for row in lines] == [1.0, "NaN", "inf", "-inf", "NaN"]
    assert ["other" in row for row in lines] == [False, True, False, False, False]
    assert lines[1]["note"] is None and lines[3]["mixed"] == "NaN"
    excel = exported(runs, run, "excel")
    assert [row["loss"] for row in csv.DictReader(io.StringIO(excel.removeprefix("\ufeff")))] == ["1.0", "NaN", "inf", "-inf", "NaN"]


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_a_spreadsheet_gets_no_formulas(runs: Runs, run: str, first: str) -> None:
    """Neither in cells nor in names of columns; plain CSV has them as they were reported."""
    text = f"{first}HYPERLINK(1)"
    runs.rows(run, [{"global_step": 1, text: 0.5, "note": text}])
    names, values = csv.reader(io.StringIO(exported(runs, run, "excel").removeprefix("\ufeff"), newline=""))
    assert dict(zip(names, values, strict=True)) == {"global_step": "1", f"'{text}": "0.5", "note": f"'{text}"}
    names, values = csv.reader(io.StringIO(exported(runs, run, "csv"), newline=""))
    assert dict(zip(names, values, strict=True)) == {"global_step": "1", text: "0.5", "note": text}


def test_parquet_keeps_the_values_of_ieee(runs: Runs, run: str) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    report(
        runs, run, [("loss", "loss", step, value) for step, value in enumerate([1.0, math.nan, math.inf, -math.inf])] + [("x", "x", 0, 1.0)]
    )
    data = runs.get(f"/api/runs/{run}/export", params={"format": "parquet"}).content
    table = parquet.read_table(io.BytesIO(data)).to_pydict()
    assert repr(table["loss"]) == "[1.0, nan, inf, -inf]" and table["x"] == [1.0, None, None, None]


NAMES = ("epoch", "step", "global_step", "loss")


def test_exports_have_metrics_that_are_named_like_steps(runs: Runs, run: str) -> None:
    report(runs, run, [(name, name, 1, float(number)) for number, name in enumerate(NAMES)] + [("global_step", "", 1, 4.0)])
    row = {"global_step": 1, "epoch": 0.0, "step": 1.0, "global_step/global_step": 2.0, "loss": 3.0, "global_step/": 4.0}
    assert json.loads(exported(runs, run, "jsonl")) == row
    names, values = csv.reader(io.StringIO(exported(runs, run, "csv")))
    assert dict(zip(names, map(float, values), strict=True)) == row and names == ["global_step", *sorted(row.keys() - {"global_step"})]
    assert runs.steps(run)["rows"] == [{"global_step": 1, "loss": 3.0, "global_step/": 4.0}]  # as before: no columns of the API
    parquet = pytest.importorskip("pyarrow.parquet")
    data = runs.get(f"/api/runs/{run}/export", params={"format": "parquet"}).content
    assert parquet.read_table(io.BytesIO(data)).to_pylist() == [row]


@given(st.sets(st.tuples(st.sampled_from(["g", "g/g", "", "%"]), st.sampled_from(["g", "g/g", "", "%"]))))
def test_no_series_has_a_reserved_column(pairs: set[tuple[str, str]]) -> None:
    keys = [SeriesKey("t", SCALAR, *pair) for pair in pairs]
    names = column_names(keys, {"g"})
    assert len(set(names.values())) == len(keys) and "g" not in names.values()
