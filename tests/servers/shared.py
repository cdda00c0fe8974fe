"""Servers that the worker processes of a parallel test run share: whoever needs one first starts it, the controlling process ends it.

The controlling process calls `begin` before it starts its workers, which inherit the environment, and `end` after they are gone.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.servers.docker import Container
from tests.servers.process import ManagedServer

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
        started = json.loads(file.read_text())
        server = ManagedServer(Path(started["folder"]), started["name"])
        server.pid = started["pid"]
        server.container = Container(started["container"]) if started["container"] else None
        server.close()
    shutil.rmtree(folder)


def shared_address(kind: Callable[[], ManagedServer]) -> str | None:
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
            file.write_text(
                json.dumps(
                    {
                        "url": server.url,
                        "name": server.name,
                        "pid": server.pid,
                        "folder": str(server.folder),
                        "container": server.container.name if server.container else "",
                    }
                )
            )
        return str(json.loads(file.read_text())["url"])
