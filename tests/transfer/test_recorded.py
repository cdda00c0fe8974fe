"""What other tools wrote (`record.py`) is read value by value; tables of any program too."""

from __future__ import annotations

import json
import math
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from apiserver.operations.transfer.discovery import discover
from apiserver.operations.transfer.facts import storable
from apiserver.operations.transfer.pieces import Facts, Figure, FoundRun, Picture, Piece, Scalars, Skipped, Text
from tests.transfer.boards import damage, pieces_of, points, runs_below
from tests.transfer.conftest import Copy
from tests.transfer.record import LOSS, ODD, PARAMS, RECORDED
from tests.transfer.replay import Replay, recorded


def facts_of(pieces: list[Piece]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for piece in pieces:
        if isinstance(piece, Facts):
            found |= piece.facts
    return storable(found)[0]


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


def test_images_of_mlflows_database_lie_beside_it(copy: Copy) -> None:
    folder = copy("mlflow-database")
    run = named(runs_below(folder))["first"]
    with sqlite3.connect(folder / "mlflow.db") as database:
        ((experiment,),) = database.execute("SELECT experiment_id FROM runs WHERE run_uuid = ?", (run.id,))
        database.execute("CREATE TABLE inputs (source_id TEXT, destination_id TEXT)")
        database.execute("INSERT INTO inputs VALUES ('d', ?)", (run.id,))
    images = folder / "mlartifacts" / str(experiment) / run.id / "artifacts" / "images"
    images.mkdir(parents=True)
    (images / "black%step%3%timestamp%1600000000000%5d0c.png").write_bytes(b"\x89PNG")
    (images.parent / "model.bin").write_bytes(b"weights")
    pieces = list(run.adapter.read(run))
    (image,) = [piece for piece in pieces if isinstance(piece, Picture)]
    assert (image.name, image.step, image.time) == ("black", 3, 1_600_000_000_000)
    counted = {piece.kind: piece.count for piece in pieces if isinstance(piece, Skipped)}
    assert counted == {"artifacts (files)": 1, "datasets and models of runs": 1} and not damage(pieces)


def test_files_of_metrics_that_lost_their_beginning_are_named(copy: Copy) -> None:
    first = named(runs_below(copy("mlflow-files")))["first"]
    (first.path / "metrics" / "odd").write_bytes(b"")
    assert "the file is empty" in damage(list(first.adapter.read(first)))
    (run,) = runs_below(copy("dvclive"))
    loss = run.path / "plots" / "metrics" / "train" / "loss.tsv"
    loss.write_bytes(loss.read_bytes().replace(b"loss\n0\t", b"los"))
    assert any("the header does not name the metric" in reason for reason in damage(list(run.adapter.read(run))))


def test_of_two_points_of_a_step_mlflow_counts_the_later_and_greater(copy: Copy) -> None:
    run = named(runs_below(copy("mlflow-files")))["second"]
    for name, lines in {"late": ("2000 9.0 1", "1000 8.0 1", "3000 7.0 2"), "tie": ("1000 5.0 1", "1000 3.0 1")}.items():
        (run.path / "metrics" / name).write_text("".join(f"{line}\n" for line in lines))
    found = points(run.adapter.read(run))
    assert found["late"] == [(1, 9.0), (2, 7.0)] and found["tie"] == [(1, 5.0)]


@pytest.mark.parametrize("mark", ["#", "~"])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_images_of_mlflow_have_their_key_and_missing_ones_are_named(mark: str, elsewhere: bool, copy: Copy) -> None:
    run = named(runs_below(copy("mlflow-files")))["second"]
    (run.path / "tags" / "mlflow.loggedImages").write_text("True")
    images = run.path / ("other" if elsewhere else "artifacts") / "images"
    images.mkdir(parents=True)
    (images / f"pic{mark}ture%step%3%timestamp%1600000000000%5d0c.png").write_bytes(b"\x89PNG")
    pieces = list(run.adapter.read(run))
    assert [piece.name for piece in pieces if isinstance(piece, Picture)] == ([] if elsewhere else ["pic/ture"])
    assert bool(damage(pieces)) is elsewhere


def test_a_parameter_of_mlflow_that_can_not_be_read_is_named(copy: Copy) -> None:
    run = named(runs_below(copy("mlflow-files")))["first"]
    with (run.path / "params" / "lr").open("w") as file:
        file.truncate((16 << 20) + 1)
    pieces = list(run.adapter.read(run))
    assert "lr" not in facts_of(pieces)["hyperparams"]["General"] and "more than 16,777,216 bytes" in damage(pieces)[0]


def test_runs_of_an_experiment_with_tags_are_found(copy: Copy) -> None:
    folder = copy("mlflow-files")
    (experiment,) = {run.path.parent for run in runs_below(folder)}
    (experiment / "tags").mkdir()
    (experiment / "tags" / "team").write_text("blue")
    model = experiment / "models" / "m-1"
    (model / "tags").mkdir(parents=True)
    (model / "meta.yaml").write_text("model_id: m-1\nname: net\n")
    found = discover(folder)
    assert len(found.runs) == 3 and not found.problems


@pytest.mark.parametrize("text", ["", "status: 3\n"])
def test_a_run_of_mlflow_without_its_id_is_named(text: str, copy: Copy) -> None:
    folder = copy("mlflow-files")
    (runs_below(folder)[0].path / "meta.yaml").write_text(text)
    found = discover(folder)
    assert len(found.runs) == 2 and len(found.problems) == 1


def test_half_a_number_at_the_end_of_a_file_is_no_number(copy: Copy, tmp_path: Path) -> None:
    first = named(runs_below(copy("mlflow-files")))["first"]
    (dvclive,) = runs_below(copy("dvclive"))
    table = tmp_path / "version_0" / "metrics.csv"
    table.parent.mkdir()
    table.write_text("step,train/loss\r\n" + "".join(f"{step},{loss}\r\n" for step, loss in enumerate(LOSS)))
    (lightning,) = runs_below(table.parent)
    for run, file in (
        (first, first.path / "metrics" / "train" / "loss"),
        (dvclive, dvclive.path / "plots" / "metrics" / "train" / "loss.tsv"),
        (lightning, table),
    ):
        data = file.read_bytes()
        last = data.rstrip().rpartition(b"\n")[0] + b"\n"
        file.write_bytes(data[: len(last) + 3])
        pieces = list(run.adapter.read(run))
        assert points(pieces)["train/loss"] == list(enumerate(LOSS))[:-1], "as far as it is whole"
        assert any("the line is cut off" in problem for problem in damage(pieces))


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


def test_images_and_alerts_of_trackio_and_runs_without_rows(copy: Copy) -> None:
    folder = copy("trackio")
    image = {"_type": "trackio.image", "file_path": "vision/first/7/a.png", "caption": "black"}
    with sqlite3.connect(folder / "vision.db") as database:
        ((id,),) = database.execute("SELECT DISTINCT run_id FROM metrics")
        row = (id, "2026-12-01T00:00:00+00:00", "first", 7)
        for value in (image, image | {"file_path": "../../outside.png"}):
            values = (*row, json.dumps({"image": value}))
            database.execute("INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) VALUES (?, ?, ?, ?, ?)", values)
        database.execute("CREATE TABLE alerts (id INTEGER PRIMARY KEY, run_id TEXT, title TEXT)")
        database.execute("INSERT INTO alerts (run_id, title) VALUES (?, 'the loss rises')", (id,))
        config = "INSERT INTO configs (run_id, run_name, config, created_at) VALUES ('r2', 'second', '{\"lr\": 0.5}', '2026-12-01')"
        database.execute(config)
    database.close()
    path = folder / "media" / "vision" / "first" / "7" / "a.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x89PNG")
    runs = named(runs_below(folder))
    pieces = list(runs["first"].adapter.read(runs["first"]))
    (picture,) = [piece for piece in pieces if isinstance(piece, Picture)]
    assert (picture.name, picture.step, picture.caption, picture.data) == ("image", 7, "black", path)
    assert damage(pieces) == ["image at step 7: the file ../../outside.png is missing"] and Skipped("alerts", 1) in pieces
    assert facts_of(list(runs["second"].adapter.read(runs["second"])))["hyperparams"] == {"General": {"lr": 0.5}}


