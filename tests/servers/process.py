"""One server of ours, a process or a container: found again by its id, stopped, frozen or killed by it, its folder removed at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.servers.docker import Container

STOP_SECONDS = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Callable[[], bool], seconds: float, what: Callable[[], str]) -> None:
    """Poll until the condition holds; RuntimeError with `what` when it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(what())
        time.sleep(0.05)


class ManagedServer:
    """Base of the two servers: a process id (or a container), a scratch folder, signals."""

    name = "server"

    def __init__(self, folder: Path | None = None, name: str = "") -> None:
        self.name = name or self.name
        self.folder = folder or Path(tempfile.mkdtemp(prefix=f"tidemark-{self.name}-"))
        self.pid = 0
        self.container: Container | None = None
        self.owner = os.getpid()
        """The process whose end is the server's end too."""
        self._guard: subprocess.Popen[bytes] | None = None

    def _watch(self) -> None:
        """Should the owner be killed, a small shell ends the server it leaves behind."""
        self._unwatch()
        script = 'while kill -0 "$0" 2>/dev/null; do sleep 2; done; folder=$1; shift; "$@" 2>/dev/null; sleep 1; rm -rf "$folder"'
        end = self.container.removal() if self.container else ["kill", "-9", str(self.pid)]
        command = ["sh", "-c", script, str(self.owner), str(self.folder), *end]
        quiet = subprocess.DEVNULL
        self._guard = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)

    @property
    def url(self) -> str:
        """Its bare address."""
        raise NotImplementedError

    def start(self) -> ManagedServer:
        """Start it, and come back when it answers."""
        raise NotImplementedError

    def _unwatch(self) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            self._guard = None

    def _alive(self) -> bool:
        if self.container:
            return self.container.runs()
        if not self.pid:
            return False
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)  # it may be our child: don't take a zombie for a living process
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        return False

    def _signal(self, number: int) -> None:
        if self.container:
            self.container.signal(number)
            return
        with contextlib.suppress(ProcessLookupError):
            if self.pid:
                os.kill(self.pid, number)

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """As a power cut would end it; its data stays."""
        self._unwatch()
        self._signal(signal.SIGKILL)
        wait_for(lambda: not self._alive(), STOP_SECONDS, lambda: f"{self.name} ({self.container or self.pid}) did not end")
        self.pid = 0

    def stop(self) -> None:
        """In order; its data stays."""
        self._unwatch()
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            wait_for(lambda: not self._alive(), STOP_SECONDS, lambda: "")
        except RuntimeError:
            self.kill()
        self.pid = 0

    def close(self) -> None:
        """Kill it and remove its folder."""
        self._unwatch()
        if self.container:
            self.container.remove()
            self.container = None
        self._signal(signal.SIGCONT)
        if self.pid:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
