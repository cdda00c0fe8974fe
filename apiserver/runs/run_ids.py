"""Run ids in URL paths. An id may contain slashes, which clients send as `%2F`; a WSGI server decodes them before routing."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

from werkzeug.routing import BaseConverter

PLACES = ("/api/runs/", "/api/v2/experiments/")
_SLASH = "\x1f"
"""Replaces a slash of an id during routing: ids have no control characters."""
_CODES = re.compile("%(2f|1f)", re.IGNORECASE)
_READ_AS = {"2f": "%1F", "1f": "%EF%BF%BD"}


class RunId(BaseConverter):
    """Converter `<run_id:run>`: one path segment, in which the slashes that `keep_slashes` replaced are restored."""

    def to_python(self, value: str) -> str:
        return value.replace(_SLASH, "/")


def keep_slashes(environ: MutableMapping[str, Any]) -> None:
    """Make a run id with slashes one segment of PATH_INFO."""
    if not str(environ.get("PATH_INFO", "")).startswith(PLACES):
        return
    sent = str(environ.get("RAW_URI", "")).partition("?")[0]
    if _CODES.search(sent) and sent.startswith(PLACES):
        path = unquote_to_bytes(_CODES.sub(lambda code: _READ_AS[code[1].lower()], sent)).decode("latin-1")
        if {".", ".."}.isdisjoint(path.replace(_SLASH, "/").split("/")):  # no run has such an id, and no route such a path
            environ["PATH_INFO"] = path