@pytest.mark.parametrize("damage_", ["cut", "zeroed"])
def test_rows_of_a_damaged_database_are_salvaged(damage_: str, copy: Copy) -> None:
    path = copy("trackio") / "vision.db"
    with sqlite3.connect(path) as database:
        names = [row[1] for row in database.execute("PRAGMA table_info(metrics)")]
        (row,) = database.execute("SELECT * FROM metrics LIMIT 1")
        for number in range(5, 5_000):
            new = dict(zip(names, row, strict=True)) | {"id": None, "step": number, "metrics": json.dumps({"loss": 1.0, "more": "x" * 200})}
            database.execute(f"INSERT INTO metrics ({', '.join(new)}) VALUES ({', '.join('?' * len(new))})", list(new.values()))
    database.close()
    data = path.read_bytes()
    half = len(data) // 2 // 4096 * 4096
    path.write_bytes(data[:half] if damage_ == "cut" else data[:half] + bytes(4096) + data[half + 4096 :])
    found = discover(path)
    (run,) = [run for run in found.runs if isinstance(run, FoundRun)]
    steps = [step for step, _ in points(run.adapter.read(run))["loss"]]
    assert steps[:1_000] == list(range(1_000)) and len(steps) > (2_000 if damage_ == "cut" else 4_900)
    assert "the database is damaged, and rows may be missing" in str(found.problems[0])


