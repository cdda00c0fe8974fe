"""The time budget of a search. Patterns are matched in threads, so that other requests don't wait."""

from __future__ import annotations

import time
from collections.abc import Callable

from apiserver.stores.patterns import threads
from apiserver.stores.records import Matches

LOOK = 0.25
"""Seconds between checks that the client is still connected."""
FIRST, LARGEST, QUICK = 16_000, 64_000, 0.05
"""Characters matched in one part: starts with FIRST, doubles while a part takes less than QUICK seconds."""


class SearchBudget:
    """Matches the texts of one search until its time is over or its client has disconnected. At least one part of a list is always matched, so that a
    search continued by further calls makes progress."""

    def __init__(self, match: Callable[[list[str]], list[int]], seconds: float, is_gone: Callable[[], bool]) -> None:
        self._match, self._is_gone = match, is_gone
        self._deadline = time.monotonic() + seconds
        self._cancelled = False
        self._part = FIRST

    def is_over(self) -> bool:
        """Whether the search must stop."""
        return self._cancelled or time.monotonic() >= self._deadline

    def match(self, texts: list[str]) -> Matches:
        """The texts that match, and how many were examined."""
        if not texts:
            return Matches([], 0)
        result = threads().spawn(self._work, texts)
        while not result.ready():
            result.wait(LOOK)
            if not result.ready() and self._is_gone():
                self._cancelled = True
        found: Matches
        found, error = result.get()
        if error is not None:
            raise error
        return found

    def _work(self, texts: list[str]) -> tuple[Matches, Exception | None]:
        """In a thread. An exception is returned: gevent would also print it."""
        try:
            return self._matches(texts), None
        except Exception as error:
            return Matches([], 0), error

    def _matches(self, texts: list[str]) -> Matches:
        indexes: list[int] = []
        start = 0
        while start < len(texts) and (start == 0 or not self.is_over()):
            end, characters = start, 0
            while end < len(texts) and (characters < self._part or end == start):
                characters += len(texts[end])
                end += 1
            began = time.monotonic()
            indexes += [start + index for index in self._match(texts[start:end])]
            if time.monotonic() - began < QUICK:
                self._part = min(2 * self._part, LARGEST)
            else:
                self._part = max(self._part // 2, FIRST)
            start = end
        return Matches(indexes, start)
