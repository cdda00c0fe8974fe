"""Encoded answers that are asked for again and again while nothing changes (dashboards poll)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class AnswerCache:
    """Answers by request, each with the revision of the data it was made from; bounded by bytes, the longest unused goes first."""

    def __init__(self, limit: int = 48 * 1024 * 1024) -> None:
        self._limit = limit
        self._size = 0
        self._answers: OrderedDict[Hashable, tuple[Any, bytes]] = OrderedDict()

    def get(self, key: Hashable, revision: Any) -> bytes | None:
        """The answer, if it was made from data of this revision."""
        known = self._answers.get(key)
        if known is None:
            return None
        if known[0] != revision:
            self._drop(key)
            return None
        self._answers.move_to_end(key)
        return known[1]

    def put(self, key: Hashable, revision: Any, answer: bytes) -> None:
        """Keep an answer; one that is larger than half of the room is not kept."""
        self._drop(key)
        if len(answer) > self._limit // 2:
            return
        self._answers[key] = (revision, answer)
        self._size += len(answer)
        while self._size > self._limit:
            self._drop(next(iter(self._answers)))

    def _drop(self, key: Hashable) -> None:
        known = self._answers.pop(key, None)
        if known is not None:
            self._size -= len(known[1])
