"""Starting and stopping: what can go wrong is said in one sentence, with exit code 2."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.client import log
from tests.conftest import StartServer
from tests.process import ROOT, free_port


def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`tidemark serve` that is expected to end by itself."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
    command = [sys.executable, "-m", "apiserver", "serve", "--port", str(free_port()), *args]
    return subprocess.run(command, cwd=ROOT, env={**clean, **env}, capture_output=True, text=True, timeout=60, check=False)


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 2 and one clear sentence, no stack trace."""
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in done.stderr


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused(run("--port", port, "--data", str(tmp_path)), port)


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    refused(run("--data", str(tmp_path / "file" / "data")), "data")
    refused(run("--data", "/proc/tidemark"), "/proc/tidemark")


@pytest.mark.parametrize("damage", [b"this is no database" * 1000, None], ids=["foreign", "damaged"])
def test_a_damaged_database_is_named(start_server: StartServer, engine: str, damage: bytes | None, task: str) -> None:
    if engine != "sqlite":
        return
    server = start_server()
    server.client().add_batch([log(task, "x" * 1000, timestamp=i) for i in range(500)])
    server.stop()
    database = server.data / "tidemark.db"
    for extra in ("-wal", "-shm"):
        (server.data / f"tidemark.db{extra}").unlink(missing_ok=True)
    size = database.stat().st_size
    with database.open("r+b") as file:
        if damage is None:
            file.seek(100)  # the header stays, the pages behind it are rubbish
            file.write(b"\xa5" * (size - 100))
        else:
            file.write(damage)
    refused(run("--data", str(server.data)), "tidemark.db")


@pytest.mark.parametrize(
    ("env", "word"),
    [
        ({"TIDEMARK_PORT": "none"}, "none"),
        ({"TIDEMARK_AUTH": "maybe"}, "maybe"),
        ({"TIDEMARK_UNKNOWN_TASKS": "perhaps"}, "perhaps"),
        ({"TIDEMARK_STORE": "mysql://x"}, "TIDEMARK_STORE"),
        ({"TIDEMARK_STORE": "http://localhost:9200"}, "TIDEMARK_STATE"),
        ({"TIDEMARK__nothing__at__all": "1"}, "nothing"),
        ({"TIDEMARK_CONFIG": "/no/such/file.conf"}, "/no/such/file.conf"),
        ({"TIDEMARK_HOST": "0.0.0.0", "TIDEMARK_AUTH": "open"}, "allow-open"),
        ({"TIDEMARK_WORKERS": "3"}, "TIDEMARK_STATE"),
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, env: dict[str, str], word: str) -> None:
    args = ("--data", str(tmp_path))
    done = run(*args, **env) if "TIDEMARK_PORT" not in env else _without_port(args, env)
    refused(done, word)


def _without_port(args: tuple[str, ...], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "apiserver", "serve", *args]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False)


def test_a_second_server_on_one_folder_is_refused(start_server: StartServer, engine: str) -> None:
    if engine != "sqlite":
        return
    server = start_server()
    refused(run("--data", str(server.data)), str(server.data))
    assert server.client().raw("/debug.ping").codes == (200, 0)


def test_data_survives_a_restart(start_server: StartServer, task: str) -> None:
    server = start_server()
    server.client().add_batch([log(task, "before")])
    server.stop()
    server.start()
    assert server.client().log(task) == ["before"]


def test_a_stopped_server_finishes_what_it_was_doing_and_ends_quickly(start_server: StartServer, task: str) -> None:
    server = start_server()
    server.client().add_batch([log(task, "before")])
    process = server.process
    assert process is not None
    begun = time.monotonic()
    server.stop()
    assert process.poll() == 0
    assert time.monotonic() - begun < 15  # not a measurement: the kill that follows after twenty seconds was not needed


def test_help_names_every_option() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "apiserver", "serve", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    for option in ("--host", "--port", "--data", "--store", "--state", "--workers"):
        assert option in shown
