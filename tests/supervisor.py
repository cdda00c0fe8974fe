"""Runs one command and ends it, with everything it started, as soon as the owner ends.

A program of its own, started by `tests/supervised.py` in a session of its own, so that neither Ctrl-C nor the end of the process that started it reaches it.
The owner is any process: with pytest-xdist, a worker starts servers that the controller owns.

The kernel reports the owner's end, also after SIGKILL (pidfd). Daemons that the command leaves behind become children of the supervisor (subreaper), so that
it finds them. SIGTERM ends everything early. When the command and its daemons have ended by themselves, the supervisor ends with the command's status.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
prctl = ctypes.CDLL(None).prctl


def main(settings: dict[str, Any]) -> int:
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake)
    told_to_end: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told_to_end.append(number))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    events = select.poll()
    events.register(woken, select.POLLIN)
    try:
        owner = os.pidfd_open(settings["owner"])
    except ProcessLookupError:
        return finish(settings)
    events.register(owner, select.POLLIN)

    user = settings["user"]
    identity = {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}
    # Should the supervisor itself be killed, at least the command goes with it.
    child = subprocess.Popen(settings["command"], preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), **identity)
    report(settings["report"], child.pid)
    status = 0
    while True:
        ready = dict(events.poll())
        with contextlib.suppress(BlockingIOError):
            os.read(woken, 4096)
        if told_to_end or owner in ready:
            return finish(settings)
        for pid, wait_status in ended():
            if pid == child.pid:
                child.returncode = status = os.waitstatus_to_exitcode(wait_status)
                report(settings["report"], status)
        if not children() and not settings["last"]:
            return end_like(status)


def report(descriptor: int, number: int) -> None:
    """Tell the process that started the supervisor the command's process id, and later its status."""
    with contextlib.suppress(BrokenPipeError):  # it may be gone
        os.write(descriptor, b"%d\n" % number)


def children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def ended() -> list[tuple[int, int]]:
    """Process id and wait status of the children that have ended."""
    found = []
    with contextlib.suppress(ChildProcessError):
        while (one := os.waitpid(-1, os.WNOHANG))[0]:
            found.append(one)
    return found


def end_like(status: int) -> int:
    """The status to end with; after a signal the supervisor ends by that signal too."""
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def finish(settings: dict[str, Any]) -> int:
    """Kill all children (their own then become ours, and follow), run the last command, remove the folder."""
    with contextlib.suppress(ChildProcessError):
        while True:
            for pid in children():
                os.kill(pid, signal.SIGKILL)
            os.waitpid(-1, 0)
    if settings["last"]:
        quiet = subprocess.DEVNULL
        subprocess.run(settings["last"], stdin=quiet, stdout=quiet, stderr=quiet, check=False)
    if settings["remove"]:
        shutil.rmtree(settings["remove"], ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
