"""Patterns of clients: RE2 on every engine, small in memory and in program, with a bound of time for each call."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import re2
from gevent.threadpool import ThreadPool

from apiserver.common.fairness import give_way, in_thread
from apiserver.stores.errors import PatternTooSlow

PATTERN_MEMORY = 4 << 20
"""Bytes that RE2 may use for a pattern."""
MAX_PROGRAM = 10_000
"""Instructions of a compiled pattern (nested repetitions multiply). In the worst case each costs time for every byte of a text."""


SECONDS = 5.0
"""CPU time that the patterns of the filters of one call may take."""
SEARCHED = 50_000
"""Characters of a value that a filter examines."""
TURN = 2_000_000
"""Characters times instructions processed before yielding to other requests: 10 ms in the worst case. One text with more work goes to a
thread."""
THREADS = 2
"""RE2 works without the interpreter lock: more threads would only take more of the machine."""

_pool: ThreadPool | None = None


def threads() -> ThreadPool:
    """The threads for long matching, apart from the event loop and from the threads that read a store."""
    global _pool
    if _pool is None:  # made by the process that searches, not by its parent
        _pool = ThreadPool(THREADS)
    return _pool


class PatternTooLarge(Exception):
    """The pattern compiles to more than MAX_PROGRAM instructions; the text says so."""


def options_of(*, ignore_case: bool) -> re2.Options:
    """Options with which every pattern is compiled."""
    options = re2.Options()
    options.case_sensitive = not ignore_case
    options.log_errors = False
    options.max_mem = PATTERN_MEMORY
    return options


def compiled(pattern: str, options: re2.Options) -> Any:
    """A pattern of RE2. Raises re2.error for what is no pattern, and PatternTooLarge."""
    found = re2.compile(pattern, options)
    if found.programsize > MAX_PROGRAM:
        raise PatternTooLarge(f"it is too large ({found.programsize} instructions, {MAX_PROGRAM} are allowed); repeat less")
    return found


class PatternTime:
    """The time that all patterns of one call share. Matching raises PatternTooSlow when it is over.

    Short texts are matched on the event loop, with turns for others: every call of RE2 in a thread would wait for the interpreter lock afterwards.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._left = SECONDS if seconds is None else seconds
        self._work = 0
        self._began = 0.0

    def searcher(self, pattern: str, ignore_case: bool) -> Callable[[str], bool]:
        """Whether a pattern is found in the first SEARCHED characters of a text.

        A set of one pattern answers yes or no in half the time of a match object; but it gives up where its automaton grows too large, so patterns
        that repeat by number don't go that way. Raises re2.error for what is no pattern, and PatternTooLarge.
        """
        options = options_of(ignore_case=ignore_case)
        program = compiled(pattern, options)
        size = program.programsize
        search = program.search
        if len(pattern) <= 100 and "{" not in pattern:
            patterns = re2.Set.SearchSet(options)
            patterns.Add(pattern)
            patterns.Compile()
            search = patterns.Match

        def found(text: str) -> bool:
            if len(text) > SEARCHED:
                text = text[:SEARCHED]
            work = (len(text) + 1) * size
            if work > TURN:
                self._settle()
                hit, took = in_thread(_timed, search, text, pool=threads())
                self._left -= took
                return hit
            if self._work + work > TURN:
                self._settle()
                give_way()
            if not self._work:
                self._began = time.thread_time()
            self._work += work
            return bool(search(text))

        return found

    def _settle(self) -> None:
        """Count the time of the texts since the last turn. What others do in their turns is not counted."""
        if self._work:
            self._left -= time.thread_time() - self._began
            self._work = 0
        if self._left <= 0:
            raise PatternTooSlow("the patterns of a call took too long")


def _timed(search: Callable[[str], Any], text: str) -> tuple[bool, float]:
    """In a thread: whether the pattern is found, and the CPU time that it took."""
    began = time.thread_time()
    hit = bool(search(text))
    return hit, time.thread_time() - began
