"""Every recorded answer of the product, against ours. docs/runicorn.md lists the differences with their reasons; they are named here too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.runs.conftest import Runs, received
from tests.runs.recordings import RUNS, SDK_RUN, V04, V06, cells, recording

TABLES = sorted(V06.glob("metrics*__*.json"))
FAST = sorted(V04.glob("v2_metrics_fast*.json"))

NOT_BUILT = {
    "projects": "GET /api/projects",
    "recycle_bin": "GET /api/recycle-bin",
    "soft_delete_cycle": "POST /api/runs/soft-delete",
    "root": "the viewer's web page",
    "unknown_api": "our RPC layer answers unknown paths with its envelope",
} | {path.stem: "GET /api/v2/..." for path in V04.glob("*.json") if "metrics_fast" not in path.stem}
"""Recordings of what runs-api.md does not name."""

ELSEWHERE = {
    "cache_behaviour": "test_what_is_appended_is_there_at_once",
    "lttb_spike_in_second_metric": "test_no_spike_of_any_metric_is_lost",
    "rate_limit_enabled": "test_the_request_after_the_limit_is_refused_as_recorded",
    "ws_logs": "test_sockets.py",
    "ws_10010_lines_no_blanks": "test_sockets.py",
    "runs_list": "test_the_list_has_the_recorded_runs",
    "run_detail__sdk": "test_the_detail_has_the_recorded_facts",
    "run_detail__notfound": "test_an_unknown_run_is_not_found",
    "progress__sdk": "test_progress_is_the_recorded_constant",
    "progress__notfound": "test_progress_is_the_recorded_constant",
}

HUGE = {"hugeint", "z_after_huge"}
"""Columns of the odd run that the product stops before: an integer beyond a double ends its line there, ours is null and the line goes on."""


def test_every_recording_is_accounted_for() -> None:
    known = NOT_BUILT.keys() | ELSEWHERE.keys() | {path.stem for path in (*TABLES, *FAST)}
    found = {path.stem for folder in (V06, V04) for path in folder.glob("*.json") if not path.stem.startswith("sdk_run.")}
    assert found == known


def answer_to(runs: Runs, call: dict[str, Any]) -> Any:
    import requests

    request = call["request"]
    return requests.request(
        request["method"],
        runs.server.url + request["path"],
        params=request["params"],
        headers=request["headers"],
        data=request["body"],
        timeout=30,
    )


def without_huge(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in HUGE}


@pytest.mark.parametrize("path", [p for p in TABLES if p.stem.startswith("metrics_step__")], ids=lambda p: p.stem)
def test_rows_by_step_are_those_of_the_product(recorded: Runs, path: Path) -> None:
    call = recording(path)
    theirs, ours = call["response"], answer_to(recorded, call)
    name = path.stem.removeprefix("metrics_step__")
    if name == "HEAD":  # the product knows no HEAD; ours answers like GET, without a body
        assert (ours.status_code, ours.content) == (200, b"")
    elif name == "cors":  # the product lets any page read; ours does not
        assert ours.status_code == 403
    elif name == "options":  # same here: no permission for a foreign page
        assert "Access-Control-Allow-Origin" not in ours.headers
    elif name == "notfound":  # the document's sentence, with the id
        assert (ours.status_code, ours.json()) == (404, {"detail": "Run not found: 20250114_999999_zzz999"})
    elif "json" not in theirs:  # 500 in the product: its guiding column holds a text
        assert ours.status_code == 200 and len(ours.json()["rows"]) == 100
    elif theirs["status"] != 200:
        assert (ours.status_code, ours.json()) == (theirs["status"], theirs["json"])
    elif theirs["json"]["total"] > theirs["json"]["sampled"]:
        check_sample(recorded, call, ours)
    else:
        assert ours.status_code == 200
        check_table(ours, theirs)


def check_table(ours: Any, theirs: dict[str, Any]) -> None:
    mine, table = ours.json(), theirs["json"]
    assert [name for name in mine["columns"] if name not in HUGE] == table["columns"]
    assert [cells(without_huge(row)) for row in mine["rows"]] == [cells(row) for row in table["rows"]]
    assert (mine["total"], mine["sampled"]) == (table["total"], table["sampled"])
    assert list(mine) == ["columns", "rows", "total", "sampled"]
    for header in ("x-row-count", "x-total-count", "x-last-step"):
        assert ours.headers.get(header) == theirs["headers"].get(header)


def check_sample(runs: Runs, call: dict[str, Any], ours: Any) -> None:
    """The rows are chosen otherwise (over all metrics, none twice); what holds for both is the contract."""
    theirs, mine = call["response"], ours.json()
    whole = runs.get(call["request"]["path"]).json()["rows"]
    rows = mine["rows"]
    assert mine["columns"] == theirs["json"]["columns"] and mine["total"] == theirs["json"]["total"]
    assert len(rows) == mine["sampled"] <= theirs["json"]["sampled"]
    assert [row for row in whole if row in rows] == rows, "whole rows, ascending, none twice"
    assert (rows[0], rows[-1]) == (whole[0], whole[-1])
    assert (
        ours.headers["x-total-count"] == theirs["headers"]["x-total-count"]
        and ours.headers["x-last-step"] == theirs["headers"]["x-last-step"]
    )
    for column in mine["columns"]:
        values = [row[column] for row in whole if isinstance(row.get(column), float)]
        if values:
            kept = [row[column] for row in rows if isinstance(row.get(column), float)]
            assert (min(values), max(values)) == (min(kept), max(kept))


@pytest.mark.parametrize("path", [p for p in TABLES if p.stem.startswith("metrics__")], ids=lambda p: p.stem)
def test_rows_by_time_hold_the_values_of_the_product(recorded: Runs, path: Path) -> None:
    """The product answers /metrics with rows by step; the document, and so ours, has rows by relative time without global_step."""
    call = recording(path)
    theirs, ours = call["response"], answer_to(recorded, call)
    if theirs["status"] != 200:
        assert ours.status_code == theirs["status"]
        return
    mine, table = ours.json(), theirs["json"]
    names = [name for name in table["columns"] if name not in ("global_step", "time")]
    assert [name for name in mine["columns"] if name not in HUGE] == (["time", *names] if table["columns"] else [])
    if call["request"]["params"]:
        assert len(mine["rows"]) <= 100 and mine["rows"][0]["time"] == 0.0
        return
    assert [cells(without_huge(row)) for row in mine["rows"]] == by_time(table["rows"])


def by_time(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What rows by step are by time: rows without a time were all logged at the same moment."""
    merged: dict[float, dict[str, Any]] = {}
    for row in rows:
        values = cells(row)
        values.pop("global_step")
        at = values.pop("time", 1.0)
        if values:
            merged.setdefault(at, {}).update(values)
    first = min(merged, default=0.0)
    # The odd run ends with nulls for loss at some steps and with a number at a later one, so merging what is there is the same.
    return [{"time": pytest.approx(at - first, abs=1e-6), **merged[at]} for at in sorted(merged)]