def test_dvclive(copy: Copy) -> None:
    folder = copy("dvclive")
    (run,) = runs_below(folder)
    assert run.name == "dvclive"
    pieces = list(run.adapter.read(run))
    check_values(pieces, "train/loss")
    assert facts_of(pieces)["hyperparams"] == {"General": PARAMS}
    assert [piece.name for piece in pieces if isinstance(piece, Picture)] == ["black.png"]
    (run.path / "metrics.json").write_text('{"train": {"loss": 0.2}, "best": "epoch 3", "folds": [1, 2], "none": null}')
    pieces = list(run.adapter.read(run))
    assert facts_of(pieces)["summary"] == {"train/loss": 0.2, "best": "epoch 3"}
    assert Skipped("lists and objects of summaries", 1) in pieces


@pytest.mark.parametrize("name", ["time", "epoch", "iter", "value"])
def test_metrics_of_dvclive_may_be_called_as_columns_are(name: str, copy: Copy) -> None:
    (run,) = runs_below(copy("dvclive"))
    loss = run.path / "plots" / "metrics" / "train" / "loss.tsv"
    loss.with_name(f"{name}.tsv").write_text(f"timestamp\tstep\t{name}\n1600000000000\t0\t1700000000.5\n1600000001000\t1\t1700000001.5\n")
    pieces = pieces_of(run.path)
    assert points(pieces)[f"train/{name}"] == [(0, 1_700_000_000.5), (1, 1_700_000_001.5)] and not damage(pieces)
    (times,) = [list(piece.times) for piece in pieces if isinstance(piece, Scalars) and piece.name == f"train/{name}"]
    assert times == [1_600_000_000_000, 1_600_000_001_000]


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


def test_a_running_mlflow_server() -> None:
    with recorded(RECORDED / "mlflow-server" / "answers.json") as server:
        found = discover(server.url)
        runs = named([run for run in found.runs if isinstance(run, FoundRun)])
        assert set(runs) == {"first", "second", "child"} and not found.problems
        first = runs["first"]
        assert first.project == "vision/resnet" and first.facts["run_dir"].endswith(f"/runs/{first.id}")
        pieces = list(first.adapter.read(first))
        others = {name: points(run.adapter.read(run)) for name, run in runs.items() if name != "first"}
    check_values(pieces, "train/loss")
    assert {name: [value for _, value in found["acc"]] for name, found in others.items()} == {"second": [0.5], "child": [0.25]}
    facts = facts_of(pieces)
    assert facts["hyperparams"]["General"] == {name: str(value) for name, value in PARAMS.items()}
    assert facts["hyperparams"]["tags"] == {"team": "blue"} and facts["hyperparams"]["mlflow"]["mlflow.note.content"] == "a note"
    assert facts["status"] == "finished" and facts["ended_at"] >= facts["started_at"] > 1.6e9
    (image,) = [piece for piece in pieces if isinstance(piece, Picture)]
    assert (image.name, image.step) == ("black", 3) and isinstance(image.data, bytes) and image.data.startswith(b"\x89PNG")
    assert [piece for piece in pieces if isinstance(piece, Skipped)] == [Skipped("artifacts (files)", 1)]


