"""The server service."""

from __future__ import annotations

from typing import Any

from apiserver import __version__
from apiserver.bll.events.image_index import MAX_VARIANTS
from apiserver.bll.events.logs import MAX_PAGE
from apiserver.bll.events.series_charts import MAX_BUCKETS, MAX_SERIES
from apiserver.bll.events.thumbnails import MAX_CELLS
from apiserver.service_repo import Call, endpoint
from apiserver.service_repo.auth import SERVER_VERSION
from apiserver.service_repo.versions import MAXIMUM
from apiserver.settings import FilesSettings, WebSettings

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class ServerService:
    """Version, configuration and capabilities of this server."""

    def __init__(self, files: FilesSettings, web: WebSettings, page_version: str) -> None:
        self._files, self._web, self._page_version = files, web, page_version

    @endpoint("server.page")
    def page(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {
            "version": __version__,
            "api_version": str(MAXIMUM),
            "page": self._page_version,
            "files": self._file_prefixes(call.headers.get("Host", "")),
            "image_origins": list(self._web.image_origins),
            "live": "/api/live",
            "limits": {
                "series": MAX_SERIES,
                "buckets": MAX_BUCKETS,
                "thumbnail_cells": MAX_CELLS,
                "variants": MAX_VARIANTS,
                "log_lines": MAX_PAGE,
            },
        }

    def _file_prefixes(self, host: str) -> list[str]:
        """How stored URLs of this server's own files begin. One machine has several names for itself: a page that was opened as localhost shows
        images that were reported to 127.0.0.1."""
        name, port = _split(host)
        names = LOOPBACK if name in LOOPBACK else (name,)
        found = [self._files.public_url.rstrip("/")] if self._files.public_url else []
        for scheme in ("http", "https"):
            found += [f"{scheme}://{one}{port}/files" for one in names if one]
            if self._files.port:
                found += [f"{scheme}://{one}:{self._files.port}" for one in names if one]
        return found

    @endpoint("server.info")
    def info(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"version": SERVER_VERSION, "build": "tidemark", "commit": __version__, "api_version": str(MAXIMUM), "uid": ""}

    @endpoint("server.report_stats_option")
    def report_stats_option(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"supported": False, "enabled": False, "enabled_time": None, "enabled_version": None, "enabled_user": None}


def _split(host: str) -> tuple[str, str]:
    """A Host header as name and ":port" (empty without one)."""
    name, colon, port = host.rpartition(":")
    return (name, f":{port}") if colon and port.isdigit() else (host, "")
