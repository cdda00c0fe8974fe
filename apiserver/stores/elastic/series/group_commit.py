"""Group commit: small batches share one bulk request, together with the documents that many of them change (see `changes`).

A process has one bulk of small batches in flight at a time; commits that arrive in the meantime prepare their writes and wait. When the answer arrives,
the oldest commit that may start becomes the next leader. It sends one bulk for itself and for the waiting commits that fit, its followers:

    commit A          prepare | LEADER: sends A ....... answer | reads the answer, returns
    commit B             prepare | waits ..................... | LEADER: sends B and C ....... answer | reads the answer, returns
    commit C                prepare | waits .................. | follower of B ............................................ | returns
    commit D (large)     prepare | LEADER, alone and at once: sends D .............. answer | reads the answer, returns

The next leader starts when the answer has arrived, before it is parsed. A document is in one bulk at a time. Every document is replaced under
`if_seq_no`, so no write of another process is lost: the version is remembered from the last write, and read again after a conflict.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from apiserver.common import patience
from apiserver.common.fairness import give_way, paced
from apiserver.stores.elastic.bulk_actions import action
from apiserver.stores.elastic.client import BulkAnswer, ElasticClient, IndexGone, attempts, busy_reason, is_index_gone, reason
from apiserver.stores.elastic.series.changes import Change, DocumentKey, DocumentState, PreparedWrite, prepare
from apiserver.stores.elastic.series.known_documents import DOCUMENTS, UNPACKED, KnownDocuments
from apiserver.stores.errors import StoreBusy, StoreUnavailable

REMEMBERED = 20_000
"""Documents whose version and content are cached."""
PREPARED = 200
"""Writes prepared (in some milliseconds) before other requests get a turn."""
TRIES = 50
GROUP_BYTES = 500_000
"""Most bytes of the small batches in one bulk. A larger batch is sent alone, without waiting."""
SWEEP_SECONDS = 5.0


@dataclass(slots=True)
class BatchLines:
    """Bulk lines of a batch's events, sent in the same request as its changes. `index`: that of lines that name none. `items`: Elasticsearch's result for
    each line, None when all created documents."""

    pieces: list[bytes]
    index: str
    count: int
    items: list[dict[str, Any]] | None = None


@dataclass(slots=True, eq=False)
class _Commit:
    """One call of `commit`."""

    changes: dict[DocumentKey, list[Change]]
    batch: BatchLines | None
    turn: threading.Event
    """Set when this commit becomes a leader, or when its leader is done."""
    size: int
    """Bytes of the batch's lines."""
    prepared: dict[DocumentKey, PreparedWrite] = field(default_factory=dict)
    """Writes prepared while waiting."""
    group: list[_Commit] = field(default_factory=list)
    """For a leader: the commits of its bulk, itself first. Empty for waiting commits and followers."""
    error: Exception | None = None

    @property
    def is_large(self) -> bool:
        return self.size > GROUP_BYTES


