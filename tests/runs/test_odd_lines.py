"""Lines of a run with names that are too long and numbers that no double and no clock holds."""

from __future__ import annotations

import json
import time

import jsonschema_rs
import pytest

from tests.runs.conftest import Runs

HUGE = "9" * 4000


def test_a_name_that_is_too_long_is_refused_and_its_row_kept(runs: Runs, run: str) -> None:
    long = "é" * 550
    body = f'{{"ts": 1, "type": "metrics", "data": {{"global_step": 1, "loss": 0.5, "{long}": 1, "stage": "a"}}}}\n'
    answer = runs.post(run, (body + body.replace('"global_step": 1', '"global_step": 2')).encode()).json()
    assert (answer["added"], answer["errors"], [error["line"] for error in answer["error_lines"]]) == (2, 2, [1, 2])
    assert "1024 bytes" in answer["error_lines"][0]["reason"]
    assert runs.steps(run)["rows"] == [{"global_step": step, "loss": 0.5, "stage": "a"} for step in (1, 2)]


@pytest.mark.parametrize("moment", ["1e308", "-1e308", "1e400", HUGE, "-" + HUGE, "NaN", str(2**63)])
def test_a_time_that_is_none_is_the_time_of_arrival(runs: Runs, run: str, moment: str) -> None:
    before = time.time()
    answer = runs.post(run, f'{{"ts": {moment}, "type": "log", "data": {{"text": "x"}}}}\n'.encode())
    assert (answer.status_code, answer.json()["added"]) == (200, 1)
    log = runs.get(f"/api/runs/{run}/export", params={"format": "log"})
    assert log.text == "x\n"
    assert runs.get("/api/runs").status_code == 200
    created = next(one["created_time"] for one in runs.get("/api/runs").json() if one["id"] == run)
    assert created >= before - 1


def test_integers_that_no_double_holds_are_rounded(runs: Runs, run: str) -> None:
    body = f'{{"ts": 1, "type": "metrics", "data": {{"global_step": 1, "big": {2**70 + 1}, "huge": {HUGE}, "time": {HUGE}}}}}\n'
    assert runs.post(run, body.encode()).json()["errors"] == 0
    (row,) = runs.steps(run)["rows"]
    assert (row["big"], row["huge"]) == (float(2**70), None)


def test_lines_that_are_sent_again_are_stored_once_even_beside_a_row_without_time(runs: Runs, run: str) -> None:
    body = b'{"ts": 1, "type": "log", "data": {"text": "x"}}\n{"type": "metrics", "data": {"global_step": 1, "loss": 0.5}}\n'
    for _ in range(3):
        assert runs.post(run, body).json()["added"] == 2
    assert runs.get(f"/api/runs/{run}/export", params={"format": "log"}).text == "x\n"
    runs.post(run, b'{"type": "log", "data": {"text": "x"}}\n')  # without a single time there is nothing to know it by
    assert runs.get(f"/api/runs/{run}/export", params={"format": "log"}).text == "x\nx\n"


def test_lines_and_values_of_unknown_types_are_counted(runs: Runs, run: str) -> None:
    lines = [
        {"type": "weather", "data": {}},
        {"data": {"global_step": 1, "loss": 1}},
        {"ts": 1, "type": "metrics", "data": {"global_step": 1, "loss": 0.5, "sizes": [1, 2], "model": {"depth": 3}, "note": None}},
        {"ts": 1, "type": "metrics", "data": {"loss": 1}},
    ]
    response = runs.post(run, "\n".join(map(json.dumps, lines)).encode())
    answer = response.json()
    assert (response.status_code, answer["added"], answer["errors"], answer["passed_over"]) == (200, 1, 1, 4)
    assert runs.steps(run)["rows"] == [{"global_step": 1, "loss": 0.5, "note": None}]
    nothing = runs.post(run, json.dumps(lines[0]).encode())
    assert (nothing.status_code, nothing.json()["added"], nothing.json()["passed_over"]) == (400, 0, 1)
    described = runs.get("/api/openapi.json").json()["paths"]["/api/runs/{run_id}/events"]["post"]["responses"]
    jsonschema_rs.validator_for(described["200"]["content"]["application/json"]["schema"]).validate(answer)
