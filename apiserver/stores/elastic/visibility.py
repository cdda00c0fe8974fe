"""Reads see every acknowledged write, without a refresh per write: a writer raises write counters, a reader that needs the write refreshes, once for
all who wait.

The counters are in the shared coordination (`stores.coordination`). While it is unavailable every writer refreshes before it acknowledges, and every
reader before it reads.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from apiserver.common import patience
from apiserver.common.metrics import REFRESHES
from apiserver.stores.coordination import ChangedDocuments, Coordination, Revisions
from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.errors import StateUnavailable, StoreUnavailable
from apiserver.stores.records import DOCUMENT, SEQ_SHIFT

log = logging.getLogger(__name__)

CATCH_UP_SECONDS = 0.5
FAR_FUTURE = 1e12
LONGEST_BATCH = 60.0
"""Seconds after which a batch is taken to be finished when nothing is known of it."""
POLL_SECONDS = 0.01


class PendingBatch(NamedTuple):
    """A batch that is not acknowledged yet: its first arrival number, its token, the generations of its tasks as far as they are remembered."""

    seq: int
    token: str
    generations: dict[str, int]


class TaskView(NamedTuple):
    """The state of the tasks that a reader reads: generations, and by task and index the write counter of the last write. `known` is False while the
    coordination is unavailable: then everything must be refreshed."""

    known: bool
    generations: dict[str, int]
    written: dict[str, dict[str, int]]


class Visibility:
    """Write counters for writers, refreshes for readers."""

    def __init__(self, client: ElasticClient, layout: Layout, coordination: Coordination) -> None:
        self._client = client
        self._layout = layout
        self._coordination = coordination
        self._lock = threading.Lock()
        self._run = ""
        self._visible: dict[str, int] = {}  # by index: up to which write counter searches see every write
        self._refreshing: dict[str, threading.Lock] = {}
        self._not_raised: dict[str, set[str]] = {}  # by company: tasks whose revisions could not be raised

    # --- writers

    def begin_batch(self, company: str, now: int, lines: int, tasks: Sequence[str]) -> PendingBatch:
        try:
            start = self._coordination.begin_batch(company, now, lines, tasks)
        except StateUnavailable:
            # Without the shared counter a random start in the millisecond keeps the numbers of two workers apart.
            room = (1 << SEQ_SHIFT) - min(lines, 1 << (SEQ_SHIFT - 1))
            return PendingBatch((now << SEQ_SHIFT) + secrets.randbelow(room), "", {})
        found = zip(tasks, start.generations, strict=True)
        return PendingBatch(start.seq, start.token, {task: number for task, number in found if number is not None})

    def record_writes(
        self,
        company: str,
        tasks: Mapping[str, Collection[str]],
        indices: Collection[str] = (),
        documents: Mapping[str, Sequence[str]] | None = None,
        *,
        token: str = "",
    ) -> None:
        """After a write, before it is acknowledged; see `Coordination.record_writes`. `token`: of the pending batch that is finished by it."""
        try:
            self._coordination.record_writes(company, token, tasks, indices, self._layout.statistics(company), documents or {})
        except StateUnavailable:
            written = {index for indices in tasks.values() for index in indices} | set(indices)
            self._refresh_now(written - {DOCUMENT})
            self._catch_up(company, tasks)

    def _catch_up(self, company: str, tasks: Collection[str]) -> None:
        """Raise the revisions later: a reader that still reaches the coordination must not take cached charts of these tasks for new."""
        with self._lock:
            running = bool(self._not_raised)
            self._not_raised.setdefault(company, set()).update(tasks)
        if not running:
            threading.Thread(target=self._raise_revisions, name="tidemark-revisions", daemon=True).start()

    def _raise_revisions(self) -> None:
        while True:
            time.sleep(CATCH_UP_SECONDS)
            with self._lock:
                late = {company: set(tasks) for company, tasks in self._not_raised.items()}
            try:
                for company, tasks in late.items():
                    self._coordination.record_writes(
                        company, "", dict.fromkeys(tasks, (DOCUMENT,)), (), self._layout.statistics(company), {}
                    )
            except StateUnavailable:
                continue
            with self._lock:
                for company, tasks in late.items():
                    self._not_raised[company] -= tasks
                self._not_raised = {company: tasks for company, tasks in self._not_raised.items() if tasks}
                if not self._not_raised:
                    return

    def remember_generations(self, company: str, generations: Mapping[str, int | None]) -> None:
        try:
            self._coordination.remember_generations(company, generations)
        except StateUnavailable:
            log.debug("generations are not remembered: the coordination is unavailable")

    # --- readers

    def view(self, company: str, tasks: Sequence[str]) -> TaskView:
        """What is known of these tasks."""
        try:
            run, states = self._coordination.task_states(company, tasks)
        except StateUnavailable:
            return TaskView(False, {}, {})
        self._new_run(run)
        generations = {task: state.generation for task, state in zip(tasks, states, strict=True) if state.generation is not None}
        return TaskView(True, generations, {task: state.written for task, state in zip(tasks, states, strict=True)})

    def revisions(self, company: str, tasks: Sequence[str]) -> Revisions | None:
        """The revisions of these tasks; None while the coordination is unavailable."""
        try:
            return self._coordination.revisions(company, tasks)
        except StateUnavailable:
            return None

    def make_visible(self, view: TaskView, needs: Mapping[str, Collection[str]]) -> None:
        """Make what was written so far visible to searches. `needs`: by index, the tasks that are read from it."""
        if not view.known:
            self._refresh_now(needs)
            return
        due: dict[str, int] = {}
        for index, tasks in needs.items():
            needed = max((view.written.get(task, {}).get(index, 0) for task in tasks), default=0)
            if self._visible.get(index, -1) < needed:
                due[index] = needed
        if due:
            self._refresh(due)

    def pending_documents(self, company: str, view: TaskView, tasks: Sequence[str]) -> list[str] | None:
        """The documents of statistics of these tasks that searches may not see yet: few, so that they are read by their ids instead of
        refreshing. None: not known, or too many; `make_visible` is needed."""
        statistics = self._layout.statistics(company)
        if not view.known or statistics not in self._visible:
            return None
        needed = {task: number for task in tasks if (number := view.written.get(task, {}).get(statistics, 0)) > self._visible[statistics]}
        if not needed:
            return []
        try:
            return self._coordination.pending_documents(company, statistics, needed)
        except StateUnavailable:
            return None

    def make_all_visible(self, indices: Sequence[str]) -> None:
        """Make every write in these indices visible."""
        try:
            run, counters = self._coordination.write_counters(indices)
        except StateUnavailable:
            self._refresh_now(indices)
            return
        self._new_run(run)
        due = {index: written for index, (written, visible) in counters.items() if visible is None or visible < written}
        if due:
            self._refresh(due)

    def changed_documents(self, company: str, since: int) -> ChangedDocuments | None:
        """The documents of tasks and models that were changed since a number (see `Coordination.changed_documents`); None while it is unavailable."""
        try:
            return self._coordination.changed_documents(company, since)
        except StateUnavailable:
            return None

    def pending_batches(self, company: str, since: float) -> list[tuple[int, int]]:
        """Arrival numbers (first, last) of the batches that were not acknowledged at that time. Raises StateUnavailable."""
        return self._coordination.pending_batches(company, since)

    def oldest_pending(self, company: str) -> int | None:
        """The smallest arrival number of a pending batch; None: no batch is pending. Batches older than a minute are skipped: such a batch died with its
        worker, and would hold readers back for ever. While the coordination is unavailable, a minute ago."""
        minute_ago = _minute_ago()
        try:
            return min(_since(minute_ago, self._coordination.pending_batches(company, FAR_FUTURE)), default=None)
        except StateUnavailable:
            return minute_ago

    def await_pending(self, company: str, tasks: Collection[str], longest: float) -> bool:
        """Wait until the batches of these tasks that are pending now are finished, at most `longest` seconds. False when they are not, or when it is
        not known. Batches older than a minute are skipped."""
        since = _minute_ago()
        deadline = time.monotonic() + longest
        try:
            waiting = _since(since, self._coordination.pending_batches_of(company, tasks))
            while waiting and time.monotonic() <= deadline:
                time.sleep(POLL_SECONDS)
                waiting &= _since(since, self._coordination.pending_batches_of(company, tasks))
        except StateUnavailable:
            return False
        return not waiting

    def clock(self) -> float:
        """Raises StateUnavailable."""
        return self._coordination.clock()

    def _new_run(self, run: str) -> None:
        if run != self._run:
            with self._lock:
                self._run, self._visible = run, {}

    def _refresh(self, due: Mapping[str, int]) -> None:
        locks: list[threading.Lock] = []
        try:
            for index in sorted(due):
                lock = self._lock_of(index)
                if not patience.acquire(lock, self._client.settings.timeout):
                    raise StoreUnavailable("Elasticsearch does not answer: others wait for a refresh")
                locks.append(lock)
            # Another greenlet may have done it while this one waited for the lock.
            left = [index for index, needed in due.items() if self._visible.get(index, -1) < needed]
            if not left:
                return
            try:
                run, counters = self._coordination.write_counters(left)
            except StateUnavailable:
                self._client.refresh(sorted(left))
                return
            self._new_run(run)
            pending = {index: written for index, (written, visible) in counters.items() if visible is None or visible < due[index]}
            if pending:
                REFRESHES.inc()
                self._client.refresh(sorted(pending))
                self._visible.update(pending)
                try:
                    self._coordination.record_visible(run, pending)
                except StateUnavailable:
                    log.debug("the refresh is not remembered: the coordination is unavailable")
            for index, (_, visible) in counters.items():
                if index not in pending and visible is not None:
                    self._visible[index] = max(self._visible.get(index, -1), visible)
        finally:
            for lock in locks:
                lock.release()

    def _refresh_now(self, indices: Collection[str]) -> None:
        if indices:
            REFRESHES.inc()
            self._client.refresh(sorted(indices))

    def _lock_of(self, index: str) -> threading.Lock:
        with self._lock:
            return self._refreshing.setdefault(index, threading.Lock())


def _since(since: int, batches: Iterable[tuple[int, int]]) -> set[int]:
    """The first arrival numbers of the batches that began after `since`."""
    return {first for first, _ in batches if first > since}


def _minute_ago() -> int:
    """An arrival number: a batch that began before it and is still pending died with its worker."""
    return int((time.time() - LONGEST_BATCH) * 1000) << SEQ_SHIFT
