"""Answers that are kept while nothing changes."""

from __future__ import annotations

from apiserver.bll.events.answer_cache import AnswerCache


def test_an_answer_is_found_for_its_revision_only() -> None:
    cache = AnswerCache(100)
    cache.put("chart", (1, 2), b"old")
    assert cache.get("chart", (1, 2)) == b"old"
    assert cache.get("chart", (1, 3)) is None
    assert cache.get("other", (1, 2)) is None


def test_a_new_revision_replaces_the_old_answer() -> None:
    cache = AnswerCache(100)
    cache.put("chart", 1, b"x" * 40)
    cache.put("chart", 2, b"y" * 40)
    cache.put("other", 1, b"z" * 40)
    assert (cache.get("chart", 2), cache.get("other", 1)) == (b"y" * 40, b"z" * 40)


def test_the_longest_unused_answer_goes_when_the_room_is_full() -> None:
    cache = AnswerCache(100)
    for name in ("a", "b"):
        cache.put(name, 1, b"x" * 40)
    assert cache.get("a", 1)
    cache.put("c", 1, b"x" * 40)
    assert cache.get("b", 1) is None
    assert cache.get("a", 1) and cache.get("c", 1)


def test_an_answer_that_would_fill_the_room_is_not_kept() -> None:
    cache = AnswerCache(100)
    cache.put("a", 1, b"x" * 40)
    cache.put("huge", 1, b"x" * 60)
    assert cache.get("huge", 1) is None and cache.get("a", 1)
