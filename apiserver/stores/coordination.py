"""The port of the write state that the workers of an Elasticsearch store share: arrival numbers, pending batches, write counters, revisions, changes.

Elasticsearch shows a write to searches only after a refresh. So each write raises the *write counter* of its index and, once it is refreshed, the
*visible counter* follows: a reader refreshes only when the counter of the write that it needs is above the visible one. `stores.redis` implements it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol


class BatchStart(NamedTuple):
    """A pending batch: its first arrival number, the token that finishes it, and the generations of its tasks (None: not known)."""

    seq: int
    token: str
    generations: list[int | None]


class TaskState(NamedTuple):
    """A task's generation (None: not known), and by index the write counter of the last write of its events."""

    generation: int | None
    written: dict[str, int]


class WriteCounter(NamedTuple):
    """How often an index was written, and how many of these writes searches see (None: not known)."""

    written: int
    visible: int | None


class Revisions(NamedTuple):
    """By task, in the order asked for: a number that changes with its events, and one that changes with its document. Numbers of two runs of the
    server that keeps them can't be compared."""

    run: str
    events: tuple[int, ...]
    documents: tuple[int, ...]


class ChangedDocuments(NamedTuple):
    """The ids of documents that were changed up to `number` (None: too many to be listed), in a run of the server that keeps the list."""

    run: str
    number: int
    ids: list[str] | None


class Coordination(Protocol):
    """Shared by all workers and hosts. Every method raises StateUnavailable while the server behind it does not answer.

    That server may lose everything at any time: a restart begins a new *run*, and what is not known counts as not visible.
    """

    def begin_batch(self, company: str, now: int, lines: int, tasks: Sequence[str]) -> BatchStart:
        """Arrival numbers for `lines` events that no other batch gets, greater than all before. `now` in ms. The batch is pending from now on."""

    def record_writes(
        self,
        company: str,
        token: str,
        tasks: Mapping[str, Collection[str]],
        indices: Collection[str],
        statistics: str,
        documents: Mapping[str, Sequence[str]],
    ) -> None:
        """Record a write: raise the write counters of its indices and the revisions of its tasks. `token` finishes a pending batch ("":
        none).

        `tasks`: the indices that each task was written to, with `DOCUMENT` among them when its document in the registry was changed. `indices`:
        others that were written. `documents`: by task, all ids that were written to the index `statistics`; left out where they are not known,
        or too many.
        """

    def pending_batches(self, company: str, since: float) -> list[tuple[int, int]]:
        """Arrival numbers (first, last) of the batches that were not finished at the time `since` (of `clock`)."""

    def pending_batches_of(self, company: str, tasks: Collection[str]) -> list[tuple[int, int]]:
        """Those of the batches that are pending now that may write to these tasks."""

    def clock(self) -> float:
        """The time in seconds, the same for all hosts."""

    def write_counters(self, indices: Sequence[str]) -> tuple[str, dict[str, WriteCounter]]:
        """The run, and the counters of each index."""

    def record_visible(self, run: str, counters: Mapping[str, int]) -> None:
        """Searches of these indices see every write up to these counters, which were read in the run `run`."""

    def pending_documents(self, company: str, statistics: str, needed: Mapping[str, int]) -> list[str] | None:
        """The documents of these tasks in the index `statistics` that searches may not see yet; None: not known, or too many.

        `needed`: by task, the write counter of its last write to that index.
        """

    def task_states(self, company: str, tasks: Sequence[str]) -> tuple[str, list[TaskState]]:
        """The run, and the state of each task."""

    def revisions(self, company: str, tasks: Sequence[str]) -> Revisions:
        """The revisions of each task."""

    def changed_documents(self, company: str, since: int) -> ChangedDocuments:
        """The documents that were changed (`DOCUMENT` in `record_writes`) since the number of an earlier answer of the same run; 0: all that are
        listed."""

    def remember_generations(self, company: str, generations: Mapping[str, int | None]) -> None:
        """Keep, or with None forget, the generations of tasks."""
