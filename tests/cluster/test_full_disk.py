"""A full disk, as Elasticsearch shows it: its indices are read-only. The block is set by hand; nothing else of a full disk reaches the service."""

from __future__ import annotations

import json

import pytest

from tests.cluster.conftest import StartWorker
from tests.cluster.sending import Sender
from tests.cluster.test_operations import run
from tests.process import wait_until
from tests.servers import elasticsearch_address, redis_address
from tests.servers.elasticsearch import request


@pytest.fixture
def env(prefix: str) -> dict[str, str]:
    # Where watermarks are switched off, Elasticsearch takes such blocks back whenever it looks at its disks: every 30 s.
    request(elasticsearch_address(), "PUT", "/_cluster/settings", {"persistent": {"cluster.info.update.interval": "1h"}})
    return {"TIDEMARK_STORE": f"{elasticsearch_address()}?prefix={prefix}", "TIDEMARK_STATE": f"{redis_address()}?prefix={prefix}"}


def block(prefix: str, value: bool | None) -> None:
    request(elasticsearch_address(), "PUT", f"/{prefix}-*/_settings", {"index.blocks.read_only_allow_delete": value})


def names_of(prefix: str) -> set[str]:
    return set(request(elasticsearch_address(), "GET", f"/{prefix}-events-*/_alias"))


def test_a_server_starts_on_a_full_disk_reads_work_and_retention_frees_it(
    start_worker: StartWorker, prefix: str, env: dict[str, str]
) -> None:
    young_only = {"TIDEMARK__elastic__generation_days": "0.0000001"}
    worker = start_worker(env["TIDEMARK_STORE"], env["TIDEMARK_STATE"], **young_only)
    old = Sender([worker.client()], task="old-task")
    old.send(0)
    worker.stop()
    request(elasticsearch_address(), "POST", f"/{prefix}-events-*/_refresh")
    worker.start()  # a process that starts looks at the age of the open generation
    young = Sender([worker.client()], task="young-task")
    young.send(0)
    assert {name[-6:] for name in names_of(prefix)} == {"000001", "000002"}
    worker.stop()

    block(prefix, True)
    worker.start()
    client = worker.client()
    old.check(client)
    refused = client.send("POST", "/v2.23/events.add_batch", old.body(1), {"Content-Type": "application/json-lines"})
    assert refused.status == 503 and float(refused.headers["retry-after"]) > 0
    for path in ("/healthz", "/readyz"):
        health = client.send("GET", path)
        assert health.status == 200 and health.json["status"] == "degraded", health.body
        assert "read-only" in health.json["disk"]["detail"]
    doctor = json.loads(run("doctor", "--json", **env, TIDEMARK_DATA=str(worker.data)).stdout)
    assert any(finding["level"] == "fail" and "read-only" in finding["text"] for finding in doctor["findings"])

    shown = run("keys", **env, TIDEMARK_DATA=str(worker.data))
    assert shown.returncode == 0 and "CLEARML_API_SECRET_KEY" in shown.stdout
    no_space = run("keys", "--company", "another", **env, TIDEMARK_DATA=str(worker.data))
    assert no_space.returncode == 2 and "tidemark retention" in no_space.stderr and len(no_space.stderr.splitlines()) == 1, no_space.stderr
    freed = run("retention", "--older-than", "0.000001h", **env)
    assert "removed generation 000001" in freed.stdout, freed.stdout + freed.stderr
    assert freed.returncode == 2 and "1 old tasks are in indices that are read-only" in freed.stderr and "Traceback" not in freed.stderr
    assert {name[-6:] for name in names_of(prefix)} == {"000002"}

    block(prefix, None)
    old.acknowledged = 0
    old.send(0)
    old.check(client)
    young.check(client)
    wait_until(lambda: client.send("GET", "/readyz").json["status"] == "ok", 15, "the server is not well again")
    log = worker.log_tail(100_000)
    assert "Traceback" not in log
    assert len([line for line in log.splitlines() if "a full disk is over after" in line]) == 1, log


def test_a_new_user_of_the_configuration_is_written_when_there_is_space_again(
    start_worker: StartWorker, prefix: str, env: dict[str, str]
) -> None:
    worker = start_worker(env["TIDEMARK_STORE"], env["TIDEMARK_STATE"])
    worker.stop()
    block(prefix, True)
    worker.env["TIDEMARK_CONFIG"] = str(worker.folder / "more.conf")
    (worker.folder / "more.conf").write_text(
        'auth { companies { clearml { id = "d1bd92a3b039400cbafc60a7a5b1e52b", users {'
        ' default { name = "Default user", role = "user", keys = [] }, ann { name = "Ann", role = "admin", password = "secret word" } } } } }'
    )
    worker.start()
    assert worker.client().send("GET", "/readyz").status == 200
    block(prefix, None)
    ann = worker.client("Ann", "secret word")
    wait_until(lambda: ann.raw("/users.get_current_user").codes[0] == 200, 15, "the user was never written")
