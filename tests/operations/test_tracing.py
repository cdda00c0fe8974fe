"""Traces by OpenTelemetry: a collector of the test's own takes what the server sends."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from apiserver.common import tracing
from tests.client import log, scalar
from tests.conftest import StartServer
from tests.process import ROOT, wait_until
from tests.small_server import QuietHandler, SmallServer

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector(SmallServer):
    """What came to `POST /v1/traces`, span by span."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        taken = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                body = self.body()
                request = ExportTraceServiceRequest()
                request.ParseFromString(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                for resource in request.resource_spans:
                    taken.services |= {one.value.string_value for one in resource.resource.attributes if one.key == "service.name"}
                    for scope in resource.scope_spans:
                        taken.spans += scope.spans
                self.reply(200)

        super().__init__(Handler)

    def root(self, trace: str) -> Any | None:
        """The span of the whole call, once it has come."""
        return next((span for span in self.of(trace) if span.parent_span_id.hex() == PARENT), None)

    def of(self, trace: str) -> list[Any]:
        return [span for span in self.spans if span.trace_id.hex() == trace]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def test_a_call_is_traced_from_the_client_to_the_store(start_server: StartServer, collector: Collector, engine: str, task: str) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    server = start_server(**env, TIDEMARK__server__access_log="true")
    client = server.client()
    for _ in range(2):  # the first one makes indices
        client.add_batch([scalar(task, iter=1), log(task, "a")])
    headers = {"Content-Type": "application/json-lines", "traceparent": f"00-{TRACE}-{PARENT}-01"}
    answer = client.send("POST", "/v2.23/events.add_batch?token=hidden-word", b'{"broken', headers)
    assert answer.status == 400
    other = TRACE.replace("0a", "0b", 1)
    chart = {"Content-Type": "application/json", "traceparent": f"00-{other}-{PARENT}-01"}
    assert client.send("POST", "/v2.23/events.scalar_metrics_iter_histogram", b'{"task": "%s"}' % task.encode(), chart).status == 200
    assert client.send("GET", "/debug.ping", None, {"traceparent": f"00-{TRACE[::-1]}-{PARENT}-00"}).status == 200  # not sampled

    wait_until(
        lambda: collector.root(other) and collector.root(TRACE), 20, lambda: f"no spans: {collector.spans}"
    )  # each comes last of its trace
    assert not collector.of(TRACE[::-1]) and collector.services == {"tidemark"}
    whole, root = collector.root(TRACE), collector.root(other)
    assert whole is not None and root is not None
    assert whole.name == "POST events.add_batch" and whole.kind == whole.SPAN_KIND_SERVER
    values = {one.key: one.value for one in whole.attributes}
    assert values["http.response.status_code"].int_value == 400 and values["http.route"].string_value == "events.add_batch"
    spans = {span.span_id: span for span in collector.of(other)}
    [handler] = [
        span for span in spans.values() if span.parent_span_id == root.span_id and span.name == "events.scalar_metrics_iter_histogram"
    ]
    below = [span for span in spans.values() if span.parent_span_id == handler.span_id]
    assert {span.name.split()[0] for span in below} == ({"sqlite"} if engine == "sqlite" else {"elasticsearch", "redis"})
    assert all(handler.start_time_unix_nano <= span.start_time_unix_nano < span.end_time_unix_nano for span in below)
    assert "hidden-word" not in str(collector.spans)
    assert f"trace={other}" in server.log.read_text()


def test_traces_are_off_unless_a_collector_is_named() -> None:
    assert not tracing.is_wanted({}) and not tracing.is_wanted({"OTEL_SERVICE_NAME": "x"})
    assert tracing.is_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"})
    assert not tracing.is_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"})
    assert not tracing.is_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"})
    assert tracing.span("a") is tracing.span("b") and tracing.trace_id() == ""


@pytest.mark.parametrize("fault", ["missing", "grpc"])
def test_traces_that_cannot_be_made_stop_the_start_with_a_sentence(tmp_path: Path, fault: str) -> None:
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "TIDEMARK_DATA": str(tmp_path / "data"), "TIDEMARK_PORT": "0"}
    if fault == "grpc":
        env["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc"
    else:  # an installation without the extra
        (tmp_path / "opentelemetry").mkdir()
        (tmp_path / "opentelemetry" / "__init__.py").write_text("raise ImportError")
        env["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{ROOT}"
    done = subprocess.run(
        [sys.executable, "-m", "apiserver", "serve"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert ("tidemark-events[otel]" if fault == "missing" else "http/protobuf") in done.stderr
