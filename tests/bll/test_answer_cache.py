"""Answers that are kept while nothing changes."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from apiserver.bll.answer_cache import AnswerCache


class Kitchen:
    """Makes answers and remembers how many."""

    def __init__(self, limit: int = 100, max_age: float = 60.0) -> None:
        self.now = 0.0
        self.cache: AnswerCache[bytes | None] = AnswerCache(
            limit, lambda answer: None if answer is None else len(answer), max_age=max_age, clock=lambda: self.now
        )

    def fresh(self, key: str, revision: object, answer: bytes | None = b"x" * 40) -> bool:
        """Whether the answer had to be made."""
        made = []

        def make() -> bytes | None:
            made.append(key)
            return answer

        assert self.cache.get(key, revision, make) == answer
        return bool(made)


def test_an_answer_is_found_for_its_revision_only() -> None:
    kitchen = Kitchen()
    assert kitchen.fresh("chart", (1, 2))
    assert not kitchen.fresh("chart", (1, 2))
    assert kitchen.fresh("other", (1, 2))
    assert kitchen.fresh("chart", (1, 3))


def test_nothing_is_reused_when_the_revision_is_unknown() -> None:
    kitchen = Kitchen()
    assert kitchen.fresh("chart", None) and kitchen.fresh("chart", None)


def test_a_new_revision_replaces_the_old_answer() -> None:
    kitchen = Kitchen()
    kitchen.fresh("chart", 1)
    kitchen.fresh("chart", 2)
    kitchen.fresh("other", 1)
    assert not kitchen.fresh("chart", 2) and not kitchen.fresh("other", 1)


def test_the_least_recently_used_answer_goes_when_the_room_is_full() -> None:
    kitchen = Kitchen()
    kitchen.fresh("a", 1)
    kitchen.fresh("b", 1)
    kitchen.fresh("a", 1)
    kitchen.fresh("c", 1)
    assert not kitchen.fresh("a", 1) and not kitchen.fresh("c", 1)
    assert kitchen.fresh("b", 1)


def test_an_answer_that_would_fill_the_room_is_not_kept() -> None:
    kitchen = Kitchen()
    kitchen.fresh("a", 1)
    assert kitchen.fresh("huge", 1, b"x" * 60) and kitchen.fresh("huge", 1, b"x" * 60)
    assert not kitchen.fresh("a", 1)


def test_a_stream_is_not_kept() -> None:
    kitchen = Kitchen()
    assert kitchen.fresh("stream", 1, None) and kitchen.fresh("stream", 1, None)


def test_an_answer_goes_after_a_time() -> None:
    kitchen = Kitchen(max_age=60)
    kitchen.fresh("a", 1)
    kitchen.now = 59.0
    assert not kitchen.fresh("a", 1)
    kitchen.now = 61.0
    assert kitchen.fresh("a", 1)


def test_an_answer_that_many_ask_for_at_once_is_made_once() -> None:
    cache: AnswerCache[bytes] = AnswerCache(100, len)
    made: list[int] = []
    started, go = Event(), Event()

    def make() -> bytes:
        made.append(1)
        started.set()
        go.wait(5)
        return b"answer"

    greenlets = [gevent.spawn(cache.get, "chart", 1, make) for _ in range(5)]
    assert started.wait(5)
    go.set()
    gevent.joinall(greenlets, timeout=5, raise_error=True)
    assert [greenlet.value for greenlet in greenlets] == [b"answer"] * 5
    assert len(made) == 1


def test_a_failure_is_not_kept() -> None:
    cache: AnswerCache[bytes] = AnswerCache(100, len)
    with pytest.raises(ZeroDivisionError):
        cache.get("chart", 1, lambda: bytes(1 // 0))
    assert cache.get("chart", 1, lambda: b"answer") == b"answer"
