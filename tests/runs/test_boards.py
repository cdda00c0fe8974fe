"""`tidemark import` and `follow` of TensorBoard's files, seen through both APIs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from tensorboardX import SummaryWriter  # type: ignore[import-untyped]

from tests.process import wait_until
from tests.runs.conftest import Runs
from tests.runs.test_folders import Follow, follow
from tests.transfer.boards import EPOCH, runs_below, write

__all__ = ["follow"]


def series(runs: Runs, run: str) -> dict[str, list[tuple[int, float]]]:
    """The points of every metric, as charts show them."""
    chart = runs.server.client().call("events.scalar_metrics_iter_histogram", task=run)
    return {name: list(zip(*(variants[name][axis] for axis in "xy"), strict=True)) for name, variants in chart.items()}


def task_of(runs: Runs, run: str) -> Any:
    return runs.server.client().call("tasks.get_by_id", task=run)["task"]


def test_tags_with_names_that_rows_use_are_metrics(runs: Runs, tmp_path: Path) -> None:
    tags = {"total_loss": 0.5, "time": 0.31, "stage": 2.0, "step": 7.0, "global_step": 9.0, "epoch": 0.25}
    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(20, 201, 20):
            for tag, value in tags.items():
                writer.add_scalar(tag, value, step, walltime=EPOCH + step)
    runs.command("import", str(tmp_path))
    (run,) = runs_below(tmp_path)
    found = series(runs, run.id)
    assert {name: len(points) for name, points in found.items()} == dict.fromkeys(tags, 10)
    rows = runs.get(f"/api/runs/{run.id}/metrics").json()["rows"]
    assert [row["time"] for row in rows] == [float(second) for second in range(0, 181, 20)]


def test_all_that_tensorboard_shows_comes_or_is_counted(runs: Runs, tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar("loss", 1.0, 0, walltime=EPOCH)
        writer.add_image("img", np.zeros((3, 8, 8), np.uint8), 3, walltime=EPOCH)
        writer.add_histogram("weights", np.arange(9.0), 0, walltime=EPOCH)
        writer.add_histogram("weights", np.arange(9.0), 5, walltime=EPOCH)
        writer.add_text("note", "hello", 0, walltime=EPOCH)
        writer.add_pr_curve("pr", np.array([0, 1, 1]), np.array([0.1, 0.5, 0.9]), 0, walltime=EPOCH)
        writer.add_hparams({"lr": 0.1, "opt": "adam"}, {"acc": 0.5}, name="trial")
    for _ in range(2):  # nothing is stored twice
        done = runs.command("import", str(tmp_path))
        assert "PR curves (1)" in done.stdout and "1 image in" in done.stdout and "2 hyper-parameters" in done.stdout
    run, trial = runs_below(tmp_path)
    assert f"{run.id}  {tmp_path}" in done.stdout
    client = runs.server.client()
    event = client.call("events.debug_images", metrics=[{"task": run.id}], iters=1)["metrics"][0]["iterations"][0]
    assert event["iter"] == 3
    image = runs.get(event["events"][0]["url"].split(runs.server.url)[-1])
    assert image.content.startswith(b"\x89PNG")
    plots = client.call("events.get_task_plots", task=run.id, iters=10)["plots"]
    assert sorted((plot["variant"], plot["iter"]) for plot in plots) == [("distribution", 0), ("weights", 0), ("weights", 5)]
    bars = json.loads(next(plot["plot_str"] for plot in plots if plot["iter"] == 5))["data"][0]
    assert sum(bars["y"]) == 9
    log = client.call("events.get_task_log", task=run.id, version="2.9", order="asc")["events"]
    assert [event["msg"] for event in log] == ["note [0]: hello"]
    params = task_of(runs, trial.id)["hyperparams"]["hparams"]
    assert {name: param["value"] for name, param in params.items()} == {"lr": "0.1", "opt": "adam"}
    assert series(runs, trial.id) == {"acc": [(0, 0.5)]}


def test_a_run_has_its_path_as_name_and_project_and_its_own_dates(runs: Runs, tmp_path: Path) -> None:
    write(tmp_path / "exp" / "version_0", [(step, 1.0) for step in range(11)])
    runs.command("import", str(tmp_path))
    (run,) = runs_below(tmp_path)
    detail = runs.get(f"/api/runs/{run.id}").json()
    assert (detail["alias"], detail["path"].rpartition("/")[2], detail["run_dir"]) == (
        "version_0",
        "exp",
        str(tmp_path / "exp" / "version_0"),
    )
    assert (detail["status"], detail["start_time"], detail["duration"]) == ("finished", EPOCH, 10.0)
    assert task_of(runs, run.id)["name"] == "version_0"


def test_points_that_a_later_restart_voids_are_removed(runs: Runs, tmp_path: Path) -> None:
    write(tmp_path, [(step, 1.0) for step in range(10)], filename_suffix=".1")
    runs.command("import", str(tmp_path))
    write(tmp_path, [(step, 2.0) for step in range(5, 8)], purge_step=5, filename_suffix=".2")
    runs.command("import", str(tmp_path))
    (run,) = runs_below(tmp_path)
    assert series(runs, run.id)["loss"] == [*((step, 1.0) for step in range(5)), *((step, 2.0) for step in range(5, 8))]


def test_damage_is_named_with_its_file_and_ends_with_1(runs: Runs, tmp_path: Path) -> None:
    path = write(tmp_path, [(step, 1.0) for step in range(100)])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    done = runs.command("import", str(tmp_path), code=1)
    assert f"{path}: " in done.stderr and "lost from offset" in done.stderr and "1 problem" in done.stdout
    report = json.loads(runs.command("import", str(tmp_path), "--json", code=1).stdout)
    assert report["runs"] == 1 and [(one["file"], "lost from offset" in one["reason"]) for one in report["problems"]] == [(str(path), True)]
    (run,) = runs_below(tmp_path)
    assert runs.steps(run.id)["total"] >= 98


def test_growing_event_files_are_followed(runs: Runs, follow: Follow, tmp_path: Path) -> None:
    folder = tmp_path / "live"
    with SummaryWriter(str(folder), flush_secs=1) as writer:
        writer.add_scalar("loss", 0.0, 0)
        writer.flush()
        follow(tmp_path)
        (run,) = runs_below(tmp_path)
        for step in range(1, 4):
            writer.add_scalar("loss", float(step), step)
            writer.flush()
            wait_until(
                lambda: runs.get(f"/api/runs/{run.id}").status_code == 200 and len(series(runs, run.id).get("loss", ())) == step + 1,  # noqa: B023
                20,
                "the point is there",
            )
        assert runs.get(f"/api/runs/{run.id}").json()["status"] == "running"
