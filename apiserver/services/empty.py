"""serving.* and storage.*: ClearML's web application calls them. Their answers are empty: Tidemark has no model servers and no storage credentials."""

from __future__ import annotations

from typing import Any

from apiserver.service_repo import Call, endpoint

Request = dict[str, Any]
Answer = dict[str, Any]


class ServingService:
    """Tidemark runs no model servers."""

    @endpoint("serving.get_endpoints")
    def get_endpoints(self, call: Call, request: Request) -> Answer:
        return {"endpoints": []}

    @endpoint("serving.get_loading_instances")
    def get_loading_instances(self, call: Call, request: Request) -> Answer:
        return {"instances": []}


class StorageService:
    """Tidemark keeps no credentials of storage providers."""

    @endpoint("storage.get_settings")
    def get_settings(self, call: Call, request: Request) -> Answer:
        return {}
