"""Words of messages."""

from __future__ import annotations

import pytest

from apiserver.common.words import many


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (1, "run", "1 run"),
        (0, "run", "0 runs"),
        (1, "company", "1 company"),
        (2_000, "company", "2,000 companies"),
        (1, "log line", "1 log line"),
        (3, "more problem", "3 more problems"),
    ],
)
def test_a_noun_agrees_with_its_number(count: int, noun: str, text: str) -> None:
    assert many(count, noun) == text


def test_a_noun_may_bring_its_own_plural() -> None:
    assert [many(count, "task or model", "tasks and models") for count in (1, 2)] == ["1 task or model", "2 tasks and models"]
