"""Fixtures: real servers on every engine.

Tests that only need "a server" share one process per engine and keep apart by using task ids of their own; tests that need special settings, or
that stop the server, start their own with `start_server`.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import parallel
from tests.answers import check_data
from tests.client import Check, Client
from tests.process import Server

# Some images set this. Then each of the hundreds of processes of a run compiles what it imports, which is half of a server's start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

ENGINES = ("sqlite", "elastic")
"""The engines that behaviour tests run on when `--engines` is not given."""

StartServer = Callable[..., Server]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engines", default=None, help="comma-separated list of sqlite, elastic (default: both, tests marked one_engine on sqlite)"
    )
    parser.addoption("--fuzz", type=int, default=0, help="how many broken bodies the fuzz tests send (default: a sample)")
    parser.addoption("--fuzz-from", type=int, default=0, help="where they begin: a campaign in several pieces")
    parser.addoption("--fuzz-seed", type=int, default=None, help="send only the body of this seed")
    parser.addoption("--compose", action="store_true", help="run docker-compose.yml on a real engine too (tests/compose)")
    parser.addoption("--kills", type=int, default=3, help="how often the soak test kills the server")


def pytest_configure(config: pytest.Config) -> None:
    parallel.configure(config)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if collection_path.name == "compose" and not config.getoption("--compose") else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--engines")
        marked = metafunc.definition.get_closest_marker
        one = marked("one_engine") and not marked("both_engines") and not asked
        engines = "sqlite" if one else asked or ",".join(ENGINES)
        metafunc.parametrize("engine", engines.split(","), scope="session", indirect=True)


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """`sqlite` or `elastic`."""
    return str(request.param)


@pytest.fixture(scope="session")
def engine_env(engine: str) -> dict[str, str]:
    """The settings that choose the engine."""
    if engine == "sqlite":
        return {}
    from tests.servers import elasticsearch_url, redis_url

    return {"TIDEMARK_STORE": elasticsearch_url(), "TIDEMARK_STATE": redis_url()}


def own_store(engine_env: dict[str, str]) -> dict[str, str]:
    """The same engine with nothing in it: names of its own on the shared Elasticsearch and Redis."""
    mark = uuid.uuid4().hex[:8]
    return {name: value + mark if "?prefix=" in value else value for name, value in engine_env.items()}


_running: list[Server] = []
_ending: list[Server] = []


def watch(server: Server) -> None:
    """A test that fails shows what this server wrote last."""
    _running.append(server)


def dismiss(server: Server) -> None:
    """The test is through with it: it ends while the next tests run, and at the latest with the session."""
    if server in _running:
        _running.remove(server)
    server.dismiss()
    _ending.append(server)


@pytest.hookimpl(trylast=True)  # after the fixtures of the session
def pytest_sessionfinish() -> None:
    for server in _ending:
        server.stop()


def credentials(server: Server) -> tuple[str, str]:
    """The key that a server made at its first start."""
    kept = json.loads((server.data / "credentials.json").read_text())
    return str(kept["access_key"]), str(kept["secret_key"])


class SessionServers:
    """Processes that serve a whole run, each started when it is first asked for. They stay when the next test is of the other engine, which a
    session fixture that depends on the parameter `engine` would not."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._started: dict[tuple[tuple[str, str], ...], Server] = {}

    def get(self, env: Mapping[str, str], check: Check | None = check_data) -> Server:
        """The process with these settings."""
        key = tuple(sorted(env.items()))
        if key not in self._started:
            server = Server(self._folders.mktemp("shared"), env, (), check)
            _running.append(server)
            self._started[key] = server
            server.start()
        return self._started[key]

    def stop(self) -> None:
        for server in self._started.values():
            dismiss(server)


@pytest.fixture(scope="session")
def session_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SessionServers]:
    servers = SessionServers(tmp_path_factory)
    yield servers
    servers.stop()


@pytest.fixture(scope="session")
def shared_server(engine_env: dict[str, str], session_servers: SessionServers) -> Server:
    """The process behind `server`: default settings, so unknown tasks are registered by their first event."""
    return session_servers.get(engine_env)


@pytest.fixture(scope="session")
def strict_process(engine_env: dict[str, str], session_servers: SessionServers) -> Server:
    """A process that rejects events of unknown tasks, as the reference does."""
    return session_servers.get({**engine_env, "TIDEMARK_UNKNOWN_TASKS": "reject"})


@pytest.fixture
def server(shared_server: Server) -> Client:
    """A client of the shared server."""
    return shared_server.client()


@pytest.fixture
def strict(strict_process: Server) -> Client:
    """A client of the shared server that rejects events of unknown tasks."""
    return strict_process.client()


@pytest.fixture
def shared_credentials(shared_server: Server) -> tuple[str, str]:
    """Access key and secret of the shared server's default user."""
    return credentials(shared_server)


@pytest.fixture
def start_server(engine_env: dict[str, str], tmp_path: Path) -> Iterator[StartServer]:
    """Start servers with own settings: `start_server(TIDEMARK_AUTH="required")`; they are stopped after the test."""
    yield from _starter(engine_env, tmp_path)


@pytest.fixture
def start_embedded(tmp_path: Path) -> Iterator[StartServer]:
    """The same on SQLite only, for what does not depend on the engine."""
    yield from _starter({}, tmp_path)


def _starter(engine_env: dict[str, str], tmp_path: Path) -> Iterator[StartServer]:
    started: list[Server] = []

    def start(*args: str, folder: str = "", **env: str) -> Server:
        own = Server(tmp_path / (folder or f"server{len(started)}"), {**engine_env, **env}, args, check_data)
        started.append(own)
        _running.append(own)
        return own.start()

    yield start
    for own in started:
        dismiss(own)


@pytest.fixture
def task() -> str:
    """An id that no other test uses."""
    return uuid.uuid4().hex


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """A failing test shows what its servers wrote last."""
    report = yield
    if report.failed:
        for server in _running:
            report.sections.append((f"log of the server at {server.url}", server.log_tail()))
    return report
