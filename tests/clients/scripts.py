"""Runs programs that use the unmodified ClearML SDK, each in a process, a home folder and a configuration of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.process import ROOT, Server

Mode = Literal["child", "threads"]
"""How the SDK reports: from a forked child process (its default), or from threads."""

MARK = "RESULT "

CONF = {
    "child": "sdk { development { vcs_repo_detect_async: false } }",
    "threads": "sdk { development { report_use_subprocess: false, vcs_repo_detect_async: false } }",
}


@dataclass
class Run:
    """What a program did. `result` is what it gave to `result(...)`."""

    code: int
    output: str
    result: Any


class Sdk:
    """A user at a machine: his home folder, and the server that his configuration names."""

    def __init__(
        self, server: Server, home: Path, mode: Mode = "threads", key: tuple[str, str] = ("", ""), env: Mapping[str, str] | None = None
    ) -> None:
        self.server = server
        self.home = home
        self.mode = mode
        home.mkdir(parents=True, exist_ok=True)
        (home / "clearml.conf").write_text(CONF[mode])
        if not any(key):
            content = json.loads((server.data / "credentials.json").read_text())
            key = content["access_key"], content["secret_key"]
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEMARK_", "CLEARML_", "PYTEST_"))} | {
            "HOME": str(home),
            "CLEARML_CONFIG_FILE": str(home / "clearml.conf"),
            "CLEARML_API_HOST": server.url,
            "CLEARML_WEB_HOST": server.url,
            "CLEARML_FILES_HOST": f"{server.url}/files",
            "CLEARML_API_ACCESS_KEY": key[0],
            "CLEARML_API_SECRET_KEY": key[1],
            "MPLBACKEND": "agg",
            "MPLCONFIGDIR": str(ROOT / ".cache" / "matplotlib"),  # its list of fonts takes seconds to make
            # The SDK asks its maker for updates; without a way out that ends at once instead of after a time-out.
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1,localhost",
            **(env or {}),
        }

    def start(self, program: str, *args: str, **env: str) -> subprocess.Popen[str]:
        """Start a program (its text, or the path of a file) and come back at once."""
        if program.endswith(".py"):
            command = [sys.executable, program, *args]
        else:
            path = self.home / "program.py"
            path.write_text(PRELUDE + textwrap.dedent(program))
            command = [sys.executable, str(path), *args]
        return subprocess.Popen(
            command,
            cwd=self.home,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, program: str, *args: str, timeout: float = 120, expect: int | None = 0, **env: str) -> Run:
        """Run a program to its end; AssertionError with its output when its exit code is another one than expected (None: any)."""
        process = self.start(program, *args, **env)
        return finish(process, timeout, expect)


def finish(process: subprocess.Popen[str], timeout: float = 120, expect: int | None = 0) -> Run:
    """Wait for a program that was started."""
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        raise AssertionError(f"the program did not end within {timeout:g} s:\n{output[-5000:]}") from None
    assert expect is None or process.returncode == expect, f"exit code {process.returncode}:\n{output[-5000:]}"
    lines = [line for line in output.splitlines() if line.startswith(MARK)]
    return Run(process.returncode, output, json.loads(lines[-1].removeprefix(MARK)) if lines else None)


PRELUDE = f"""import json, sys, time
sys.path.insert(0, {str(ROOT)!r})

def result(value):
    print({MARK!r} + json.dumps(value, default=str), flush=True)

"""
