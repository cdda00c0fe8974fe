"""What a run says of itself (meta.json, status.json) changes its task as `docs/tasks.md` promises."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.client import Client
from tests.runs.conftest import Runs

TIMES = ("last_update", "last_change", "status_changed")


@pytest.fixture
def client(runs: Runs) -> Client:
    """The events API of the same server."""
    return runs.server.client()


def describe(runs: Runs, run: str, **facts: Any) -> Any:
    answer = requests.put(f"{runs.server.url}/api/runs/{run}/meta", json=facts, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_a_status_change_moves_the_times_that_clients_poll(runs: Runs, client: Client, run: str) -> None:
    runs.rows(run, [{"global_step": 1, "loss": 1.0}])
    before = client.task(run)
    describe(runs, run, status="finished", exit_reason="all epochs done")
    after = client.task(run)
    assert (after["status"], after["status_reason"]) == ("completed", "all epochs done")
    for name in TIMES:
        assert moment(after[name]) > moment(before[name]), name
    assert after["last_update"] == after["last_change"]
    assert after["status_changed"] == after["completed"] and after["last_changed_by"]


def test_any_other_fact_moves_last_change_and_leaves_the_status(runs: Runs, client: Client, run: str) -> None:
    runs.rows(run, [{"global_step": 1, "loss": 1.0}])
    before = client.task(run)
    describe(runs, run, status="running", summary={"accuracy": 0.5})
    after = client.task(run)
    assert moment(after["last_change"]) > moment(before["last_change"])
    assert (after["status"], after["status_changed"]) == (before["status"], before["status_changed"])


def test_facts_that_say_nothing_new_change_nothing(runs: Runs, client: Client, run: str) -> None:
    facts = {"status": "finished", "alias": "a", "started_at": 1_700_000_000.0, "ended_at": 1_700_000_100.0}
    describe(runs, run, **facts)
    before = client.task(run)
    describe(runs, run, **facts)
    assert client.task(run) == before


def test_the_times_of_the_run_count_more_than_those_of_the_report(runs: Runs, client: Client, run: str) -> None:
    detail = describe(runs, run, status="finished", started_at=1_700_000_000.0, ended_at=1_700_000_100.5)
    task = client.task(run)
    assert detail["duration"] == 100.5
    assert moment(task["started"]) == 1_700_000_000.0 and moment(task["completed"]) == 1_700_000_100.5
    assert task["active_duration"] == 100


def test_a_run_that_is_resumed_has_no_end(runs: Runs, client: Client, run: str) -> None:
    describe(runs, run, status="failed")
    assert client.task(run)["completed"]
    assert describe(runs, run, status="running")["duration"] is None
    task = client.task(run)
    assert task["status"] == "in_progress" and not task.get("completed")


def test_a_published_task_keeps_its_status(runs: Runs, client: Client, run: str) -> None:
    describe(runs, run, status="finished")
    client.call("tasks.publish", task=run)
    assert requests.put(f"{runs.server.url}/api/runs/{run}/meta", json={"status": "failed"}, timeout=30).status_code == 400
    assert client.task(run)["status"] == "published"


def test_an_imported_run_ended_when_its_status_was_written(runs: Runs, run: str, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / run
    folder.mkdir(parents=True)
    (folder / "events.jsonl").write_text('{"ts": 1, "type": "metrics", "data": {"step": 1, "loss": 1}}\n')
    status = folder / "status.json"
    status.write_text(json.dumps({"status": "failed", "started_at": 1_700_000_000.0}))
    os.utime(status, (1_700_000_050, 1_700_000_050))
    runs.command("import", str(folder))
    assert runs.get(f"/api/runs/{run}").json()["duration"] == 50.0
