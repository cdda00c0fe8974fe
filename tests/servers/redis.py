"""A Redis of our own on a free port, without persistence."""

from __future__ import annotations

import socket

from tests.servers.docker import REDIS_IMAGE, Container
from tests.servers.install import program
from tests.servers.managed import ManagedServer
from tests.supervised import Supervised, free_port

START_SECONDS = 20.0


class RedisServer(ManagedServer):
    """`start` again after `kill` or `stop`: same address, empty."""

    def __init__(self, port: int = 0, also: str = "") -> None:
        """`also`: another address at which it listens, without a password: of a network that nobody else is on."""
        super().__init__("redis")
        self.also = also
        self.port = port or free_port()

    @property
    def url(self) -> str:
        """Its bare address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        """Start it, and come back when it answers."""
        args = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]
        args[3:4] = ["127.0.0.1", *([self.also] if self.also else [])]
        args += ["--protected-mode", "no"] if self.also else []

        def process() -> Supervised:
            command = [program("redis-server", "redis-server"), *args, "--dir", str(self.folder)]
            return Supervised(command, self.folder / "log", owner=self.owner, remove=self.folder)

        def container() -> Container:
            return Container("redis", REDIS_IMAGE, self.folder, owner=self.owner, args=["redis-server", *args])

        self.launch(process, container)
        self.wait_for(self._answers, START_SECONDS, self.log_tail)
        return self

    def log_tail(self) -> str:
        return self.running.log_tail() if isinstance(self.running, Container) else (self.folder / "log").read_text()[-600:]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"
        except OSError:
            return False
