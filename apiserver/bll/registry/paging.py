"""Pages of documents: by number, or by a scroll that keeps the reader's position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from apiserver.bll.registry.query import Where
from apiserver.stores.registry import Document, Kind, Registry, Sort
from apiserver.stores.state import State

SCROLL = "list_scroll"
SIZE = 500
"""Rows of a page when the request doesn't say."""


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """Documents, their answers once they are made, and the scroll they belong to (None without one)."""

    documents: list[Document]
    rows: list[dict[str, Any]]
    scroll_id: str | None = None
    scrolled: bool = False

    def with_rows(self, rows: list[dict[str, Any]]) -> DocumentPage:
        return replace(self, rows=rows)

    def answer(self, name: str) -> dict[str, Any]:
        """`{<name>: rows}`, with the scroll id if there is a scroll."""
        return {name: self.rows, "scroll_id": self.scroll_id} if self.scrolled else {name: self.rows}


class DocumentPages:
    """Reads pages of a registry.

    `page` and `page_size` count pages from 0. `size`, `scroll_id` and `refresh_scroll` belong to a scroll: the first call gets an id, the
    same call with that id the next rows and the same id; `refresh_scroll` gives everything from the start to the reader's position again.
    An unknown or expired scroll id starts a new scroll. Without any of these: all rows.
    """

    def __init__(self, registry: Registry, state: State, ttl: float) -> None:
        """`ttl`: seconds that a scroll lives after its last use."""
        self._registry = registry
        self._state = state
        self._ttl = ttl

    def read(
        self,
        kind: Kind,
        companies: Sequence[str],
        where: Where,
        order: Sequence[Sort],
        request: dict[str, Any] | Any,
        fields: Sequence[str] | None,
        *,
        scope: str,
    ) -> DocumentPage:
        """The page that the request asks for. `scope` (a company) binds a scroll to the company that began it."""
        if request.get("size") is None and request.get("scroll_id") is None:
            offset, limit = 0, None
            if request.get("page") is not None or request.get("page_size") is not None:
                limit = request.get("page_size") or SIZE
                offset = (request.get("page") or 0) * limit
            found = self._registry.find(kind, companies, where, order=order, offset=offset, limit=limit, fields=fields)
            return DocumentPage(self._own_first(kind, scope, found), [])
        size = request.get("size") or SIZE
        position, scroll_id = self._position(kind, scope, request.get("scroll_id"))
        if request.get("refresh_scroll"):
            start, size = 0, max(position, size)
        else:
            start = position
        found = self._registry.find(kind, companies, where, order=order, offset=start, limit=size, fields=fields)
        state = {"kind": kind, "scope": scope, "position": start + len(found)}
        if scroll_id is None or self._state.update(SCROLL, scroll_id, lambda _: state, self._ttl) is None:
            scroll_id = self._state.create(SCROLL, state, self._ttl, company=scope)
        return DocumentPage(self._own_first(kind, scope, found), [], scroll_id, True)

    def _own_first(self, kind: Kind, company: str, documents: list[Document]) -> list[Document]:
        """Without other companies' documents whose id the company itself uses: an id means the company's own document, in lists too."""
        foreign = [document.id for document in documents if document.company != company]
        own = self._registry.get_many(kind, company, foreign, fields=("name",)) if foreign else {}
        return [document for document in documents if document.company == company or document.id not in own]

    def _position(self, kind: Kind, scope: str, scroll_id: str | None) -> tuple[int, str | None]:
        state = self._state.get(SCROLL, scroll_id) if scroll_id else None
        if state is None or (state.get("kind"), state.get("scope")) != (kind, scope):
            return 0, None
        return int(state["position"]), scroll_id
