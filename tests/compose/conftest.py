"""Only with `--compose` (`make test-compose`): building the images takes minutes, and not every machine may run an engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compose.engine import Engine
from tests.compose.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The services of docker-compose.yml, started once by `make up`; healthy when a test begins and when it ends."""
    engine = Engine(tmp_path_factory.mktemp("engine"))
    try:
        stack = Stack(engine, tmp_path_factory.mktemp("compose"))
        try:
            stack.up()
            yield stack
        finally:
            stack.close()
    finally:
        engine.close()
