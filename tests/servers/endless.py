"""Tests that never end; `test_end_of_run.py` runs them, and ends the run. Each says by a file in $ENDLESS_RUN that its servers are there."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.process import Server
from tests.servers import ElasticsearchServer, RedisServer, redis_address


def wait(name: str) -> None:
    Path(os.environ["ENDLESS_RUN"], name).write_text(str(os.getpid()))
    threading.Event().wait()


@pytest.mark.parametrize("number", [1, 2])
def test_servers(number: int, tmp_path: Path) -> None:
    redis_address()
    own = RedisServer().start()
    server = Server(tmp_path / "server").start()
    wait(f"{number}")
    own.close()
    server.stop()


def test_start_of_elasticsearch() -> None:
    threading.Thread(target=ElasticsearchServer(brief=True).start, daemon=True).start()
    wait("1")


def test_container() -> None:
    server = RedisServer().start()
    wait("1")
    server.close()