def test_long_histories_of_a_server_come_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    run = {"info": {"run_id": "r", "run_name": "long", "status": "RUNNING"}, "data": {"metrics": [{"key": "m"}]}}

    def answer(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        call = path.removeprefix("/api/2.0/mlflow/")
        more = b"page_token" in body or "page_token=" in path
        answers: dict[str, dict[str, Any]] = {
            "experiments/search": {"experiments": [{"experiment_id": "1", "name": "a"}], "next_page_token": "" if more else "next"},
            "runs/search": {"runs": [run]},
            "runs/get": {"run": run},
            "metrics/get-history": {
                "metrics": [
                    {"key": "m", "value": value, "step": step, "timestamp": 5} for step, value in ((2, "NaN"), (3, 1.7976931348623157e308))
                ]
                if more
                else [{"key": "m", "value": 0.5, "step": "1", "timestamp": "5"}],
                **({} if more else {"next_page_token": "next"}),
            },
        }
        found = answers.get(call.partition("?")[0])
        return (200, json.dumps(found).encode()) if found is not None else (500, b"no storage")

    with Replay(answer) as server:
        runs = discover(server.url).runs
        assert [run.name for run in runs if isinstance(run, FoundRun)] == ["long", "long"]
        assert isinstance(runs[0], FoundRun)
        pieces = list(runs[0].adapter.read(runs[0]))
    one, two, three = points(pieces)["m"]
    assert one == (1, 0.5) and math.isnan(two[1]) and three == (3, math.inf)
    assert "artifacts can't be listed" in damage(pieces)[0] and facts_of(pieces)["status"] == "running"
    with Replay(lambda method, path, body: (401, b"who are you")) as server:
        assert "who are you (401)" in str(discover(server.url).problems[0])


def test_aim(copy: Copy) -> None:
    folder = copy("aim")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (run,) = runs_below(folder)
    assert (run.name, run.project, run.id) == ("first", "vision", "b8dcdd3314b4461ab5883655")
    pieces = list(run.adapter.read(run))
    check_values(pieces, "loss/train")
    found = points(pieces)
    assert found["loss/val"] == [(step, value / 2) for step, value in enumerate(LOSS)] and found["count"] == [(10, 7.0)]
    facts = facts_of(pieces)
    assert facts["hyperparams"]["General"] == {**PARAMS, "model/depth": 18, "model/sizes/0": 1, "model/sizes/1": 2}
    assert facts["hyperparams"]["aim"] == {"description": "a note"}
    assert (facts["status"], facts["tags"]) == ("finished", ["blue"]) and facts["ended_at"] >= facts["started_at"] > 1.6e9
    (image,) = [piece for piece in pieces if isinstance(piece, Picture)]
    assert (image.name, image.step, image.caption) == ("images", 3, "black")
    assert {(piece.text, piece.level) for piece in pieces if isinstance(piece, Text)} == {
        ("notes [2]: a text", None),
        ("notes [2]: another", None),
        ("the loss rises", "warning"),
    }
    assert not [piece for piece in pieces if isinstance(piece, Skipped)]
    (figure,) = [piece for piece in pieces if isinstance(piece, Figure)]
    assert figure.figure["data"][0]["y"] == [1.0, 2.0, 1.0]
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert after == before, "a repository is only read"


def test_epochs_of_aim_are_counted_and_contexts_may_be_nested(copy: Copy) -> None:
    rocks = pytest.importorskip("aimrocks")
    folder = copy("aim")
    changes = {"seqs": (b"\xfestep\xfe", b"\xfeepoch\xfe"), "meta": (b"\xfesubset\xfe", b"\xfedeep\xfek\xfe")}
    for part, (old, new) in changes.items():
        (path,) = (folder / ".aim" / part / "chunks").iterdir()
        database = rocks.DB(str(path), rocks.Options(create_if_missing=False))
        items = database.iteritems()
        items.seek_to_first()
        for key, value in [(key, value) for key, value in items if old in key]:
            database.put(key.replace(old, new), value)
        del items, database
    pieces = pieces_of(folder)
    assert {"loss/train/train", "loss/val/val", "odd"} <= points(pieces).keys() and not damage(pieces)
    assert [piece for piece in pieces if isinstance(piece, Skipped)] == [Skipped("epochs of points", 16)]


@pytest.mark.parametrize("file", ["seqs/chunks/*/CURRENT", "meta/chunks/*/MANIFEST*", "meta/chunks/*/*.sst", "run_metadata.sqlite"])
def test_a_damaged_file_of_aim_costs_what_it_holds(file: str, copy: Copy) -> None:
    folder = copy("aim")
    (path,) = (folder / ".aim").glob(file)
    data = bytearray(path.read_bytes())
    data[len(data) // 3 :] = b"\xff" * (len(data) - len(data) // 3)
    path.write_bytes(data)
    found = discover(folder)
    (run,) = found.runs
    assert isinstance(run, FoundRun)
    pieces = list(run.adapter.read(run))
    series = sorted(tuple(value for _, value in values) for values in points(pieces).values() if len(values) == len(LOSS))
    assert tuple(LOSS) in series and tuple(value / 2 for value in LOSS) in series, "all points came, under their names or numbers"
    assert damage(pieces) or found.problems
    if "sst" not in file:
        assert {"loss/train", "loss/val"} <= points(pieces).keys()


def test_aim_without_its_library_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aimrocks", None)
    (tmp_path / ".aim" / "meta" / "chunks" / "a1").mkdir(parents=True)
    found = discover(tmp_path)
    assert not found.runs and "1 run in .aim: the package aimrocks is needed (pip install" in found.problems[0].reason
