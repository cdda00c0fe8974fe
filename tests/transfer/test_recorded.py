"""What other tools wrote (`record.py`) is read value by value; tables of any program too."""

from __future__ import annotations

import math
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apiserver.operations.transfer.adapters.tables import TableOptions
from apiserver.operations.transfer.discovery import look
from apiserver.operations.transfer.pieces import Facts, Figure, FoundRun, PassedOver, Picture, Piece, Scalars, Text
from tests.transfer.boards import damage, points, runs_below
from tests.transfer.record import LOSS, ODD, PARAMS

RECORDED = Path(__file__).parent / "recorded"
Copy = Callable[[str], Path]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A recorded folder, with its database made again."""

    def made(tool: str) -> Path:
        folder = tmp_path / tool
        shutil.copytree(RECORDED / tool, folder)
        for path in folder.glob("*.sql"):
            connection = sqlite3.connect(path.with_suffix(".db"))
            connection.executescript(path.read_text())
            connection.close()
        return folder

    return made


def facts_of(pieces: list[Piece]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for piece in pieces:
        if isinstance(piece, Facts):
            found |= piece.facts
    return found


def check_values(pieces: list[Piece], loss: str) -> None:
    assert not damage(pieces)
    found = points(pieces)
    assert found[loss] == list(enumerate(LOSS))
    assert [step for step, _ in found["odd"]] == list(range(len(ODD)))
    for (_, value), expected in zip(found["odd"], ODD, strict=True):
        assert value == expected or (math.isnan(value) and math.isnan(expected))


def named(runs: list[FoundRun]) -> dict[str, FoundRun]:
    return {run.name.split(":")[0]: run for run in runs}


@pytest.mark.parametrize("store", ["mlflow-files", "mlflow-database"])
def test_mlflow(store: str, copy: Copy) -> None:
    runs = named(runs_below(copy(store)))
    assert set(runs) == {"first", "second", "child"} and {run.project for run in runs.values()} == {"vision/resnet"}
    first = runs["first"]
    assert first.name.endswith("eighty columns of text") and len(first.id) == 32, "MLflow's own id"
    pieces = list(first.adapter.read(first))
    check_values(pieces, "train/loss")
    times = next(piece.times for piece in pieces if isinstance(piece, Scalars))
    assert list(times) == [1_600_000_000_000 + step * 1000 for step in range(5)]
    facts = facts_of(pieces)
    assert facts["status"] == "finished" and facts["ended_at"] >= facts["started_at"] > 1.7e9
    assert facts["hyperparams"]["General"] == {name: str(value) for name, value in PARAMS.items()}
    assert facts["hyperparams"]["tags"] == {"team": "blue"} and facts["hyperparams"]["mlflow"]["mlflow.note.content"] == "a note"


def test_both_stores_of_mlflow_say_the_same_of_status_and_deletion(copy: Copy) -> None:
    folder = copy("mlflow-files")
    meta = next(path for path in folder.rglob("meta.yaml") if "second" in path.read_text())
    meta.write_text(meta.read_text().replace("lifecycle_stage: active", "lifecycle_stage: deleted"))
    assert set(named(runs_below(folder))) == {"first", "child"}
    folder = copy("mlflow-database")
    with sqlite3.connect(folder / "mlflow.db") as database:
        database.execute("UPDATE runs SET lifecycle_stage = 'deleted' WHERE name = 'second'")
        database.execute("UPDATE runs SET status = 'FAILED' WHERE name = 'child'")
    runs = named(runs_below(folder))
    assert set(runs) == {"first", "child"}
    assert facts_of(list(runs["child"].adapter.read(runs["child"])))["status"] == "failed"


def test_wandb(copy: Copy) -> None:
    (run,) = runs_below(copy("wandb"))
    assert (run.name, run.project) == ("first", "vision")
    pieces = list(run.adapter.read(run))
    check_values(pieces, "loss")
    found = points(pieces)
    assert [value for _, value in found["val/acc"]] == [step / 10 for step in range(5)]
    facts = facts_of(pieces)
    assert facts["status"] == "finished" and facts["tags"] == ["blue"] and facts["ended_at"] >= facts["started_at"]
    assert facts["hyperparams"]["General"] == {**PARAMS, "model/depth": 18}
    assert facts["hyperparams"]["wandb"] == {"notes": "a note"} and facts["summary"]["best"] == 0.75
    (image,) = [piece for piece in pieces if isinstance(piece, Picture)]
    assert image.step == 5 and image.caption == "black" and isinstance(image.data, Path) and image.data.is_file()
    (figure,) = [piece for piece in pieces if isinstance(piece, Figure)]
    assert sum(figure.figure["data"][0]["y"]) == 4
    assert "a line of the console" in [piece.text for piece in pieces if isinstance(piece, Text)]


def test_a_damaged_file_of_wandb_loses_a_block_at_most_and_says_so(copy: Copy) -> None:
    folder = copy("wandb")
    path = next(folder.rglob("*.wandb"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    (run,) = runs_below(folder)
    pieces = list(run.adapter.read(run))
    assert "the checksum differs" in damage(pieces)[0] and points(pieces)["loss"]


def test_trackio(copy: Copy) -> None:
    (run,) = runs_below(copy("trackio"))
    assert (run.name, run.project) == ("first", "vision")
    pieces = list(run.adapter.read(run))
    check_values(pieces, "loss")
    assert facts_of(pieces)["hyperparams"] == {"General": PARAMS}


def test_dvclive(copy: Copy) -> None:
    folder = copy("dvclive")
    (run,) = runs_below(folder)
    assert run.name == "dvclive"
    pieces = list(run.adapter.read(run))
    check_values(pieces, "train/loss")
    assert facts_of(pieces)["hyperparams"] == {"General": PARAMS}
    assert [piece.name for piece in pieces if isinstance(piece, Picture)] == ["black.png"]


def test_lightnings_csv_logger(tmp_path: Path) -> None:
    folder = tmp_path / "lightning_logs" / "version_0"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text("epoch,step,train_loss,val_loss\n0,49,0.5,\n0,49,,0.25\n1,99,0.125,\n1,99,,nan\n")
    (folder / "hparams.yaml").write_text("lr: 0.1\nmodel: !!python/object:mine.Model\n  depth: 18\n")
    (run,) = runs_below(tmp_path)
    pieces = list(run.adapter.read(run))
    found = points(pieces)
    assert found["train_loss"] == [(49, 0.5), (99, 0.125)] and found["epoch"] == [(49, 0.0), (99, 1.0)]
    assert found["val_loss"][0] == (49, 0.25) and math.isnan(found["val_loss"][1][1])
    assert facts_of(pieces)["hyperparams"] == {"General": {"lr": 0.1, "model/depth": 18}}


def read_file(path: Path, options: TableOptions = TableOptions()) -> list[Piece]:  # noqa: B008 - it can't change
    (run,) = look(path, options).runs
    assert isinstance(run, FoundRun)
    return list(run.adapter.read(run))


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
def test_tables_of_every_form(form: str, tmp_path: Path) -> None:
    import pandas as pd

    table = pd.DataFrame(
        {"_step": range(3), "loss": [1.0, 0.5, 0.25], "note": ["a", "b", "c"], "_timestamp": [1.6e9, 1.6e9 + 1, 1.6e9 + 2]}
    )
    path = tmp_path / f"history.{form}"
    if form == "parquet":
        table.to_parquet(path)
    elif form == "jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_csv(path, index=False, sep="\t" if form == "tsv" else ",")
    pieces = read_file(path)
    assert points(pieces) == {"loss": [(0, 1.0), (1, 0.5), (2, 0.25)]}
    (scalars,) = [piece for piece in pieces if isinstance(piece, Scalars)]
    assert list(scalars.times) == [1_600_000_000_000, 1_600_000_001_000, 1_600_000_002_000]
    assert [piece for piece in pieces if isinstance(piece, PassedOver)] == [PassedOver("texts and lists in rows", 3)]


def test_columns_can_be_named_and_tables_can_be_long(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text(
        "n,when,what,how much\n1,2020-09-13T12:26:40Z,loss,0.5\n1,2020-09-13T12:26:41Z,acc,0.75\n2,soon,loss,0.25\nx,2020-09-13,loss,1\n"
    )
    pieces = read_file(path, TableOptions("n", "when", "what", "how much"))
    assert points(pieces) == {"loss": [(1, 0.5)], "acc": [(1, 0.75)]}
    assert damage(pieces) == ["no time: 'soon'", "the step must be a whole number, got 'x'"]


def test_aim_is_said_to_be_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".aim" / "meta").mkdir(parents=True)
    found = look(tmp_path)
    assert not found.runs and "Aim: its repository (.aim)" in found.problems[0].reason
