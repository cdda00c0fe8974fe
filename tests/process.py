"""Real server processes: started on a free port and a data folder of their own, watched, stopped by process id."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.client import Check, Client
from tests.supervised import Supervised, alive, free_port, wait_until

__all__ = ["ROOT", "Server", "ServerFailed", "free_port", "wait_until"]

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 20.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class ServerFailed(AssertionError):
    """The process ended, or did not answer, while it was being started."""


class Server:
    """One `tidemark serve` with its workers. `url` is its address; it can be stopped, killed and started again on the same data."""

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str] | None = None,
        args: Sequence[str] = (),
        check: Check | None = None,
        program: Sequence[str] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        """`program`: an installed `tidemark` instead of this checkout's. `host`: the address at which it listens."""
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "server.log"
        self.env = dict(env or {})
        self.args = list(args)
        self.check = check
        self.program = list(program or ())
        self.host, self.port = host, 0
        self.process: Supervised | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> Server:
        """Start, and come back when it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        env = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEMARK_", "CLEARML_"))}
        if self.program:
            env.pop("PYTHONPATH", None)
        env |= {"TIDEMARK_HOST": self.host, "TIDEMARK_PORT": str(self.port), "TIDEMARK_DATA": str(self.data)} | self.env
        command = [*(self.program or (sys.executable, "-m", "apiserver")), "serve", *self.args]
        self.process = Supervised(command, self.log, env=env, cwd=self.folder if self.program else ROOT)
        client = Client(self.url, timeout=10)
        deadline = time.monotonic() + START_SECONDS
        while True:
            status = self.process.poll()
            if status is not None:
                raise ServerFailed(f"the server ended with {status}:\n{self.log_tail()}")
            with contextlib.suppress(OSError):
                if client.send("GET", "/debug.ping").status == 200:
                    return self
            if time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(f"the server did not answer within {START_SECONDS:g} s:\n{self.log_tail()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ask it to end, as an operator does."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None

    def dismiss(self) -> None:
        """Ask it to end and come back at once; `stop` waits for it. gunicorn looks once a second whether it should end."""
        if self.process is not None and self.process.poll() is None:
            self.process.signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to all of its processes at once: nothing gets a chance to finish."""
        if self.process is None:
            return
        family = self.pids()
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)
        wait_until(lambda: not any(alive(pid) for pid in family), 10, "a killed server process is still there")
        self.process = None

    def pids(self) -> list[int]:
        """The process and its descendants, parents first."""
        found = [self.pid]
        for pid in found:
            with contextlib.suppress(OSError):
                found += [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return found

    def cpu_seconds(self) -> float:
        """User and system time of all its processes so far, to the nanosecond (clock_getcpuclockid(3))."""
        total = 0.0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                total += time.clock_gettime((~pid << 3) | 2)
        return total

    def resident_bytes(self) -> int:
        """Resident memory of all its processes; what they share is counted once (Pss), as an operator would."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
        return total

    def worker_resident_bytes(self) -> int:
        """Resident memory (RSS) of the biggest of its processes."""
        sizes = [0]
        for pid in self.pids():
            with contextlib.suppress(OSError):
                sizes.append(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE)
        return max(sizes)

    def log_tail(self, size: int = 6000) -> str:
        if not self.log.exists():
            return "(no log)"
        return self.log.read_bytes()[-size:].decode(errors="replace")

    def client(self, key: str | None = None, secret: str | None = None, **options: Any) -> Client:
        return Client(self.url, key, secret, check=self.check, **options)
