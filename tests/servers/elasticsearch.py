"""An Elasticsearch of our own: Elastic's distribution for integration tests, on free ports, as a user that is not root; else a container."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.servers.docker import ELASTICSEARCH_IMAGE, Container, daemon_runs
from tests.servers.install import ELASTICSEARCH_VERSION, Missing, elasticsearch_home, java_home
from tests.servers.process import ManagedServer, free_port, wait_for

START_SECONDS = 180.0
UNPRIVILEGED = "nobody"


class ElasticsearchServer(ManagedServer):
    """One node; `start` again after `kill` or `stop` brings it back at its address with its data.

    With `seeds` (transport addresses of all nodes) it is a node of a cluster; `masters` names the nodes that elect the first master.
    """

    name = "elasticsearch"

    def __init__(
        self,
        version: str = ELASTICSEARCH_VERSION,
        heap: str = "1g",
        node: str = "node1",
        seeds: Sequence[str] = (),
        masters: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.version, self.heap, self.node = version, heap, node
        self.seeds, self.masters = list(seeds), list(masters)
        self.port, self.transport_port = free_port(), free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pidfile(self) -> Path:
        return self.folder / "pid"

    def start(self, wait: bool = True) -> ElasticsearchServer:
        if self.container:
            self.container.start()
        else:
            try:
                home, java = elasticsearch_home(self.version), java_home(self.version)
            except Missing:
                if not daemon_runs():
                    raise
                env = self._container_settings() | {"ES_JAVA_OPTS": self._heap_options()}
                self.container = Container.run("elasticsearch", ELASTICSEARCH_IMAGE.format(version=self.version), env=env)
            else:
                launcher = self._launch(home, java)
                if wait and launcher.wait(START_SECONDS):
                    raise RuntimeError(f"Elasticsearch did not start: {self.log_tail()}")
        if wait:
            self.wait()
        return self

    def _launch(self, home: Path, java: Path) -> subprocess.Popen[bytes]:
        """A process that ends when the server is up; the server goes on."""
        config = self.folder / "config"
        if not config.exists():
            shutil.copytree(home / "config", config)
        scratch = self.folder / "tmp"  # not the folder itself: the server may not write where its settings are
        scratch.mkdir(exist_ok=True)
        (config / "elasticsearch.yml").write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in self._settings().items()))
        self.pidfile.unlink(missing_ok=True)
        env = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEMARK_", "ES_"))}
        env |= {"ES_JAVA_HOME": str(java), "ES_PATH_CONF": str(config), "ES_TMPDIR": str(scratch)}
        env |= {"ES_JAVA_OPTS": self._heap_options(), "HOME": str(self.folder)}
        with (self.folder / "console.log").open("ab") as log:
            return subprocess.Popen(
                [str(home / "bin" / "elasticsearch"), "-d", "-p", str(self.pidfile)],
                env=env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as_ordinary_user(),
            )

    def wait(self) -> None:
        """Until it answers."""
        wait_for(self._answers, START_SECONDS, lambda: f"Elasticsearch did not answer: {self.log_tail()}")
        self._read_pid()
        self._watch()

    def call(self, method: str, path: str, body: Any = None, timeout: float = 30.0) -> Any:
        """A raw request, for what tests do behind the back of the service."""
        return request(self.url, method, path, body, timeout)

    def log_tail(self) -> str:
        if self.container:
            return self.container.log_tail()
        logs = [self.folder / "console.log", *sorted((self.folder / "logs").glob("*.log"))]
        return "\n".join(path.read_text(errors="replace")[-1500:] for path in logs if path.exists())

    def close(self) -> None:
        self._read_pid()
        super().close()

    def _read_pid(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.pid = int(self.pidfile.read_text())

    def _answers(self) -> bool:
        try:
            request(self.url, "GET", "/_cluster/health", timeout=2)
        except OSError:
            return False
        return True

    def _heap_options(self) -> str:
        return f"-Xms{self.heap} -Xmx{self.heap}"

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "path.data": str(self.folder / "data"),
            "path.logs": str(self.folder / "logs"),
            "cluster.name": f"tidemark-{self.folder.name}" if not self.seeds else "tidemark-test-cluster",
            "node.name": self.node,
            "network.host": "127.0.0.1",
            "http.port": self.port,
            "transport.port": self.transport_port,
            # A full developer's disk must not turn the test's indices read-only.
            "cluster.routing.allocation.disk.threshold_enabled": False,
            "xpack.security.enabled": False,
        }
        if self.seeds:
            settings |= {"discovery.seed_hosts": self.seeds, "cluster.initial_master_nodes": self.masters}
        else:
            settings["discovery.type"] = "single-node"
        return settings

    def _container_settings(self) -> dict[str, str]:
        """The same as environment variables of the official image, which has folders of its own."""

        def text(value: Any) -> str:
            return ",".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)

        return {name: text(value) for name, value in self._settings().items() if not name.startswith("path.")}

    def _as_ordinary_user(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        user = pwd.getpwnam(UNPRIVILEGED)
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def request(url: str, method: str, path: str, body: Any = None, timeout: float = 30.0) -> Any:
    """A JSON request; OSError (HTTPError) when it fails."""
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    kind = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
    call = urllib.request.Request(url + path, data=data, method=method, headers={"Content-Type": kind})
    with urllib.request.urlopen(call, timeout=timeout) as answer:
        text = answer.read()
    return json.loads(text) if text[:1] in (b"{", b"[") else text.decode()


def remove_prefix(url: str, prefix: str) -> None:
    """Delete the indices and templates of a test run on a server that goes on running."""
    with contextlib.suppress(OSError):
        indices = [row["index"] for row in request(url, "GET", f"/_cat/indices/{prefix}*?format=json&expand_wildcards=all&h=index")]
        for start in range(0, len(indices), 50):
            request(url, "DELETE", "/" + ",".join(indices[start : start + 50]))
        for template in request(url, "GET", f"/_index_template/{prefix}*")["index_templates"]:
            request(url, "DELETE", f"/_index_template/{template['name']}")
