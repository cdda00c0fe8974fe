"""Tables of any program: odd but real ones lose nothing without a word, and nothing is invented."""

from __future__ import annotations

import csv
import decimal
import io
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from apiserver.operations.transfer.adapters.tables import TableOptions
from apiserver.operations.transfer.discovery import discover
from apiserver.operations.transfer.pieces import FoundRun, Piece, Scalars, Skipped
from tests.transfer.boards import damage, points, write_frame


def read_file(path: Path, options: TableOptions = TableOptions()) -> list[Piece]:  # noqa: B008 - it can't change
    (run,) = discover(path, options=options).runs
    assert isinstance(run, FoundRun)
    return list(run.adapter.read(run))


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
def test_tables_of_every_form(form: str, tmp_path: Path) -> None:
    import pandas as pd

    table = pd.DataFrame(
        {"_step": range(3), "loss": [1.0, 0.5, 0.25], "note": ["a", "b", "c"], "_timestamp": [1.6e9, 1.6e9 + 1, 1.6e9 + 2]}
    )
    path = tmp_path / f"history.{form}"
    write_frame(table, path)
    pieces = read_file(path)
    assert points(pieces) == {"loss": [(0, 1.0), (1, 0.5), (2, 0.25)]}
    (scalars,) = [piece for piece in pieces if isinstance(piece, Scalars)]
    assert list(scalars.times) == [1_600_000_000_000, 1_600_000_001_000, 1_600_000_002_000]
    assert [piece for piece in pieces if isinstance(piece, Skipped)] == [Skipped("texts and lists in rows", 3)]