class GroupCommit:
    """Writes changes of documents, shared between batches. `new_event` makes the event on which a commit waits."""

    def __init__(self, client: ElasticClient, new_event: Callable[[], threading.Event] = threading.Event) -> None:
        self._client = client
        self._new_event = new_event
        self._known = KnownDocuments(client, REMEMBERED)
        self._lock = threading.Lock()
        self._waiting: list[_Commit] = []
        self._leader: _Commit | None = None  # of the small commits: at most one at a time
        self._in_flight: set[DocumentKey] = set()  # documents in bulks that are not answered yet
        self._removals: list[DocumentKey] = []
        self._sweeping = False

    @property
    def waiting(self) -> int:
        """The number of waiting commits."""
        return len(self._waiting)

    def epochs(self, index: str, ids: Sequence[str]) -> list[int | None]:
        """The present epochs of these series' documents, in order; None: no document yet."""
        self._known.load_missing([(index, id) for id in ids])
        return [known.epoch if (known := self._known.get((index, id))) else None for id in paced(ids, DOCUMENTS)]

    def commit(self, changes: Sequence[Change], batch: BatchLines | None = None) -> None:
        """Store the changes, and the batch's lines with them; returns when they are durable. Raises StoreBusy or StoreUnavailable."""
        mine = _Commit({}, batch, self._new_event(), sum(map(len, batch.pieces)) if batch else 0)
        for change in changes:
            mine.changes.setdefault((change.index, change.id), []).append(change)
        self._known.load_missing(mine.changes)
        few = len(mine.changes) <= UNPACKED // 2  # with more, states are packed while waiting, which invalidates prepared writes
        for document, of_document in mine.changes.items() if few else ():
            if document not in self._in_flight and (write := self._prepare(document, of_document)):
                mine.prepared[document] = write
        with self._lock:
            self._waiting.append(mine)
        self._start_leaders()
        try:
            if not patience.wait(mine.turn, self._client.settings.timeout):
                self._stop_waiting(mine)
                if not mine.group:
                    raise StoreUnavailable("Elasticsearch does not answer: other writes are still waiting for it")
        except BaseException:
            self._stop_waiting(mine)  # a killed greenlet must not become a leader
            raise
        finally:
            if mine.group:
                self._lead(mine)
        if mine.error is not None:
            raise mine.error

    def _stop_waiting(self, commit: _Commit) -> None:
        with self._lock:
            self._waiting = [other for other in self._waiting if other is not commit]

    def forget(self, index: str, id: str) -> None:
        """Drop a document from the cache, after a change by other means than `commit`."""
        self._known.forget((index, id))

    # --- leaders and followers

    def _start_leaders(self) -> None:
        """Start every waiting commit that may lead, with the followers that fit."""
        with self._lock:
            while leader := next(filter(self._may_lead, self._waiting), None):
                leader.group = self._gather(leader)
                if not leader.is_large:
                    self._leader = leader
                leader.turn.set()

    def _may_lead(self, commit: _Commit) -> bool:
        return (commit.is_large or self._leader is None) and self._in_flight.isdisjoint(commit.changes)

    def _gather(self, leader: _Commit) -> list[_Commit]:
        """The leader and its followers, oldest first. The caller holds the lock."""
        group, left, size = [leader], list[_Commit](), leader.size
        index = leader.batch.index if leader.batch else ""
        for commit in self._waiting:
            if commit is leader:
                continue
            fits = size + commit.size <= GROUP_BYTES and self._in_flight.isdisjoint(commit.changes)
            if commit.batch is not None:
                index = index or commit.batch.index
                fits = fits and commit.batch.index == index
            if fits:
                group.append(commit)
                size += commit.size
            else:
                left.append(commit)
        self._waiting = left
        for commit in group:
            self._in_flight.update(commit.changes)
        return group

    def _lead(self, leader: _Commit) -> None:
        """Send the group's bulk and wake its followers."""
        error: Exception | None = StoreBusy("a write was interrupted")
        try:
            self._write(leader)
            error = None
        except Exception as caught:  # raised in the followers too
            error = caught
        finally:
            with self._lock:
                for commit in leader.group:
                    self._in_flight.difference_update(commit.changes)
                    commit.error = error
            self._hand_over(leader)
            for commit in leader.group:
                commit.turn.set()

    def _hand_over(self, leader: _Commit) -> None:
        """Let the next leader start; called when the answer has arrived, before it is parsed."""
        if self._leader is leader:
            self._leader = None
        self._start_leaders()

    # --- the bulk

    def _write(self, leader: _Commit) -> None:
        batches = [commit.batch for commit in leader.group if commit.batch]
        left: dict[DocumentKey, list[Change]] = {}
        prepared: dict[DocumentKey, PreparedWrite] = {}
        for commit in leader.group:
            prepared |= commit.prepared
            for document, changes in paced(commit.changes.items(), DOCUMENTS):
                if document in left:
                    prepared.pop(document, None)
                left[document] = left.get(document, []) + changes
        with self._lock:
            removals, self._removals = self._removals, []
        for _ in attempts(TRIES):
            self._known.load_missing(left)
            lines = [piece for batch in batches for piece in batch.pieces]
            lines += [action("delete", *document) for document in removals]
            sent: list[tuple[DocumentKey, DocumentState]] = []
            for document, changes in paced(left.items(), PREPARED):
                write = prepared.get(document)
                if write is None or write.before is not self._known.get(document):
                    write = self._prepare(document, changes)
                if write is not None:
                    sent.append((document, write.after))
                    lines.append(write.lines)
            if not lines:
                return
            answer = self._client.bulk(b"".join(lines), batches[0].index if batches else "", details=True)
            self._hand_over(leader)
            give_way()  # the next leader's bulk is ready to be sent
            items = answer.last(len(sent))
            _set_items(batches, answer, sum(item["status"] == 201 for item in items))
            left = self._conflicts(left, sent, items)
            if not left:
                return
            batches, removals = [], []  # only the conflicting documents are tried again
        raise StoreBusy("too many workers change the same statistics at once", 1.0)

    def _prepare(self, document: DocumentKey, changes: Sequence[Change]) -> PreparedWrite | None:
        return prepare(document, self._known.get(document) or DocumentState(), changes)

    def _conflicts(
        self, changes: dict[DocumentKey, list[Change]], sent: list[tuple[DocumentKey, DocumentState]], items: list[dict[str, Any]]
    ) -> dict[DocumentKey, list[Change]]:
        """Cache the documents that were written. Returns the changes of documents that another process changed, to be tried again."""
        left: dict[DocumentKey, list[Change]] = {}
        busy: StoreBusy | None = None
        for (document, after), item in paced(zip(sent, items, strict=True), DOCUMENTS):
            status = item["status"]
            if status in (200, 201):
                after.seq_no, after.primary_term = item["_seq_no"], item["_primary_term"]
                self._known.remember(document, after)
                continue
            self._known.forget(document)
            if is_index_gone(item):
                busy = busy or IndexGone(f"the index {document[0]} was removed from Elasticsearch", 1.0)
            elif status in (404, 409):
                left[document] = changes[document]
            else:
                busy = busy or busy_reason(status, item) or StoreBusy(f"Elasticsearch refuses statistics: {reason(item)}")
        if busy is not None:
            raise busy
        return left

    # --- records of pending batches

    def remove_later(self, index: str, id: str) -> None:
        """Delete a document with one of the next bulks: the record of a batch that is no longer pending. It does no harm until then."""
        with self._lock:
            self._removals.append((index, id))
            start, self._sweeping = not self._sweeping, True
        if start:
            threading.Thread(target=self._sweep, name="tidemark-sweep", daemon=True).start()

    def _sweep(self) -> None:
        """Send the removals that no other bulk has taken along."""
        patience.end()
        while True:
            time.sleep(SWEEP_SECONDS)
            with self._lock:
                if not self._removals:
                    self._sweeping = False
                    return
            try:
                self.commit(())
            except StoreBusy:
                continue

    def close(self) -> None:
        """Send the removals that are left."""
        with suppress(StoreBusy):
            if self._removals:
                self.commit(())


def _set_items(batches: Sequence[BatchLines], answer: BulkAnswer, others: int) -> None:
    """Set `items` of the batches, unless all lines created documents. `others`: documents created by the rest of the request."""
    if answer.created() == others + sum(batch.count for batch in batches):
        return
    done = 0
    for batch in batches:
        batch.items = answer.items[done : done + batch.count]
        done += batch.count
