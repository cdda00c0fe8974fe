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

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DEMO = re.compile(r"tidemark demo(?: --seconds \d+)?")
NOT_HERE = re.compile(r"^(?:pip install|tidemark serve|git |make )")
"""Lines that the test's own server and environment stand for."""


@pytest.mark.parametrize("page", ["docs/first-steps.md", "docs/reporting.md", "README.md"])
def test_every_block_runs(start_embedded: StartServer, tmp_path: Path, page: str) -> None:
    server = start_embedded()
    blocks = BLOCK.findall((ROOT / page).read_text())
    assert len(blocks) >= 2
    env = environment(server, tmp_path)
    # Python blocks of a page go on with each other's names, so each is run with those before it.
    before = ""
    for language, text in blocks:
        if language == "python":
            done = run([sys.executable, "-c", text if not before else f"{quiet(before)}\n{text}"], env, tmp_path)
            before += text
            env["RUN"] = (done.stdout.split() or [""])[-1]
        else:
            lines = [line for line in text.splitlines() if not NOT_HERE.match(line)]
            lines = [DEMO.sub("tidemark demo --seconds 0", line) for line in lines]  # a reader watches it, a test does not
            run(["bash", "-e", "-o", "pipefail", "-c", "\n".join(lines)], env, tmp_path)


def quiet(text: str) -> str:
    """The same without what it prints."""
    return f"import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()):\n    exec({text!r})"


def run(command: list[str], env: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}{done.stderr}"
    return done


def environment(server: Server, folder: Path) -> dict[str, str]:
    """A user's shell: the command `tidemark`, the data folder of the running server, its keys."""
    command = folder / "bin" / "tidemark"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m apiserver "$@"\n')
    command.chmod(0o755)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEMARK", "CLEARML"))}
    key, secret = credentials(server)
    return plain | {
        "PATH": f"{command.parent}:{plain['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TIDEMARK_DATA": str(server.data),
        "TIDEMARK_URL": server.url,
        "CLEARML_API_HOST": server.url,
        "CLEARML_API_ACCESS_KEY": key,
        "CLEARML_API_SECRET_KEY": secret,
    }
