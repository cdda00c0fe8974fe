"""Points that a later one of the same metric and step replaces are counted, whatever tool wrote them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as some

from apiserver.operations.transfer.importer import Importer
from apiserver.operations.transfer.repeats import Repeats
from tests.fuzz.test_imports import Lines
from tests.properties import prove
from tests.transfer.boards import runs_below, write
from tests.transfer.conftest import Copy

KIND = "points that a later one of the same metric and step replaces"


def skipped(folder: Path) -> dict[str, int]:
    importer = Importer(Lines())
    for run in runs_below(folder):
        importer.run(run)
    return dict(importer.tally.skipped)


def test_metrics_of_mlflow_that_were_logged_without_a_step(copy: Copy) -> None:
    folder = copy("mlflow-files")
    assert not skipped(folder)
    second = next(run.path for run in runs_below(folder) if run.name == "second")
    with (second / "metrics" / "acc").open("a") as file:
        file.writelines(f"{1_600_000_000_000 + number} 0.{number} 0\n" for number in range(1, 5))
    assert skipped(folder) == {KIND: 4}


def test_files_of_tensorboard_that_overlap(tmp_path: Path) -> None:
    write(tmp_path, [(step, step / 7) for step in range(10)])
    assert not skipped(tmp_path)
    write(tmp_path, [(step, step / 5) for step in range(6, 15)], filename_suffix=".second")
    assert skipped(tmp_path) == {KIND: 4}


def test_the_step_of_single_values_costs_no_other_point(tmp_path: Path) -> None:
    write(tmp_path, [(step, step / 7) for step in (-(2**31) + 1, -(2**31), 3, 4)])
    found = Lines()
    importer = Importer(found)
    for run in runs_below(tmp_path):
        importer.run(run)
    assert importer.tally.events == 3
    assert not importer.tally.problems
    assert dict(importer.tally.skipped) == {"points at step -2147483648, which marks values of a whole run": 1}


def test_the_epoch_in_every_row_of_a_step_is_no_loss(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("epoch,step,loss,acc\n0,9,1,\n0,9,,0.5\n1,19,2,\n1,19,,0.75\n")
    assert not skipped(tmp_path)


_STEPS = some.lists(some.integers(-5, 40) | some.sampled_from([-(2**63), 2**63 - 1, 2**62]), min_size=1, max_size=30)
_PARTS = some.lists(some.tuples(some.just("points"), _STEPS) | some.tuples(some.just("rewind"), some.integers(0, 40)), max_size=12)


def test_the_count_is_that_of_a_plain_set() -> None:
    @prove("sqlite", _PARTS)
    def holds(parts: list[tuple[str, list[int] | int]]) -> None:
        repeats, seen, value = Repeats(), set[int](), 0
        for _, what in parts:
            if isinstance(what, int):
                repeats.rewind(what)
                seen = {step for step in seen if step < what}
                continue
            expected, values = 0, []
            for step in what:
                expected += step in seen
                seen.add(step)
                values.append(float(value := value + 1))
            assert repeats.count("loss", what, values) == expected
