"""A small client of the RPC API, for tests and benches: one connection per call, nothing hidden.

Every answer of an API call is held against the envelope's form, and `data` against the endpoint's response schema: a test that only looks at
one field still notices when another one is wrong.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

SCALAR = "training_stats_scalar"
VECTOR = "training_stats_vector"
IMAGE = "training_debug_image"
PLOT = "plot"
LOG = "log"
SINGLE_VALUE_ITER = -(2**31)

Event = dict[str, Any]
Check = Callable[[str, str, dict[str, Any]], None]
"""Called with endpoint, requested version and data of each successful answer; raises AssertionError when they don't fit."""

_HEX = re.compile(r"[0-9a-f]{32}\Z")
_ENDPOINT = re.compile(r"^/?(?:api/)?(?:v(?P<version>[\d.]+)/)?(?P<name>[A-Za-z_]\w+\.[A-Za-z_]\w+)/?(?:\?.*)?$")


class ApiError(Exception):
    """The server refused a call."""

    def __init__(self, endpoint: str, status: int, meta: Mapping[str, Any], data: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        self.status = status
        self.code = int(meta["result_code"])
        self.subcode = int(meta["result_subcode"])
        self.msg = str(meta["result_msg"])
        self.meta = meta
        self.data = data
        self.headers = headers
        super().__init__(f"{endpoint}: {self.code}/{self.subcode} {self.msg}")

    @property
    def codes(self) -> tuple[int, int]:
        return self.code, self.subcode


def _no_constants(name: str) -> Any:
    raise AssertionError(f"the answer holds {name}, which is not JSON")


@dataclass
class Answer:
    """An answer as it came over the wire; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: list[str] = field(default_factory=list)

    @cached_property
    def json(self) -> Any:
        return json.loads(self.body, parse_constant=_no_constants)

    @property
    def meta(self) -> dict[str, Any]:
        return self.json["meta"]  # type: ignore[no-any-return]

    @property
    def data(self) -> dict[str, Any]:
        return self.json["data"]  # type: ignore[no-any-return]

    @property
    def codes(self) -> tuple[int, int]:
        return self.meta["result_code"], self.meta["result_subcode"]


def json_lines(events: Iterable[Event | str | bytes]) -> bytes:
    """A body for `add_batch`; ready text goes through as it is, so that broken lines can be sent."""
    return b"\n".join(_line(event) for event in events)


def _line(event: Event | str | bytes) -> bytes:
    if isinstance(event, bytes):
        return event
    if isinstance(event, str):
        return event.encode("utf-8", "surrogatepass")
    return json.dumps(event, separators=(",", ":")).encode()


def check_envelope(answer: Answer) -> None:
    """The form of every JSON answer (docs/protocol.md, "Envelope and codes")."""
    assert answer.headers["content-type"] == "application/json", answer.headers
    assert set(answer.json) == {"meta", "data"}, answer.body[:300]
    meta, data = answer.meta, answer.data
    assert isinstance(data, dict), answer.body[:300]
    expected = {"id", "trx", "endpoint", "result_code", "result_subcode", "result_msg", "error_stack", "error_data"}
    assert set(meta) == expected, meta
    assert _HEX.match(meta["id"]) and isinstance(meta["trx"], str), meta
    assert meta["result_code"] == answer.status, meta
    assert isinstance(meta["result_subcode"], int) and isinstance(meta["result_msg"], str) and meta["result_msg"], meta
    assert meta["error_stack"] is None and isinstance(meta["error_data"], dict), meta
    assert set(meta["endpoint"]) == {"name", "requested_version", "actual_version"}, meta


class Client:
    """Calls of one user. Without key and token calls go out without credentials."""

    def __init__(
        self,
        base_url: str,
        key: str | None = None,
        secret: str | None = None,
        *,
        token: str | None = None,
        worker: str | None = "w",
        check: Check | None = None,
        timeout: float = 120,
    ) -> None:
        parts = urlsplit(base_url)
        assert parts.hostname and parts.port
        self.host, self.port, self.prefix = parts.hostname, parts.port, parts.path.rstrip("/")
        self.check = check
        self.timeout = timeout
        self.headers: dict[str, str] = {}
        if token is not None:
            self.headers["Authorization"] = f"Bearer {token}"
        elif key is not None:
            self.headers["Authorization"] = "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()
        if worker is not None:
            self.headers["X-ClearML-Worker"] = worker

    def send(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request on a connection of its own; nothing is checked."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        try:
            connection.request(method, self.prefix + path, body, {**self.headers, **(headers or {})})
            response = connection.getresponse()
            content = response.read()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, content, response.headers.get_all("Set-Cookie") or [])
        finally:
            connection.close()

    def raw(
        self,
        path: str,
        body: bytes | Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Any request; JSON answers are checked against the envelope, successful ones against the response schema."""
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        answer = self.send(method, path, body, sent)
        if method not in ("HEAD", "OPTIONS") and answer.headers.get("content-type", "").startswith("application/json"):
            called = _ENDPOINT.match(path)
            if called:
                check_envelope(answer)
                if self.check is not None and answer.status == 200:
                    self.check(called["name"], called["version"] or "999.0", answer.data)
        return answer

    def call(self, endpoint: str, body: Mapping[str, Any] | None = None, /, *, version: str | None = None, **fields: Any) -> dict[str, Any]:
        """The `data` of a call; raises ApiError when it is refused."""
        path = f"/v{version}/{endpoint}" if version else f"/{endpoint}"
        return self._data(endpoint, self.raw(path, {**(body or {}), **fields}))

    def refused(self, endpoint: str, body: Mapping[str, Any] | None = None, /, *, version: str | None = None, **fields: Any) -> ApiError:
        """The error of a call that must be refused."""
        try:
            data = self.call(endpoint, body, version=version, **fields)
        except ApiError as error:
            return error
        raise AssertionError(f"{endpoint} was not refused, it answered {str(data)[:300]}")

    def add(self, event: Event | None = None, /, *, version: str | None = None, **fields: Any) -> dict[str, Any]:
        return self.call("events.add", {**(event or {}), **fields}, version=version)

    def send_batch(
        self,
        lines: Iterable[Event | str | bytes] | bytes,
        *,
        version: str | None = None,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        body = lines if isinstance(lines, bytes) else json_lines(lines)
        path = f"/v{version}/events.add_batch" if version else "/events.add_batch"
        return self.raw(path, body, method=method, headers={"Content-Type": "application/json-lines", **(headers or {})})

    def add_batch(
        self,
        lines: Iterable[Event | str | bytes] | bytes,
        *,
        version: str | None = None,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send events (or ready lines, or a ready body) as one batch; raises ApiError when nothing was stored."""
        return self._data("events.add_batch", self.send_batch(lines, version=version, method=method, headers=headers))

    def _data(self, endpoint: str, answer: Answer) -> dict[str, Any]:
        assert answer.headers.get("content-type", "").startswith("application/json"), f"{endpoint}: {answer.status} {answer.body[:500]!r}"
        if answer.status != 200:
            raise ApiError(endpoint, answer.status, answer.meta, answer.data, answer.headers)
        return answer.data

    # --- reads that many tests share

    def histogram(self, task: str, **fields: Any) -> dict[str, Any]:
        return self.call("events.scalar_metrics_iter_histogram", task=task, **fields)

    def log(self, task: str, **fields: Any) -> list[str]:
        """All messages of a task, oldest first (up to one page of 10,000)."""
        request = {"task": task, "batch_size": 10_000, "navigate_earlier": False, "order": "asc", **fields}
        return [event.get("msg", "") for event in self.call("events.get_task_log", request)["events"]]

    def events(self, task: str, event_type: str | None = None, *, batch_size: int = 1000, **fields: Any) -> list[Event]:
        """All events of a task by `get_task_events`, page after page."""
        request: dict[str, Any] = {"task": task, "batch_size": batch_size, **fields}
        if event_type is not None:
            request["event_type"] = event_type
        found: list[Event] = []
        while True:
            page = self.call("events.get_task_events", request)
            assert page["returned"] == len(page["events"])
            found += page["events"]
            if page["returned"] < batch_size or not page["scroll_id"]:
                return found
            request["scroll_id"] = page["scroll_id"]

    def task(self, task: str) -> dict[str, Any]:
        return self.call("tasks.get_by_id", task=task)["task"]  # type: ignore[no-any-return]

    def new_task(self, name: str = "a task", **fields: Any) -> str:
        return self.call("tasks.create", {"name": name, "type": "training", **fields})["id"]  # type: ignore[no-any-return]


# --- events in short -------------------------------------------------------------------------------------------------------------


def scalar(task: str, metric: str = "loss", variant: str = "train", *, iter: int | None = 0, value: Any = 1.0, **more: Any) -> Event:
    event = {"type": SCALAR, "task": task, "metric": metric, "variant": variant, "value": value, **more}
    if iter is not None:
        event["iter"] = iter
    return event


def log(task: str, msg: str, *, timestamp: int | None = None, level: str = "info", **more: Any) -> Event:
    event = {"type": LOG, "task": task, "level": level, "msg": msg, **more}
    if timestamp is not None:
        event["timestamp"] = timestamp
    return event


def image(task: str, metric: str = "img", variant: str = "v", *, iter: int = 0, url: str = "http://files/1.png", **more: Any) -> Event:
    return {"type": IMAGE, "task": task, "metric": metric, "variant": variant, "iter": iter, "url": url, **more}


def plot(task: str, metric: str = "roc", variant: str = "x", *, iter: int = 0, plot_str: str = "{}", **more: Any) -> Event:
    return {"type": PLOT, "task": task, "metric": metric, "variant": variant, "iter": iter, "plot_str": plot_str, **more}


def vector(task: str, values: Sequence[float], metric: str = "vec", variant: str = "v", *, iter: int = 0, **more: Any) -> Event:
    return {"type": VECTOR, "task": task, "metric": metric, "variant": variant, "iter": iter, "values": list(values), **more}
