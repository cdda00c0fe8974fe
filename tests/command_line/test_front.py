"""`tidemark status`, `demo`, `completion`, `serve --open`, and exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import tidemark_events
from apiserver.operations.demo import earlier_runs
from apiserver.serving.serve import banner
from apiserver.settings import from_environment
from tests.conftest import StartServer
from tests.process import ROOT, Server, free_port, wait_until

Tidemark = Callable[..., "subprocess.CompletedProcess[str]"]


def command(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`tidemark` with these arguments and settings only."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEMARK_", "CLEARML_"))}
    program = [sys.executable, "-m", "apiserver", *args]
    return subprocess.run(program, cwd=ROOT, env=plain | env, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def tidemark(shared_server: Server, engine_env: dict[str, str]) -> Tidemark:
    """Runs the command with the settings of the shared server."""
    return lambda *args, **env: command(*args, **{**engine_env, "TIDEMARK_DATA": str(shared_server.data), **env})


def test_the_demo_reports_every_event_type_and_says_where_to_look(tidemark: Tidemark, shared_server: Server) -> None:
    project = f"demo {uuid.uuid4().hex[:8]}"
    done = tidemark("demo", "--seconds", "0", "--project", project)
    assert done.returncode == 0, done.stderr
    tm = tidemark_events.connect(shared_server.url)
    runs = {run.name: run for run in tm.runs(project=project)}
    assert {run.status for run in runs.values()} == {"completed", "failed"} and len(runs) == 5
    live = runs["digits, live"]
    assert f"{shared_server.url}/runs/{live.id}" in done.stdout
    assert f"/?project={project.replace(' ', '%20')}\n" in done.stdout
    stored = tm.call("events.get_task_storage", task=live.id)["types"]
    kinds = {"training_stats_scalar", "training_stats_vector", "training_debug_image", "plot", "log"}
    assert {one["type"] for one in stored} == kinds
    assert live.images()[0].bytes().startswith(b"\x89PNG")
    document = tm.call("tasks.get_by_id", task=live.id)["task"]
    assert {one["key"] for one in document["execution"]["artifacts"]} == {"report", "predictions.csv", "weights.bin"}
    assert document["models"]["output"] and document["script"]["diff"] and "digits.yaml" in document["configuration"]
    assert {line.level for line in runs["digits, lr too high"].logs(levels=["error", "warning"])} == {"error", "warning"}
    earlier_runs(tm, project)
    assert len(tm.runs(project=project)) == 5, "earlier runs are made once"


def test_status_says_what_is_running(tidemark: Tidemark, shared_server: Server, engine: str) -> None:
    tidemark_events.connect(shared_server.url).run("for the status").finish()
    found = json.loads(tidemark("status", "--json").stdout)
    assert (found["running"], found["address"], found["healthy"]) == (True, shared_server.url, True)
    assert found["engine"] == {"sqlite": "embedded", "elastic": "cluster"}[engine]
    assert found["runs"]["total"] >= found["runs"]["by_status"]["completed"] >= 1
    shown = tidemark("status").stdout
    assert re.search(rf"^address +{re.escape(shared_server.url)}$", shown, re.MULTILINE) and "completed" in shown
    far = tidemark("status", "--url", shared_server.url, "--json", TIDEMARK_DATA="/nonexistent")
    assert json.loads(far.stdout)["address"] == shared_server.url


def test_commands_without_a_server_say_how_to_start_one(tmp_path: Path) -> None:
    for args, code in ((("status",), 1), (("demo",), 2)):
        done = command(*args, TIDEMARK_DATA=str(tmp_path))
        assert done.returncode == code and "tidemark serve" in done.stderr and "Traceback" not in done.stderr
    away = command("status", "--json", "--url", f"http://127.0.0.1:{free_port()}")
    assert away.returncode == 1 and json.loads(away.stdout)["running"] is False


def test_keys_as_json_are_those_of_the_shell_block(tmp_path: Path) -> None:
    block = command("keys", TIDEMARK_DATA=str(tmp_path)).stdout
    assert json.loads(command("keys", "--json", TIDEMARK_DATA=str(tmp_path)).stdout) == dict(
        re.findall(r"^export (\w+)=(.*)$", block, re.MULTILINE)
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_what_their_shell_reads(shell: str) -> None:
    done = command("completion", shell)
    assert "_TIDEMARK_COMPLETE" in done.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.stdout, text=True, timeout=60, check=True)


def test_commands_and_options_are_completed() -> None:
    env = {**os.environ, "_TIDEMARK_COMPLETE": "bash_complete", "COMP_WORDS": "tidemark st", "COMP_CWORD": "1"}
    program = "from apiserver.__main__ import main; main(prog_name='tidemark')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["plain,status"]


def test_open_shows_the_page_in_the_browser(start_embedded: StartServer, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    browser = tmp_path / "browser"
    browser.write_text(
        f'#!/bin/sh\necho "$1" > {shlex.quote(str(shown))}.part && mv {shlex.quote(str(shown))}.part {shlex.quote(str(shown))}\n'
    )
    browser.chmod(0o755)
    server = start_embedded("--open", BROWSER=f"{browser} %s")
    wait_until(shown.exists, 20, "the browser")
    assert shown.read_text().strip() == server.url


def test_open_without_a_display_says_so(start_embedded: StartServer) -> None:
    server = start_embedded("--open", BROWSER="", DISPLAY="", WAYLAND_DISPLAY="")
    wait_until(lambda: f"open {server.url} in a browser yourself" in server.log_tail(), 20, "the sentence")


def test_a_server_that_others_reach_names_its_address_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("container", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    for host, named in (("0.0.0.0", True), ("127.0.0.1", False)):
        shown = banner(from_environment({"server.host": host, "server.data": str(tmp_path)}), "http://127.0.0.1:8124")
        assert (f"http://{socket.gethostname()}:8124" in shown) is named


def test_every_command_is_in_the_table_of_exit_codes() -> None:
    from apiserver.__main__ import main

    text = (ROOT / "docs" / "command-line.md").read_text()
    table = text.split("## Exit codes", 1)[1].split("\n## ", 1)[0]
    assert set(main.commands) <= set(re.findall(r"`(\w+)`", table))
    printed = text.split("## JSON for scripts", 1)[1].split("\n## ", 1)[0]
    for name, one in main.commands.items():
        assert f"## tidemark {name}\n" in text
        assert one.short_help and len(one.short_help) < 60, f"{name}: the list of commands needs a short sentence"
        inner = one.commands.values() if isinstance(one, click.Group) else [one]
        if any("--json" in option.opts for command in inner for option in command.params):
            assert f"| `{name}` |" in printed, f"{name} --json is not documented"
