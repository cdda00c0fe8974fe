"""Wraps every call: access log line, counters, and a warning when it was slow."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from apiserver.common import metrics, tracing
from apiserver.service_repo.call import Call
from apiserver.service_repo.request_info import TrustedProxies
from apiserver.settings import ServerSettings

access = logging.getLogger("tidemark.access")
slow = logging.getLogger("tidemark.slow")

TOKEN = re.compile(r"(?<![^?&])(token|access_token|secret[^=&]*|password)=[^&]*")
CALL = "tidemark.call"
"""Key in the WSGI environment under which the RPC layer stores its Call, for middleware."""


# `labels()` validates its arguments and takes a lock on every call. There are few labels, so their results are cached.
_calls = cache(metrics.CALLS.labels)
_call_seconds = cache(metrics.CALL_SECONDS.labels)


class CallLog:
    """WSGI middleware. `route` returns the endpoint's name for calls that are not RPC calls."""

    def __init__(self, app: Callable[..., Iterable[bytes]], settings: ServerSettings, route: Callable[[dict[str, Any]], str]) -> None:
        self._app, self._route = app, route
        self._logged, self._slow = settings.access_log, settings.slow_call
        self._address = TrustedProxies(settings.proxies).address

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        started = time.perf_counter()
        seen: list[Any] = ["500", ()]

        def begin(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            seen[0], seen[1] = status[:3], headers
            return start_response(status, headers, *more)

        answer = self._app(environ, begin)
        seconds = time.perf_counter() - started
        if not environ.get("tidemark.upgraded"):
            self._note(environ, seen[0], seen[1], seconds)
        return answer

    def _note(self, environ: dict[str, Any], code: str, headers: Iterable[tuple[str, str]], seconds: float) -> None:
        call: Call | None = environ.get(CALL)
        endpoint = endpoint_of(environ, self._route)
        sent = next((value for name, value in headers if name.lower() == "content-length"), "")
        received = environ.get("CONTENT_LENGTH") or "0"
        _calls(endpoint, code).inc()
        _call_seconds(endpoint).observe(seconds)
        if sent:
            metrics.SENT_BYTES.inc(int(sent))
        if received.isdigit():
            metrics.RECEIVED_BYTES.inc(int(received))
        if code == "503":
            metrics.UNAVAILABLE.labels(environ.get("tidemark.cause", "other")).inc()
        is_slow = 0 < self._slow <= seconds
        if not (self._logged or is_slow):
            return
        path = environ.get("PATH_INFO", "")
        if environ.get("QUERY_STRING"):
            path += "?" + TOKEN.sub(r"\1=…", environ["QUERY_STRING"])
        fields = {
            "call": call.id if call else "",
            "client": self._address(environ),
            "company": call.company if call else "",
            "user": call.identity.user if call else "",
            "method": environ.get("REQUEST_METHOD", ""),
            "path": path[:1000],
            "endpoint": endpoint,
            "code": int(code),
            "ms": round(seconds * 1000, 1),
            "trace": tracing.trace_id(),
            "received": int(received) if received.isdigit() else None,
            "sent": int(sent) if sent else None,
        }
        line = " ".join(f"{name}={_plain(value)}" for name, value in fields.items() if value not in ("", None))
        if self._logged:
            access.info("%s", line, extra={"fields": fields})
        if is_slow:
            slow.warning("slow call: %s", line, extra={"fields": {**fields, "slow": True}})


def endpoint_of(environ: dict[str, Any], route: Callable[[dict[str, Any]], str]) -> str:
    """The endpoint's name of an answered call, from a small fixed set (it becomes a label). `route` is asked for calls that are not RPC calls."""
    call: Call | None = environ.get(CALL)
    return (call.endpoint if call.actual_version else "unknown") if call else route(environ)


def _plain(value: Any) -> str:
    """The value with spaces, control and non-ASCII characters percent-encoded."""
    return re.sub(r"[^\x21-\x7e…]", lambda found: f"%{ord(found[0]):02X}", str(value))
