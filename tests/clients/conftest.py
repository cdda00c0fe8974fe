"""A server and a user's machine for the SDK's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.scripts import Mode, Sdk
from tests.process import Server

MakeSdk = Callable[..., Sdk]


@pytest.fixture
def make_sdk(tmp_path: Path, shared_server: Server) -> MakeSdk:
    """`make_sdk("child")`, `make_sdk(server=own)`: each call is another machine with an empty home folder."""
    made: list[Sdk] = []

    def make(mode: Mode = "threads", server: Server | None = None, **env: str) -> Sdk:
        sdk = Sdk(server or shared_server, tmp_path / f"home{len(made)}", mode, env=env)
        made.append(sdk)
        return sdk

    return make


@pytest.fixture
def sdk(make_sdk: MakeSdk) -> Sdk:
    """The quicker mode."""
    return make_sdk()