@pytest.mark.parametrize("path", FAST, ids=lambda p: p.stem)
def test_fast_answers_as_the_product_did(recorded: Runs, path: Path) -> None:
    call = recording(path)
    theirs, ours = call["response"], answer_to(recorded, call)
    if path.stem.endswith("notfound"):  # 200 and empty in the product
        assert (ours.status_code, ours.json()) == (404, {"detail": "Run not found: nope"})
    elif path.stem.endswith("fixture_not_in_db"):  # the product's v2 has a store of its own; ours has every run
        assert ours.json()["total_points"] == 3
    elif path.stem.endswith("downsample_-3"):  # no rows in the product
        assert ours.status_code == 422
    elif theirs["status"] != 200:
        assert (ours.status_code, ours.json()) == (theirs["status"], theirs["json"])
    else:
        mine, table = ours.json(), theirs["json"]
        assert list(mine) == list(table) and isinstance(mine["query_time_ms"], float)
        assert mine["columns"] == table["columns"] and mine["applied_filters"] == table["applied_filters"]
        assert mine["total_points"] == len(mine["rows"])
        wanted = call["request"]["params"] or {}
        if wanted.get("downsample") in (None, "0", "20", "100", "1000"):
            assert [cells(row) for row in mine["rows"]] == [cells(row) for row in table["rows"]]
        else:  # the product takes every n-th row and loses the end
            most = float(wanted["downsample"])
            last = 15 if "step_range" in wanted else 20
            assert len(mine["rows"]) <= most and mine["rows"][0]["global_step"] == 1
            assert most < 2 or mine["rows"][-1]["global_step"] == last


