"""A copy of the repository whose `docker-compose.yml` runs on an engine, with a project name and a port of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.client import Client
from tests.compose.engine import Engine
from tests.process import ROOT, free_port, wait_until

OVERRIDE = """\
# What this machine's nested engine needs: the host's network for the build, no limits that it may not raise, less memory.
services:
  tidemark:
    build: { context: ., network: host }
  elasticsearch:
    environment: { bootstrap.memory_lock: "false" }
    ulimits: { memlock: { soft: 65536, hard: 65536 }, nofile: { soft: 20000, hard: 20000 } }
"""
START_SECONDS = 300
"""Building the image installs packages; Elasticsearch's first start takes most of the rest."""


class Stack:
    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.port = free_port()
        files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, files.split("\0")):
            if not name.startswith("tests/") and (ROOT / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        (folder / "docker-compose.override.yml").write_text(OVERRIDE)
        self.env = {
            "TIDEMARK_PUBLISH": f"127.0.0.1:{self.port}",
            "TIDEMARK_WORKERS": "2",
            "ELASTICSEARCH_HEAP": "1g",
            "COMPOSE_PROJECT_NAME": f"tidemark-test-{os.getpid()}",
        }
        self.printed = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def secrets(self) -> dict[str, str]:
        lines = (self.folder / ".env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    @property
    def key(self) -> tuple[str, str]:
        return self.secrets["TIDEMARK_ACCESS_KEY"], self.secrets["TIDEMARK_SECRET_KEY"]

    def client(self) -> Client:
        return Client(self.url, *self.key)

    def up(self) -> None:
        """`make up`, then wait until every service is healthy."""
        done = subprocess.run(
            ["sh", "scripts/up.sh"], cwd=self.folder, env={**self.engine.env, **self.env}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        self.printed = done.stdout
        self.healthy()

    def behind_proxy(self, servers: int, **env: str) -> None:
        """From now on there are so many servers behind a proxy, as deploy/compose/proxy.yml has it."""
        files = "docker-compose.yml:deploy/compose/proxy.yml:docker-compose.override.yml"
        self.env |= {"COMPOSE_FILE": files, "TIDEMARK_REPLICAS": str(servers), **env}
        self.compose("up", "-d", "--no-build")
        self.healthy()

    def script(self, name: str) -> str:
        """What a script of the repository prints."""
        env = {**self.engine.env, **self.env}
        done = subprocess.run(["sh", name], cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def elasticsearch(self, method: str, path: str, body: str = "{}") -> str:
        """A request to Elasticsearch with its operator's password."""
        curl = f"curl -sS -u elastic:$ELASTIC_PASSWORD -H 'Content-Type: application/json' -X {method} 'localhost:9200/{path}' -d '{body}'"
        return self.compose("exec", "-T", "elasticsearch", "sh", "-c", curl)

    def compose(self, *args: str) -> str:
        return self.engine.run("compose", *args, cwd=self.folder, env=self.env)

    def states(self) -> dict[str, str]:
        """Each service's state: `healthy`, what it is instead, or `running` where it has no health check. Of several servers the worst."""
        found = [json.loads(line) for line in self.compose("ps", "--all", "--format", "json").splitlines()]
        states = sorted((one["Service"], one["Health"] or one["State"]) for one in found)
        return dict(sorted(states, key=lambda state: state[1] != "healthy"))

    def healthy(self) -> None:
        def good() -> bool:
            states = self.states()
            return set(states.values()) <= {"healthy", "running"} and set(states) >= {"tidemark", "elasticsearch", "redis"}

        wait_until(good, START_SECONDS, lambda: f"all services are healthy: {self.states()}\n{self.compose('logs', '--tail', '20')}")

    def addresses(self, service: str) -> set[str]:
        """The addresses of a service's containers."""
        ids = self.compose("ps", "-q", service).split()
        shown = self.engine.run("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", *ids)
        return set(shown.split())

    def close(self) -> None:
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")
