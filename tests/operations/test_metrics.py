"""`GET /metrics`, and what is built on it: the Grafana board and the alert rules."""

from __future__ import annotations

import json
import os
import re
import signal
import uuid
from pathlib import Path
from typing import Any

import requests
import yaml  # type: ignore[import-untyped]
from prometheus_client.metrics import MetricWrapperBase

from apiserver.common import metrics
from apiserver.monitoring import exporter
from tests.client import Client, log, scalar
from tests.conftest import StartServer, credentials
from tests.operations.samples import samples
from tests.process import ROOT, Server, wait_until

BOARD = ROOT / "deploy" / "grafana" / "tidemark.json"
RULES = ROOT / "deploy" / "prometheus" / "tidemark.rules.yml"


def counted() -> set[str]:
    """Names of the samples that the program can show."""
    names = set()
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            for family in metric.describe():
                suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
                names |= {family.name + suffix for suffix in suffixes}
    source = (ROOT / "apiserver" / "monitoring" / "exporter.py").read_text()
    return names | set(re.findall(r'GaugeMetricFamily\(\s*"(\w+)"', source))


def used(text: str) -> set[str]:
    return set(re.findall(r"\btidemark_\w+", text))


def test_board_and_alerts_use_metrics_that_exist_and_the_board_shows_all_of_them() -> None:
    assert exporter.CONTENT_TYPE.startswith("text/plain")
    board = json.loads(BOARD.read_text())
    expressions = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    assert used(expressions) <= counted()
    alerts: list[dict[str, Any]] = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    assert all(rule["annotations"].keys() == {"summary", "action"} and rule["labels"]["severity"] for rule in alerts)
    assert used(" ".join(rule["expr"] for rule in alerts)) <= counted()
    families = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in counted()}
    assert not [name for name in families if name not in expressions], "not on the board"
    described = (ROOT / "docs" / "operations.md").read_text()
    assert not [name for name in families if name not in described], "not in docs/operations.md"


def test_a_batch_is_counted_by_its_sums(server: Client, shared_server: Server, task: str) -> None:
    before = samples(shared_server)
    lines = [scalar(task, iter=step) for step in range(7)] + [log(task, "a", timestamp=1)]
    body = [*lines, "{broken", {**scalar("x" * 300, iter=1)}]
    for _ in range(2):
        answer = server.send_batch(body)
        assert answer.data["added"] == 8
    server.histogram(task)
    after = samples(shared_server)

    def grown(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return after.get(key, 0.0) - before.get(key, 0.0)

    assert grown("tidemark_events_total", type="training_stats_scalar") == 14
    assert grown("tidemark_events_total", type="log") == 1 and grown("tidemark_retried_batches_total") == 1
    assert grown("tidemark_refused_events_total", reason="not json") == 2
    assert grown("tidemark_refused_events_total", reason="invalid task id") == 2
    assert grown("tidemark_calls_total", endpoint="events.add_batch", code="200") == 2
    assert grown("tidemark_call_seconds_count", endpoint="events.add_batch") == 2
    assert grown("tidemark_received_bytes_total") > 1000 < grown("tidemark_event_bytes_total")
    assert after["tidemark_part_ok", (("part", "store"),)] == 1
    if "TIDEMARK_STORE" in shared_server.env:
        assert grown("tidemark_store_seconds_count", kind="bulk") >= 2 and grown("tidemark_state_seconds_count") > 0


def test_what_clients_send_makes_no_series(server: Client, shared_server: Server) -> None:
    names = [uuid.uuid4().hex for _ in range(5)]
    for name in names:
        server.send("GET", f"/events.{name}")
        server.send("GET", f"/api/runs/{name}/metrics_step")
        server.send("GET", f"/files/{name}/x")
        server.send_batch([{"type": name, "task": name}, scalar(name, iter=1)])
    text = requests.get(f"{shared_server.url}/metrics", timeout=30).text
    assert not [name for name in names if name in text]
    assert 'endpoint="unknown"' in text and 'endpoint="/api/runs/<run>/metrics_step"' in text


def test_metrics_are_sums_over_workers(start_server: StartServer, engine: str) -> None:
    if engine != "elastic":
        return
    server = start_server("--workers", "2", TIDEMARK__server__access_log="true", TIDEMARK__server__log_format="json")
    client = server.client()
    for number in range(20):
        client.add_batch([scalar(uuid.uuid4().hex, iter=number)])
    seen = samples(server)
    assert seen["tidemark_calls_total", (("code", "200"), ("endpoint", "events.add_batch"))] == 20
    processes = {json.loads(line)["process"] for line in server.log.read_text().splitlines() if '"endpoint": "events.add_batch"' in line}
    assert seen["tidemark_workers", ()] == 2 and len(processes) <= 2
    [master, *workers] = server.pids()
    assert "_multiarray_umath" in Path(f"/proc/{master}/maps").read_text()  # what workers need is imported once, before the fork
    os.kill(workers[0], signal.SIGTERM)  # another one takes its place; what it has counted stays
    wait_until(lambda: workers[0] not in server.pids() and len(server.pids()) == 3, 30, "no other worker")
    wait_until(lambda: samples(server).get(("tidemark_workers", ()), 0) == 2, 30, "the new worker is not counted")
    assert client.raw("/users.get_current_user").codes[0] == 200  # the first of its kind: it gets a file in the folder of counts
    assert samples(server)["tidemark_calls_total", (("code", "200"), ("endpoint", "events.add_batch"))] == 20


def test_strangers_see_no_metrics_and_the_log_is_json(start_server: StartServer) -> None:
    env = {"TIDEMARK_AUTH": "required", "TIDEMARK__server__access_log": "true", "TIDEMARK__server__log_format": "json"}
    server = start_server(**env, TIDEMARK__server__slow_call="0.000001")
    key, secret = credentials(server)
    stranger = {"Host": "tracker.lan"}
    assert server.client().send("GET", "/metrics", None, stranger).status == 401
    assert b"tidemark_workers" in server.client(key, secret).send("GET", "/metrics", None, stranger).body
    answer = server.client(key, secret).raw("/users.get_current_user?token=hidden&a=b c".replace(" ", "%20"))
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    [line, slow] = [line for line in lines if line.get("call") == answer.meta["id"]]
    assert line["logger"] == "tidemark.access" and slow["logger"] == "tidemark.slow" and slow["level"] == "warning"
    assert line["endpoint"] == "users.get_current_user" and line["code"] == 200 and line["ms"] > 0 and line["sent"] > 100
    assert line["client"] == "127.0.0.1" and line["company"] and line["user"]
    assert "hidden" not in server.log.read_text() and "a=b%20c" in line["path"]
