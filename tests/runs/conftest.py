"""A server for the runs API's tests, without rate limits, and a small client of it."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.sync.client import ClientConnection, connect

from tests.conftest import SessionServers
from tests.process import ROOT, Server
from tests.runs.recordings import make_root

UNLIMITED = {"TIDEMARK__runs__requests_per_minute": "0", "TIDEMARK__runs__sockets": "0"}


class Runs:
    """Speaks HTTP and WebSocket to a server as Runicorn's clients do."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def get(self, path: str, **args: Any) -> requests.Response:
        return requests.get(self.server.url + path, timeout=30, **args)

    def steps(self, run: str, **params: Any) -> Any:
        """The answer of metrics_step."""
        response = self.get(f"/api/runs/{run}/metrics_step", params=params)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, run: str, body: bytes, **args: Any) -> requests.Response:
        return requests.post(f"{self.server.url}/api/runs/{run}/events", data=body, timeout=30, **args)

    def post_lines(self, path: str, body: bytes) -> Any:
        """The answer to JSON lines."""
        response = requests.post(self.server.url + path, data=body, timeout=30, headers={"Content-Type": "application/json-lines"})
        assert response.status_code == 200, response.text
        return response.json()

    def add(self, run: str, events: Iterable[dict[str, Any]]) -> Any:
        """Add events; all of them must be stored."""
        body = "\n".join(json.dumps(event) for event in events).encode()
        response = self.post(run, body)
        assert response.status_code == 200 and not response.json()["errors"], response.text
        return response.json()

    def rows(self, run: str, rows: Iterable[dict[str, Any]], ts: float = 1_700_000_000.0) -> None:
        """Add metric rows, one second apart."""
        self.add(run, [{"ts": ts + number, "type": "metrics", "data": row} for number, row in enumerate(rows)])

    def log(self, run: str, *texts: str, ts: float | None = None) -> None:
        """Add log lines."""
        self.add(run, [{"ts": ts, "type": "log", "data": {"text": text}} for text in texts])

    def socket(self, run: str, query: str = "", **args: Any) -> ClientConnection:
        address = self.server.url.replace("http", "ws", 1)
        socket: ClientConnection = connect(f"{address}/api/runs/{run}/logs/ws{'?' + query if query else ''}", **args)
        return socket

    def command(self, *args: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run `tidemark` on this server's data folder."""
        return tidemark(*args, "--data", str(self.server.data), env=self.server.env, code=code)


def tidemark(*args: str, env: dict[str, str] | None = None, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    import os

    clean = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
    done = subprocess.run(
        [sys.executable, "-m", "apiserver", *args],
        cwd=ROOT,
        env={**clean, **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert code is None or done.returncode == code, (done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    return done


@pytest.fixture(scope="session")
def runs(engine_env: dict[str, str], session_servers: SessionServers) -> Runs:
    """A server that counts neither requests nor sockets."""
    return Runs(session_servers.get({**engine_env, **UNLIMITED}, check=None))


@pytest.fixture
def run() -> str:
    """An id that no other test uses."""
    return f"run_{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def imported() -> set[str]:
    """Addresses of the servers that have the recordings already."""
    return set()


@pytest.fixture(scope="session")
def recorded(runs: Runs, imported: set[str], tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The same server, with the folders of the recordings imported while it runs."""
    if runs.server.url not in imported:
        root: Path = tmp_path_factory.mktemp("storage")
        make_root(root)
        runs.command("import", str(root), code=1)  # 1: some lines of the odd run can't be read
        imported.add(runs.server.url)
    return runs


def received(socket: ClientConnection, until: str | None = None, count: int | None = None, timeout: float = 10.0) -> list[str]:
    """Frames until one of this text, or so many of them."""
    frames: list[str] = []
    while (until is None or not frames or frames[-1] != until) and (count is None or len(frames) < count):
        frames.append(str(socket.recv(timeout=timeout)))
    return frames
