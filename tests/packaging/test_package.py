"""The package as users get it: wheel and sdist, each in a fresh environment, with the repository on no path."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import apiserver
from scripts import dist
from tests.client import scalar
from tests.process import ROOT, Server
from tests.runs.test_folders import make_run

Tidemark = Callable[..., "subprocess.CompletedProcess[str]"]

UV = Path(sys.executable).with_name("uv")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both files. `make` fails when a second build, from the sdist alone, gives other bytes."""
    folder = tmp_path_factory.mktemp("dist")
    assert len(dist.make(folder)) == 2
    return folder


def clean_env() -> dict[str, str]:
    """Nothing that leads to the repository, and no setting. The user's cache of compiled schemas (its names are hashes of the texts) stays."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("TIDEMARK", "CLEARML", "PYTHON", "VIRTUAL_ENV"))}


def uv(*args: str) -> None:
    done = subprocess.run([UV, *args], env=clean_env(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module", params=["*.whl", "*.tar.gz"], ids=["wheel", "sdist"])
def installed(request: pytest.FixtureRequest, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the package and every extra, at the versions that requirements-dev.txt pins (uv's cache has them)."""
    env = tmp_path_factory.mktemp("fresh") / "venv"
    file = next(built.glob(request.param))
    uv("venv", "-q", "--python", sys.executable, str(env))
    pins = ("-c", str(ROOT / "requirements-dev.txt"), "-b", str(ROOT / "requirements-build.txt"))
    uv("pip", "install", "-q", "--python", str(env / "bin" / "python"), *pins, f"tidemark-events[all] @ {file.as_uri()}")
    return env


@pytest.fixture
def tidemark(installed: Path, tmp_path: Path) -> Tidemark:
    """Runs the installed command in an empty folder; its data is `data` there."""

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        env = clean_env()
        command = [installed / "bin" / "tidemark", *args]
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)

    return run


def done(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_version_stands_in_one_place(tidemark: Tidemark, built: Path) -> None:
    assert done(tidemark("--version")).split()[-1] == apiserver.__version__
    assert {path.name for path in built.iterdir()} == {
        f"tidemark_events-{apiserver.__version__}.tar.gz",
        f"tidemark_events-{apiserver.__version__}-py3-none-any.whl",
    }
    assert "version" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"]


def test_the_installed_server_serves(installed: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    server = Server(tmp_path, {"TIDEMARK_CACHE": str(cache)}, program=[str(installed / "bin" / "tidemark")])
    server.start()
    assert not any(cache.iterdir()), "the package brings its schemas compiled"
    try:
        client = server.client()
        client.add_batch([scalar("packaged", "loss", "train", iter=step, value=1.0) for step in range(3)])
        assert client.call("events.scalar_metrics_iter_histogram", task="packaged")["loss"]["train"]["x"] == [0, 1, 2]
    finally:
        server.stop()


def test_the_installed_commands_work(tidemark: Tidemark, tmp_path: Path) -> None:
    make_run(tmp_path / "storage", "packaged")
    assert "1 run, " in done(tidemark("import", "storage"))
    assert json.loads(done(tidemark("export", "packaged", "--format", "jsonl")).splitlines()[0])["loss"] == 1.0
    assert "CLEARML_API_SECRET_KEY=" in done(tidemark("keys"))
    assert "FAIL" not in done(tidemark("doctor"))


def test_the_extras_are_there(tidemark: Tidemark, installed: Path, tmp_path: Path) -> None:
    logs = tmp_path / "logs" / "board"
    logs.mkdir(parents=True)
    write = """
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter
import sys
writer = EventFileWriter(sys.argv[1])
for step in range(4):
    value = summary_pb2.Summary.Value(tag="loss", simple_value=0.5)
    writer.add_event(event_pb2.Event(wall_time=1700000000 + step, step=step, summary=summary_pb2.Summary(value=[value])))
writer.close()
"""
    subprocess.run([sys.executable, "-c", write, logs], cwd=tmp_path, env=clean_env(), check=True, timeout=60)
    assert "1 run, " in done(tidemark("import", "logs", "--run", "board"))
    done(tidemark("export", "board", "--format", "parquet", "-o", "board.parquet"))
    read = "import pyarrow.parquet, sys; print(pyarrow.parquet.read_table(sys.argv[1]).column('loss').to_pylist())"
    command = [installed / "bin" / "python", "-c", read, "board.parquet"]
    assert subprocess.run(command, cwd=tmp_path, env=clean_env(), capture_output=True, text=True, check=True).stdout.strip() == str(
        [0.5] * 4
    )


def test_a_training_machine_needs_requests_only(built: Path, tmp_path: Path) -> None:
    """docs/python-client.md, "Install": the wheel without its dependencies, and requests."""
    env = tmp_path / "venv"
    uv("venv", "-q", "--python", sys.executable, str(env))
    pins = ("-c", str(ROOT / "requirements-dev.txt"))
    wheel = next(built.glob("*.whl"))
    uv("pip", "install", "-q", "--python", str(env / "bin" / "python"), "--no-deps", str(wheel))
    uv("pip", "install", "-q", "--python", str(env / "bin" / "python"), *pins, "requests")
    program = "import tidemark_events\ntry: tidemark_events.connect('http://127.0.0.1:9', attempts=1)\nexcept tidemark_events.ServerUnavailable: print('fine')"
    command = [env / "bin" / "python", "-c", program]
    assert done(subprocess.run(command, cwd=tmp_path, env=clean_env(), capture_output=True, text=True, timeout=60, check=False)) == "fine\n"


def test_every_file_of_the_package_is_in_wheel_and_sdist(built: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "apiserver", "tidemark_events", "config", "schema"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = {path for path in tracked.stdout.split("\n") if path and (ROOT / path).exists()}
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        shipped = {name.removeprefix("apiserver/_data/") for name in wheel.namelist()}
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        source = {name.partition("/")[2] for name in sdist.getnames()}
    assert files and not files - shipped and not files - source


def test_documents_and_messages_name_the_distribution() -> None:
    """`pip install tidemark` would install another project's program."""
    texts = [
        path
        for pattern in (
            "*.md",
            "docs/**/*.md",
            "apiserver/**/*.py",
            "tidemark_events/*.py",
            "examples/*",
            "scripts/*",
            "Makefile",
            "Dockerfile",
        )
        for path in ROOT.glob(pattern)
        if path.is_file() and path.suffix != ".pyc"
    ]
    wrong = re.compile(r"(?:pip|pipx|uv|uvx)\s+(?:install|run|add|tool install|tool run)?\s*['\"]?tidemark(?![-\w])|\btidemark\[")
    found = [f"{path.relative_to(ROOT)}: {match[0]}" for path in texts for match in wrong.finditer(path.read_text())]
    assert not found and len(texts) > 50


def test_every_pin_carries_a_hash() -> None:
    for name in ("requirements.txt", "requirements-image.txt", "requirements-build.txt", "requirements-dev.txt"):
        pins = re.split(r"\n(?=\S)", (ROOT / name).read_text())
        bare = [pin for pin in pins if "==" in pin and "--hash=sha256:" not in pin]
        assert not bare and len(pins) > 3, name
