"""A connection of the Python client, and one through a line that can be cut."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

import tidemark_events
from tests.cable import Cable
from tests.process import ROOT, Server
from tidemark_events.client import Client

RunScript = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tm(shared_server: Server) -> Client:
    """A connection to the shared server."""
    return tidemark_events.connect(shared_server.url)


@pytest.fixture
def run_script(shared_server: Server) -> RunScript:
    """Runs a training script of its own process against the shared server."""

    def run(text: str) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEMARK_", "CLEARML_"))}
        env |= {"TIDEMARK_URL": shared_server.url, "PYTHONPATH": str(ROOT)}
        return subprocess.run([sys.executable, "-c", text], env=env, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture
def cable(shared_server: Server) -> Iterator[Cable]:
    """A line to the shared server."""
    one = Cable(shared_server.url)
    yield one
    one.close()
