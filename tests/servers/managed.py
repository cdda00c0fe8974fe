"""What our Elasticsearch and our Redis have in common: a scratch folder, and a process or a container that can be frozen, killed and stopped."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.servers.docker import Container, daemon_runs
from tests.servers.install import Missing
from tests.supervised import Supervised, wait_until

STOP_SECONDS = 60.0


class ManagedServer:
    """A server that ends, at the latest, when its owner does: this process, unless somebody writes another one's id to `owner` before the start."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = Path(tempfile.mkdtemp(prefix=f"tidemark-{name}-"))
        self.owner = os.getpid()
        self.running: Supervised | Container | None = None

    @property
    def supervisor(self) -> int:
        """Process id of its supervisor."""
        assert self.running is not None
        process = self.running.process if isinstance(self.running, Container) else self.running
        return process.supervisor.pid

    def launch(self, process: Callable[[], Supervised], container: Callable[[], Container]) -> None:
        """Start the program; where it is missing, a container; a container that was there before, again."""
        if isinstance(self.running, Container):
            self.running.start()
            return
        try:
            self.running = process()
        except Missing:
            if not daemon_runs():
                raise
            self.running = container()

    def wait_for(self, answers: Callable[[], bool], seconds: float, log_tail: Callable[[], str]) -> None:
        """Until it answers; AssertionError with the end of its log when it does not, at once when its process ended."""

        def up() -> bool:
            ended = isinstance(self.running, Supervised) and self.running.poll() is not None
            assert not ended, f"{self.name} did not start: {log_tail()}"
            return answers()

        wait_until(up, seconds, lambda: f"{self.name} did not answer: {log_tail()}")

    def _signal(self, number: int) -> None:
        if self.running:
            self.running.signal(number)

    def _ended(self) -> bool:
        return self.running is None or not self.running.runs()

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """As a power cut would end it; its data stays."""
        self._signal(signal.SIGKILL)
        wait_until(self._ended, STOP_SECONDS, f"{self.name} was killed and did not end")
        if isinstance(self.running, Supervised):
            self.running.wait(STOP_SECONDS)

    def stop(self) -> None:
        """In order; its data stays."""
        self.thaw()
        self._signal(signal.SIGTERM)
        wait_until(self._ended, STOP_SECONDS, f"{self.name} was asked to end and did not")
        if isinstance(self.running, Supervised):
            self.running.wait(STOP_SECONDS)

    def close(self) -> None:
        """Kill it and remove its folder."""
        if self.running:
            self.running.end()
            self.running = None
        shutil.rmtree(self.folder, ignore_errors=True)
