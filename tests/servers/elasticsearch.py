"""An Elasticsearch of our own: Elastic's distribution for integration tests, on free ports, as a user that is not root; else a container."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pwd
import shutil
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import bcrypt

from tests.servers.docker import ELASTICSEARCH_IMAGE, Container
from tests.servers.install import ELASTICSEARCH_VERSION, Missing, elasticsearch_home, java_home
from tests.servers.managed import ManagedServer
from tests.supervised import Supervised, free_port, wait_until

START_SECONDS = 180.0
UNPRIVILEGED = "nobody"
ADMINISTRATOR = ("administrator", "word-of-tests")
ROLES = Path(__file__).resolve().parents[2] / "deploy" / "elasticsearch" / "roles.yml"

QUICK_START = "-XX:TieredStopAtLevel=1"
"""Java without its second compiler: a start takes 6 s of CPU instead of 13, long work takes longer."""


class ElasticsearchServer(ManagedServer):
    """One node; `start` again after `kill` or `stop` brings it back at its address with its data.

    With `seeds` (transport addresses of all nodes) it is a node of a cluster; `masters` names the nodes that elect the first master. With `logins` its
    security is on, `url` has the login of its administrator, and `add_user` makes others. In a container there are no logins. `brief`: it lives for one
    test.
    """

    def __init__(
        self,
        version: str = ELASTICSEARCH_VERSION,
        heap: str = "1g",
        node: str = "node1",
        seeds: Sequence[str] = (),
        masters: Sequence[str] = (),
        logins: bool = False,
        brief: bool = False,
    ) -> None:
        super().__init__("elasticsearch")
        self.logins, self.brief = logins, brief
        self._users: dict[str, tuple[str, str]] = {}
        self.version, self.heap, self.node = version, heap, node
        self.also = ""
        """Another address at which it answers: of a network that nobody else is on."""
        self.seeds, self.masters = list(seeds), list(masters)
        self.port, self.transport_port = free_port(), free_port()
        self.data = self.folder / "data"
        """Where its events are. Another folder than this is its owner's to remove."""

    @property
    def url(self) -> str:
        """Its address, with the administrator's login if it needs one."""
        if self.logins and not isinstance(self.running, Container):
            return self.url_of(*ADMINISTRATOR)
        return f"http://127.0.0.1:{self.port}"

    def url_of(self, user: str, password: str) -> str:
        """Its address with this login."""
        return f"http://{user}:{quote(password)}@127.0.0.1:{self.port}"

    @property
    def snapshots(self) -> Path:
        """Where it may put snapshots."""
        return self.folder / "snapshots"

    @property
    def pidfile(self) -> Path:
        return self.folder / "pid"

    def start(self, wait: bool = True) -> ElasticsearchServer:
        """Start it, and come back when it answers, or at once if not told to wait."""
        self.launch(self._process, self._container)
        if wait:
            self.wait()
        return self

    def wait(self) -> None:
        """Until it answers."""
        self.wait_for(self._answers, START_SECONDS, self.log_tail)
        if isinstance(self.running, Supervised):
            self.running.pid = int(self.pidfile.read_text())

    def _process(self) -> Supervised:
        """The launcher, which ends when the server is up; the server goes on."""
        home, java = elasticsearch_home(self.version), java_home(self.version)
        config = self.folder / "config"
        if not config.exists():
            shutil.copytree(home / "config", config)
        if self.logins and not self._users:
            self._write_user(*ADMINISTRATOR, "superuser")
        scratch = self.folder / "tmp"  # not the folder itself: the server may not write where its settings are
        scratch.mkdir(exist_ok=True)
        (config / "elasticsearch.yml").write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in self._settings().items()))
        self.pidfile.unlink(missing_ok=True)
        env = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEMARK_", "ES_"))}
        env |= {"ES_JAVA_HOME": str(java), "ES_PATH_CONF": str(config), "ES_TMPDIR": str(scratch)}
        env |= {"ES_JAVA_OPTS": self._heap_options(), "HOME": str(self.folder)}
        command = [str(home / "bin" / "elasticsearch"), "-d", "-p", str(self.pidfile)]
        user, log = self._ordinary_user(), self.folder / "console.log"
        return Supervised(command, log, owner=self.owner, env=env, cwd=self.folder, user=user, remove=self.folder)

    def _container(self) -> Container:
        env = self._container_settings() | {"ES_JAVA_OPTS": self._heap_options()}
        return Container("elasticsearch", ELASTICSEARCH_IMAGE.format(version=self.version), self.folder, owner=self.owner, env=env)

    def call(self, method: str, path: str, body: Any = None, timeout: float = 30.0) -> Any:
        """A raw request, for what tests do behind the back of the service."""
        return request(self.url, method, path, body, timeout)

    def add_user(self, name: str, password: str, role: str) -> None:
        """Add a user, or change his password; comes back when it is valid."""
        if isinstance(self.running, Container):
            raise Missing("tests of logins need Elasticsearch's own distribution: Java and Maven")
        self._write_user(name, password, role)
        wait_until(lambda: self.status_of((name, password), "GET", "/_security/_authenticate") == 200, 30, f"{name} can't log in")

    def _write_user(self, name: str, password: str, role: str) -> None:
        """In files: the index of users needs a part that the distribution for tests does not have."""
        config = self.folder / "config"
        shutil.copy(ROLES, config / "roles.yml")
        self._users[name] = (bcrypt.hashpw(password.encode(), bcrypt.gensalt(4, b"2a")).decode(), role)
        for file, lines in (
            ("users", [f"{user}:{hashed}" for user, (hashed, _) in self._users.items()]),
            ("users_roles", [f"{role}:{user}" for user, (_, role) in self._users.items()]),
        ):
            draft = config / f".{file}"
            draft.write_text("".join(f"{line}\n" for line in lines))
            draft.replace(config / file)

    def status_of(self, login: tuple[str, str], method: str, path: str) -> int:
        """The status of a request by this user."""
        try:
            request(self.url_of(*login), method, path)
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def log_tail(self) -> str:
        if isinstance(self.running, Container):
            return self.running.log_tail()
        logs = [self.folder / "console.log", *sorted((self.folder / "logs").glob("*.log"))]
        return "\n".join(path.read_text(errors="replace")[-1500:] for path in logs if path.exists())

    def _answers(self) -> bool:
        try:
            request(self.url, "GET", "/_cluster/health", timeout=2)
        except OSError:
            return False
        return True

    def _heap_options(self) -> str:
        return " ".join([f"-Xms{self.heap} -Xmx{self.heap}", *([QUICK_START] if self.brief else [])])

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "path.data": str(self.data),
            "path.repo": [str(self.snapshots)],
            "path.logs": str(self.folder / "logs"),
            "cluster.name": f"tidemark-{self.folder.name}" if not self.seeds else "tidemark-test-cluster",
            "node.name": self.node,
            "network.host": "127.0.0.1",
            "http.port": self.port,
            "transport.port": self.transport_port,
            # A full developer's disk must not turn the test's indices read-only.
            "cluster.routing.allocation.disk.threshold_enabled": False,
            "xpack.security.enabled": self.logins,
        }
        if self.also:
            settings["http.host"] = ["127.0.0.1", self.also]
        if self.logins:
            settings["resource.reload.interval.high"] = "1s"  # of the files with users and roles
        if self.seeds:
            settings |= {"discovery.seed_hosts": self.seeds, "cluster.initial_master_nodes": self.masters}
        else:
            settings["discovery.type"] = "single-node"
        return settings

    def _container_settings(self) -> dict[str, str]:
        """The same as environment variables of the official image, which has folders of its own."""

        def text(value: Any) -> str:
            return ",".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)

        settings = self._settings() | {"xpack.security.enabled": False}
        return {name: text(value) for name, value in settings.items() if not name.startswith("path.")}

    def _ordinary_user(self) -> tuple[int, int] | None:
        """Who runs it when we are root, which Elasticsearch refuses: user and group. The folder is theirs."""
        if os.geteuid() != 0:
            return None
        user = pwd.getpwnam(UNPRIVILEGED)
        self.data.mkdir(exist_ok=True)
        for path in (self.folder, *self.folder.rglob("*"), self.data):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
        return user.pw_uid, user.pw_gid


def request(url: str, method: str, path: str, body: Any = None, timeout: float = 30.0) -> Any:
    """A JSON request; OSError (HTTPError) when it fails."""
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    kind = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
    headers = {"Content-Type": kind}
    login, _, host = url.removeprefix("http://").rpartition("@")
    if login:
        headers["Authorization"] = f"Basic {base64.b64encode(unquote(login).encode()).decode()}"
    call = urllib.request.Request(f"http://{host}{path}", data=data, method=method, headers=headers)
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
