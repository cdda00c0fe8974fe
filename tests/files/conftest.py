"""A server with files, and a name for one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.conftest import dismiss
from tests.files.helpers import LIMIT
from tests.process import Server, free_port


@pytest.fixture(scope="module")
def files(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a second port for files and a limit of 30 MB."""
    env = {**engine_env, "TIDEMARK_FILES_PORT": str(free_port()), "TIDEMARK__files__max_size": str(LIMIT)}
    server = Server(tmp_path_factory.mktemp("files"), env)
    yield server.start()
    dismiss(server)


@pytest.fixture
def name() -> str:
    """A path as the SDK makes it, of a task of its own."""
    return f"/proj/sub/full.{uuid.uuid4().hex}/metrics/img/i1/img_i1_00000000.jpeg"
