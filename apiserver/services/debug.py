"""The debug service."""

from __future__ import annotations

from typing import Any

from apiserver.service_repo import Call, endpoint


class DebugService:
    """`debug.*`: answers without touching the store, to test the connection."""

    @endpoint("debug.ping")
    def ping(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"msg": "Tidemark is listening"}
