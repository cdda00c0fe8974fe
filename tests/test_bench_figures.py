"""What the bench says of a figure: reached, missed, or too noisy to tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.cpu import Processes, Turn, in_turns, turn_of, turn_of_calls
from tests.bench.measure import Report


@pytest.mark.parametrize(
    ("values", "most", "verdict"),
    [
        ([1.0, 1.1, 1.2], 1.25, "ok"),
        ([1.3, 1.4, 1.5], 1.25, "MISSED"),
        ([1.0, 1.2, 1.9], 1.25, "too noisy to tell"),
        ([1.0, 1.3, 1.4], 1.25, "too noisy to tell"),
        ([1.0, 1.1], None, ""),
        ([1.0], 1.25, "ok"),
    ],
)
def test_a_limit_between_the_quartiles_is_neither_reached_nor_missed(values: list[float], most: float | None, verdict: str) -> None:
    report = Report()
    report.spread("ratio", values, "", most=most)
    assert report.figures[0].verdict == verdict


def test_a_lower_limit_counts_the_other_way() -> None:
    report = Report()
    report.spread("rate", [90, 100, 110], "", least=80)
    report.spread("rate", [60, 85, 110], "", least=80)
    report.add("rate", 70, "", least=80)
    assert [figure.verdict for figure in report.figures] == ["ok", "too noisy to tell", "MISSED"]


def test_the_report_names_engine_and_verdict(tmp_path: Path) -> None:
    report = Report()
    report.engine("sqlite")
    report.spread("rate", [60, 85, 110], "", least=80)
    report.write(tmp_path / "bench.json")
    assert '"engine": "sqlite"' in (tmp_path / "bench.json").read_text()
    assert '"verdict": "too noisy to tell"' in (tmp_path / "bench.json").read_text()


def test_turns_change_their_order_and_the_first_round_does_not_count() -> None:
    taken: list[str] = []

    def side(name: str, cost: float) -> Turn:
        taken.append(name)
        return Turn({"client": cost}, 1, 0)

    turns = in_turns(lambda: side("theirs", 2.0), lambda: side("ours", 3.0), 2)
    assert turns.ratios == [1.5, 1.5]
    assert taken == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]


def test_cpu_of_a_turn_is_per_unit_and_leaves_out_what_goes_before_a_call() -> None:
    processes = Processes({})

    def busy(times: int) -> int:
        return sum(number * number for number in range(times)) and times

    turn = turn_of(processes, lambda: busy(200_000))
    assert 0 < turn.cpu["client"] < 50
    calls = turn_of_calls(processes, lambda: None, 3, lambda: busy(300_000))
    assert calls.cpu["client"] < 200_000 * turn.cpu["client"]
