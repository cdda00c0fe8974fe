"""A cache of the documents that batches change, with the version for the next write under `if_seq_no`.

Documents of the latest batches are objects; the others are packed (msgpack, a third of the memory) until they are used again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

import msgspec
from cachetools import LRUCache

from apiserver.common.fairness import paced
from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.series.changes import ACTIVITY, DocumentKey, DocumentState
from apiserver.stores.elastic.series.row import LastPoints, StatisticsRow, row_of

DOCUMENTS = 500
"""Documents processed before other requests get a turn."""
UNPACKED = 1_000
"""Documents kept as objects: more than concurrent batches change."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class KnownDocuments:
    """Safe for any number of threads and greenlets. `size`: documents in the cache; `unpacked`: how many of them as objects, at most half."""

    def __init__(self, client: ElasticClient, size: int, unpacked: int = UNPACKED) -> None:
        self._client = client
        self._lock = threading.Lock()
        unpacked = min(unpacked, max(1, size // 2))
        self._packed: LRUCache[DocumentKey, bytes] = LRUCache(size - unpacked)
        self._states = _Spilling(unpacked, self._pack)

    def get(self, document: DocumentKey) -> DocumentState | None:
        """The cached state, or None. Returns the same object until it is packed or replaced, so callers may compare identities."""
        with self._lock:
            state = self._states.get(document)
            if state is None and (packed := self._packed.pop(document, None)) is not None:
                state = self._states[document] = unpack(packed)
            return state

    def remember(self, document: DocumentKey, state: DocumentState) -> None:
        with self._lock:
            self._packed.pop(document, None)
            self._states[document] = state

    def forget(self, document: DocumentKey) -> None:
        with self._lock:
            self._packed.pop(document, None)
            self._states.pop(document, None)

    def load_missing(self, documents: Iterable[DocumentKey]) -> None:
        """Read the documents that are not in the cache from Elasticsearch."""
        missing: dict[str, list[str]] = {}
        for index, id in paced(documents, DOCUMENTS):
            if (index, id) not in self._states and (index, id) not in self._packed:
                missing.setdefault(index, []).append(id)
        for index, ids in missing.items():
            self._load(index, ids)

    def _load(self, index: str, ids: Sequence[str]) -> None:
        series = ids[0].startswith("series-")
        found = self._client.get_many(index, ids, None if series else ACTIVITY)
        for id in paced(ids, DOCUMENTS):
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

    def _pack(self, document: DocumentKey, state: DocumentState) -> None:
        self._packed[document] = pack(state)


class _Spilling(LRUCache[DocumentKey, DocumentState]):
    """An LRU cache that passes evicted entries to `spill`."""

    def __init__(self, size: int, spill: Callable[[DocumentKey, DocumentState], None]) -> None:
        super().__init__(size)
        self._spill = spill

    def popitem(self) -> tuple[DocumentKey, DocumentState]:
        """Called by cachetools to make room."""
        document, state = super().popitem()
        self._spill(document, state)
        return document, state


def pack(state: DocumentState) -> bytes:
    row = state.row
    values = None if row is None else (row.values(), row.last, row.batches)
    return _encode((state.seq_no, state.primary_term, state.epoch, state.created_here, values, state.activity))


def unpack(packed: bytes) -> DocumentState:
    seq_no, primary_term, epoch, created_here, values, activity = _decode(packed)
    row = None
    if values is not None:
        row = StatisticsRow(*values[0])
        row.last, row.batches = None if values[1] is None else LastPoints(*values[1]), values[2]
    return DocumentState(seq_no, primary_term, epoch, created_here, row, activity)
