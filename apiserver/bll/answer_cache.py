"""A cache of encoded answers, for clients that poll while nothing changes (dashboards)."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from cachetools import TTLCache

from apiserver.common.fairness import KeyedLocks
from apiserver.common.metrics import CACHE

AnswerT = TypeVar("AnswerT")

MAX_AGE = 60.0


@dataclass(frozen=True, slots=True)
class _Kept(Generic[AnswerT]):
    revision: Hashable
    answer: AnswerT
    size: int


_caches: WeakSet[AnswerCache[Any]] = WeakSet()


def expire_answers() -> float:
    """Drop expired answers from all caches of this process; returns the bytes freed. By itself a cache drops them only when it is used."""
    return sum(cache.expire() for cache in list(_caches))


class AnswerCache(Generic[AnswerT]):
    """Answers by request, each with the revision of its data. Limited in bytes (the least recently used answers are dropped first) and in age
    (`max_age` seconds). Concurrent requests for the same answer compute it once."""

    def __init__(
        self,
        limit: int,
        size_of: Callable[[AnswerT], int | None],
        *,
        max_age: float = MAX_AGE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`limit`: bytes of all answers. `size_of`: the bytes of an answer; None if it can't be cached (a stream)."""
        self._limit = limit
        self._size_of = size_of
        self._kept: TTLCache[Hashable, _Kept[AnswerT]] = TTLCache(limit, max_age, clock, getsizeof=lambda kept: kept.size)
        self._locks = KeyedLocks()
        _caches.add(self)

    def expire(self) -> float:
        """Drop expired answers; returns the bytes freed."""
        return float(sum(kept.size for _, kept in self._kept.expire()))

    def get(self, key: Hashable, revision: Hashable | None, make: Callable[[], AnswerT]) -> AnswerT:
        """The answer to a request, from data of this revision (None: the revision is unknown, so nothing is reused).

        The caller reads the revision before the data: an event that arrives in between only makes the next caller recompute the answer.
        """
        if revision is None:
            return make()
        kept = self._find(key, revision)
        CACHE.labels("miss" if kept is None else "hit").inc()
        if kept is None:
            with self._locks.hold((key, revision)):
                kept = self._find(key, revision)
                if kept is None:
                    return self._keep(key, revision, make())
        return kept.answer

    def _find(self, key: Hashable, revision: Hashable) -> _Kept[AnswerT] | None:
        kept = self._kept.get(key)
        return kept if kept is not None and kept.revision == revision else None

    def _keep(self, key: Hashable, revision: Hashable, answer: AnswerT) -> AnswerT:
        """Keep an answer, unless it is larger than half of the cache."""
        size = self._size_of(answer)
        self._kept.pop(key, None)
        if size is not None and size <= self._limit // 2:
            self._kept[key] = _Kept(revision, answer, size)
        return answer
