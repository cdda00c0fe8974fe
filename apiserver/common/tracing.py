"""Traces of calls by OpenTelemetry (extra `otel`), when its own environment variables name a collector: HTTP -> handler -> store.

Otherwise off: a span costs one comparison then. Nothing is traced per event.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from apiserver import __version__
from apiserver.errors import StartupError

COLLECTOR = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_EXPORTER = "opentelemetry.exporter.otlp.proto.http"
_OFF: AbstractContextManager[Any] = nullcontext()
_tracer: Any = None

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


def is_wanted(env: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment names a collector and does not disable traces."""
    is_off = env.get("OTEL_SDK_DISABLED", "").lower() == "true" or env.get("OTEL_TRACES_EXPORTER", "otlp") == "none"
    return not is_off and any(env.get(name) for name in COLLECTOR)


def check() -> None:
    """Raises StartupError if traces are wanted, but the protocol is not supported or OpenTelemetry is not installed."""
    if not is_wanted():
        return
    name = next(name for name in COLLECTOR if os.environ.get(name))
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    if protocol != "http/protobuf":
        raise StartupError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: traces are sent by http/protobuf only (collectors take it at port 4318)"
        )
    try:
        found = importlib.util.find_spec(_EXPORTER)
    except ImportError:
        found = None
    if found is None:
        raise StartupError(f"{name} is set, and OpenTelemetry is not installed: pip install 'tidemark-events[otel]', or unset {name}")


def start() -> None:
    """Call in each worker process: spans are recorded from now on and sent in the background."""
    global _tracer
    if not is_wanted():
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    about: dict[str, Any] = {"service.version": __version__, "process.pid": os.getpid()}
    if not os.environ.get("OTEL_SERVICE_NAME") and "service.name" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        about["service.name"] = "tidemark"
    provider = TracerProvider(resource=Resource.create(about))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = provider.get_tracer("tidemark", __version__)


def is_on() -> bool:
    """Whether spans are recorded."""
    return _tracer is not None


def span(name: str, **attributes: str | int) -> AbstractContextManager[Any]:
    """A part of the call that is under way; an exception that leaves it is noted in it. Outside of a call it begins a trace of its own."""
    if _tracer is None:
        return _OFF
    from opentelemetry.trace import SpanKind

    made: AbstractContextManager[Any] = _tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes)
    return made


def trace_id() -> str:
    """The trace of the call that is under way, as 32 hex digits; empty when there is none."""
    if _tracer is None:
        return ""
    from opentelemetry.trace import format_trace_id, get_current_span

    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else ""


def traced(app: Wsgi, name_of: Callable[[dict[str, Any]], str]) -> Wsgi:
    """WSGI: a span around each call, below the one that the client's `traceparent` names. `name_of`: the endpoint of a call that was answered."""
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind, StatusCode

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        # No `baggage`: nothing here reads it, and it is whatever a client likes to send.
        sent = {name: environ[f"HTTP_{name.upper()}"] for name in ("traceparent", "tracestate") if f"HTTP_{name.upper()}" in environ}
        method, path = environ.get("REQUEST_METHOD", ""), environ.get("PATH_INFO", "")
        with _tracer.start_as_current_span(method, extract(sent), SpanKind.SERVER) as span:

            def begin(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
                code = int(status[:3])
                span.set_attribute("http.response.status_code", code)
                if code >= 500:
                    span.set_status(StatusCode.ERROR)
                return start_response(status, headers, *more)

            answer = app(environ, begin)
            endpoint = name_of(environ)
            span.update_name(f"{method} {endpoint}")
            span.set_attributes({"http.request.method": method, "http.route": endpoint, "url.path": path[:1000]})
            return answer

    return call
