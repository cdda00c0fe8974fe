"""A Docker engine for the tests: the one that answers, else Debian's `dockerd` on a socket and a data folder of its own.

Images that a registry would give are made here under their official names where there is no registry: a Debian root by `debootstrap`, Elasticsearch
from its Maven distribution, Redis from Debian. The data folder lies in the tests' cache, so that a second run builds nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
from pathlib import Path

from tests.process import wait_until
from tests.servers.install import ELASTICSEARCH_VERSION, Missing, cache_folder, elasticsearch_home, install_lock, java_home, program
from tests.supervised import Supervised

IMAGES = Path(__file__).parent / "images"
BASE = "python:3.12-slim-bookworm"
DEBIAN = "http://deb.debian.org/debian"
PLUGIN = "pool/main/d/docker-compose/docker-compose_2.26.1-4_amd64.deb"
"""Compose v2 as Debian 13 has it; Debian 12 has only the first version."""
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class Engine:
    """`docker` with an engine behind it. Raises Missing, with one sentence, when there is none and none can be started."""

    def __init__(self, scratch: Path) -> None:
        self.env = {**os.environ, "DOCKER_CONFIG": str(cache_folder() / "docker-config")}
        self._daemon: Supervised | None = None
        self._own = Path()
        self._log = scratch / "dockerd.log"
        self._docker = program("docker", "docker.io")
        if not self._answers():
            self._start()
        self._compose_plugin()
        for name, make in (
            (BASE, self._base),
            (_elasticsearch(), self._elasticsearch),
            ("redis:7-alpine", self._redis),
            ("haproxy:3.0-alpine", self._haproxy),
        ):
            if not self.run("images", "-q", name).strip():
                make(name)

    def run(self, *args: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
        """What `docker ARGS` prints; AssertionError with its errors when it fails."""
        done = subprocess.run(
            [self._docker, *args],
            cwd=cwd,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"docker {' '.join(args)}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done.stdout

    def close(self) -> None:
        if self._daemon is not None:
            self._daemon.end()
            for place in (self._own / "exec" / "netns").glob("*"):  # a network name space that dockerd leaves mounted
                subprocess.run(["umount", "-q", place], check=False)
            shutil.rmtree(self._own, ignore_errors=True)

    def _answers(self) -> bool:
        return subprocess.run([self._docker, "info"], env=self.env, capture_output=True, check=False).returncode == 0

    def _start(self) -> None:
        if os.geteuid() != 0:
            raise Missing("tests/compose need a Docker engine: start one, or run them as root, which starts dockerd")
        daemon = program("dockerd", "docker.io")
        self._own = Path(tempfile.mkdtemp(prefix="tidemark-docker-", dir="/run"))
        socket = f"unix://{self._own / 'docker.sock'}"
        folders = ["--data-root", str(cache_folder() / "docker"), "--exec-root", str(self._own / "exec"), "-p", str(self._own / "pid")]
        self._daemon = Supervised([daemon, "-H", socket, *folders], self._log, env=dict(os.environ), cwd=self._own)
        self.env["DOCKER_HOST"] = socket
        try:
            wait_until(self._answers, 60, lambda: f"dockerd answers: {self._log.read_text()[-2000:]}")
        except AssertionError as error:
            self.close()
            raise Missing(f"tests/compose need a Docker engine, and dockerd can't run here: {error}") from error

    def _compose_plugin(self) -> None:
        if subprocess.run([self._docker, "compose", "version"], env=self.env, capture_output=True, check=False).returncode == 0:
            return
        with install_lock("compose.lock"):
            plugin = Path(self.env["DOCKER_CONFIG"]) / "cli-plugins" / "docker-compose"
            if not plugin.exists():
                archive, unpacked = cache_folder() / "downloads" / Path(PLUGIN).name, cache_folder() / "compose"
                archive.parent.mkdir(exist_ok=True)
                urllib.request.urlretrieve(f"{DEBIAN}/{PLUGIN}", archive)
                subprocess.run(["dpkg-deb", "-x", archive, unpacked], check=True)
                plugin.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(unpacked / "usr/libexec/docker/cli-plugins/docker-compose", plugin)

    # --- images under official names

    def _base(self, name: str) -> None:
        root = cache_folder() / "debian-root"
        if not (root / "usr/bin/python").exists():
            shutil.rmtree(root, ignore_errors=True)
            packages = "--include=ca-certificates,python3,python3-pip,python3-venv,curl,procps"
            subprocess.run(
                [program("debootstrap", "debootstrap"), "--variant=minbase", packages, "bookworm", root, DEBIAN],
                check=True,
                capture_output=True,
            )
            # This machine's way to the package registries, where it has one of its own.
            shutil.copy2(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
            (root / "etc/pip.conf").write_text(f"[global]\ncert = {CERTIFICATES}\ntimeout = 180\nbreak-system-packages = true\n")
            (root / "usr/bin/python").symlink_to("python3")
        path = "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8"
        importing = subprocess.Popen(
            [self._docker, "import", "-c", path, "-", name], env=self.env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        assert importing.stdin is not None
        with tarfile.open(fileobj=importing.stdin, mode="w|") as archive:
            archive.add(root, ".")
        importing.stdin.close()
        assert importing.wait() == 0

    def _elasticsearch(self, name: str) -> None:
        context = cache_folder() / "elasticsearch-image"
        shutil.rmtree(context, ignore_errors=True)
        shutil.copytree(IMAGES / "elasticsearch", context)
        shutil.copytree(elasticsearch_home(), context / "elasticsearch", ignore=shutil.ignore_patterns("data", "*.log"))
        shutil.copytree(java_home(ELASTICSEARCH_VERSION), context / "jdk", symlinks=True, ignore=shutil.ignore_patterns("jmods", "src.zip"))
        self._build(name, context)
        shutil.rmtree(context)

    def _redis(self, name: str) -> None:
        self._build(name, IMAGES / "redis")

    def _haproxy(self, name: str) -> None:
        self._build(name, IMAGES / "haproxy")

    def _build(self, name: str, context: Path) -> None:
        # Without buildx, which Debian 12 has not; from the host's network, which reaches the registries.
        self.run("build", "-q", "--network", "host", "-t", name, str(context), env={"DOCKER_BUILDKIT": "0"})


def _elasticsearch() -> str:
    return f"docker.elastic.co/elasticsearch/elasticsearch:{ELASTICSEARCH_VERSION}"
