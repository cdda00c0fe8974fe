"""Encoded answers, reused as long as the run has nothing new, and made once when many ask at the same time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from gevent.lock import RLock

from apiserver.bll.runs.answers import RowsAnswer

MAX_BYTES = 96 * 1024 * 1024
MAX_AGE = 60.0


class _Kept(NamedTuple):
    revision: tuple[int, ...]
    answer: RowsAnswer
    made: float


class AnswerCache:
    """Bounded by bytes; the one that was not asked for longest goes first. Streams are not kept."""

    def __init__(self, limit: int = MAX_BYTES) -> None:
        self._limit, self._size = limit, 0
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._making: dict[Hashable, tuple[RLock, int]] = {}

    def get(self, key: Hashable, revision: tuple[int, ...] | None, make: Callable[[], RowsAnswer]) -> RowsAnswer:
        """The answer to a request, made from data of this revision (None: it can't be known, so nothing is reused)."""
        if revision is None:
            return make()
        found = self._find(key, revision)
        if found is not None:
            return found
        with self._alone((key, revision)):
            found = self._find(key, revision)
            if found is None:
                found = make()
                self._keep(key, revision, found)
            return found

    def _find(self, key: Hashable, revision: tuple[int, ...]) -> RowsAnswer | None:
        kept = self._kept.get(key)
        if kept is None or kept.revision != revision or time.monotonic() - kept.made > MAX_AGE:
            return None
        self._kept.move_to_end(key)
        return kept.answer

    def _keep(self, key: Hashable, revision: tuple[int, ...], answer: RowsAnswer) -> None:
        self._drop(key)
        if not isinstance(answer.body, bytes) or len(answer.body) > self._limit // 2:
            return
        self._kept[key] = _Kept(revision, answer, time.monotonic())
        self._size += len(answer.body)
        while self._size > self._limit:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None and isinstance(kept.answer.body, bytes):
            self._size -= len(kept.answer.body)

    @contextmanager
    def _alone(self, key: Hashable) -> Iterator[None]:
        lock, users = self._making.get(key, (RLock(), 0))
        self._making[key] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            lock, users = self._making[key]
            if users == 1:
                del self._making[key]
            else:
                self._making[key] = lock, users - 1
