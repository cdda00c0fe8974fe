"""Queries of addresses of the page that are too long for a link. The id of a view is computed from its query, so that a query is stored once."""

from __future__ import annotations

import hashlib

from apiserver.bll.registry.document_changes import create_or_get
from apiserver.bll.registry.new_documents import now_ms
from apiserver.bll.registry.records import checked
from apiserver.errors import NotFound
from apiserver.stores.registry import Registry

ID_LENGTH = 20
"""Hex digits of an id: 80 bits."""


class StoredViews:
    """Documents of kind `view`. They never change; everybody of the company may read them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def save(self, company: str, user: str, query: str) -> str:
        """The id of the view with this query. Raises ValidationFailed for text that is not valid."""
        body = checked({"query": query, "user": user, "created": now_ms()})
        id = hashlib.sha256(query.encode()).hexdigest()[:ID_LENGTH]
        create_or_get(self._registry, "view", company, id, {"id": id, **body})
        return id

    def query(self, company: str, id: str) -> str:
        """Raises NotFound."""
        document = self._registry.get("view", company, id)
        if document is None:
            raise NotFound("there is no such view in this company", view=id)
        return str(document.body["query"])
