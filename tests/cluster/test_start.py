"""Starting while a server that is needed is unavailable, or does not let us in."""

from __future__ import annotations

import json
import threading
from typing import Any

from tests.client import Client, scalar
from tests.cluster.conftest import StartWorker
from tests.cluster.roads import Road
from tests.process import Server, free_port, wait_until
from tests.servers import elasticsearch_address, redis_address


def test_workers_wait_for_elasticsearch_and_answer_503_meanwhile(start_worker: StartWorker, prefix: str, tmp_path: Any) -> None:
    port = free_port()
    env = {"TIDEMARK_STORE": f"http://user:hidden@127.0.0.1:{port}?prefix={prefix}", "TIDEMARK_STATE": f"{redis_address()}?prefix={prefix}"}
    server = Server(tmp_path / "waiting", env, ["--workers", "2"])
    server.port = free_port()
    starting = threading.Thread(target=server.start)  # comes back when the server answers calls
    starting.start()
    try:
        client = Client(server.url)
        wait_until(lambda: _status(client, "/healthz") == 200, 60, "the server does not answer at all")
        assert client.send("GET", "/healthz").json["status"] == "starting"
        assert client.send("GET", "/readyz").status == 503
        call = client.send("POST", "/v2.23/events.add_batch", b"x" * 3_000_000, {"Content-Type": "application/json-lines"})
        assert call.status == 503 and float(call.headers["retry-after"]) > 0 and call.json["meta"]["result_code"] == 503
        rows = client.send("GET", "/api/runs")
        assert rows.status == 503 and "detail" in rows.json
        said = wait_until(lambda: [line for line in server.log_tail().splitlines() if "waits for its store" in line], 30, "nothing is said")
        with Road(elasticsearch_address(), port):
            starting.join(60)
            batch = [scalar("t", iter=1)]
            taken = wait_until(lambda: (answer := client.send_batch(batch)).status != 503 and answer, 30, "one of the workers still waits")
            assert taken.data["added"] == 1
            wait_until(lambda: _status(client, "/readyz") == 200, 30, "never ready")
            server.stop()
        log = server.log_tail(100_000)
        assert "hidden" not in log and "Traceback" not in log and len(said) <= 3
        assert log.count("Tidemark listens on") == 1
    finally:
        starting.join(60)
        server.stop()


def test_a_wrong_password_of_redis_is_one_line_in_the_log(start_worker: StartWorker, prefix: str) -> None:
    state = redis_address().replace("redis://", "redis://:hidden@")
    worker = start_worker(f"{elasticsearch_address()}?prefix={prefix}", state, "--workers", "2")
    said = wait_until(lambda: [line for line in worker.log_tail().splitlines() if "Redis refuses" in line], 15, "nothing is said")
    assert len(said) == 1 and "hidden" not in worker.log_tail()
    health = worker.client().send("GET", "/readyz")
    assert health.status == 200 and json.loads(health.body)["status"] == "degraded"


def test_servers_share_a_data_folder_where_the_data_is_elsewhere(start_worker: StartWorker, prefix: str) -> None:
    store, state = f"{elasticsearch_address()}?prefix={prefix}", f"{redis_address()}?prefix={prefix}"
    first = start_worker(store, state)
    second = start_worker(store, state, TIDEMARK_DATA=str(first.data))
    first.client().add_batch([scalar("t", iter=1)])
    assert second.client().histogram("t")["loss"]["train"]["x"] == [1]


def _status(client: Client, path: str) -> int:
    try:
        return client.send("GET", path).status
    except OSError:
        return 0
