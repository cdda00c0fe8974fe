"""Processes that tests start: whatever happens to the test run, they end with it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.supervisor import PR_SET_PDEATHSIG

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
END_SECONDS = 60.0


class Supervised:
    """A process that ends, with everything it started, when its owner ends (`tests/supervisor.py` sees to it). What it writes goes to `log`.

    The owner is a process id, usually our own. With the owner's end the folder `remove` goes too, and `last` runs: a command that ends what the process
    has started elsewhere, such as a container. A process with a `last` command stays supervised until then, also when it has ended.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        owner: int = 0,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: tuple[int, int] | None = None,
        remove: Path | None = None,
        last: Sequence[str] = (),
    ) -> None:
        reports, report = os.pipe()
        settings = {"command": list(command), "owner": owner or os.getpid(), "report": report, "user": user, "last": list(last)}
        settings["remove"] = str(remove) if remove else ""
        try:
            with log.open("ab") as output:
                self.supervisor = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_SUPERVISOR), json.dumps(settings)],
                    env=env,
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    pass_fds=[report],
                )
        finally:
            os.close(report)
        self._reports = os.fdopen(reports)
        self.pid = self._report()
        """The process's id. The starter of a daemon writes the daemon's here."""

    def _report(self) -> int:
        line = self._reports.readline()
        if not line:
            raise RuntimeError(f"the supervisor ended with {self.supervisor.wait()}; its log says why")
        return int(line)

    def status(self) -> int:
        """Wait until the process has ended: its status."""
        return self._report()

    def poll(self) -> int | None:
        """The status once the process and all its daemons have ended."""
        return self.supervisor.poll()

    def wait(self, seconds: float) -> int:
        """`poll` when it has a status; subprocess.TimeoutExpired when it has none in time."""
        return self.supervisor.wait(seconds)

    def signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def runs(self) -> bool:
        return self.poll() is None and alive(self.pid)

    def end(self) -> None:
        """What the owner's end would do, now."""
        if self.poll() is None:
            self.supervisor.terminate()
            self.supervisor.wait(END_SECONDS)
        self._reports.close()


def end_supervisor(pid: int) -> None:
    """`Supervised.end` of a process that another process of this run has started."""
    with contextlib.suppress(ProcessLookupError):
        watched = os.pidfd_open(pid)
        try:
            os.kill(pid, signal.SIGTERM)
            select.select([watched], [], [], END_SECONDS)
        finally:
            os.close(watched)


def end_with_parent() -> None:
    """This process is killed as soon as its parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def alive(pid: int) -> bool:
    """Whether the process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], Any], seconds: float, what: str | Callable[[], str]) -> Any:
    """Poll until the condition holds; its value. AssertionError with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"after {seconds:g} s: {what if isinstance(what, str) else what()}"
        time.sleep(0.02)
