"""While Elasticsearch or Redis is unavailable or refuses the login, nothing acknowledged is lost, nothing is stored twice, and the server recovers by itself."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.client import ApiError, Client, scalar
from tests.cluster.conftest import StartWorker
from tests.cluster.sending import Sender, keep_sending
from tests.cluster.test_operations import run
from tests.process import Server, free_port, wait_until
from tests.servers import ElasticsearchServer, RedisServer, redis_address
from tests.servers.elasticsearch import remove_prefix, request

OUTAGE = 20.0
TIMEOUT = {"TIDEMARK__elastic__timeout": "4"}
GIVEN_UP = 14.0
"""Seconds within which a call has its answer, whatever the store does: the timeout, and what a loaded machine adds."""


@pytest.mark.parametrize("fault", ["frozen", "killed"])
def test_an_outage_of_elasticsearch_loses_and_doubles_nothing(
    start_worker: StartWorker, own_elasticsearch: ElasticsearchServer, prefix: str, fault: str
) -> None:
    store, state = f"{own_elasticsearch.url}?prefix={prefix}", f"{redis_address()}?prefix={prefix}"
    workers = [start_worker(store, state, **TIMEOUT) for _ in range(2)]
    clients = [worker.client(timeout=60) for worker in workers]
    senders = [Sender(clients) for _ in range(4)]
    stop = threading.Event()
    threads = keep_sending(senders, stop)
    try:
        wait_until(lambda: all(sender.acknowledged >= 2 or sender.problems for sender in senders), 60, "no batch was accepted")
        began = time.monotonic()
        if fault == "frozen":
            own_elasticsearch.freeze()
        else:
            own_elasticsearch.kill()
        wait_until(lambda: all(sender.refused or sender.problems for sender in senders), 60, "nobody was told to come again")
        assert clients[0].send("GET", "/readyz").status == 503
        alive = clients[0].send("GET", "/healthz")  # nothing must end the server because its store is unavailable
        assert alive.status == 200 and alive.json["status"] == "unavailable"
        if fault == "frozen":
            read_in_time(clients[0], senders[0].task)
        wait_until(lambda: time.monotonic() - began > OUTAGE, OUTAGE + 5, "")
        if fault == "frozen":
            own_elasticsearch.thaw()
        else:
            own_elasticsearch.start()
        before = [sender.acknowledged for sender in senders]
        wait_until(
            lambda: all(sender.acknowledged > count + 1 or sender.problems for sender, count in zip(senders, before, strict=True)),
            120,
            "writes did not go on",
        )
    finally:
        own_elasticsearch.thaw()
        stop.set()
        for thread in threads:
            thread.join()
    for sender in senders:
        sender.check(clients[1])
    assert clients[0].send("GET", "/readyz").status == 200
    assert max(sender.longest for sender in senders) < GIVEN_UP, "a write was not given up in time"
    for worker in workers:
        said = [line for line in worker.log_tail(100_000).splitlines() if "WARNING" in line and "Elasticsearch" in line]
        assert 1 <= len([line for line in said if "is over after" in line]) <= 5, said
        assert len(said) <= 10, said


def read_in_time(client: Client, task: str) -> None:
    """Many reads at once of a store that is frozen: none waits for all the others."""
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.raw("/events.get_task_log", {"task": task}).codes[0], range(8)))
    assert set(answers) == {503}
    assert time.monotonic() - began < GIVEN_UP


def test_events_go_on_without_redis_and_navigation_comes_back(
    start_worker: StartWorker, own_elasticsearch: ElasticsearchServer, own_redis: RedisServer, prefix: str
) -> None:
    store, state = f"{own_elasticsearch.url}?prefix={prefix}", f"{own_redis.url}?prefix={prefix}"
    first, second = (start_worker(store, state, **TIMEOUT).client() for _ in range(2))
    sender = Sender([first, second])
    for number in range(2):
        sender.send(number)
    own_redis.kill()
    for number in range(2, 5):
        sender.send(number)
        # Read at once on the other worker: without marks every read refreshes.
        last = [second, first][number % 2].call("events.get_task_log", task=sender.task, batch_size=1)
        assert last["events"][0]["msg"] == f"batch {number} line 9"
    chart = second.call("events.scalar_metrics_iter_histogram", task=sender.task)
    assert len(chart["loss"]["train"]["x"]) == 200
    with pytest.raises(ApiError) as refused:
        first.call("events.get_task_events", task=sender.task, batch_size=10)
    assert refused.value.status == 503 and float(refused.value.headers["retry-after"]) > 0
    for path in ("/healthz", "/readyz"):  # events go on: no proxy should leave this server out
        health = first.send("GET", path)
        assert health.status == 200 and health.json["status"] == "degraded" and "Redis" in health.json["state"]["detail"]
    own_redis.start()
    wait_until(
        lambda: all(client.send("GET", "/readyz").json["status"] == "ok" for client in (first, second)), 30, "Redis was not found again"
    )
    sender.send(5)
    sender.check(second)
    sender.check(first)


def test_a_read_only_index_refuses_for_now_and_recovers(
    start_worker: StartWorker, own_elasticsearch: ElasticsearchServer, prefix: str
) -> None:
    worker = start_worker(f"{own_elasticsearch.url}?prefix={prefix}", f"{redis_address()}?prefix={prefix}", **TIMEOUT)
    client = worker.client()
    sender = Sender([client])
    sender.send(0)

    def block(value: Any) -> None:
        request(own_elasticsearch.url, "PUT", f"/{prefix}-events-*/_settings", {"index.blocks.read_only_allow_delete": value})

    block(True)
    answer = client.send("POST", "/v2.23/events.add_batch", sender.body(1), {"Content-Type": "application/json-lines"})
    assert answer.status == 503 and float(answer.headers["retry-after"]) > 0
    assert len(client.call("events.scalar_metrics_iter_histogram", task=sender.task)["loss"]["train"]["x"]) == 40
    block(None)
    sender.send(1)
    sender.check(client)


def test_a_worker_that_dies_between_events_and_statistics_leaves_no_wrong_number(
    start_worker: StartWorker, own_elasticsearch: ElasticsearchServer, prefix: str
) -> None:
    store, state = f"{own_elasticsearch.url}?prefix={prefix}", f"{redis_address()}?prefix={prefix}"
    worker = start_worker(store, state)
    sender = Sender([worker.client()])
    sender.send(0)
    stop = threading.Event()
    doomed = Sender([worker.client()], task=sender.task, acknowledged=1)

    def send_until_killed() -> None:
        number = 1
        while not stop.is_set():
            try:
                doomed.send(number)
            except OSError:
                return
            number += 1

    thread = threading.Thread(target=send_until_killed)
    thread.start()
    wait_until(lambda: doomed.acknowledged > 3 or doomed.problems, 60, "nothing was accepted")
    worker.kill()
    stop.set()
    thread.join()
    other = Sender([start_worker(store, state).client()], task=sender.task, acknowledged=doomed.acknowledged)
    other.send(doomed.acknowledged)  # the retry of what was under way
    other.check(other.clients[0])


def test_the_role_of_deploy_is_enough_for_everything(
    start_worker: StartWorker, own_elasticsearch: ElasticsearchServer, prefix: str, tmp_path: Path
) -> None:
    login = ("tidemark", "word of the role")
    own_elasticsearch.add_user(*login, role="tidemark")
    env = {"TIDEMARK_STORE": own_elasticsearch.url_of(*login), "TIDEMARK_STATE": f"{redis_address()}?prefix={prefix}"}
    small = {"TIDEMARK__elastic__generation_documents": "1", "TIDEMARK__elastic__shards": "2"}
    worker = start_worker(env["TIDEMARK_STORE"], env["TIDEMARK_STATE"], **small)
    client = worker.client()
    kept, deleted = Sender([client]), Sender([client])
    for sender in (kept, deleted):
        sender.send(0)
    client.call("events.delete_for_task", task=deleted.task)
    client.call("tasks.delete", task=deleted.task, force=True)
    kept.check(client)
    assert client.send("GET", "/readyz").json["status"] == "ok"
    assert b'tidemark_part_ok{part="disk"} 1.0' in client.send("GET", "/metrics").body
    backup = run("backup", str(tmp_path / "backup"), **env, TIDEMARK_DATA=str(worker.data))
    assert backup.returncode == 0, backup.stderr
    doctor = run("doctor", **env, TIDEMARK_DATA=str(worker.data))
    assert doctor.returncode == 0, doctor.stdout
    worker.stop()
    worker.start()  # a process that starts begins another generation: the first one is full
    worker.client().add_batch([scalar("young-task")])
    compact = run("compact", "--idle", "0.000001h", **env)
    assert "compacted generation 000001 (4 -> 2 shards)" in compact.stdout, compact.stdout + compact.stderr
    kept.check(worker.client())
    retention = run("retention", "--older-than", "0.000001h", **env)
    assert "removed generation 000001" in retention.stdout, retention.stdout + retention.stderr
    assert "removed task young-task" in retention.stdout, retention.stdout
    worker.stop()
    for start in ("events-", "statistics-", "registry-", "tidemark-"):
        remove_prefix(own_elasticsearch.url, start)
    restore = run("restore", str(tmp_path / "backup"), **env, TIDEMARK_DATA=str(tmp_path / "restored"))
    assert restore.returncode == 0, restore.stdout + restore.stderr
    worker.start()
    kept.check(worker.client())
    said = worker.log_tail(100_000) + doctor.stdout + retention.stderr + compact.stderr + restore.stderr
    assert "refuses" not in said and "unauthorized" not in said and "word of the role" not in said
    for method, path in (("DELETE", "/_security/role/any"), ("PUT", "/other-index"), ("GET", f"/{prefix}-registry-objects/_search")):
        assert own_elasticsearch.status_of(login, method, path) == 403


def test_a_refused_login_is_said_once_and_over_when_it_is_put_right(
    start_worker: StartWorker, own_elasticsearch: ElasticsearchServer, prefix: str, tmp_path: Path
) -> None:
    name = f"user{prefix}"
    store = f"{own_elasticsearch.url_of(name, 'hidden-word')}?prefix={prefix}"
    state = f"{redis_address()}?prefix={prefix}"

    def password(word: str) -> None:
        own_elasticsearch.add_user(name, word, role="superuser")

    password("hidden-word")
    worker = start_worker(store, state, **TIMEOUT)
    client = worker.client()
    sender = Sender([client])
    sender.send(0)
    password("another-word")
    answers = [client.send("POST", "/v2.23/events.add_batch", sender.body(1), {"Content-Type": "application/json-lines"}) for _ in range(3)]
    assert {answer.status for answer in answers} == {503} and all(float(answer.headers["retry-after"]) > 0 for answer in answers)
    ready = wait_until(lambda: (found := client.send("GET", "/readyz")).status == 503 and found, 10, "the server says that it is ready")
    assert "refuses our login" in ready.json["store"]["detail"] and client.send("GET", "/healthz").status == 200

    late = Server(tmp_path / "late", {"TIDEMARK_STORE": store, "TIDEMARK_STATE": state}, ["--workers", "2"])
    late.port = free_port()
    starting = threading.Thread(target=late.start)  # comes back when the server answers calls
    starting.start()
    try:
        wait_until(lambda: "waits for its store" in late.log_tail(), 60, "the server that starts says nothing")
        doctor = run("doctor", TIDEMARK_STORE=store, TIDEMARK_STATE=state, TIDEMARK_DATA=str(tmp_path / "data"))
        [failed] = [line for line in doctor.stdout.splitlines() if line.startswith("FAIL")]
        assert doctor.returncode == 1 and "refuses our login" in failed
    finally:
        password("hidden-word")
        starting.join(60)
        late.stop()
    sender.send(1)
    sender.check(client)
    wait_until(lambda: client.send("GET", "/readyz").json["status"] == "ok", 10, "the server is not ready again")
    log = worker.log_tail(100_000)
    said = [line for line in log.splitlines() if "refuse" in line]
    assert len(said) == 2 and "a refused login is over after" in said[1], said
    assert "refuses our login" in late.log_tail() and "Traceback" not in late.log_tail()
    shown = log + late.log_tail(100_000) + doctor.stdout + doctor.stderr + ready.body.decode() + str([answer.body for answer in answers])
    assert "hidden-word" not in shown
