"""Lines of a run with names that are too long and numbers that no double and no clock holds."""

from __future__ import annotations

import json
import time

import jsonschema_rs
import pytest
import requests

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


def test_a_figure_of_any_depth_is_stored_or_refused(runs: Runs, run: str) -> None:
    """JSON readers take more levels than writers."""

    def figure(levels: int) -> bytes:
        return b'{"type": "plot", "data": {"key": "k%d", "step": 1, "plot": {"data": %b%b}}}\n' % (levels, b"[" * levels, b"]" * levels)

    answer = runs.post(run, figure(200) + figure(300) + figure(985) + figure(1010)).json()
    assert (answer["added"], [line["line"] for line in answer["error_lines"]]) == (2, [3, 4])
    plots = requests.post(f"{runs.server.url}/events.get_task_plots", json={"task": run}, timeout=30).json()["data"]["plots"]
    assert [(plot["metric"], plot["plot_str"].count("[")) for plot in plots] == [("k200", 200), ("k300", 300)]


def test_names_that_are_no_metrics_have_the_limits_of_events(runs: Runs, run: str) -> None:
    lines: list[dict[str, object]] = [
        {"type": "log", "data": {"text": "x", "level": "l" * 1_025}},
        {"type": "image", "data": {"key": "k", "path": "p", "url": "u" * 8_193}},
        {"type": "image", "data": {"key": "k", "path": "p", "url": "u" * 8_192}},
        {"type": "log", "data": {"text": "x", "level": "l" * 1_024}},
    ]
    answer = runs.post(run, "\n".join(map(json.dumps, lines)).encode()).json()
    assert (answer["added"], [line["line"] for line in answer["error_lines"]]) == (2, [1, 2])


@pytest.mark.parametrize("huge", [1e300, 1.7e308])
def test_times_of_any_size_are_numbers(runs: Runs, run: str, huge: float) -> None:
    """Neither their distance nor its rounding is infinite."""
    for number, times in enumerate(([1_700_000_000.25, 1_700_000_001.75, huge], [-huge, 0.0, huge], [huge, 0.0, -huge])):
        name = f"{run}{number}"
        runs.rows(name, [{"global_step": step, "loss": 0.5, "time": time} for step, time in enumerate(times)])
        found = [row["time"] for row in runs.get(f"/api/runs/{name}/metrics").json()["rows"]]
        assert found == sorted(found) and found[0] == 0.0 and len(found) == 3
        if number == 0:
            assert found == [0.0, 1.5, pytest.approx(huge)]


@pytest.mark.one_engine
def test_one_long_metric_beside_thousands_of_short_ones(runs: Runs, run: str) -> None:
    """Windows of 64 steps, each of which asked for every column, took minutes."""
    count = 250_000
    points = {"key": "long", "steps": list(range(count)), "values": [0.5] * count}
    row = {"global_step": 77, **{f"m{number}": number for number in range(3_000)}}
    runs.add(run, [{"ts": 1, "type": "points", "data": points}, {"ts": 1, "type": "metrics", "data": row}])
    answer = runs.steps(run)
    assert (answer["total"], len(answer["rows"]), len(answer["columns"])) == (count, count, 3_002)
    assert answer["rows"][77]["m2999"] == 2_999.0 and answer["rows"][-1] == {"global_step": count - 1, "long": 0.5}


def test_parameters_whose_paths_would_be_one_name_have_names_of_their_own(runs: Runs, run: str) -> None:
    facts = {
        "hyperparams": {"Args": {"a": {"b": 1, "c/d": 2, "e": {"f": 3}}, "a/b": 4, "a/c": {"d": 5}, "a/e/f": 6, "x": {"y": 7}, "p%": 8}}
    }
    assert requests.put(f"{runs.server.url}/api/runs/{run}/meta", json=facts, timeout=30).status_code == 200
    answer = requests.post(f"{runs.server.url}/tasks.get_hyper_params", json={"tasks": [run]}, timeout=30).json()
    found = {item["name"]: item["value"] for item in answer["data"]["params"][0]["hyperparams"]}
    assert sorted(found.values()) == [str(number) for number in range(1, 9)]
    assert (found["a/b"], found["a%2Fb"], found["x/y"], found["p%"]) == ("1", "4", "7", "8")
