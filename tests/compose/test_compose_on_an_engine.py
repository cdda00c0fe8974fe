"""docker-compose.yml on a real engine, as an operator runs it."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest
import requests
from websockets.sync.client import connect

from tests.client import Client, log, scalar
from tests.clients.scripts import Sdk
from tests.compose.stack import Stack
from tests.process import wait_until

SERVICES = ("tidemark", "redis", "elasticsearch")


class Writer:
    """Sends one point a batch, each until it is acknowledged."""

    def __init__(self, stack: Stack, task: str) -> None:
        self.task = task
        self.acknowledged: list[int] = []
        self.refused: set[int] = set()
        self.said: set[bytes] = set()
        """How calls were refused."""
        self.lost = 0
        """Calls without an answer."""
        self._stack = stack
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Writer:
        self._thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def wait_for_more(self) -> None:
        before = len(self.acknowledged)
        wait_until(lambda: len(self.acknowledged) > before + 5, 120, lambda: f"points are taken again; refused with {self.refused}")

    def _run(self) -> None:
        client = self._stack.client()
        iter = 0
        while not self._over.is_set():
            try:
                body = json.dumps(scalar(self.task, "m", iter=iter, value=float(iter))).encode()
                answer = client.raw("/events.add_batch", body, headers={"Content-Type": "application/json-lines"})
            except OSError:  # nobody listens while the container is away
                self.lost += 1
                client = self._stack.client()
                time.sleep(0.2)
                continue
            if answer.status == 200:
                self.acknowledged.append(iter)
                iter += 1
            else:
                self.refused.add(answer.status)
                self.said.add(answer.body[:2000])
                time.sleep(0.1)

    def complete(self, client: Client) -> None:
        """Every acknowledged point is there, once."""
        points = client.call("events.scalar_metrics_iter_histogram", task=self.task, samples=10_000)["m"]["train"]
        assert points["x"][: len(self.acknowledged)] == self.acknowledged
        assert len(points["x"]) - len(self.acknowledged) in (0, 1)  # one may be stored whose answer got lost


def test_make_up_prints_what_works_and_no_log_keeps_a_secret(stack: Stack) -> None:
    for name, value in (("HOST", stack.url), ("ACCESS_KEY", stack.key[0]), ("SECRET_KEY", stack.key[1])):
        assert f"export CLEARML_API_{name}={value}\n" in stack.printed
    logs = stack.compose("logs")
    assert not [name for name, value in stack.secrets.items() if value in logs]
    assert "FAIL" not in stack.compose("exec", "-T", "tidemark", "tidemark", "doctor")
    stack.compose("exec", "-T", "tidemark", "python", "-c", "import opentelemetry.exporter.otlp.proto.http.trace_exporter")


def test_nothing_runs_as_root_or_writes_outside_of_its_volumes(stack: Stack) -> None:
    for service in SERVICES:
        assert stack.compose("exec", "-T", service, "id", "-u").strip() != "0"
    with pytest.raises(AssertionError, match="Read-only file system"):
        stack.compose("exec", "-T", "tidemark", "touch", "/opt/tidemark/file")


def test_the_sdk_reports_and_reads_back(stack: Stack, tmp_path: Path) -> None:
    run = Sdk(stack, tmp_path / "home", "child", stack.key).run(  # type: ignore[arg-type]
        """
        from clearml import Task
        import numpy
        task = Task.init("compose", "smoke", auto_connect_frameworks=False)
        for step in range(20):
            task.get_logger().report_scalar("loss", "train", 1 / (step + 1), step)
        task.get_logger().report_image("sample", "noise", 0, image=numpy.zeros((8, 8, 3), "uint8"))
        print("a line of the log")
        task.close()
        result(task.id)
        """
    )
    client = stack.client()
    chart = client.call("events.scalar_metrics_iter_histogram", task=run.result)["loss"]["train"]
    assert chart["x"] == list(range(20))
    [image] = client.call("events.debug_images", metrics=[{"task": run.result, "metric": "sample"}])["metrics"][0]["iterations"][0][
        "events"
    ]
    assert client.send("GET", image["url"].removeprefix(stack.url)).status == 200
    assert any("a line of the log" in event["msg"] for event in client.call("events.get_task_log", task=run.result)["events"])


def test_a_snapshot_of_elasticsearch_can_be_taken(stack: Stack) -> None:
    settings = '{"type": "fs", "settings": {"location": "/usr/share/elasticsearch/backup"}}'
    assert json.loads(stack.elasticsearch("PUT", "_snapshot/tidemark", settings)) == {"acknowledged": True}
    indices = '{"indices": "events-*,statistics-*,registry-*"}'
    taken = json.loads(stack.elasticsearch("PUT", "_snapshot/tidemark/one?wait_for_completion=true", indices))
    assert taken["snapshot"]["state"] == "SUCCESS" and taken["snapshot"]["shards"]["total"] > 0


@pytest.mark.parametrize("service", SERVICES)
def test_a_restart_of_a_service_loses_and_doubles_nothing(stack: Stack, service: str, task: str) -> None:
    with Writer(stack, task) as writer:
        stack.compose("restart", service)
        stack.healthy()
        writer.wait_for_more()
    writer.complete(stack.client())


def test_without_elasticsearch_writes_are_503_for_as_long_as_it_lasts(stack: Stack, task: str) -> None:
    with Writer(stack, task) as writer:
        stack.compose("kill", "elasticsearch")
        wait_until(lambda: writer.refused, 60, "writes are refused")
        stack.compose("up", "-d", "elasticsearch")
        stack.healthy()
        writer.wait_for_more()
    assert writer.refused == {503}
    writer.complete(stack.client())


def test_without_redis_writes_go_on(stack: Stack, task: str) -> None:
    with Writer(stack, task) as writer:
        stack.compose("kill", "redis")
        writer.wait_for_more()
        stack.compose("up", "-d", "redis")
        stack.healthy()
        writer.wait_for_more()
    assert not writer.refused
    writer.complete(stack.client())


def test_a_container_made_anew_and_down_and_up_keep_everything(stack: Stack, task: str) -> None:
    stack.client().add_batch([scalar(task, "m", iter=1)])
    stack.compose("up", "-d", "--force-recreate", "--no-deps", "tidemark")
    stack.healthy()
    assert stack.client().call("events.scalar_metrics_iter_histogram", task=task)["m"]["train"]["x"] == [1]
    stack.compose("down")
    stack.up()
    assert stack.client().call("events.scalar_metrics_iter_histogram", task=task)["m"]["train"]["x"] == [1]


def test_at_the_flood_stage_reads_go_on_and_a_restart_comes_back(stack: Stack, task: str) -> None:
    marks = {"low": "0.1%", "high": "0.2%", "flood_stage": "0.3%"}
    settings = {f"cluster.routing.allocation.disk.watermark.{name}": mark for name, mark in marks.items()}
    settings["cluster.info.update.interval"] = "10s"

    def put(values: dict[str, str | None]) -> None:
        assert json.loads(stack.elasticsearch("PUT", "_cluster/settings", json.dumps({"persistent": values})))["acknowledged"]

    def charted() -> int:
        return len(stack.client().call("events.scalar_metrics_iter_histogram", task=task, samples=10_000)["m"]["train"]["x"])

    with Writer(stack, task) as writer:
        put(settings)
        wait_until(lambda: writer.refused, 90, "writes are refused on a full disk")
        assert charted() == len(writer.acknowledged)
        stack.compose("restart", "tidemark")
        stack.healthy()
        assert charted() == len(writer.acknowledged)
        health = stack.client().send("GET", "/readyz")
        assert health.status == 200 and health.json["status"] == "degraded" and "read-only" in health.json["disk"]["detail"]
        put(dict.fromkeys(settings))
        writer.wait_for_more()
    assert writer.refused == {503}
    writer.complete(stack.client())


def test_a_backup_is_restored_into_empty_volumes(stack: Stack, task: str, tmp_path: Path) -> None:
    stack.client().add_batch([scalar(task, "m", iter=step) for step in range(50)])
    sent = {f"backup/{task}.bin": b"content" * 1000}
    assert requests.post(f"{stack.url}/files", files=sent, auth=stack.key, timeout=30).status_code == 200
    folder = tmp_path / "backup"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    place = ("--no-deps", "-T", "-v", f"{folder}:/backup", "tidemark")
    assert "Wrote" in stack.compose("run", "--rm", *place, "backup", "/backup/one")
    stack.compose("down", "--volumes")
    stack.compose("up", "-d", "--wait", "elasticsearch", "redis")
    assert "nothing is missing" in stack.compose("run", "--rm", *place, "restore", "/backup/one")
    stack.up()
    assert stack.client().call("events.scalar_metrics_iter_histogram", task=task)["m"]["train"]["x"] == list(range(50))
    assert stack.client().send("GET", f"/files/backup/{task}.bin").body == b"content" * 1000


def test_servers_behind_the_proxy_are_replaced_one_by_one_without_a_failed_call(stack: Stack, task: str, tmp_path: Path) -> None:
    with (stack.folder / ".env").open("a") as file:
        file.write("TIDEMARK__server__access_log=true\n")
    stack.behind_proxy(3)
    assert len(stack.compose("ps", "-q", "tidemark").split()) == 3
    wait_until(lambda: stack.client().send("GET", "/readyz").status == 200, 30, "the proxy finds the servers")
    key, secret = stack.key
    login = {"Authorization": "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()}
    address = stack.url.replace("http", "ws")
    stack.client().add_batch([log(task, "before", timestamp=1)])
    with connect(f"{address}/api/runs/{task}/logs/ws", additional_headers=login) as socket:
        assert "before" in str(socket.recv(timeout=20))
        stack.client().add_batch([log(task, "through the proxy", timestamp=2)])
        assert "through the proxy" in str(socket.recv(timeout=20))
    with Writer(stack, task) as writer:
        before = set(stack.compose("ps", "-q", "tidemark").split())
        stack.script("deploy/compose/rolling-restart.sh")
        assert before.isdisjoint(stack.compose("ps", "-q", "tidemark").split())
        writer.wait_for_more()
    assert not writer.refused and not writer.lost, writer.said
    writer.complete(stack.client())

    pem = tmp_path / "tls.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", str(pem)]
    made += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, "-out", str(tmp_path / "cert.pem")], check=True, capture_output=True)
    pem.write_text(pem.read_text() + (tmp_path / "cert.pem").read_text())
    pem.chmod(0o644)
    stack.behind_proxy(2, TIDEMARK_TLS_PEM=str(pem))
    secure = stack.url.replace("http:", "https:")
    answer = wait_until(lambda: _get(f"{secure}/readyz", tmp_path / "cert.pem"), 30, "the proxy does not speak TLS")
    assert answer.headers["strict-transport-security"]
    requests.get(f"{secure}/debug.ping", headers={"X-Forwarded-For": "10.66.0.1"}, verify=str(tmp_path / "cert.pem"), timeout=30)
    logs = stack.compose("logs", "tidemark")
    seen = set(re.findall(r"client=(\S+) .*endpoint=debug.ping", logs))
    assert seen and "10.66.0.1" not in seen and seen.isdisjoint(stack.addresses("proxy")), seen


def _get(url: str, authority: Path) -> requests.Response | None:
    """None while nobody answers so."""
    try:
        answer = requests.get(url, verify=str(authority), timeout=10)
    except requests.RequestException:
        return None
    return answer if answer.status_code == 200 else None
