"""A connection of the Python client, and one through a line that can be cut."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

import tidemark_events
from tests.process import ROOT, Server
from tidemark_events.client import Client

RunScript = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tm(shared_server: Server) -> Client:
    """A connection to the shared server."""
    return tidemark_events.connect(shared_server.url)


@pytest.fixture
def run_script(shared_server: Server) -> RunScript:
    """Runs a training script of its own process against the shared server."""

    def run(text: str) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEMARK_", "CLEARML_"))}
        env |= {"TIDEMARK_URL": shared_server.url, "PYTHONPATH": str(ROOT)}
        return subprocess.run([sys.executable, "-c", text], env=env, capture_output=True, text=True, timeout=60, check=False)

    return run


class Cable:
    """Forwards connections to a server, until it is cut: then none is made any more."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = parts.hostname or "", parts.port or 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.whole = True
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection and make no other."""
        self.whole = False
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self.whole = True

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self.whole:
                client.close()
                continue
            server = socket.create_connection(self._target)
            self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        self._open.discard(source)


@pytest.fixture
def cable(shared_server: Server) -> Iterator[Cable]:
    """A line to the shared server."""
    one = Cable(shared_server.url)
    yield one
    one.close()
