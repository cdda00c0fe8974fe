"""Somebody replaces Elasticsearch's data, or removes indices, under a running server: nothing is written into indices with guessed mappings."""

from __future__ import annotations

from tests.cluster.conftest import StartWorker
from tests.cluster.sending import Sender
from tests.cluster.test_operations import run
from tests.servers import elasticsearch_address, redis_address
from tests.servers.elasticsearch import remove_prefix, request


def mappings(prefix: str) -> dict[str, str]:
    found = request(elasticsearch_address(), "GET", f"/{prefix}-*/_mapping")
    return {index: content["mappings"].get("dynamic") for index, content in found.items()}


def test_an_installation_that_was_removed_is_made_anew_under_a_running_server(start_worker: StartWorker, prefix: str) -> None:
    env = {"TIDEMARK_STORE": f"{elasticsearch_address()}?prefix={prefix}", "TIDEMARK_STATE": f"{redis_address()}?prefix={prefix}"}
    worker = start_worker(env["TIDEMARK_STORE"], env["TIDEMARK_STATE"], "--workers", "2")
    client = worker.client()
    before = Sender([client], task="same-task")
    before.send(0)
    remove_prefix(elasticsearch_address(), prefix)
    after = Sender([client], task="same-task")  # the server still knows its index, its version and its generation
    for number in range(3):
        after.send(number)
    assert not after.problems
    after.check(client)
    made = mappings(prefix)
    assert {f"{prefix}-registry-entities", f"{prefix}-registry-objects"} < set(made) and set(made.values()) == {"strict"}
    templates = request(elasticsearch_address(), "GET", f"/_index_template/{prefix}-tidemark-*")["index_templates"]
    assert len(templates) >= 7
    worker.stop()
    worker.start()
    after.check(worker.client())
    doctor = run("doctor", **env, TIDEMARK_DATA=str(worker.data))
    assert doctor.returncode == 0, doctor.stdout


def test_an_index_without_its_registry_is_named_by_doctor(start_worker: StartWorker, prefix: str) -> None:
    env = {"TIDEMARK_STORE": f"{elasticsearch_address()}?prefix={prefix}", "TIDEMARK_STATE": f"{redis_address()}?prefix={prefix}"}
    worker = start_worker(env["TIDEMARK_STORE"], env["TIDEMARK_STATE"])
    Sender([worker.client()]).send(0)
    worker.stop()
    request(elasticsearch_address(), "DELETE", f"/{prefix}-registry-entities,{prefix}-registry-objects")
    doctor = run("doctor", **env, TIDEMARK_DATA=str(worker.data))
    [line] = [line for line in doctor.stdout.splitlines() if line.startswith("FAIL")]
    assert doctor.returncode == 1 and "registry" in line and "restore a backup" in line
