"""Read your own writes without a refresh per write: a writer leaves a mark, a reader that needs the write refreshes, once for all who wait.

Marks live in Redis (`stores.redis.coordination`). While it is away every writer refreshes before it acknowledges, and every reader before it reads.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from apiserver.stores.base import StateUnavailable
from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.records import DOCUMENT, SEQ_SHIFT

log = logging.getLogger(__name__)

CATCH_UP_SECONDS = 0.5


class _Begun(Protocol):
    @property
    def seq(self) -> int: ...
    @property
    def token(self) -> str: ...
    @property
    def generations(self) -> list[int | None]: ...


class _TaskMarks(Protocol):
    @property
    def generation(self) -> int | None: ...
    @property
    def written(self) -> dict[str, int]: ...


class Revisions(Protocol):
    """What `stores.redis.coordination.Revisions` says."""

    @property
    def run(self) -> str: ...
    @property
    def events(self) -> tuple[int, ...]: ...
    @property
    def documents(self) -> tuple[int, ...]: ...


class Changes(Protocol):
    """What `stores.redis.coordination.Changes` says."""

    @property
    def run(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def ids(self) -> Sequence[str] | None: ...


class Marks(Protocol):
    """What `stores.redis.coordination.RedisMarks` does; every method raises StateUnavailable while it can't."""

    def begin(self, company: str, now: int, lines: int, tasks: Sequence[str]) -> _Begun: ...
    def finish(
        self,
        company: str,
        token: str,
        tasks: Mapping[str, Collection[str]],
        indices: Collection[str],
        statistics: str,
        documents: Mapping[str, Sequence[str]],
    ) -> None: ...
    def unseen(self, company: str, statistics: str, needed: Mapping[str, int]) -> list[str] | None: ...
    def peek(self, company: str, tasks: Sequence[str]) -> tuple[str, Sequence[_TaskMarks]]: ...
    def revisions(self, company: str, tasks: Sequence[str]) -> Revisions: ...
    def read(self, indices: Sequence[str]) -> tuple[str, dict[str, tuple[int, int | None]]]: ...
    def changed(self, company: str, since: int) -> Changes: ...
    def cleaned(self, run: str, numbers: Mapping[str, int]) -> None: ...
    def set_generations(self, company: str, generations: Mapping[str, int | None]) -> None: ...
    def clock(self) -> float: ...
    def under_way(self, company: str, since: float) -> list[tuple[int, int]]: ...


class Begun(NamedTuple):
    """A batch under way: its first arrival number, its token, the generations of its tasks as far as they are remembered."""

    seq: int
    token: str
    generations: dict[str, int]


class View(NamedTuple):
    """What readers know of the tasks they ask for. `known` is False while Redis is away: then everything must be refreshed."""

    known: bool
    generations: dict[str, int]
    written: dict[str, dict[str, int]]


