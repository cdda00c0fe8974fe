"""`tidemark import`, `follow` and `export`."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartServer
from tests.process import ROOT, free_port, wait_until
from tests.runs.conftest import Runs, received, tidemark

pytestmark = pytest.mark.one_engine

Follow = Callable[[Path], "subprocess.Popen[str]"]


def line(step: int, **data: Any) -> str:
    return json.dumps({"ts": 1_700_000_000 + step, "type": "metrics", "data": {"global_step": step, "loss": 1 / (step + 1), **data}}) + "\n"


def make_run(root: Path, run: str, status: str = "finished", steps: int = 5) -> Path:
    """A run folder in the newer layout."""
    folder = root / "runs" / "vision" / "resnet" / run
    (folder / "media").mkdir(parents=True)
    (folder / "meta.json").write_text(
        json.dumps({"id": run, "path": "vision/resnet", "alias": f"alias {run}", "created_at": 1_700_000_000.0})
    )
    (folder / "status.json").write_text(json.dumps({"status": status, "started_at": 1_700_000_000.0, "ended_at": 1_700_000_100.0}))
    (folder / "summary.json").write_text(json.dumps({"best_metric_name": "loss", "best_metric_value": 0.25}))
    image = json.dumps({"ts": 1_700_000_000, "type": "image", "data": {"key": "prediction", "path": "media/1_p.png", "step": 1}})
    (folder / "events.jsonl").write_text("".join(line(step) for step in range(steps)) + image + "\n")
    (folder / "media" / "1_p.png").write_bytes(b"\x89PNG image")
    (folder / "logs.txt").write_text("23:59:58 | one\nno time\n\n[00:00:01] two\r\nthree\rfour\n")
    return folder


def log_of(runs: Runs, run: str) -> list[tuple[str, int]]:
    events = runs.server.client().call("events.get_task_log", task=run, version="2.9", order="asc", batch_size=1000)["events"]
    return [(event["msg"], event["timestamp"]) for event in events]


def test_a_run_folder_comes_with_everything_in_it(runs: Runs, run: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path, run)
    done = runs.command("import", str(folder))
    assert "1 run, 6 events, 5 log lines and 1 image in" in done.stdout
    assert [row["global_step"] for row in runs.steps(run)["rows"]] == [0, 1, 2, 3, 4]
    detail = runs.get(f"/api/runs/{run}").json()
    assert (detail["status"], detail["path"], detail["alias"], detail["best_metric_value"]) == (
        "finished",
        "vision/resnet",
        f"alias {run}",
        0.25,
    )
    assert detail["duration"] == 100.0
    texts = [text for text, _ in log_of(runs, run)]
    times = [at for _, at in log_of(runs, run)]
    assert texts == ["23:59:58 | one", "no time", "[00:00:01] two", "three", "four"]
    assert times == sorted(times) and times[0] == times[1] and times[2] - times[1] == 3000, "midnight lies between them"
    event = runs.server.client().call("events.debug_images", metrics=[{"task": run}], iters=1)["metrics"][0]["iterations"][0]["events"][0]
    path = event["url"].split(runs.server.url)[-1]
    assert runs.get(path).content == b"\x89PNG image"


def test_a_run_that_can_not_be_written_is_said(runs: Runs, run: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path, run)
    for data in ((), ("--data", str(tmp_path / "own"))):  # through the server, and without one
        done = tidemark(
            "import",
            str(folder),
            "--run",
            "x" * 300,
            *(data or ("--data", str(runs.server.data))),
            env=runs.server.env if not data else {},
            code=1,
        )
        assert "Traceback" not in done.stderr and "x" * 100 in done.stderr


def test_what_was_imported_is_not_stored_twice(runs: Runs, run: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path, run)
    runs.command("import", str(folder))
    before = (runs.steps(run), log_of(runs, run))
    again = runs.command("import", str(folder))
    assert "0 log lines" in again.stdout
    assert (runs.steps(run), log_of(runs, run)) == before
    with (folder / "logs.txt").open("a") as log, (folder / "events.jsonl").open("a") as events:
        log.write("five\n")
        events.write(line(5))
    assert "1 log line and" in runs.command("import", str(folder)).stdout
    assert [text for text, _ in log_of(runs, run)][-2:] == ["four", "five"]
    assert runs.steps(run)["total"] == 6


def test_unreadable_lines_are_named_and_the_rest_is_kept(runs: Runs, run: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path, run)
    events = folder / "events.jsonl"
    events.write_text(line(1) + "nonsense\n\n" + line(2) + '{"type": "metrics", "data": {"loss": 1}}\n')
    done = runs.command("import", str(folder), code=1)
    problems = [text for text in done.stderr.splitlines() if text.startswith(str(events))]
    assert [problem.removeprefix(f"{events}:").split(":")[0] for problem in problems] == ["2", "5"]
    assert runs.steps(run)["total"] == 2


def test_what_nobody_knows_is_counted_with_and_without_a_server(runs: Runs, run: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path, run)
    odd = {"type": "metrics", "data": {"global_step": 1, "sizes": [1, 2], "model": {}}}
    text = line(0) + "  \n" + '{"type": "weather"}\n' + json.dumps(odd) + "\nnonsense\n" + line(2)
    (folder / "events.jsonl").write_text(text)
    for data in ((), ("--data", str(tmp_path / "own"))):
        done = runs.command("import", str(folder), code=1) if not data else tidemark("import", str(folder), *data, code=1)
        assert "1 run, 3 events, 5 log lines and 0 images in" in done.stdout and "; 1 problem\n" in done.stdout, done.stdout
        assert "lines and values of unknown types (3)" in done.stdout


def test_both_layouts_are_found(tmp_path: Path) -> None:
    make_run(tmp_path, "new_layout")
    old = tmp_path / "project" / "name" / "runs" / "old_layout"
    old.mkdir(parents=True)
    (old / "events.jsonl").write_text(line(1))
    (old / "meta.json").write_text(json.dumps({"id": "old_layout", "project": "project", "name": "name", "created_at": 1_700_000_000}))
    bare = tmp_path / "runs" / "bare"
    bare.mkdir()
    (bare / "events.jsonl").write_text(line(1))
    gone = tmp_path / "runs" / "gone"
    gone.mkdir()
    (gone / "events.jsonl").write_text(line(1))
    (gone / ".deleted").write_text("{}")
    data = ["--data", str(tmp_path / "data")]
    assert "3 runs" in tidemark("import", str(tmp_path), *data).stdout
    assert tidemark("export", "old_layout", "--format", "jsonl", *data).stdout == '{"global_step":1,"loss":0.5}\n'
    assert "Run not found: gone" in tidemark("export", "gone", *data, code=2).stderr


def test_a_single_file_is_a_run_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "mine.events.jsonl").write_text(line(1))
    data = ["--data", str(tmp_path / "data")]
    tidemark("import", str(tmp_path / "mine.events.jsonl"), *data)
    assert tidemark("export", "mine", *data).stdout == "global_step,loss\n1,0.5\n"
    tidemark("import", str(tmp_path / "mine.events.jsonl"), "--run", "yours", *data)
    assert "1,0.5" in tidemark("export", "yours", *data).stdout


def test_a_path_without_runs_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no run in" in tidemark("import", str(tmp_path / "empty"), "--data", str(tmp_path / "data"), code=2).stderr


def test_of_a_file_of_something_else_the_first_problems_are_named(tmp_path: Path) -> None:
    (tmp_path / "notes.events.jsonl").write_text("no JSON\n" * 500)
    done = tidemark("import", str(tmp_path / "notes.events.jsonl"), "--data", str(tmp_path / "data"), code=1)
    assert done.stderr.count("not JSON") == 200 and "and 300 more problems" in done.stderr and "500 problems" in done.stdout


@pytest.mark.parametrize("name", ["meta.json", "status.json", "summary.json", "assets.json"])
def test_a_file_of_facts_that_can_not_be_read_is_named(name: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path, "damaged")
    (folder / name).write_text('{"status": ')
    done = tidemark("import", str(folder), "--data", str(tmp_path / "data"), code=1)
    assert f"{folder / name}: not JSON" in done.stderr and "1 run, 6 events, 5 log lines and 1 image in" in done.stdout


def test_log_config_becomes_hyper_parameters(runs: Runs, run: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path, run)
    config = {"args": {"lr": 0.1, "model": {"depth": 18}}, "extra": {"seed": 7}, "config_files": ["a.yaml"]}
    (folder / "assets.json").write_text(json.dumps({"config": config, "datasets": []}))
    runs.command("import", str(folder))
    found = runs.server.client().task(run)["hyperparams"]
    values = {section: {name: item["value"] for name, item in items.items()} for section, items in found.items()}
    assert values == {"Args": {"lr": "0.1", "model/depth": "18"}, "General": {"seed": "7", "config_files": '["a.yaml"]'}}


def test_a_run_that_says_running_but_was_silent_for_a_day_is_interrupted(runs: Runs, run: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path, run, status="running")
    runs.command("import", str(folder))
    assert runs.get(f"/api/runs/{run}").json()["status"] == "running"
    for path in folder.iterdir():
        os.utime(path, (1_700_000_500, 1_700_000_500))
    runs.command("import", str(folder))
    detail = runs.get(f"/api/runs/{run}").json()
    assert (detail["status"], detail["duration"]) == ("interrupted", 500.0)


@pytest.mark.parametrize("half", ['{"ts": 2, "type": "met', "[" * 100_000], ids=["short", "deep"])
def test_half_a_line_of_a_running_run_waits(half: str, runs: Runs, run: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path, run, status="running")
    (folder / "events.jsonl").write_text(line(1) + half)
    (folder / "logs.txt").write_text("one\ntw")
    runs.command("import", str(folder))
    assert runs.steps(run)["total"] == 1 and [text for text, _ in log_of(runs, run)] == ["one"]
    (folder / "events.jsonl").write_text(line(1) + line(2))
    (folder / "logs.txt").write_text("one\ntwo\n")
    runs.command("import", str(folder))
    assert runs.steps(run)["total"] == 2 and [text for text, _ in log_of(runs, run)] == ["one", "two"]


def test_media_never_lead_out_of_the_folder(runs: Runs, run: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path, run)
    (tmp_path / "secret").write_text("secret")
    image = json.dumps({"ts": 1, "type": "image", "data": {"key": "k", "path": "../../../../secret", "step": 1}})
    (folder / "events.jsonl").write_text(image + "\n")
    assert "0 images" in runs.command("import", str(folder)).stdout


# --- export


def test_exports_hold_every_point(runs: Runs, run: str) -> None:
    runs.rows(
        run,
        [{"global_step": step, "loss": step / 2, "ok": step % 2 == 0, "stage": "=train"} for step in range(2000)] + [{"global_step": 2000}],
    )
    rows = runs.steps(run)["rows"]

    def export(form: str) -> Any:
        return runs.get(f"/api/runs/{run}/export", params={"format": form})

    plain = list(csv.DictReader(io.StringIO(export("csv").text)))
    assert len(plain) == 2001 and plain[3] == {"global_step": "3", "loss": "1.5", "ok": "False", "stage": "=train"}
    assert plain[2000] == {"global_step": "2000", "loss": "", "ok": "", "stage": ""}
    excel = export("excel")
    assert excel.content.startswith(b"\xef\xbb\xbf") and "'=train" in excel.text and "attachment" in excel.headers["Content-Disposition"]
    assert [json.loads(text) for text in export("jsonl").text.splitlines()] == rows
    assert runs.command("export", run, "--format", "jsonl").stdout == export("jsonl").text
    assert export("xml").status_code == 422


def test_parquet_is_readable(runs: Runs, run: str, tmp_path: Path) -> None:
    from pyarrow import parquet  # type: ignore[import-untyped]

    runs.rows(run, [{"global_step": step, "loss": step / 2, "ok": True, "stage": "train"} for step in range(100)])
    runs.command("export", run, "--format", "parquet", "-o", str(tmp_path / "run.parquet"))
    table = parquet.read_table(tmp_path / "run.parquet").to_pydict()
    assert table == {
        "global_step": list(range(100)),
        "loss": [step / 2 for step in range(100)],
        "ok": [True] * 100,
        "stage": ["train"] * 100,
    }


def test_the_log_is_exported_as_text(runs: Runs, run: str) -> None:
    runs.log(run, "one", "two")
    assert runs.command("export", run, "--format", "log").stdout == "one\ntwo\n"


# --- follow


@pytest.fixture
def follow(runs: Runs, tmp_path: Path) -> Iterator[Follow]:
    """Start `tidemark follow` on a folder; it is ended after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(root: Path) -> subprocess.Popen[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "apiserver", "follow", str(root), "--data", str(runs.server.data)],
            cwd=ROOT,
            env={**clean, **runs.server.env},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        assert process.stderr is not None and "Following" in process.stderr.readline()
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def holds_deleted(pid: int, path: Path) -> bool:
    """Whether a process still has the file open that was at this path."""
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.append(str(link.readlink()))
    return f"{path} (deleted)" in links


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_lines_are_readable_soon_after_they_were_written(runs: Runs, follow: Follow, run: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    process = follow(root)
    folder = make_run(root, run, status="running", steps=1)
    wait_until(
        lambda: runs.get(f"/api/runs/{run}/metrics_step").status_code == 200 and runs.steps(run)["total"] == 1, 20, "the run is there"
    )
    with runs.socket(run) as socket:
        received(socket, until="four")
        for step in range(1, 20):
            append(folder / "events.jsonl", line(step))
            append(folder / "logs.txt", f"step {step}\n")
            assert received(socket, count=1) == [f"step {step}"]
        append(folder / "logs.txt", "half a ")
        append(folder / "logs.txt", "line\n")
        assert received(socket, count=1) == ["half a line"]
    wait_until(lambda: runs.steps(run)["total"] == 20, 20, "all steps are there")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_rotation_cuts_and_restarts_lose_and_repeat_nothing(runs: Runs, follow: Follow, run: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    folder = make_run(root, run, status="running")
    log = folder / "logs.txt"
    process = follow(root)
    wait_until(lambda: runs.get(f"/api/runs/{run}").status_code == 200 and len(log_of(runs, run)) == 5, 20, "the log is there")
    with runs.socket(run, "tail=0") as socket:
        append(log, "before\n")
        log.rename(folder / "logs.1")
        append(log, "after\n")
        assert received(socket, count=2) == ["before", "after"]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        append(log, "meanwhile\n")
        process = follow(root)
        assert received(socket, count=1) == ["meanwhile"]
        process.kill()
        process.wait()
        append(log, "killed\n")
        process = follow(root)
        assert received(socket, count=1) == ["killed"]
        log.write_text("cut\n")
        assert received(socket, count=1) == ["cut"]
        log.unlink()
        wait_until(lambda: not holds_deleted(process.pid, log), 20, "the follower has seen that the file is gone")
        append(log, "new\n")
        assert received(socket, count=1) == ["new"]


def test_following_without_a_server_writes_into_the_store(tmp_path: Path, run: str, start_server: StartServer) -> None:
    root, data = tmp_path / "root", tmp_path / "data"
    append(make_run(root, run) / "events.jsonl", '{"type": "weather"}\n')
    process = subprocess.Popen(
        [sys.executable, "-m", "apiserver", "follow", str(root), "--data", str(data)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None and "Following" in process.stderr.readline()
    refused = tidemark("serve", "--port", str(free_port()), "--data", str(data), code=2)
    assert "uses this data folder" in refused.stderr
    wait_until(lambda: list((data / "follow").glob("*.json")) if (data / "follow").exists() else False, 20, "its notes are there")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=20)
    assert "6 events and 5 log lines" in said and "lines and values of unknown types (1)" in said
    assert len(tidemark("export", run, "--format", "jsonl", "--data", str(data)).stdout.splitlines()) == 5
