"""`tidemark compact` shrinks the indices of closed generations: under their names everything goes on, also when it is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.client import Client, image, log, scalar
from tests.cluster.conftest import StartWorker
from tests.cluster.sending import Sender
from tests.cluster.test_operations import run
from tests.process import ROOT, Server, wait_until
from tests.servers import elasticsearch_address, redis_address
from tests.servers.elasticsearch import request

FOUR = {"TIDEMARK__elastic__shards": "4", "TIDEMARK__elastic__generation_documents": "1"}
IDLE = ("compact", "--idle", "0.000001h")


@pytest.fixture
def env(prefix: str) -> dict[str, str]:
    return {"TIDEMARK_STORE": f"{elasticsearch_address()}?prefix={prefix}", "TIDEMARK_STATE": f"{redis_address()}?prefix={prefix}"}


@pytest.fixture
def closed(start_worker: StartWorker, prefix: str, env: dict[str, str]) -> tuple[Server, Sender]:
    """A server, and what it stored in a generation that is closed, in four shards."""
    worker = start_worker(env["TIDEMARK_STORE"], env["TIDEMARK_STATE"], **FOUR)
    sender = Sender([worker.client()], task="old-task")
    for number in range(2):
        sender.send(number)
    worker.stop()
    request(elasticsearch_address(), "POST", f"/{prefix}-events-*/_refresh")
    worker.start()  # a process that starts looks at the size of the open generation
    worker.client().add_batch([scalar("young-task", iter=1)])
    return worker, sender


def shards(prefix: str) -> dict[str, int]:
    """By the end of its name, the number of primary shards of each index of scalars and lines of the first generation."""
    found: dict[str, Any] = {}
    for type in ("training_stats_scalar", "log"):
        found |= request(elasticsearch_address(), "GET", f"/{prefix}-events-{type}-*-000001/_settings?flat_settings=true")
    return {name: int(one["settings"]["index.number_of_shards"]) for name, one in found.items()}


def test_everything_goes_on_with_fewer_shards(
    closed: tuple[Server, Sender], start_worker: StartWorker, prefix: str, env: dict[str, str], tmp_path: Path
) -> None:
    worker, _ = closed
    client = worker.client()
    client.add_batch([image("old-task", iter=3, url="http://a/1.png"), log("old-task", "an error", level="error")])
    before = answers(client)
    assert set(shards(prefix).values()) == {4}
    done = run(*IDLE, **env)
    assert done.returncode == 0 and "compacted generation 000001 (12 -> 3 shards)" in done.stdout, done.stdout + done.stderr
    assert set(shards(prefix).values()) == {1} and len(shards(prefix)) == 2
    assert answers(client) == before and before["lines"] == 1 and before["images"] == 1
    assert "Compacted 0 generations" in run(*IDLE, **env).stdout

    late = start_worker(env["TIDEMARK_STORE"], env["TIDEMARK_STATE"], **FOUR)  # knows nothing of the indices that were there
    again = Sender([late.client()], task="old-task", acknowledged=2)
    again.send(2)
    late.client().add_batch([scalar("old-task", "other", iter=1)])
    assert len(client.call("events.scalar_metrics_iter_histogram", task="old-task")["loss"]["train"]["x"]) == 120
    health = client.send("GET", "/readyz").json
    assert health["status"] == "ok", health
    doctor = run("doctor", **env, TIDEMARK_DATA=str(worker.data))
    assert doctor.returncode == 0, doctor.stdout

    backup = run("backup", str(tmp_path / "backup"), **env, TIDEMARK_DATA=str(worker.data))
    assert backup.returncode == 0, backup.stderr
    other = {"TIDEMARK_STORE": f"{elasticsearch_address()}?prefix={prefix}-b", "TIDEMARK_STATE": f"{redis_address()}?prefix={prefix}-b"}
    restored = run("restore", str(tmp_path / "backup"), **other, TIDEMARK_DATA=str(tmp_path / "data"))
    assert restored.returncode == 0, restored.stderr
    copy = start_worker(other["TIDEMARK_STORE"], other["TIDEMARK_STATE"]).client()
    assert answers(copy) == answers(client)

    assert client.call("events.delete_for_task", task="old-task")["deleted"] > 0
    assert client.call("events.get_task_events", task="old-task")["total"] == 0
    removed = run("retention", "--older-than", "0.000001h", **env)
    assert "removed generation 000001" in removed.stdout, removed.stdout + removed.stderr
    assert shards(prefix) == {}


def answers(client: Client) -> dict[str, Any]:
    """What clients read of the old task."""
    lines = client.call("events.get_task_log", task="old-task", batch_size=500)
    errors = client.call("events.get_task_events", task="old-task", event_type="log", batch_size=500)
    images = client.call("events.debug_images", metrics=[{"task": "old-task"}])["metrics"][0]["iterations"]
    return {
        "levels": len(client.call("events.get_task_log", task="old-task", levels=["error"])["events"]),
        "all": client.call("events.get_task_events", task="old-task", batch_size=500)["returned"],
        "chart": client.call("events.scalar_metrics_iter_histogram", task="old-task")["loss"],
        "log": [event["msg"] for event in lines["events"]],
        "lines": sum(event["level"] == "error" for event in errors["events"]),
        "images": len(images),
    }


@pytest.mark.parametrize("moment", ["lease", "copy"])
def test_killed_in_the_middle_it_leaves_nothing_that_stays(
    closed: tuple[Server, Sender], prefix: str, env: dict[str, str], moment: str
) -> None:
    worker, sender = closed
    command = subprocess.Popen([sys.executable, "-m", "apiserver", *IDLE], cwd=ROOT, env={**_plain(), **env}, stdout=subprocess.DEVNULL)
    leases = f"/_alias/{prefix}-events-shrinking-*"

    def begun() -> bool:
        assert command.poll() is None, "it was faster"
        if moment == "lease":
            return bool(_found(leases))
        return bool(_found(f"/_cat/indices/{prefix}-events-*-shrunk-*?h=index&format=json"))

    try:
        wait_until(begun, 60, "the command did not begin")
    finally:
        command.kill()
        command.wait()
    sender.clients[0].call("events.scalar_metrics_iter_histogram", task="old-task")
    left = _found(leases)
    if left:
        again = run(*IDLE, **env)
        assert again.returncode == 0 and "not shrunk" in again.stdout and "try again" in again.stdout, again.stdout
        for index, content in left.items():  # as if its five minutes were over
            old = {"index": index, "alias": next(iter(content["aliases"]))}
            expired = {"index": index, "alias": f"{prefix}-events-shrinking-1-00000000"}
            request(elasticsearch_address(), "POST", "/_aliases", {"actions": [{"remove": old}, {"add": expired}]})
        worker.stop()
        worker.start()
        wait_until(lambda: not _found(leases), 30, "the server did not put it right")
    sender.send(2)
    sender.check(sender.clients[0])
    done = run(*IDLE, **env)
    assert done.returncode == 0 and "(8 -> 2 shards)" in done.stdout, done.stdout + done.stderr
    sender.check(sender.clients[0])


def _found(path: str) -> Any:
    try:
        return request(elasticsearch_address(), "GET", path)
    except OSError:
        return None


def _plain() -> dict[str, str]:
    import os

    return {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK")}