class Freshness:
    """Marks for writers, refreshes for readers."""

    def __init__(self, client: ElasticClient, layout: Layout, marks: Marks) -> None:
        self._client = client
        self._layout = layout
        self._marks = marks
        self._lock = threading.Lock()
        self._run = ""
        self._clean: dict[str, int] = {}
        self._refreshing: dict[str, threading.Lock] = {}
        self._unmarked: dict[str, set[str]] = {}  # company -> tasks whose revision could not be raised

    # --- writers

    def begin(self, company: str, now: int, lines: int, tasks: Sequence[str]) -> Begun:
        try:
            begun = self._marks.begin(company, now, lines, tasks)
        except StateUnavailable:
            # Without the shared counter a random place in the millisecond keeps the numbers of two workers apart.
            room = (1 << SEQ_SHIFT) - min(lines, 1 << (SEQ_SHIFT - 1))
            return Begun((now << SEQ_SHIFT) + secrets.randbelow(room), "", {})
        found = zip(tasks, begun.generations, strict=True)
        return Begun(begun.seq, begun.token, {task: number for task, number in found if number is not None})

    def finish(
        self,
        company: str,
        token: str,
        tasks: Mapping[str, Collection[str]],
        indices: Collection[str],
        documents: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """After a write, before it is acknowledged. `tasks`: the indices each task was written to, DOCUMENT among them when its document in the
        registry was changed; `indices`: others that changed. `documents`: by task, all that was written to the index of statistics; left out
        where it is not known, or too much to list.
        """
        try:
            self._marks.finish(company, token, tasks, indices, self._layout.statistics(company), documents or {})
        except StateUnavailable:
            touched = {index for written in tasks.values() for index in written} | set(indices)
            if touched - {DOCUMENT}:
                self._client.refresh(sorted(touched - {DOCUMENT}))
            self._catch_up(company, tasks)

    def _catch_up(self, company: str, tasks: Collection[str]) -> None:
        """Raise the revisions later: a reader that still reaches Redis must not take cached charts of these tasks for new."""
        with self._lock:
            waiting = bool(self._unmarked)
            self._unmarked.setdefault(company, set()).update(tasks)
        if not waiting:
            threading.Thread(target=self._raise_revisions, name="tidemark-revisions", daemon=True).start()

    def _raise_revisions(self) -> None:
        while True:
            time.sleep(CATCH_UP_SECONDS)
            with self._lock:
                pending = {company: set(tasks) for company, tasks in self._unmarked.items()}
            try:
                for company, tasks in pending.items():
                    self._marks.finish(company, "", dict.fromkeys(tasks, (DOCUMENT,)), (), self._layout.statistics(company), {})
            except StateUnavailable:
                continue
            with self._lock:
                for company, tasks in pending.items():
                    self._unmarked[company] -= tasks
                self._unmarked = {company: tasks for company, tasks in self._unmarked.items() if tasks}
                if not self._unmarked:
                    return

    def remember_generations(self, company: str, generations: Mapping[str, int | None]) -> None:
        try:
            self._marks.set_generations(company, generations)
        except StateUnavailable:
            log.debug("generations are not remembered: Redis is away")

    # --- readers

    def view(self, company: str, tasks: Sequence[str]) -> View:
        """What is known of these tasks."""
        try:
            run, marks = self._marks.peek(company, tasks)
        except StateUnavailable:
            return View(False, {}, {})
        self._new_run(run)
        generations = {task: mark.generation for task, mark in zip(tasks, marks, strict=True) if mark.generation is not None}
        return View(True, generations, {task: mark.written for task, mark in zip(tasks, marks, strict=True)})

    def revisions(self, company: str, tasks: Sequence[str]) -> Revisions | None:
        """How often these tasks were changed, within a run of Redis; None while it is away."""
        try:
            return self._marks.revisions(company, tasks)
        except StateUnavailable:
            return None

    def see(self, view: View, needs: Mapping[str, Collection[str]]) -> None:
        """Make what was written so far visible: `needs` names for each index the tasks that are read from it."""
        if not view.known:
            self._force(needs)
            return
        due: dict[str, int] = {}
        for index, tasks in needs.items():
            needed = max((view.written.get(task, {}).get(index, 0) for task in tasks), default=0)
            if self._clean.get(index, -1) < needed:
                due[index] = needed
        if due:
            self._refresh(due)

    def unseen(self, company: str, view: View, tasks: Sequence[str]) -> list[str] | None:
        """The documents of statistics of these tasks that a search may not see yet: few, so that they are got by their ids instead of
        refreshing. None: searches have to be made to see them (`see`)."""
        statistics = self._layout.statistics(company)
        if not view.known or statistics not in self._clean:
            return None
        needed = {task: number for task in tasks if (number := view.written.get(task, {}).get(statistics, 0)) > self._clean[statistics]}
        if not needed:
            return []
        try:
            return self._marks.unseen(company, statistics, needed)
        except StateUnavailable:
            return None

    def see_all(self, indices: Sequence[str]) -> None:
        """Make every write in these indices visible."""
        try:
            run, numbers = self._marks.read(indices)
        except StateUnavailable:
            self._force(indices)
            return
        self._new_run(run)
        due = {index: dirty for index, (dirty, clean) in numbers.items() if clean is None or clean < dirty}
        if due:
            self._refresh(due)

    def changed_documents(self, company: str, since: int) -> Changes | None:
        """The documents of tasks and models that were changed since a number (see `RedisMarks.changed`); None while Redis is away."""
        try:
            return self._marks.changed(company, since)
        except StateUnavailable:
            return None

    def under_way(self, company: str, since: float) -> list[tuple[int, int]]:
        """Arrival numbers of the batches that were not acknowledged at that time. Raises StateUnavailable."""
        return self._marks.under_way(company, since)

    def clock(self) -> float:
        """Raises StateUnavailable."""
        return self._marks.clock()

    def _new_run(self, run: str) -> None:
        if run != self._run:
            with self._lock:
                self._run, self._clean = run, {}

    def _refresh(self, due: Mapping[str, int]) -> None:
        locks = [self._lock_of(index) for index in sorted(due)]
        for lock in locks:
            lock.acquire()
        try:
            # Others may have done it while we waited for our turn.
            left = [index for index, needed in due.items() if self._clean.get(index, -1) < needed]
            if not left:
                return
            try:
                run, numbers = self._marks.read(left)
            except StateUnavailable:
                self._client.refresh(sorted(left))
                return
            self._new_run(run)
            stale = {index: dirty for index, (dirty, clean) in numbers.items() if clean is None or clean < due[index]}
            if stale:
                self._client.refresh(sorted(stale))
                self._clean.update(stale)
                try:
                    self._marks.cleaned(run, stale)
                except StateUnavailable:
                    log.debug("the refresh is not remembered: Redis is away")
            for index, (_, clean) in numbers.items():
                if index not in stale and clean is not None:
                    self._clean[index] = max(self._clean.get(index, -1), clean)
        finally:
            for lock in locks:
                lock.release()

    def _force(self, indices: Collection[str]) -> None:
        if indices:
            self._client.refresh(sorted(indices))

    def _lock_of(self, index: str) -> threading.Lock:
        with self._lock:
            return self._refreshing.setdefault(index, threading.Lock())
