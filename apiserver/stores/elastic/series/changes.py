"""What batches do to the documents that many of them change: statistics of series, activity of tasks and models."""

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
"""Batches that a series remembers beside those of its last write."""

DocumentKey = tuple[str, str]
"""Index and id of a document."""


@dataclass(slots=True)
class SeriesChange:
    """What a batch did to a series. `epoch` is the one that was read before the batch was written (None: there was no document); `batch`: the batch's
    name (see `parts.batch_name`), empty when it has none."""

    index: str
    id: str
    key: SeriesKey
    row: StatisticsRow
    epoch: int | None
    batch: str = ""


@dataclass(slots=True)
class ActivityChange:
    """What a batch did to a task or model."""

    index: str
    id: str
    now: int
    max_iter: int | None


Change = SeriesChange | ActivityChange


@dataclass(slots=True)
class DocumentState:
    """A document as this process saw it last; `seq_no` -1: there was none."""

    seq_no: int = -1
    primary_term: int = 0
    epoch: int | None = None
    created_here: bool = False
    """Whether this process created it: then batches that saw no document before belong to the same epoch."""
    row: StatisticsRow | None = None
    activity: dict[str, int | None] | None = None

    @property
    def exists(self) -> bool:
        return self.seq_no >= 0


class PreparedWrite(NamedTuple):
    """The bulk lines that carry out the changes of a document, and its state afterwards. They are void once its state is not `before` any more."""

    before: DocumentState
    after: DocumentState
    lines: bytes


def prepare(document: DocumentKey, before: DocumentState, changes: Sequence[Change]) -> PreparedWrite | None:
    """The write that applies changes of one document. None: nothing to do."""
    if isinstance(changes[0], ActivityChange):
        return _prepare_activity(document, before, changes)
    row = before.row.copy() if before.row is not None else StatisticsRow()
    counted = row.batches
    for change in changes:
        assert isinstance(change, SeriesChange)
        # The series was recomputed or deleted after the batch read the epoch: whether its events were counted then can't be known.
        other_epoch = change.epoch != before.epoch and not (change.epoch is None and before.created_here)
        row.add(change.row)
        # A crash can keep the statistics and lose the events, which are in another shard: the batch comes again, and each of its lines is new.
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
        return None  # a task that the registry does not know (any more)
    activity = dict(before.activity)
    for change in changes:
        assert isinstance(change, ActivityChange)
        if change.max_iter is not None:
            activity["last_iteration"] = max(activity["last_iteration"] or 0, change.max_iter, 0)
        activity["last_update"] = change.now
        activity["last_change"] = max((activity["last_change"] or 0) + 1, change.now)
    lines = versioned("update", *document, {"doc": activity}, before.seq_no, before.primary_term)
    return PreparedWrite(before, DocumentState(activity=activity), lines)
