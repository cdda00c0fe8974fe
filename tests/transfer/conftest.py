"""Recorded folders of other tools."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.transfer.record import RECORDED

Copy = Callable[[str], Path]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A recorded folder, with its database made again."""

    def made(tool: str) -> Path:
        folder = tmp_path / tool
        shutil.copytree(RECORDED / tool, folder)
        for path in folder.glob("*.sql"):
            connection = sqlite3.connect(path.with_suffix(".db"))
            connection.executescript(path.read_text())
            connection.close()
        return folder

    return made
