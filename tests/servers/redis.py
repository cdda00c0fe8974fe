"""A Redis of our own on a free port, without persistence."""

from __future__ import annotations

import socket
import subprocess

from tests.servers.docker import REDIS_IMAGE, Container, daemon_runs
from tests.servers.install import Missing, program
from tests.servers.process import ManagedServer, free_port, wait_for

START_SECONDS = 20.0


class RedisServer(ManagedServer):
    """`start` again after `kill` or `stop`: same address, empty."""

    name = "redis"

    def __init__(self, port: int = 0) -> None:
        super().__init__()
        self.port = port or free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        args = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]
        if self.container:
            self.container.start()
        else:
            try:
                self._launch([program("redis-server", "redis-server"), *args, "--dir", str(self.folder)])
            except Missing:
                if not daemon_runs():
                    raise
                self.container = Container.run("redis", REDIS_IMAGE, ["redis-server", *args])
        self._watch()
        wait_for(self._answers, START_SECONDS, lambda: f"redis-server did not start: {self.log_tail()}")
        return self

    def log_tail(self) -> str:
        return self.container.log_tail() if self.container else (self.folder / "log").read_text()[-600:]

    def _launch(self, command: list[str]) -> None:
        with (self.folder / "log").open("ab") as log:
            self.pid = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True).pid

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"
        except OSError:
            return False
