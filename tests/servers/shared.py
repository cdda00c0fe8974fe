"""Servers that the worker processes of a parallel test run share: the first worker that needs one starts it, the controlling process owns it.

The controlling process calls `begin` before it starts its workers, which inherit the environment, and `end` after they are gone. Without `end`, because the
controlling process was killed, the servers end all the same (`tests/supervised.py`).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tests.supervised import end_supervisor

_FOLDER, _OWNER = "TIDEMARK_TEST_SHARED", "TIDEMARK_TEST_OWNER"


def begin() -> None:
    """Workers started from now on share their servers."""
    os.environ[_FOLDER] = tempfile.mkdtemp(prefix="tidemark-shared-")
    os.environ[_OWNER] = str(os.getpid())


def end() -> None:
    """Kill what the workers have started."""
    folder = Path(os.environ.pop(_FOLDER))
    del os.environ[_OWNER]
    for file in folder.glob("*.json"):
        end_supervisor(json.loads(file.read_text())["supervisor"])
    shutil.rmtree(folder)


class Startable(Protocol):
    owner: int

    @property
    def url(self) -> str: ...

    @property
    def supervisor(self) -> int: ...

    def start(self) -> object: ...

    def close(self) -> None: ...


def shared_address(kind: Callable[[], Startable]) -> str | None:
    """Address of this run's server of a kind, started now if it is not there yet; None when this process is not a worker of a parallel run."""
    if _FOLDER not in os.environ:
        return None
    folder = Path(os.environ[_FOLDER])
    with (folder / f"{kind.__name__}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be starting it
        file = folder / f"{kind.__name__}.json"
        if not file.exists():
            server = kind()
            server.owner = int(os.environ[_OWNER])  # it outlives the worker that happened to be first
            try:
                server.start()
            except BaseException:
                server.close()
                raise
            file.write_text(json.dumps({"url": server.url, "supervisor": server.supervisor}))
        return str(json.loads(file.read_text())["url"])
