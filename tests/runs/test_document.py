"""The document's examples run as they are printed."""

from __future__ import annotations

import csv
import http.server
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import StartServer, own_store
from tests.process import free_port
from tests.runs import document
from tests.runs.conftest import Runs, tidemark
from tests.runs.products import sdk, viewer
from tests.runs.recordings import cells
from tests.servers.install import program
from tests.small_server import SmallServer

pytestmark = pytest.mark.one_engine

RUN = "20250114_153045_a1b2c3"


@pytest.fixture
def documented(start_server: StartServer, engine_env: dict[str, str]) -> Runs:
    """A server that listens at a second port too, as TIDEMARK_RUNS_PORT=23300 does, with a run in it."""
    port = free_port()
    runs = Runs(start_server(TIDEMARK_RUNS_PORT=str(port), **own_store(engine_env)))
    stages = ["warmup"] * 3 + ["train"] * 6 + ["eval"]
    rows = [
        {
            "global_step": 10 * step + 1,
            "time": 1.5 * step,
            "loss": 2.3 / (step + 1),
            "accuracy": step / 10,
            "learning_rate": 0.001,
            "stage": stage,
        }
        for step, stage in enumerate(stages)
    ]
    runs.rows(RUN, rows)
    runs.log(RUN, "12:34:56 | Starting training...", "12:34:57 | Epoch 1/100")
    runs.documented_port = port  # type: ignore[attr-defined]
    return runs


def filled(text: str, runs: Runs) -> str:
    return text.replace("HOST", f"127.0.0.1:{runs.documented_port}").replace("RUN", RUN)  # type: ignore[attr-defined]


def python(text: str, runs: Runs, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", filled(text, runs)], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_plot_is_drawn(documented: Runs, tmp_path: Path) -> None:
    python(document.PLOT, documented, tmp_path)


def test_stages_are_analysed_with_pandas(documented: Runs, tmp_path: Path) -> None:
    out = python(document.STAGES, documented, tmp_path)
    assert "Stage: warmup" in out and "Best accuracy: 0.9000 at step 91" in out


def test_rows_are_grouped_by_stage(documented: Runs, tmp_path: Path) -> None:
    assert "Stage: train\n  Steps: 6" in python(document.GROUPS, documented, tmp_path)


def test_metrics_are_written_as_csv(documented: Runs, tmp_path: Path) -> None:
    python(document.CSV, documented, tmp_path)
    with (tmp_path / f"{RUN}_metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10 and rows[0]["stage"] == "warmup" and next(iter(rows[0])) == "global_step"


@pytest.mark.parametrize("snippet", [document.WEBSOCKETS, document.WEBSOCKET_CLIENT], ids=["websockets", "websocket-client"])
def test_a_log_is_streamed(documented: Runs, tmp_path: Path, snippet: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", filled(snippet, documented)], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = iter(process.stdout)
    while "Starting training" not in next(lines):
        pass
    documented.log(RUN, "live", "end")
    rest = "".join(lines)
    assert rest.split("\n")[:3] == ["12:34:57 | Epoch 1/100", "live", "end"]
    assert process.wait(20) == 0


@pytest.fixture
def page_server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address where its pages are."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path))  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:
            pass

    with SmallServer(Quiet) as server:
        yield tmp_path, server.url


def test_a_browser_shows_the_log(documented: Runs, page_server: tuple[Path, str]) -> None:
    folder, address = page_server
    (folder / "page.html").write_text(filled(document.BROWSER, documented))
    with tempfile.TemporaryDirectory() as profile:
        process = subprocess.Popen(
            [
                program("chromium", "chromium"),
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                f"--user-data-dir={profile}",
                "--enable-logging=stderr",
                "--v=0",
                f"{address}/page.html",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stderr is not None
        shown: list[str] = []
        try:
            for text in process.stderr:
                if "CONSOLE" not in text:
                    continue
                shown.append(text.split('"')[1])
                if shown[-1] == "12:34:57 | Epoch 1/100":
                    documented.log(RUN, "live")
                if shown[-1] == "live":
                    break
        finally:
            os.killpg(process.pid, 15)
            process.wait(20)
    assert shown == ["Connected to log stream", "12:34:56 | Starting training...", "12:34:57 | Epoch 1/100", "live"]


# --- the product's own SDK

SDK_SCRIPT = """
import math, sys, runicorn
place = {"project": "vision", "name": "resnet"} if runicorn.__version__ < "0.6" else {"path": "vision/resnet", "alias": "sdk"}
run = runicorn.init(storage=sys.argv[1], **place)
for step in range(1, 21):
    data = {"loss": 2.5 / step, "learning_rate": 0.001, "train/acc": step / 20}
    if step % 3:
        data["accuracy"] = 1 - 0.5 / step
    if step == 7:
        data["loss"] = math.nan
    if step == 13:
        data.update(note="free text", flag=True, nothing=None, vec=[1, 2])
    run.log(data, step=step, stage="warmup" if step < 6 else "train")
run.log({"val_loss": 0.5}, step=12, stage="eval")
run.log({"auto": 1})
run.log_text("Starting training...")
run.log_text("Epoch 1/20")
run.finish()
print("RUN=" + run.id)
"""


@pytest.mark.parametrize("version", ["0.5.2", "0.7.2"])
def test_what_the_products_sdk_writes_is_what_its_viewer_shows(version: str, tmp_path: Path, runs: Runs) -> None:
    """A real run, brought in while the server runs, against the answer of the product's own viewer to the same folder."""
    root = tmp_path / "storage"
    root.mkdir()
    env = {**os.environ, "HOME": str(tmp_path), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [str(sdk(version)), "-c", SDK_SCRIPT, str(root)], env=env, capture_output=True, text=True, timeout=120, check=True
    )
    run = done.stdout.split("RUN=")[1].strip()
    runs.command("import", str(root))
    with viewer(version, root) as url:
        theirs = requests.get(f"{url}/api/runs/{run}/metrics_step", timeout=30).json()
    ours = runs.steps(run)
    assert ours["columns"] == theirs["columns"]
    assert [cells(row) for row in ours["rows"]] == [cells(row) for row in theirs["rows"]]
    detail = runs.get(f"/api/runs/{run}").json()
    assert detail["status"] == "finished" and detail["path"] == "vision/resnet"
    log = tidemark("export", run, "--format", "log", "--data", str(runs.server.data), env=runs.server.env).stdout
    assert [text.split(" | ")[1] for text in log.splitlines() if " | " in text][-2:] == ["Starting training...", "Epoch 1/20"]
