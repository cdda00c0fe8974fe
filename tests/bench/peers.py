"""Other trackers with the same points, cold, until six charts are drawn: `python -m tests.bench.peers [--only mlflow trackio aim]`.

Each tracker is installed from PyPI into its own virtual environment (uv), filled through its own Python client, and serves its own page.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.bench.load import new_id, scalars, send
from tests.bench.measure import Report
from tests.bench.page import cold, transferred
from tests.client import Client
from tests.process import Server, free_port, wait_until
from tests.web.browser import launch

UV = str(Path(sys.executable).with_name("uv"))
SERIES, POINTS = 200, 1_000
HEAD = f"SERIES, POINTS = {SERIES}, {POINTS}\nvalue = lambda step: (step * 0.618033988749895) % 1\n"


@dataclass(frozen=True)
class Peer:
    """A tracker: the program that fills it and prints the path of the run's page, the command that serves it, and the condition for drawn charts."""

    package: str
    fill: str
    serve: Sequence[str]
    ready: str


PEERS = {
    "mlflow": Peer(
        "mlflow",
        """
import mlflow, time
from mlflow.entities import Metric
mlflow.set_tracking_uri("sqlite:///mlflow.db")
experiment = mlflow.create_experiment("bench")
client = mlflow.MlflowClient()
run = client.create_run(experiment)
for number in range(SERIES):
    now = int(time.time() * 1000)
    client.log_batch(run.info.run_id, [Metric(f"layer{number:04}/grad", value(step), now + step, step) for step in range(POINTS)])
print(f"/#/experiments/{experiment}/runs/{run.info.run_id}/model-metrics")
""",
        ("mlflow", "server", "--backend-store-uri", "sqlite:///mlflow.db", "--host", "127.0.0.1", "--port", "{port}", "--workers", "1"),
        "document.querySelectorAll('.js-plotly-plot .scatterlayer .trace').length >= 6",
    ),
    "trackio": Peer(
        "trackio",
        """
import trackio
trackio.init(project="bench", name="run")
for step in range(POINTS):
    trackio.log({f"layer{number:04}/grad": value(step) for number in range(SERIES)}, step=step)
trackio.finish()
print("/?project=bench")
""",
        ("python", "-c", "import trackio; trackio.show(project='bench', block_thread=True)"),
        "document.querySelectorAll('.vega-embed canvas, .vega-embed svg').length >= 6",
    ),
    "aim": Peer(
        "aim",
        """
import aim
run = aim.Run(repo=".", experiment="bench")
for number in range(SERIES):
    for step in range(POINTS):
        run.track(value(step), name=f"layer{number:04}/grad", step=step)
hash = run.hash
run.close()
print(f"/runs/{hash}/metrics")
""",
        ("aim", "up", "--host", "127.0.0.1", "--port", "{port}", "--repo", ".", "-y"),
        "document.querySelectorAll('svg .PlotArea path, .RunMetricCard svg path, .LineChart path').length >= 6",
    ),
}


def ours(report: Report, browser: Browser, folder: Path) -> None:
    """Measure the same series in Tidemark."""
    server = Server(folder).start()
    try:
        task, client = new_id(), server.client()
        names = [(f"layer{number:04}/grad", "norm") for number in range(SERIES)]
        for first in range(0, SERIES, 20):
            send(client, scalars(task, 0, 20 * POINTS, names[first : first + 20]))
        ready = "document.querySelectorAll('.chart-host canvas').length >= 6 && performance.getEntriesByName('tm:useful').length >= 6"
        transferred(report, cold(report, browser, "Tidemark", f"{server.url}/runs/{task}", ready, None), None, None)
    finally:
        server.stop()


def peer(report: Report, browser: Browser, name: str, folder: Path) -> None:
    """Install, fill, serve and measure a tracker."""
    one = PEERS[name]
    environment = folder / "venv"
    subprocess.run([UV, "venv", "-q", str(environment)], check=True)
    subprocess.run([UV, "pip", "install", "-q", "--python", str(environment / "bin" / "python"), one.package], check=True)
    listed = [UV, "pip", "list", "--python", str(environment / "bin" / "python"), "--format", "freeze"]
    version = next(
        line
        for line in subprocess.run(listed, check=True, capture_output=True, text=True).stdout.splitlines()
        if line.startswith(f"{name}==")
    )
    port = free_port()
    env = {
        **os.environ,
        "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        "HOME": str(folder),
        "GRADIO_SERVER_PORT": str(port),
        "TRACKIO_DIR": str(folder / "trackio"),
    }
    env.pop("PYTHONPATH", None)
    begun = time.perf_counter()
    filled = subprocess.run(
        [str(environment / "bin" / "python"), "-c", HEAD + one.fill],
        cwd=folder,
        env=env,
        check=True,
        capture_output=True,
        text=True,
        timeout=1_200,
    )
    report.heading(f"{version}: one run of {SERIES} series of {POINTS:,} points")
    report.add("written by its client", time.perf_counter() - begun, "s")
    path = filled.stdout.strip().splitlines()[-1]
    command = [part.format(port=port) for part in one.serve]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(environment / "bin" / command[0]), *command[1:]], cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        client = Client(f"http://127.0.0.1:{port}", timeout=10)

        def answers() -> bool:
            try:
                return client.send("GET", "/").status < 500
            except OSError:
                return False

        wait_until(answers, 120, f"{name} does not answer")
        transferred(report, cold(report, browser, name, f"http://127.0.0.1:{port}{path}", one.ready, None), None, None)
    finally:
        os.killpg(process.pid, 15)
        process.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS))
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tidemark-peers-"))
    report = Report()
    try:
        with sync_playwright() as playwright:
            browser = launch(playwright)
            try:
                report.heading(f"Tidemark: one run of {SERIES} series of {POINTS:,} points")
                ours(report, browser, folder / "ours")
                for name in options.only:
                    (folder / name).mkdir()
                    peer(report, browser, name, folder / name)
            finally:
                browser.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        report.write()


if __name__ == "__main__":
    main()
