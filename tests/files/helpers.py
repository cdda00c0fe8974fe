"""What a client of the file server does."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import requests

from tests.process import Server

LIMIT = 30_000_000
"""Bytes of a file that the shared server takes."""


def upload(server: Server, name: str, content: bytes, **headers: str) -> requests.Response:
    return requests.post(f"{server.url}/files", files={name: (name, content)}, headers=headers, timeout=30)


def get(server: Server, name: str, **headers: str) -> requests.Response:
    return requests.get(f"{server.url}/files{quote(name)}", headers=headers, timeout=30)


def stored(server: Server) -> list[Path]:
    return [path for path in (server.data / "files").rglob("*") if path.is_file()]
