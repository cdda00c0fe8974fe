"""Fixtures: real servers on every engine.

Tests that only need "a server" share one process per engine and keep apart by using task ids of their own; tests that need special settings, or
that stop the server, start their own with `start_server`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.answers import check_data
from tests.client import Client
from tests.process import Server

ENGINES = ("sqlite", "elastic")
"""The engines that behaviour tests run on when `--engines` is not given."""

StartServer = Callable[..., Server]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engines", default=",".join(ENGINES), help="comma-separated list of sqlite, elastic")
    parser.addoption("--fuzz", type=int, default=0, help="how many broken bodies the fuzz tests send (default: a sample)")
    parser.addoption("--fuzz-seed", type=int, default=None, help="send only the body of this seed")
    parser.addoption("--kills", type=int, default=3, help="how often the soak test kills the server")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", str(metafunc.config.getoption("--engines")).split(","), scope="session", indirect=True)


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


def credentials(server: Server) -> tuple[str, str]:
    """The key that a server made at its first start."""
    kept = json.loads((server.data / "credentials.json").read_text())
    return str(kept["access_key"]), str(kept["secret_key"])


def _serve(folder: Path, env: dict[str, str], args: tuple[str, ...] = ()) -> Iterator[Server]:
    server = Server(folder, env, args, check_data)
    _running.append(server)
    try:
        yield server.start()
    finally:
        _running.remove(server)
        server.stop()


@pytest.fixture(scope="session")
def shared_server(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The process behind `server`: default settings, so unknown tasks are registered by their first event."""
    yield from _serve(tmp_path_factory.mktemp("shared"), engine_env)


@pytest.fixture(scope="session")
def strict_process(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A process that rejects events of unknown tasks, as the reference does."""
    yield from _serve(tmp_path_factory.mktemp("strict"), {**engine_env, "TIDEMARK_UNKNOWN_TASKS": "reject"})


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
    started: list[Server] = []

    def start(*args: str, folder: str = "", **env: str) -> Server:
        own = Server(tmp_path / (folder or f"server{len(started)}"), {**engine_env, **env}, args, check_data)
        started.append(own)
        _running.append(own)
        return own.start()

    yield start
    for own in started:
        _running.remove(own)
        own.stop()


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
