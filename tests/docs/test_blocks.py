"""The blocks of pages that promise it are run, one after the other, against a server."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import StartServer, credentials
from tests.process import ROOT, Server
from tidemark_events.frames import LIBRARIES

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DEMO = re.compile(r"tidemark demo(?: --seconds \d+)?")
NOT_HERE = re.compile(r"^(?:pip install|tidemark serve|git |make )")
"""Lines that the test's own server and environment stand for."""


@pytest.mark.parametrize("page", ["docs/first-steps.md", "docs/reporting.md", "README.md"])
def test_every_block_runs(
    start_embedded: StartServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    page: str,
    request: pytest.FixtureRequest,
) -> None:
    server = start_embedded()
    blocks = BLOCK.findall((ROOT / page).read_text())
    assert len(blocks) >= 2
    for name, value in environment(server, tmp_path).items():
        monkeypatch.setenv(name, value)
    names: dict[str, object] = {}
    fresh = pytest.MonkeyPatch()  # what a fresh installation lacks, until the page says `pip install`
    request.addfinalizer(fresh.undo)
    for library in LIBRARIES:
        fresh.setitem(sys.modules, library, None)
    for language, text in blocks:
        if "pip install pandas" in text:
            fresh.undo()
        if language == "python":  # blocks of a page share their names
            exec(compile(text, page, "exec"), names)
            monkeypatch.setenv("RUN", (capsys.readouterr().out.split() or [""])[-1])
        else:
            lines = [DEMO.sub("tidemark demo --seconds 0", line) for line in text.splitlines() if not NOT_HERE.match(line)]
            command = ["bash", "-e", "-o", "pipefail", "-c", "\n".join(lines)]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"


def environment(server: Server, folder: Path) -> dict[str, str]:
    """A user's shell: the command `tidemark`, the data folder of the running server, its keys."""
    command = folder / "bin" / "tidemark"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m apiserver "$@"\n')
    command.chmod(0o755)
    key, secret = credentials(server)
    return {
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TIDEMARK_DATA": str(server.data),
        "TIDEMARK_URL": server.url,
        "CLEARML_API_HOST": server.url,
        "CLEARML_API_ACCESS_KEY": key,
        "CLEARML_API_SECRET_KEY": secret,
    }
