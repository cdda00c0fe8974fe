"""What a worker holds after large answers: it goes back to the system when it is not needed any more."""

from __future__ import annotations

import gc

from apiserver.bll.answer_cache import AnswerCache, expire_answers
from apiserver.common.memory import STEP, FreeMemory, resident_bytes


def test_free_memory_below_an_object_that_stays_is_given_back() -> None:
    """malloc keeps it: 214 of 512 MB after all overloads."""
    memory = FreeMemory()
    memory.give_back()
    before = resident_bytes()
    blocks = [bytes(50_000) for _ in range(4 * STEP // 50_000)]
    stays = blocks[::100]
    del blocks
    gc.collect()
    held = resident_bytes()
    memory.give_back()
    assert held - before > 3 * STEP and resident_bytes() - before < STEP
    assert len(stays) > 10


def test_answers_that_are_too_old_are_let_go_though_nobody_asks() -> None:
    expire_answers()  # of caches of other tests in this process
    now = [0.0]
    cache: AnswerCache[bytes] = AnswerCache(1_000_000, len, max_age=60, clock=lambda: now[0])
    cache.get("a", 1, lambda: bytes(100_000))
    assert expire_answers() == 0
    now[0] = 61.0
    assert expire_answers() == 100_000 and cache.expire() == 0
