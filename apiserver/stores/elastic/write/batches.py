"""Storing a batch, step by step:

1. Coordination assigns arrival numbers and lists the batch as pending.
2. Its tasks get a generation, its series their indices.
3. It is split into parts, one per series, and these into bulk requests.
4. The requests are sent, the last one together with the statistics (by group commit if it is small).
5. Coordination raises the write counters and finishes the batch.

The statistics are exact if every line of the last request is new. If a line replaced a document, its series becomes stale and the next reader
recomputes it. Each series also keeps the names of its latest batches: a crash of Elasticsearch may keep the statistics of a batch and lose its events,
which are in another shard. When the client retries such a batch, all lines are new, but the name is known: the series becomes stale too.

The shards of one bulk request work at their own pace, so a document of statistics may count lines that are not stored yet. Who recomputes waits until the
batches that were pending are finished, or leaves the statistics stale.

The first request also writes a record of the pending batch with its series; a later request of any batch removes it. A worker that dies in
between leaves the record behind: after `PENDING_SECONDS` the next reader recomputes the series that it names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress

from apiserver.common.fairness import paced
from apiserver.settings import ElasticSettings
from apiserver.stores.batch import Appended, EventBatch, Refusal
from apiserver.stores.elastic.client import ElasticClient, IndexGone
from apiserver.stores.elastic.generations import Generations
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.queries import Query, all_of
from apiserver.stores.elastic.registry.documents import document_id
from apiserver.stores.elastic.series.changes import ActivityChange, Change, SeriesChange
from apiserver.stores.elastic.series.group_commit import BatchLines, GroupCommit
from apiserver.stores.elastic.series.row import PENDING, StatisticsRow
from apiserver.stores.elastic.visibility import PendingBatch, Visibility
from apiserver.stores.elastic.write.bulk_lines import log_prefix
from apiserver.stores.elastic.write.parts import SERIES, Part, batch_name, parts_of
from apiserver.stores.elastic.write.requests import BulkLimits, BulkRequest, bulk_requests, pending_batch_record
from apiserver.stores.errors import DISK_TROUBLE, StoreBusy
from apiserver.stores.options import WriteOptions
from apiserver.stores.records import LOG, SEQ_SHIFT, SeriesKey
from apiserver.stores.series_room import BatchRoom, SeriesRoom, without

LISTED = 200
"""Batches of up to this many series publish which statistics documents they changed, so that readers fetch these by id without a refresh."""


class BatchWriter:
    """`append` for one store; safe for any number of greenlets."""

    def __init__(
        self,
        client: ElasticClient,
        layout: Layout,
        generations: Generations,
        visibility: Visibility,
        group_commit: GroupCommit,
        settings: ElasticSettings,
        options: WriteOptions,
    ) -> None:
        self._client, self._layout, self._generations = client, layout, generations
        self._visibility, self._group_commit, self._options = visibility, group_commit, options
        self._limits = BulkLimits(settings.bulk_bytes, options.compress_from)
        self._series_room = SeriesRoom(options)

    def append(self, company: str, batch: EventBatch) -> Appended:
        pending = self._visibility.begin_batch(company, batch.now, batch.lines, list(batch.touches))
        try:
            stored = self._store(company, batch, pending)
        except StoreBusy as error:
            self._client.note_trouble(error)
            # Part of the batch may be stored: readers must refresh, and the batch is no longer pending. If this fails too, the client gets the
            # first error.
            statistics = self._layout.statistics(company)
            with suppress(StoreBusy):
                self._visibility.record_writes(company, dict.fromkeys(batch.touches, (statistics,)), token=pending.token)
            if isinstance(error, IndexGone):
                self._generations.forget(company, list(batch.touches))
            raise
        if self._client.outages:
            self._client.outages.ended(DISK_TROUBLE)
        return stored

    def _store(self, company: str, batch: EventBatch, pending: PendingBatch) -> Appended:
        statistics = self._layout.statistics(company)
        generations = self._generations.for_writing(company, list(batch.touches), pending.generations)
        self._generations.ensure_statistics(company)
        parts = parts_of(company, batch)
        for part in paced(parts, SERIES):
            part.index = self._generations.ensure(part.key.type, company, generations[part.key.task])
        # Read before the first line is sent: a recomputation in between then shows as another epoch.
        for part, epoch in zip(parts, self._group_commit.epochs(statistics, [part.id for part in parts]), strict=True):
            part.epoch = epoch
        refused = self._without_room(company, parts)
        parts = [part for part in parts if part.key not in refused]
        batch, refusals = without(batch, refused)
        refusals += self._send(company, batch, parts, pending.seq, statistics)
        written, documents = _written(batch, parts, statistics)
        self._visibility.record_writes(company, written, (self._layout.entities,), documents, token=pending.token)
        logs = [part for part in parts if part.key.type == LOG]
        return Appended(pending.seq, sorted(refusals), bool(logs) and all(part.is_repetition for part in logs))

    def _without_room(self, company: str, parts: list[Part]) -> dict[SeriesKey, str]:
        """New series that exceed a limit, with the reason for the refusal."""
        room: BatchRoom | None = None
        refused: dict[SeriesKey, str] = {}
        taken: set[SeriesKey] = set()
        for part in paced(parts, SERIES):
            if part.epoch is None and part.key not in taken and part.key not in refused:
                room = room or self._series_room.batch(company, lambda task: self._count_series(company, task))
                why = room.take(part.key.task)
                if why is None:
                    taken.add(part.key)
                else:
                    refused[part.key] = why
        return refused

    def _count_series(self, company: str, task: str | None) -> int:
        """The number of series of a task (None: of the company)."""
        index = self._layout.statistics(company)
        query: list[Query] = [{"term": {"kind": "series"}}]
        if task is not None:
            self._visibility.make_visible(self._visibility.view(company, [task]), {index: [task]})
            query.append({"term": {"task": task}})
        answer = self._client.search(index, {"size": 0, "track_total_hits": True, "query": all_of(query)})
        return int(answer.get("hits", {}).get("total", {}).get("value", 0))

    def _send(self, company: str, batch: EventBatch, parts: Sequence[Part], seq: int, statistics: str) -> list[Refusal]:
        """Send the record of the pending batch, the lines, and with the last of them the changes. Raises StoreBusy when a line must be retried."""
        if not parts:  # at most activity changes, which need no pending record
            if changes := self._activity_changes(company, batch):
                self._group_commit.commit(changes)
            return []
        refusals: list[Refusal] = []
        record_id = f"{PENDING}-{seq:x}"
        record = pending_batch_record(batch, parts, statistics, record_id)
        log_ids = log_prefix(company, batch.digest) if batch.logs else ""
        for request in bulk_requests(self._layout, company, batch, parts, seq, log_ids, record, self._limits):
            if request.is_last:
                changes = [*_series_changes(statistics, batch, parts, seq), *self._activity_changes(company, batch)]
                refusals += self._send_last(request, changes, statistics)
            else:
                refusals += self._send_before(request)
        self._store_late_repeats(company, batch, batch.digest, parts, seq)
        self._group_commit.remove_later(statistics, record_id)
        return refusals

    def _send_before(self, request: BulkRequest) -> list[Refusal]:
        """Send a request that is not the last one of its batch."""
        answer = self._client.bulk(b"".join(request.pieces), request.target)
        return [] if answer.created() == request.count else request.read(answer.items)

    def _send_last(self, request: BulkRequest, changes: Sequence[Change], statistics: str) -> list[Refusal]:
        """Send the last request, together with the changes of statistics and activity."""
        lines = BatchLines(request.pieces, request.target, request.count)
        self._group_commit.commit(changes, lines)
        if lines.items is None:
            return []
        try:
            return request.read(lines.items)
        finally:
            # The statistics that were sent count every line as new: mark series where that was wrong.
            wrong = request.incomplete_parts()
            self._group_commit.commit(
                [SeriesChange(statistics, part.id, part.key, StatisticsRow(stale=True), part.epoch) for part in wrong]
            )

    def _activity_changes(self, company: str, batch: EventBatch) -> list[Change]:
        changes: list[Change] = []
        for task, touch in batch.touches.items():
            kind = "model" if touch.is_model else "task"
            changes.append(ActivityChange(self._layout.entities, document_id(kind, company, task), batch.now, touch.max_iter))
        return changes

    def _store_late_repeats(self, company: str, batch: EventBatch, digest: bytes | None, parts: Sequence[Part], seq: int) -> None:
        """Store log lines that repeat an older batch after the retry window under other ids: they are new lines, not a retry.

        The ids are derived from the digest and the arrival of the first lines, so that a retry of this batch is recognized too.
        """
        repeated = [part for part in parts if part.logs and part.repeated]
        if not repeated or digest is None:
            return
        first = repeated[0]
        id = f"{log_prefix(company, digest)}{first.arrivals[first.created.index(False)]}"
        stored = self._client.get(self._layout.writing(first.index), id)
        if stored is None or batch.now - (stored["_source"]["seq"] >> SEQ_SHIFT) < 1000 * self._options.retry_window:
            return
        digest = hashlib.blake2b(digest + int(stored["_source"]["seq"]).to_bytes(8, "big"), digest_size=16).digest()
        copies = [part.repeated_logs() for part in repeated]
        for request in bulk_requests(self._layout, company, batch, copies, seq, log_prefix(company, digest), b"", self._limits):
            self._send_before(request)
        self._store_late_repeats(company, batch, digest, copies, seq)
        for part, copy in zip(repeated, copies, strict=True):
            if not copy.repeated:
                part.created, part.repeated = [], False


def _series_changes(statistics: str, batch: EventBatch, parts: Sequence[Part], seq: int) -> list[Change]:
    """The changes of the parts' series."""
    changes: list[Change] = []
    name = batch_name(batch, parts)
    for part in paced(parts, SERIES):
        row = part.row(seq)
        if row is not None:
            known_again = not part.logs or batch.digest is not None
            changes.append(SeriesChange(statistics, part.id, part.key, row, part.epoch, name if known_again else ""))
    return changes


def _written(batch: EventBatch, parts: Sequence[Part], statistics: str) -> tuple[Mapping[str, set[str]], Mapping[str, Sequence[str]]]:
    """By task: the indices that were written, and the ids of changed statistics documents (empty above LISTED series)."""
    written: dict[str, set[str]] = {task: {statistics} for task in batch.touches}
    documents: dict[str, list[str]] = {task: [] for task in batch.touches}
    for part in parts:
        written[part.key.task].add(part.index)
        documents[part.key.task].append(part.id)
    return written, documents if len(parts) <= LISTED else {}
