"""What the settings of the events service and of Elasticsearch change, on every engine."""

from __future__ import annotations

import os
import socket
import time
import uuid
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.client import Client, json_lines, log, plot, scalar
from tests.conftest import StartServer
from tests.process import Server, wait_until
from tests.runs.conftest import tidemark
from tests.servers import elasticsearch_address
from tests.servers.elasticsearch import request


def test_pages_of_raw_points_and_events_are_no_greater_than_raw_size_cap(start_server: StartServer, task: str) -> None:
    client = start_server(TIDEMARK__events__raw_size_cap="3").client()
    client.add_batch([scalar(task, "m", "v", iter=step) for step in range(7)])
    first = client.call("events.get_task_events", task=task, batch_size=100)
    assert [event["iter"] for event in first["events"]] == [0, 1, 2]
    assert client.call("events.scalar_metrics_iter_raw", task=task, metric={"metric": "m"}, batch_size=100)["returned"] == 3
    second = client.call("events.get_task_events", task=task, batch_size=100, scroll_id=first["scroll_id"])
    assert [event["iter"] for event in second["events"]] == [3, 4, 5]


def test_ids_of_scrolls_and_navigation_expire_after_state_expiration(start_server: StartServer, task: str) -> None:
    client = start_server(TIDEMARK__events__state_expiration="2").client()
    client.add_batch([plot(task, "m", "v", iter=step) for step in range(3)] + [scalar(task, "m", "v", iter=step) for step in range(3)])
    client.new_task("one", tags=[task])
    client.new_task("two", tags=[task])
    tables = client.call("tasks.get_all_ex", tags=[task], size=1)["scroll_id"]
    steps = client.call("events.plots", metrics=[{"task": task}])["scroll_id"]
    pages = client.call("events.get_task_events", task=task, batch_size=1)["scroll_id"]

    def expired() -> bool:
        body = json_lines([{"task": task, "batch_size": 1, "scroll_id": pages}])
        answer = client.send("POST", "/events.get_task_events", body, {"Content-Type": "application/json"})
        assert answer.codes in ((200, 0), (400, 1104))
        return answer.codes == (400, 1104)

    wait_until(expired, 30, "the scroll id is still valid")
    # The others were made before it. Where an expired id is asked for, these two begin anew.
    assert client.call("tasks.get_all_ex", tags=[task], size=1, scroll_id=tables)["scroll_id"] != tables
    first = client.call("events.plots", metrics=[{"task": task}], scroll_id=steps)["metrics"][0]["iterations"]
    assert [iteration["iter"] for iteration in first] == [2]


def test_a_log_batch_is_a_retry_within_retry_window_only(start_server: StartServer, server: Client, task: str) -> None:
    short = start_server(TIDEMARK__events__retry_window="1").client()
    batch = [log(task, "once", timestamp=int(time.time() * 1000))]
    short.add_batch(batch)
    wait_until(lambda: short.add_batch(batch) and len(short.log(task)) > 1, 30, "the batch is still taken for a retry")
    server.add_batch(batch)
    lines = len(server.log(task))
    server.add_batch(batch)
    assert len(server.log(task)) == lines


def stored_text(server: Server, task: str) -> bytes:
    """What the store keeps of the plots of a task, as it lies there."""
    store = server.env.get("TIDEMARK_STORE")
    if store is None:
        return b"".join(file.read_bytes() for file in server.data.glob("tidemark.db*"))
    prefix = parse_qs(urlsplit(store).query)["prefix"][0]
    request(elasticsearch_address(), "POST", f"/{prefix}-*/_refresh")
    query = {"query": {"term": {"task": task}}}
    found = request(elasticsearch_address(), "POST", f"/{prefix}-events-plot-*/_search", query)
    assert found["hits"]["hits"]
    return str(found).encode()


def test_plots_are_compressed_from_plot_compression_threshold_on(start_server: StartServer, shared_server: Server, task: str) -> None:
    text = f'{{"needle": "{uuid.uuid4().hex}"}}'
    needle = text.split('"')[3].encode()
    small = start_server(TIDEMARK__events__plot_compression_threshold="20")
    for one, plain in ((shared_server, True), (small, False)):
        one.client().add_batch([plot(task, "m", "v", plot_str=text)])
        assert (needle in stored_text(one, task)) is plain
        assert one.client().call("events.get_task_plots", task=task)["plots"][0]["plot_str"] == text


def test_plots_of_any_size_stay_plain_without_plot_compression_threshold(start_server: StartServer, task: str) -> None:
    server = start_server(TIDEMARK__events__plot_compression_threshold="0")
    text = '{"needle": "' + "x" * 150_000 + '"}'
    server.client().add_batch([plot(task, "m", "v", plot_str=text)])
    assert b"x" * 3_000 in stored_text(server, task)
    assert server.client().call("events.get_task_plots", task=task)["plots"][0]["plot_str"] == text


def test_a_node_that_takes_no_connection_is_given_up_after_connect_timeout(tmp_path: Path) -> None:
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for waiting in (first, second):  # the queue of the kernel is full then: a further connection is never answered
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        env = {
            "TIDEMARK_STORE": f"http://127.0.0.1:{deaf.getsockname()[1]}",
            "TIDEMARK_STATE": "redis://127.0.0.1:1/0",
            "TIDEMARK__elastic__connect_timeout": "0.3",
            "TIDEMARK__elastic__timeout": "100",
            "TIDEMARK_DATA": str(tmp_path),
        }
        found = tidemark("doctor", env=env, code=1)
    assert "within 0.3 s" in found.stdout, found.stdout
    assert os.fspath(tmp_path) in found.stdout
