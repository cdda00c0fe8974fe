"""Changes of documents that many batches update: statistics of series, activity of tasks and models."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from apiserver.stores.elastic.bulk_actions import Operation, versioned
from apiserver.stores.elastic.series.row import StatisticsRow, source_of
from apiserver.stores.records import SeriesKey

ACTIVITY = ("last_iteration", "last_update", "last_change")

BATCHES = 16
"""Names of earlier batches that a series keeps beside those of its last write."""

DocumentKey = tuple[str, str]
"""Index and id of a document."""


@dataclass(slots=True)
class SeriesChange:
    """A batch's change of a series. `epoch`: as read before the batch was written (None: no document yet). `batch`: the batch's name (see
    `parts.batch_name`), or empty."""

    index: str
    id: str
    key: SeriesKey
    row: StatisticsRow
    epoch: int | None
    batch: str = ""


@dataclass(slots=True)
class ActivityChange:
    """A batch's change of a task or model: time of the update in epoch ms, greatest iteration."""

    index: str
    id: str
    now: int
    max_iter: int | None


Change = SeriesChange | ActivityChange


@dataclass(slots=True)
class DocumentState:
    """The last known state of a document; `seq_no` -1: it did not exist."""

    seq_no: int = -1
    primary_term: int = 0
    epoch: int | None = None
    created_here: bool = False
    """Whether this process created it. Then batches that saw no document belong to the same epoch."""
    row: StatisticsRow | None = None
    activity: dict[str, int | None] | None = None

    @property
    def exists(self) -> bool:
        return self.seq_no >= 0


class PreparedWrite(NamedTuple):
    """The bulk lines that change a document, and its state afterwards. Valid only while its last known state is the object `before`."""

    before: DocumentState
    after: DocumentState
    lines: bytes


def prepare(document: DocumentKey, before: DocumentState, changes: Sequence[Change]) -> PreparedWrite | None:
    """The write that applies all changes of one document, or None when there is nothing to write."""
    if isinstance(changes[0], ActivityChange):
        return _prepare_activity(document, before, changes)
    row = before.row.copy() if before.row is not None else StatisticsRow()
    counted = row.batches
    for change in changes:
        assert isinstance(change, SeriesChange)
        # Another epoch: the series was recomputed or deleted after the batch read it, with or without the batch's events.
        other_epoch = change.epoch != before.epoch and not (change.epoch is None and before.created_here)
        row.add(change.row)
        # A crash can keep the statistics and lose the events, which are in another shard: on the retry every line is new, but counted already.
        counted_before = bool(change.batch) and change.batch in counted
        row.stale = row.stale or other_epoch or counted_before
        key = change.key
    names = [change.batch for change in changes if isinstance(change, SeriesChange) and change.batch]
    if names:
        row.batches = " ".join([*counted.split()[-BATCHES:], *dict.fromkeys(names)])
    epoch = before.epoch if before.exists else secrets.randbelow(2**31)
    after = DocumentState(epoch=epoch, created_here=before.created_here or not before.exists, row=row)
    operation: Operation = "index" if before.exists else "create"
    lines = versioned(operation, *document, source_of(key, row, epoch or 0), before.seq_no, before.primary_term)
    return PreparedWrite(before, after, lines)


def _prepare_activity(document: DocumentKey, before: DocumentState, changes: Sequence[Change]) -> PreparedWrite | None:
    if not before.exists or before.activity is None:
        return None  # the registry has no such task
    activity = dict(before.activity)
    for change in changes:
        assert isinstance(change, ActivityChange)
        if change.max_iter is not None:
            activity["last_iteration"] = max(activity["last_iteration"] or 0, change.max_iter, 0)
        activity["last_update"] = change.now
        activity["last_change"] = max((activity["last_change"] or 0) + 1, change.now)
    lines = versioned("update", *document, {"doc": activity}, before.seq_no, before.primary_term)
    return PreparedWrite(before, DocumentState(activity=activity), lines)