@pytest.mark.parametrize(("column", "lost"), [("loss", {"loss": 100}), ("step", {"loss": 100, "acc": 100})])
def test_a_damaged_page_of_parquet_costs_its_column_of_its_group(column: str, lost: dict[str, int], tmp_path: Path) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    path, names = tmp_path / "history.parquet", ["step", "loss", "acc"]
    table = arrow.table({name: list(range(300)) for name in names})
    parquet.write_table(table, path, row_group_size=100, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    at = parquet.ParquetFile(path).metadata.row_group(1).column(names.index(column)).data_page_offset
    data[at : at + 8] = b"\xff" * 8
    path.write_bytes(data)
    pieces = read_file(path)
    assert [f'the column "{column}"' in reason for reason in damage(pieces)] == [True]
    assert {name: len(found) for name, found in points(pieces).items()} == {name: 300 - lost.get(name, 0) for name in ("loss", "acc")}


def test_a_row_without_its_step_is_no_step(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 10, "loss": 1}\n{"stdp": 11, "loss": 2}\n{"step": 12, "loss": 3}\n')
    pieces = read_file(path)
    assert points(pieces) == {"loss": [(10, 1.0), (12, 3.0)]} and damage(pieces) == ['the row has no step (column "step")']


def test_columns_can_be_named_and_tables_can_be_long(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text(
        "n,when,what,how much\n1,2020-09-13T12:26:40Z,loss,0.5\n1,2020-09-13T12:26:41Z,acc,0.75\n2,soon,loss,0.25\nx,2020-09-13,loss,1\n"
    )
    pieces = read_file(path, TableOptions("n", "when", "what", "how much"))
    assert points(pieces) == {"loss": [(1, 0.5)], "acc": [(1, 0.75)]}
    assert damage(pieces) == ["not a time: 'soon'", "the step must be a whole number, got 'x'"]


def test_a_table_of_many_runs_is_imported_run_by_run(tmp_path: Path) -> None:
    import pandas as pd

    rows = [
        {"name": name, "run_name": name, "step": step, "timestamp": 1.6e9 + step, "loss": step + len(name)}
        for name in ("a", "bb")
        for step in range(3)
    ]
    pd.DataFrame(rows).drop(columns="run_name").to_csv(tmp_path / "all.csv", index=False)
    pd.DataFrame(rows).drop(columns="name").to_parquet(tmp_path / "vision.parquet")
    for file, options in (("all.csv", TableOptions(run="name")), ("vision.parquet", TableOptions())):
        found = discover(tmp_path / file, options=options)
        runs = [run for run in found.runs if isinstance(run, FoundRun)]
        assert [(run.name, run.project) for run in runs] == [("a", file.partition(".")[0]), ("bb", file.partition(".")[0])]
        assert len({run.id for run in runs}) == 2 and not found.problems
        assert [points(run.adapter.read(run)) for run in runs] == [{"loss": [(step, step + size) for step in range(3)]} for size in (1, 2)]
    assert "names no run" in discover(tmp_path / "all.csv", options=TableOptions(run="nothing")).problems[0].reason


def counted(pieces: list[Piece]) -> dict[str, int]:
    return {piece.kind: piece.count for piece in pieces if isinstance(piece, Skipped)}


def times_of(pieces: list[Piece]) -> list[int]:
    return [time for piece in pieces if isinstance(piece, Scalars) for time in piece.times]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tables_of_spreadsheets_are_read(encoding: str, end: str, tmp_path: Path) -> None:
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    path = tmp_path / "history.csv"
    path.write_bytes((mark + end.join(['step,"loss ""train"" größe"', "0,1.5", '1,"0.5"', ""])).encode(encoding))
    pieces = read_file(path)
    assert points(pieces) == {'loss "train" größe': [(0, 1.5), (1, 0.5)]} and not damage(pieces)


def test_json_lines_of_a_shell_that_writes_utf16_are_read(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 0, "verlust": 1}\n{"step": 1, "verlust": 0.5}\n', encoding="utf-16")
    pieces = read_file(path)
    assert points(pieces) == {"verlust": [(0, 1.0), (1, 0.5)]} and not damage(pieces)


def test_padded_names_and_cells_are_read_as_ultralytics_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text("                  epoch,         train/box_loss\n                      1,                1.25\n")
    assert points(read_file(path)) == {"train/box_loss": [(1, 1.25)]}


def test_the_index_of_a_data_frame_is_no_reason_to_refuse_its_table(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(",step,loss,\n0,10,1.5,\n1,20,0.5,\n")
    assert points(read_file(path)) == {"loss": [(10, 1.5), (20, 0.5)], "column 1": [(10, 0.0), (20, 1.0)]}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_columns_of_the_same_name_are_left_out_and_named(form: str, tmp_path: Path) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    path = tmp_path / f"history.{form}"
    if form == "csv":
        path.write_text("step,loss,acc,loss\n0,1,0.5,2\n1,1,0.75,2\n")
    else:
        columns = [arrow.array(values) for values in ([0, 1], [1.0, 1.0], [0.5, 0.75], [2.0, 2.0])]
        parquet.write_table(arrow.Table.from_arrays(columns, ["step", "loss", "acc", "loss"]), path)
    pieces = read_file(path)
    assert points(pieces) == {"acc": [(0, 0.5), (1, 0.75)]}
    assert damage(pieces) == ['2 columns have the name "loss" and are left out']


def test_two_columns_of_steps_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("step,step,loss\n0,0,1\n")
    pieces = read_file(path)
    assert damage(pieces) == ['2 columns have the name "step"'] and not points(pieces)


def test_a_quote_that_is_never_closed_is_named_with_the_lines_it_hides(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text('step,loss,note\n0,1,\n1,0.5,"half\n2,0.4,\n3,0.3,\n')
    pieces = read_file(path)
    assert points(pieces) == {"loss": [(0, 1.0)]}
    assert damage(pieces) == ["line 3 to 5: unexpected end of data"]


def test_half_a_number_at_the_end_of_a_table_is_said(tmp_path: Path) -> None:
    """Any program may leave out the last line's end, so it is read all the same."""
    path = tmp_path / "history.csv"
    path.write_text("step,loss\n0,1.5\n1,0.2")
    pieces = read_file(path)
    assert points(pieces) == {"loss": [(0, 1.5), (1, 0.2)]} and not damage(pieces)
    assert counted(pieces) == {"last lines without an end, which may be cut off": 1}


def test_a_cell_of_several_lines_is_a_cell(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text('step,loss,note\n0,1,"two\nlines"\n1,0.5,\n')
    pieces = read_file(path)
    assert points(pieces) == {"loss": [(0, 1.0), (1, 0.5)]} and counted(pieces) == {"texts and lists in rows": 1}


def test_steps_come_from_one_column(tmp_path: Path) -> None:
    """A row without a step is not put at its epoch, where rows of another meaning are."""
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 100, "epoch": 1, "loss": 1}\n{"epoch": 1, "val": 2}\n{"step": 200, "epoch": 2, "loss": 3}\n')
    pieces = read_file(path)
    assert points(pieces) == {"loss": [(100, 1.0), (200, 3.0)], "epoch": [(100, 1.0), (200, 2.0)]}
    assert damage(pieces) == ['the row has no step (column "step")']


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_rows_without_a_column_of_steps_are_numbered_from_zero(form: str, tmp_path: Path) -> None:
    import pandas as pd

    path, table = tmp_path / f"history.{form}", pd.DataFrame({"loss": [1.5, 0.5]})
    write_frame(table, path)
    assert points(read_file(path)) == {"loss": [(0, 1.5), (1, 0.5)]}


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2020-09-13T12:26:40+00:00", 1_600_000_000_000),
        ("2020-09-13 14:26:40+02:00", 1_600_000_000_000),
        ("2020-09-13T12:26:40", 1_600_000_000_000),
        ("1600000000.5", 1_600_000_000_500),
        ("1600000000500", 1_600_000_000_500),
        ("1600000000500000", 1_600_000_000_500),
        ("1600000000500000000", 1_600_000_000_500),
    ],
)
def test_times_of_every_spelling(time: str, expected: int, tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(f"step,timestamp,loss\n0,{time},1\n")
    pieces = read_file(path)
    assert times_of(pieces) == [expected] and list(points(pieces)) == ["loss"]


def test_a_column_of_times_that_are_none_is_not_dropped(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("step,time,loss\n0,yesterday,1\n1,12.5,0.5\n")
    pieces = read_file(path)
    assert points(pieces) == {"loss": [(0, 1.0), (1, 0.5)], "time": [(1, 12.5)]}
    assert counted(pieces) == {"texts and lists in rows": 1}


def test_types_of_parquet_are_numbers_and_times(tmp_path: Path) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    path = tmp_path / "history.parquet"
    of: dict[str, Any] = {
        "step": arrow.array([decimal.Decimal(3)]),
        "timestamp": arrow.array([1_600_000_000_000_000_001], arrow.timestamp("ns", tz="Europe/Berlin")),
        "half": arrow.array([1.5], arrow.float16()),
        "exact": arrow.array([decimal.Decimal("0.25")]),
        "flag": arrow.array([True]),
        "day": arrow.array([date(2020, 9, 13)]),
    }
    parquet.write_table(arrow.table(of), path)
    pieces = read_file(path)
    assert points(pieces) == {"half": [(3, 1.5)], "exact": [(3, 0.25)], "flag": [(3, 1.0)]}
    assert set(times_of(pieces)) == {1_600_000_000_000} and counted(pieces) == {"texts and lists in rows": 1}
    parquet.write_table(arrow.table({"step": [3], "loss": [1.0], "time": [date(2020, 9, 13)]}), path)
    assert times_of(read_file(path)) == [1_599_955_200_000]


def test_names_with_underscores_are_no_numbers(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("step,fold,loss\n0,1_000,1\n")
    pieces = read_file(path)
    assert points(pieces) == {"loss": [(0, 1.0)]} and counted(pieces) == {"texts and lists in rows": 1}


def test_thousands_of_columns(tmp_path: Path) -> None:
    path, text = tmp_path / "history.csv", io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["step", *(f"layer{number}/norm" for number in range(5_000))])
    writer.writerows([step, *(step + number for number in range(5_000))] for step in range(3))
    path.write_text(text.getvalue())
    found = points(read_file(path))
    assert len(found) == 5_000 and found["layer4999/norm"] == [(0, 4999.0), (1, 5000.0), (2, 5001.0)]


def test_rows_that_name_no_run_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    path.write_text("name,step,loss\na,0,1\n,0,2\na,1,3\n")
    found = discover(path, options=TableOptions(run="name"))
    (run,) = [run for run in found.runs if isinstance(run, FoundRun)]
    assert points(run.adapter.read(run)) == {"loss": [(0, 1.0), (1, 3.0)]}
    assert found.problems[0].reason == '1 row left out: the column "name" is empty'
