"""Ids of TensorBoard's runs, which are made of paths: no two runs have one id, and an id does not depend on what lies beside unless it must."""

from __future__ import annotations

from pathlib import Path

from apiserver.operations.transfer.layout import find_runs


def ids(root: Path) -> dict[str, str]:
    return {run.path.relative_to(root).as_posix(): run.id for run in find_runs(root)}


def test_joined_paths_that_are_equal_are_runs_of_their_own(tmp_path: Path) -> None:
    for name in ("x9/b", "x9_b", "a/b_c", "a_b/c", "plain/train"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "events.out.tfevents.1").touch()
    found = ids(tmp_path.resolve())
    assert len(set(found.values())) == len(found) == 5
    assert (found["x9_b"], found["a/b_c"], found["plain/train"]) == ("x9_b", "a_b_c", "plain_train")
    assert ids(tmp_path.resolve()) == found
