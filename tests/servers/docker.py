"""Elasticsearch and Redis from their official images, for a machine that lacks what they need but runs a Docker daemon.

The containers use the host's network, so a server has the same address either way. Nothing but the `docker` command is needed.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from tests.supervised import Supervised

ELASTICSEARCH_IMAGE = "docker.elastic.co/elasticsearch/elasticsearch:{version}"
REDIS_IMAGE = "redis:7-alpine"
PULL_SECONDS = 900.0
_COMMANDS = {signal.SIGSTOP: ["pause"], signal.SIGCONT: ["unpause"], signal.SIGKILL: ["kill"], signal.SIGTERM: ["stop", "-t", "20"]}


@cache
def daemon_runs() -> bool:
    """Whether there is a `docker` command that reaches a daemon."""
    return shutil.which("docker") is not None and _docker("info").returncode == 0


def _docker(*args: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False)


class Container:
    """A container by its name, with the operations that tests need of a process. It is removed when its owner ends."""

    def __init__(
        self, kind: str, image: str, folder: Path, *, owner: int, args: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> None:
        """Create and start one. RuntimeError with what Docker says when it can't. The owner's end removes `folder` too."""
        self.name = f"tidemark-{kind}-{uuid.uuid4().hex[:12]}"
        settings = [word for name, value in (env or {}).items() for word in ("--env", f"{name}={value}")]
        command = ["docker", "run", "--detach", "--name", self.name, "--network", "host", *settings, image, *args]
        log = folder / "docker.log"
        removal = ["docker", "rm", "--force", "--volumes", self.name]
        self.process = Supervised(command, log, owner=owner, remove=folder, last=removal)
        if self.process.status():
            said = log.read_text(errors="replace").strip()[-600:]
            self.end()  # a container that could not start is there all the same
            raise RuntimeError(f"Docker could not start {image}: {said}")

    def start(self) -> None:
        """Start it again, with the data it had."""
        done = _docker("start", self.name)
        if done.returncode:
            raise RuntimeError(f"Docker could not start {self.name} again: {done.stderr.strip()[-600:]}")

    def signal(self, number: int) -> None:
        """Freeze, thaw, kill or stop it; one that is in that state already stays in it."""
        _docker(*_COMMANDS[signal.Signals(number)], self.name)

    def runs(self) -> bool:
        return _docker("inspect", "--format", "{{.State.Running}}", self.name).stdout.strip() == "true"

    def log_tail(self) -> str:
        done = _docker("logs", "--tail", "30", self.name)
        return done.stdout + done.stderr

    def end(self) -> None:
        """Remove it with its data."""
        self.process.end()