def test_progress_is_the_recorded_constant(recorded: Runs) -> None:
    for path in (V06 / "progress__sdk.json", V06 / "progress__notfound.json"):
        call = recording(path)
        assert answer_to(recorded, call).json() == call["response"]["json"]


def test_the_list_has_the_recorded_runs(recorded: Runs) -> None:
    theirs = {run["id"]: run for run in recording(V06 / "runs_list.json")["response"]["json"]}
    ours = {run["id"]: run for run in recorded.get("/api/runs").json()}
    for run in (*RUNS, SDK_RUN):
        for key in ("created_time", "status", "pid", "best_metric_value", "best_metric_name", "path", "alias", "tags", "assets_count"):
            want = theirs[run][key]
            assert ours[run][key] == (pytest.approx(want, abs=0.001) if key == "created_time" else want), (run, key)


def test_the_detail_has_the_recorded_facts(recorded: Runs) -> None:
    call = recording(V06 / "run_detail__sdk.json")
    theirs, ours = call["response"]["json"], answer_to(recorded, call).json()
    for key in ("id", "status", "pid", "path", "alias", "assets_count"):
        assert ours[key] == theirs[key]
    assert ours["duration"] == pytest.approx(0.432, abs=0.002)
    assert ours["metrics_step"] == f"/api/runs/{SDK_RUN}/metrics_step"


def test_an_unknown_run_is_not_found(recorded: Runs) -> None:
    ours = answer_to(recorded, recording(V06 / "run_detail__notfound.json"))
    assert (ours.status_code, ours.json()) == (404, {"detail": "Run not found: nope"})


def test_what_is_appended_is_there_at_once(runs: Runs) -> None:
    """The product loses a line that it saw half-written, and never sees a rewrite of the same size; both are what the file says here."""
    call = json.loads((V06 / "cache_behaviour.json").read_text())
    known = ""
    for state in call[:5]:
        whole = state["file_bytes"][: state["file_bytes"].rfind("\n") + 1]
        if len(whole) > len(known):
            runs.post("cache-behaviour", whole[len(known) :].encode())
            known = whole
        expected = [json.loads(line)["data"] for line in known.splitlines()]
        assert runs.steps("cache-behaviour")["rows"] == expected
    runs.rows("cache-behaviour", [{"global_step": 5, "loss": 9.0}])
    assert runs.steps("cache-behaviour")["rows"][-1] == {"global_step": 5, "loss": 9.0}


@pytest.mark.parametrize("name", ["seedsample", "odd"])
def test_the_log_is_the_recorded_one(recorded: Runs, name: str) -> None:
    kept = json.loads((V06 / "ws_logs.json").read_text())
    theirs = kept["history_then_tail__seedsample" if name == "seedsample" else "odd_bytes"]["messages"]
    run = next(run for run, fixture in RUNS.items() if fixture == name)
    with recorded.socket(run) as socket:
        assert received(socket, count=len(theirs)) == [message[2] for message in theirs]


def test_a_long_log_comes_whole_and_without_a_notice(recorded: Runs) -> None:
    """The product inserts a sentence that is wrong, and loses a line there."""
    run = next(run for run, fixture in RUNS.items() if fixture == "longlog")
    with recorded.socket(run) as socket:
        assert received(socket, until="line 10050") == [f"line {number}" for number in range(1, 10051)]
