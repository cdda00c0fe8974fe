"""Whatever a run says of itself is stored as plain JSON of bounded size, and what is not stored is counted."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest

from apiserver.operations.transfer.adapters.rows import flat
from apiserver.operations.transfer.facts import storable
from tests.runs.conftest import tidemark

BOMB = "a: &a [1,2,3,4,5,6,7,8,9]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "params", "cut"),
    [
        ("days: [2001-01-01, !!binary aGVsbG8=, {1: 2}]\n", 1, False),
        ("a: &x [*x]\nb: 1\n", 2, True),
        ("a: &x {b: *x}\n", 1, True),
        (BOMB, 9, True),
        ("a: 0x" + "f" * 8000 + "\nb: .nan\n", 2, False),
    ],
    ids=["dates", "itself", "itself_by_name", "ninefold", "large"],
)
def test_yaml_of_any_kind_is_stored(text: str, params: int, cut: bool, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.csv").write_text("step,loss\n0,1\n")
    (run / "hparams.yaml").write_text(text)
    report = json.loads(tidemark("import", str(run), "--data", str(tmp_path / "data"), "--json").stdout)
    assert (report["hyperparams"], report["problems"], bool(report["skipped"])) == (params, [], cut)


def test_what_is_too_much_is_counted() -> None:
    facts, left_out = storable({"hyperparams": {"a": {str(number): number for number in range(9_990)}, "b": dict.fromkeys(range(25), 1)}})
    assert (len(facts["hyperparams"]["a"]), len(facts["hyperparams"]["b"])) == (9_990, 10)
    assert sum(left_out.values()) == 15


def test_half_characters_and_infinities_of_json_can_be_sent() -> None:
    facts, left_out = storable(
        json.loads('{"name": "\\ud800", "hyperparams": {"\\udc80": {"\\ud800": NaN, "b": {"c": [NaN, "\\ud800"]}}}}')
    )
    assert orjson.loads(orjson.dumps(facts)) == {"name": "?", "hyperparams": {"_": {"?": "nan", "b/c": [None, "?"]}}} and not left_out


def test_paths_that_would_be_one_name_have_names_of_their_own() -> None:
    facts, left_out = storable({"hyperparams": {"a": {"x": {"y": 1, "z": {"w": 2}}, "x/y": 3, "x/z/w": 4, "plain": {"y": 5}}}})
    found = facts["hyperparams"]["a"]
    assert sorted(found.values()) == [1, 2, 3, 4, 5] and not left_out
    assert (found["x/y"], found["x%2Fy"], found["plain/y"]) == (1, 3, 5)


def test_rows_keep_both_of_two_values_whose_paths_would_be_one_name() -> None:
    assert sorted(value for _, value in flat({"a": {"b": 1}, "a/b": 2})) == [1, 2]
    assert dict(flat({"a": {"b": 1}, "c": 2})) == {"a/b": 1, "c": 2}
