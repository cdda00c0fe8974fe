"""The documents that batches change, as this process saw them last: the version under which the next write replaces them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from cachetools import LRUCache

from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.series.changes import ACTIVITY, DocumentKey, DocumentState
from apiserver.stores.elastic.series.row import row_of


class KnownDocuments:
    """Safe for any number of threads and greenlets. `size`: how many documents are remembered."""

    def __init__(self, client: ElasticClient, size: int) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._states: LRUCache[DocumentKey, DocumentState] = LRUCache(size)

    def get(self, document: DocumentKey) -> DocumentState | None:
        with self._lock:
            return self._states.get(document)

    def remember(self, document: DocumentKey, state: DocumentState) -> None:
        with self._lock:
            self._states[document] = state

    def forget(self, document: DocumentKey) -> None:
        with self._lock:
            self._states.pop(document, None)

    def load_missing(self, documents: Iterable[DocumentKey]) -> None:
        """Read those that are not known."""
        missing: dict[str, list[str]] = {}
        for index, id in documents:
            if (index, id) not in self._states:
                missing.setdefault(index, []).append(id)
        for index, ids in missing.items():
            self._load(index, ids)

    def _load(self, index: str, ids: Sequence[str]) -> None:
        series = ids[0].startswith("series-")
        found = self._client.get_many(index, ids, None if series else ACTIVITY)
        for id in ids:
            if id not in found and not series:
                continue  # the registry may create it at any moment
            state = DocumentState()
            if id in found:
                document = found[id]
                state.seq_no, state.primary_term = document["_seq_no"], document["_primary_term"]
                source = document.get("_source", {})
                if series:
                    state.epoch, state.row = source["epoch"], row_of(source)
                else:
                    state.activity = {name: source.get(name) for name in ACTIVITY}
            self.remember((index, id), state)
