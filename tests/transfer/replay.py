"""Recorded answers of a server that is too large for everybody's test environment.

`python -m tests.transfer.replay http://127.0.0.1:5000 FILE` records what an import asks of a running MLflow server (written to by
`record.py mlflow-server`); `Replay` answers the same from the file.
"""

from __future__ import annotations

import base64
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apiserver.operations.transfer.discovery import discover
from apiserver.operations.transfer.pieces import FoundRun
from tests.small_server import QuietHandler, SmallServer

Answer = tuple[int, bytes]


class Replay(SmallServer):
    """A server on this machine while the block runs; `url` is its address. `asked`: the requests that it got."""

    def __init__(self, answer: Callable[[str, str, bytes], Answer]) -> None:
        self.asked: list[str] = []
        replay = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                body = self.body()
                replay.asked.append(f"{self.command} {self.path} {body.decode()}")
                self.reply(*answer(self.command, self.path, body))

            do_POST = do_GET

        super().__init__(Handler)


def recorded(file: Path) -> Replay:
    """Answers as they were recorded; 404 for anything else."""
    known: dict[str, dict[str, Any]] = json.loads(file.read_text())

    def answer(method: str, path: str, body: bytes) -> Answer:
        found = known.get(f"{method} {path} {body.decode()}")
        if found is None:
            return 404, b'{"error_code": "ENDPOINT_NOT_FOUND"}'
        content = base64.b64decode(found["base64"]) if "base64" in found else json.dumps(found["json"]).encode()
        return found["status"], content

    return Replay(answer)


def record(url: str, file: Path) -> None:
    """Import from a server, and keep its answers."""
    kept: dict[str, dict[str, Any]] = {}

    def answer(method: str, path: str, body: bytes) -> Answer:
        request = urllib.request.Request(url + path, body or None, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                status, content = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        try:
            kept[f"{method} {path} {body.decode()}"] = {"status": status, "json": json.loads(content)}
        except ValueError:
            kept[f"{method} {path} {body.decode()}"] = {"status": status, "base64": base64.b64encode(content).decode()}
        return status, content

    with Replay(answer) as replay:
        for run in discover(replay.url).runs:
            assert isinstance(run, FoundRun)
            list(run.adapter.read(run))
    file.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    record(sys.argv[1], Path(sys.argv[2]))
