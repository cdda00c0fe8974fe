"""The server service."""

from __future__ import annotations

from typing import Any

from apiserver import __version__
from apiserver.service_repo import Call, endpoint
from apiserver.service_repo.auth import SERVER_VERSION
from apiserver.service_repo.versions import MAXIMUM


class ServerService:
    """About this server."""

    @endpoint("server.info")
    def info(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"version": SERVER_VERSION, "build": "tidemark", "commit": __version__, "api_version": str(MAXIMUM), "uid": ""}

    @endpoint("server.report_stats_option")
    def report_stats_option(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"supported": False, "enabled": False, "enabled_time": None, "enabled_version": None, "enabled_user": None}
