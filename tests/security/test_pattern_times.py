"""No text takes more than linear time: Python's `re` backtracks and holds the interpreter lock, so one line could stop a worker."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

import apiserver
from apiserver.bll.events import plot_text, progress_bars, text_match
from apiserver.bll.events.live_log import LiveLine
from apiserver.bll.events.search_budget import SearchBudget
from apiserver.bll.runs.log_frames import FrameFormat
from apiserver.monitoring import call_log
from apiserver.service_repo.coercion import SCALARS
from apiserver.service_repo.dispatch import PATH
from apiserver.service_repo.errors import failure_of
from apiserver.service_repo.forms import NUMBER
from apiserver.stores.conditions import number_of, searched
from apiserver.stores.errors import PatternTooSlow
from apiserver.stores.patterns import PatternTime

N = 10_000
BOUND = 0.1
"""CPU seconds. In quadratic time these texts take 0.25 s to hours, in linear time 2 ms."""


def cpu_seconds(work: Callable[[Any], object], value: Any) -> float:
    """The least of three: the collector of garbage may run in any of them."""

    def once() -> float:
        began = time.thread_time()
        work(value)
        return time.thread_time() - began

    return min(once() for _ in range(3))


def cpu_seconds_of_process(work: Callable[[Any], object], value: Any) -> float:
    """Of all threads."""
    began = time.process_time()
    work(value)
    return time.process_time() - began


def line(text: str) -> dict[str, Any]:
    return {"msg": text, "worker": "w"}


@pytest.mark.parametrize(
    ("work", "hostile"),
    [
        pytest.param(lambda text: progress_bars.fold_page([line(text)], newest_first=True), "1%|" + "|" * 1_000 + "[" * 1_000, id="bar"),
        pytest.param(lambda text: progress_bars.fold_page([line(text)], newest_first=True), "1" * N + "x 3it [00:12,", id="count"),
        pytest.param(
            lambda text: FrameFormat(hide_progress=True).frames([LiveLine(1, 1, None, None, text)]),
            "1%|" + "|" * 1_000 + "[" * 1_000,
            id="socket",
        ),
        pytest.param(SCALARS["number"], "1" * N + "x", id="number"),
        pytest.param(number_of, "1" * N + "x", id="sorted number"),
        pytest.param(NUMBER.fullmatch, "1" * N + "x", id="number of a form"),
        pytest.param(PATH.fullmatch, "/v" + "1" * N + "x/debug.ping", id="version"),
        pytest.param(plot_text.readable, 'NaN"' + '\\"' * N, id="plot"),
        pytest.param(plot_text.readable, 'NaN"' + '\\"' * N + "\\", id="plot that ends in an escape"),
        pytest.param(text_match.required_literal, "{" + "1" * N + "x", id="repetition"),
        pytest.param(lambda text: call_log.TOKEN.sub("", text), "&secret" * N, id="address"),
    ],
)
def test_a_hostile_text_takes_linear_time(work: Callable[[Any], object], hostile: Any) -> None:
    assert cpu_seconds(work, hostile) < BOUND


def patterns_of_the_server() -> Iterator[tuple[str, re.Pattern[Any], Callable[[Any], object]]]:
    """Every pattern that a module of the server keeps, and the way in which that module uses it."""
    root = Path(apiserver.__file__).parent
    for path in sorted(root.rglob("*.py")):
        source = path.read_text()
        if "re.compile(" not in source or path.name == "bundle.py":  # it reads modules of the page, no text of users
            continue
        module = importlib.import_module(".".join(["apiserver", *path.relative_to(root).with_suffix("").parts]))
        for name, kept in vars(module).items():
            pattern = getattr(kept, "__self__", kept)  # some keep the bound method
            if isinstance(pattern, re.Pattern):
                anywhere = re.search(rf"\b{name}\.(?:search|sub|split|finditer|findall)\b", source)
                yield f"{module.__name__}.{name}", pattern, pattern.search if anywhere else pattern.fullmatch


def test_no_pattern_of_the_server_is_quadratic_in_one_repeated_character() -> None:
    size, tested = 4_000, 0
    for name, pattern, use in patterns_of_the_server():
        source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
        marks = sorted({character for character in source if character in "\"'\\[{(%|:;&/.\x1b"})
        for start in ["", *marks]:
            for repeated in ["1", "a", " ", '\\"', *marks]:
                text = start + repeated * size + "\x00"
                took = cpu_seconds(use, text if isinstance(pattern.pattern, str) else text.encode("latin-1"))
                assert took < 0.04, f"{name} takes {took:.3f} s for {start + repeated * 3!r}…"
        tested += 1
    assert tested > 30


HEAVY = "(?:a?b?){900}[cd]"
"""RE2 finds no quick way for it: 18 µs a byte."""


def test_patterns_of_filters_stop_when_the_time_of_their_call_is_over() -> None:
    """20 texts of 0.2 s each, by two conditions of a call; many short texts are counted too."""
    for texts in (["ab" * 5_000] * 20, ["ab" * 100] * 1_000):
        allowed = PatternTime(0.1)
        conditions = [searched(allowed, HEAVY, ignore_case) for ignore_case in (False, True)]
        looked = []
        with pytest.raises(PatternTooSlow):
            for text in texts:
                looked += [holds(text) for holds in conditions]
        assert len(looked) < len(texts)


def test_a_slow_pattern_of_a_filter_keeps_no_other_request_waiting() -> None:
    turns = []

    def other() -> None:
        while True:
            turns.append(1)
            gevent.sleep(0.001)

    holds = searched(PatternTime(), HEAVY, False)
    waiting = gevent.spawn(other)
    assert not holds("ab" * 5_000)
    waiting.kill()
    assert len(turns) > 3


def test_a_pattern_that_is_too_slow_is_the_callers_fault() -> None:
    failure = failure_of(PatternTooSlow("x"), "id")
    assert (failure.code, failure.subcode) == (400, 21) and "too slow" in failure.message


def test_a_log_search_sees_the_beginning_of_a_long_line_only() -> None:
    """5 MB at 18 µs a byte: 90 s, in which the search can't end."""
    budget = SearchBudget(text_match.regex_matcher(HEAVY).match, 0.0, lambda: False)
    assert cpu_seconds_of_process(budget.match, ["ab" * 2_500_000] * 3) < 20
    needle = text_match.regex_matcher("needle|nadel")
    assert needle.match(["x" * 63_000 + "needle", "x" * 64_000 + "needle"]) == [0]
