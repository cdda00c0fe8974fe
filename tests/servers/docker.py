"""Elasticsearch and Redis from their official images, for a machine that lacks what they need but runs a Docker daemon.

The containers use the host's network, so a server has the same address either way. Nothing but the `docker` command is needed.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

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


@dataclass(frozen=True)
class Container:
    """A container by its name; the operations that tests need of a process."""

    name: str

    @classmethod
    def run(cls, kind: str, image: str, args: Sequence[str] = (), env: Mapping[str, str] | None = None) -> Container:
        """Create and start one. RuntimeError with what Docker says when it can't."""
        container = cls(f"tidemark-{kind}-{uuid.uuid4().hex[:12]}")
        settings = [word for name, value in (env or {}).items() for word in ("--env", f"{name}={value}")]
        command = ["run", "--detach", "--name", container.name, "--network", "host", *settings, image, *args]
        done = _docker(*command, seconds=PULL_SECONDS)
        if done.returncode:
            container.remove()  # a container that could not start is there all the same
            raise RuntimeError(f"Docker could not start {image}: {done.stderr.strip()[-600:]}")
        return container

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

    def removal(self) -> list[str]:
        """The command that ends it and removes its data."""
        return ["docker", "rm", "--force", "--volumes", self.name]

    def remove(self) -> None:
        _docker(*self.removal()[1:])
