"""Ids of runs as parts of paths. An id may hold slashes, which clients send as `%2F`; a WSGI server decodes them before routes are compared."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

from werkzeug.routing import BaseConverter

PLACES = ("/api/runs/", "/api/v2/experiments/")
_SLASH = "\x1f"
"""Stands for a slash of an id while routes are compared: no id has control characters."""
_CODES = re.compile("%(2f|1f)", re.IGNORECASE)
_READ_AS = {"2f": "%1F", "1f": "%EF%BF%BD"}


class RunId(BaseConverter):
    """`<run_id:run>`: one part of a path, with the slashes that `keep_slashes` kept."""

    def to_python(self, value: str) -> str:
        return value.replace(_SLASH, "/")


def keep_slashes(environ: MutableMapping[str, Any]) -> None:
    """Let the id of a run in the path be one part of it, though it has slashes."""
    if not str(environ.get("PATH_INFO", "")).startswith(PLACES):
        return
    sent = str(environ.get("RAW_URI", "")).partition("?")[0]
    if _CODES.search(sent) and sent.startswith(PLACES):
        path = unquote_to_bytes(_CODES.sub(lambda code: _READ_AS[code[1].lower()], sent)).decode("latin-1")
        if {".", ".."}.isdisjoint(path.replace(_SLASH, "/").split("/")):  # no run has such an id, and no route such a path
            environ["PATH_INFO"] = path
