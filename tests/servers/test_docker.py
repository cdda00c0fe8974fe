"""A machine without Redis or Maven, but with Docker: the servers come from the official images.

`docker` is a stand-in here, written to a folder that is all of PATH. It starts a real Redis for Redis's image and notes every command.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from tests.servers import ElasticsearchServer, Missing, RedisServer, docker
from tests.servers.install import program
from tests.supervised import free_port, wait_until

STAND_IN = """#!{python}
import os, pathlib, signal, subprocess, sys
here, args = pathlib.Path({folder!r}), sys.argv[1:]
with (here / "commands").open("a") as notes:
    print(*args, file=notes)

def launch(name):
    command = (here / name).read_text().split()[1:]
    quiet = subprocess.DEVNULL
    pid = subprocess.Popen([{redis!r}, *command], stdin=quiet, stdout=quiet, stderr=quiet, cwd=here, start_new_session=True).pid
    (here / (name + ".pid")).write_text(str(pid))

def running(name):
    try:
        return pathlib.Path("/proc", (here / (name + ".pid")).read_text(), "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False

def send(name, number):
    if not running(name):
        sys.exit("Error: container is not running")
    os.kill(int((here / (name + ".pid")).read_text()), number)

match args:
    case ["info"]:
        sys.exit({code})
    case ["run", "--detach", "--name", name, "--network", "host", "redis:7-alpine", *command]:
        (here / name).write_text(" ".join(command))
        launch(name)
    case ["run", *_]:
        sys.exit("Error: no such image")
    case ["start", name]:
        launch(name)
    case ["inspect", "--format", "{{{{.State.Running}}}}", name]:
        print("true" if running(name) else "false")
    case ["pause", name]:
        send(name, signal.SIGSTOP)
    case ["unpause", name]:
        send(name, signal.SIGCONT)
    case ["kill", name]:
        send(name, signal.SIGKILL)
    case ["stop", "-t", "20", name]:
        send(name, signal.SIGTERM)
    case ["rm", "--force", "--volumes", name]:
        if running(name):
            send(name, signal.SIGKILL)
    case _:
        sys.exit("Error: the stand-in does not know this: " + repr(args))
"""


def write_stand_in(folder: Path, code: int = 0) -> Path:
    """Make a folder with nothing but the stand-in; the file that notes its commands. `code` is the status of `docker info`."""
    redis = program("redis-server", "redis-server")
    folder.mkdir()
    file = folder / "docker"
    file.write_text(STAND_IN.format(python=sys.executable, folder=str(folder), redis=redis, code=code))
    file.chmod(0o755)
    return folder / "commands"


def bare_machine(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> Path:
    """PATH holds nothing but `docker`; the file that notes its commands."""
    commands = write_stand_in(folder, code)
    monkeypatch.setenv("PATH", str(folder))
    docker.daemon_runs.cache_clear()
    return commands


@pytest.fixture(autouse=True)
def _forget() -> None:  # type: ignore[misc]
    yield
    docker.daemon_runs.cache_clear()


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False


def test_redis_comes_from_docker_and_can_be_frozen_killed_and_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = bare_machine(tmp_path / "bin", monkeypatch)
    server = RedisServer()
    try:
        server.start()
        assert answers(server.port)
        server.freeze()
        assert not answers(server.port)
        server.thaw()
        assert answers(server.port)
        server.kill()
        assert not answers(server.port)
        server.start()
        server.stop()
        assert not answers(server.port)
        server.start()
        assert answers(server.port)
    finally:
        server.close()
    wait_until(lambda: not answers(server.port), 5, "it is gone")
    assert not server.folder.exists()
    verbs = [line.split()[0] for line in commands.read_text().splitlines()]
    assert verbs.count("run") == 1 and verbs.count("start") == 2 and verbs[-1] == "rm"


def test_elasticsearch_is_asked_of_docker_with_the_settings_it_would_have_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = bare_machine(tmp_path / "bin", monkeypatch)
    monkeypatch.setenv("TIDEMARK_TEST_CACHE", str(tmp_path / "cache"))
    server = ElasticsearchServer(version="8.19.21", heap="512m", node="n1", seeds=["127.0.0.1:1", "127.0.0.1:2"], masters=["n1", "n2"])
    try:
        with pytest.raises(RuntimeError, match="no such image"):
            server.start()
    finally:
        server.close()
    asked = next(line for line in commands.read_text().splitlines() if line.startswith("run"))
    assert asked.endswith(" docker.elastic.co/elasticsearch/elasticsearch:8.19.21") and "--network host" in asked and "path." not in asked
    for setting in (
        f"http.port={server.port}",
        f"transport.port={server.transport_port}",
        "network.host=127.0.0.1",
        "xpack.security.enabled=false",
        "discovery.seed_hosts=127.0.0.1:1,127.0.0.1:2",
        "cluster.initial_master_nodes=n1,n2",
        "ES_JAVA_OPTS=-Xms512m -Xmx512m",
    ):
        assert f"--env {setting} " in asked, setting


def test_without_a_daemon_the_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare_machine(tmp_path / "bin", monkeypatch, code=1)
    server = RedisServer(free_port())
    try:
        with pytest.raises(Missing, match=r"redis-server.*apt-get install redis-server"):
            server.start()
    finally:
        server.close()
    assert os.environ["PATH"] == str(tmp_path / "bin")
