"""Generations, retention, doctor, mappings that are not ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.client import Client
from tests.cluster.conftest import StartWorker
from tests.cluster.sending import Sender
from tests.process import ROOT, Server, wait_until
from tests.servers import elasticsearch_address, redis_address
from tests.servers.elasticsearch import request

DAY = 86_400_000
BY = ("--by", "event-time")


def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`tidemark` with these arguments and settings."""
    process = start(*args, **env)
    out, errors = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def start(*args: str, **env: str) -> subprocess.Popen[str]:
    """The same, not waited for."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK")}
    command = [sys.executable, "-m", "apiserver", *args]
    return subprocess.Popen(command, cwd=ROOT, env=plain | env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def old_and_new(client: Client) -> None:
    now = int(time.time() * 1000)
    for task, age in (("old-task", 400), ("new-task", 1)):
        events = [
            {
                "type": "training_stats_scalar",
                "task": task,
                "metric": "m",
                "variant": "v",
                "iter": step,
                "value": 1.0,
                "timestamp": now - age * DAY,
            }
            for step in range(10)
        ]
        client.add_batch(events)


def points(client: Client, task: str) -> int:
    chart = client.call("events.scalar_metrics_iter_histogram", task=task)
    return len(chart["m"]["v"]["x"]) if chart else 0


def test_retention_on_sqlite_removes_old_events_and_keeps_their_tasks(tmp_path: Path) -> None:
    server = Server(tmp_path).start()
    try:
        old_and_new(server.client())
        refused = run("retention", "--older-than", "90d", *BY, TIDEMARK_DATA=str(server.data))
        assert refused.returncode == 2 and server.url in refused.stderr
    finally:
        server.stop()
    arrived_now = run("retention", "--older-than", "90d", TIDEMARK_DATA=str(server.data))
    assert arrived_now.returncode == 0 and "0 events of 0 tasks" in arrived_now.stdout, arrived_now.stdout + arrived_now.stderr
    dry = run("retention", "--older-than", "90d", *BY, "--dry-run", TIDEMARK_DATA=str(server.data))
    assert dry.returncode == 0 and "old-task" in dry.stdout and "new-task" not in dry.stdout
    done = run("retention", "--older-than", "90d", *BY, "--json", TIDEMARK_DATA=str(server.data))
    removed = json.loads(done.stdout)
    assert done.returncode == 0 and (removed["tasks"], removed["events"], len(removed["steps"])) == (1, 10, 1), done.stdout
    server.start()
    try:
        client = server.client()
        assert points(client, "old-task") == 0 and points(client, "new-task") == 10
        assert client.call("tasks.get_by_id", task="old-task")["task"]["id"] == "old-task"
    finally:
        server.stop()


def test_retention_deletes_old_tasks_and_drops_old_generations(start_worker: StartWorker, prefix: str) -> None:
    env = {"TIDEMARK_STORE": f"{elasticsearch_address()}?prefix={prefix}", "TIDEMARK_STATE": f"{redis_address()}?prefix={prefix}"}
    small = {"TIDEMARK__elastic__generation_documents": "1"}
    first = start_worker(env["TIDEMARK_STORE"], env["TIDEMARK_STATE"], **small)
    old_and_new(first.client())
    arrived_now = run("retention", "--older-than", "90d", "--dry-run", **env)
    assert "0 events of 0 tasks" in arrived_now.stdout, arrived_now.stdout + arrived_now.stderr
    dry = run("retention", "--older-than", "90d", *BY, "--dry-run", **env)
    assert "task old-task: 10 events" in dry.stdout, dry.stdout + dry.stderr
    # A process that starts now looks at the size of the open generation and begins another.
    request(elasticsearch_address(), "POST", f"/{prefix}-events-*/_refresh")
    second = start_worker(env["TIDEMARK_STORE"], env["TIDEMARK_STATE"], **small).client()
    sender = Sender([second], task="young-task")
    sender.send(0)
    names = sorted(request(elasticsearch_address(), "GET", f"/{prefix}-events-training_stats_scalar-*/_settings"))
    assert [name[-6:] for name in names] == ["000001", "000002"]
    old_and_new(first.client())  # the old tasks stay where they were
    assert points(second, "old-task") == 10
    done = run("retention", "--older-than", "90d", *BY, **env)
    assert "removed task old-task: 10 events" in done.stdout, done.stdout + done.stderr
    assert points(second, "old-task") == 0 and points(second, "new-task") == 10
    dropped = run("retention", "--older-than", "0.000001h", **env)
    assert "removed generation 000001" in dropped.stdout, dropped.stdout + dropped.stderr
    names = sorted(request(elasticsearch_address(), "GET", f"/{prefix}-events-training_stats_scalar-*/_settings"))
    assert [name[-6:] for name in names] == ["000002"]
    assert points(first.client(), "new-task") == 0
    # Both processes still think of the dropped generation; a write goes to the next one.
    returning = Sender([first.client(), second], task="new-task")
    for number in range(2):
        returning.send(number)
    returning.check(second)


def test_retention_waits_for_a_snapshot_and_removes_later_what_a_killed_one_left(start_worker: StartWorker, prefix: str) -> None:
    elastic = elasticsearch_address()
    env = {"TIDEMARK_STORE": f"{elastic}?prefix={prefix}", "TIDEMARK_STATE": f"{redis_address()}?prefix={prefix}"}
    small = {"TIDEMARK__elastic__generation_documents": "1"}
    old = Sender([start_worker(env["TIDEMARK_STORE"], env["TIDEMARK_STATE"], **small).client()], task="old-task")
    old.send(0)
    request(elastic, "POST", f"/{prefix}-events-*/_refresh")
    client = start_worker(env["TIDEMARK_STORE"], env["TIDEMARK_STATE"], **small).client()
    young = Sender([client], task="young-task")
    young.send(0)
    [node] = request(elastic, "GET", "/_nodes/settings")["nodes"].values()
    repository = f"/_snapshot/{prefix}"
    place = f"{node['settings']['path']['repo'][0]}/{prefix}"
    request(elastic, "PUT", repository, {"type": "fs", "settings": {"location": place, "max_snapshot_bytes_per_sec": "1kb"}})
    request(elastic, "PUT", f"{repository}/slow", {"indices": f"{prefix}-events-*-000001"})

    def indices() -> list[str]:
        return sorted(name[-6:] for name in request(elastic, "GET", f"/{prefix}-events-training_stats_scalar-*/_settings"))

    waiting = start("retention", "--older-than", "0.000001h", **env)
    wait_until(lambda: client.call("events.scalar_metrics_iter_histogram", task="old-task") == {}, 30, "the old generation was not dropped")
    assert waiting.poll() is None and indices() == ["000001", "000002"]
    waiting.kill()
    waiting.communicate()
    request(elastic, "DELETE", f"{repository}/slow", timeout=180)  # it ends when the part that is being written is
    done = run("retention", "--older-than", "90d", **env)
    assert done.returncode == 0 and indices() == ["000002"], done.stdout + done.stderr
    request(elastic, "DELETE", repository)
    young.check(client)


def test_compact_merges_generations_that_are_idle_once_and_moves_them_to_their_tier(start_worker: StartWorker, prefix: str) -> None:
    env = {"TIDEMARK_STORE": f"{elasticsearch_address()}?prefix={prefix}", "TIDEMARK_STATE": f"{redis_address()}?prefix={prefix}"}
    tiers = {"TIDEMARK__elastic__tiers": '["data_hot,data_content", "data_warm,data_hot"]'}
    first = start_worker(env["TIDEMARK_STORE"], env["TIDEMARK_STATE"], **tiers, TIDEMARK__elastic__generation_documents="1")
    old = Sender([first.client()], task="old-task")
    for number in range(3):
        old.send(number)
        request(elasticsearch_address(), "POST", f"/{prefix}-events-*/_refresh")
    second = start_worker(env["TIDEMARK_STORE"], env["TIDEMARK_STATE"], **tiers, TIDEMARK__elastic__generation_documents="1")
    young = Sender([second.client()], task="young-task")
    young.send(0)

    def segments(number: str) -> int:
        name = f"{prefix}-events-training_stats_scalar-*-{number}"
        return len(request(elasticsearch_address(), "GET", f"/_cat/segments/{name}?format=json"))

    def tier(number: str) -> str:
        name = f"{prefix}-events-log-*-{number}"
        [settings] = request(elasticsearch_address(), "GET", f"/{name}/_settings?flat_settings=true").values()
        return str(settings["settings"]["index.routing.allocation.include._tier_preference"])

    idle = ("compact", "--idle", "0.000001h")
    assert segments("000001") > 1 and tier("000001") == "data_hot,data_content"
    assert "Compacted 0 generations" in run("compact", **env, **tiers).stdout  # it got events within the last week
    dry = run(*idle, "--dry-run", **env, **tiers)
    assert "would compact generation 000001" in dry.stdout and segments("000001") > 1
    done = run(*idle, **env, **tiers)
    assert done.returncode == 0 and "compacted generation 000001" in done.stdout, done.stdout + done.stderr
    assert "000002" not in done.stdout and segments("000001") == 1
    assert tier("000001") == "data_warm,data_hot" and tier("000002") == "data_hot,data_content"
    assert "Compacted 0 generations" in run(*idle, **env, **tiers).stdout
    old.send(3)  # late events go where the others are
    old.check(second.client())
    young.check(first.client())
    removed = run("retention", "--older-than", "0.000001h", **env)
    assert "removed generation 000001" in removed.stdout, removed.stdout + removed.stderr


def test_an_index_with_a_wrong_mapping_stops_the_start_with_a_sentence(prefix: str) -> None:
    index = f"{prefix}-registry-entities"
    mapping = {"dynamic": "strict", "properties": {"kind": {"type": "long"}}}
    request(elasticsearch_address(), "PUT", f"/{index}", {"mappings": mapping})
    env = {"TIDEMARK_STORE": f"{elasticsearch_address()}?prefix={prefix}", "TIDEMARK_STATE": redis_address(), "TIDEMARK_PORT": "0"}
    started = run("serve", **env)
    assert started.returncode == 2 and "Traceback" not in started.stderr
    assert index in started.stderr and '"kind"' in started.stderr and "reindex" in started.stderr
    doctor = run("doctor", **env)
    assert doctor.returncode == 1 and f"FAIL the index {index}" in doctor.stdout
    request(elasticsearch_address(), "DELETE", f"/{index}")


@pytest.mark.parametrize("missing", ["elasticsearch", "redis", "nothing"])
def test_doctor_says_what_is_missing(start_worker: StartWorker, prefix: str, missing: str, tmp_path: Path) -> None:
    env: dict[str, Any] = {"TIDEMARK_DATA": str(tmp_path / "data")}
    env["TIDEMARK_STORE"] = "http://user:hidden@127.0.0.1:9" if missing == "elasticsearch" else f"{elasticsearch_address()}?prefix={prefix}"
    env["TIDEMARK_STATE"] = "redis://:hidden@127.0.0.1:9/0" if missing == "redis" else f"{redis_address()}?prefix={prefix}"
    if missing == "nothing":
        start_worker(env["TIDEMARK_STORE"], env["TIDEMARK_STATE"])
    doctor = run("doctor", **env)
    failed = [line for line in doctor.stdout.splitlines() if line.startswith("FAIL")]
    assert "hidden" not in doctor.stdout + doctor.stderr and "Traceback" not in doctor.stderr
    if missing == "nothing":
        assert doctor.returncode == 0 and failed == [], doctor.stdout
        assert "ok   templates and mappings are as they should be" in doctor.stdout
    else:
        assert doctor.returncode == 1 and any(missing in line.lower() for line in failed), doctor.stdout
