"""The documents that batches change, as this process saw them last: the version under which the next write replaces them.

Those of the latest batches are objects; the others are packed, a third of the size, until a batch changes them again.
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
"""Documents looked at between two chances for other requests."""
UNPACKED = 1_000
"""Documents that are kept as objects: more than the batches under way change."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class KnownDocuments:
    """Safe for any number of threads and greenlets. `size`: how many documents are remembered; `unpacked`: how many of them as objects, at most half."""

    def __init__(self, client: ElasticClient, size: int, unpacked: int = UNPACKED) -> None:
        self._client = client
        self._lock = threading.Lock()
        unpacked = min(unpacked, max(1, size // 2))
        self._packed: LRUCache[DocumentKey, bytes] = LRUCache(size - unpacked)
        self._states = _Spilling(unpacked, self._pack)

    def get(self, document: DocumentKey) -> DocumentState | None:
        """The same object until it is packed: a caller may ask whether it is still the one that it has."""
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
        """Read those that are not known."""
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
    """Hands over what does not fit any more."""

    def __init__(self, size: int, spill: Callable[[DocumentKey, DocumentState], None]) -> None:
        super().__init__(size)
        self._spill = spill

    def popitem(self) -> tuple[DocumentKey, DocumentState]:
        """Called where a new document needs the place."""
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
