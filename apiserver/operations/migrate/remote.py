"""The server that is migrated, through its public API."""

from __future__ import annotations

import base64
import gzip
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urlsplit

import orjson

from apiserver.errors import StartupError

PAGE_DOCUMENTS = 200
PAGE_EVENTS = 10_000
RETRIES = 6
TYPES = ("training_stats_scalar", "training_stats_vector", "training_debug_image", "plot", "log")


class RemoteFailed(Exception):
    """The server refused a call, or could not be reached; the text says which."""


class EventPage(NamedTuple):
    """Some events of one type, and how many the server says there are."""

    type: str
    total: int
    events: list[dict[str, Any]]


class Remote:
    """A server of the ClearML API. May be used by several threads."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise StartupError(f"the address of a server begins with http:// or https://, got {url}")
        self.url = url.rstrip("/")
        self._near = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
        """On this machine: compressing would cost more than it saves."""
        self._pair = "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()
        self._lock = threading.Lock()
        self._token = ""

    def login(self) -> None:
        """Log in; where the address is that of the web application, its API below is used. Raises StartupError."""
        problem = ""
        for url in (self.url, f"{self.url}/api"):
            self.url, before = url, self.url
            try:
                self._log_in()
                return
            except RemoteFailed as error:
                problem = problem or str(error)
                self.url = before
        raise StartupError(f"can't log in at {self.url}: {problem}")

    @property
    def company(self) -> str:
        """The company of the credentials."""
        user = self.call("users.get_current_user")["user"]
        company = user.get("company")
        return str(company.get("id") if isinstance(company, Mapping) else company or "")

    def call(self, endpoint: str, **data: Any) -> dict[str, Any]:
        """The data of an answer. Raises RemoteFailed."""
        answer = self._send(endpoint, orjson.dumps(data), {"Authorization": f"Bearer {self._token}"})
        found = answer.get("data")
        return found if isinstance(found, dict) else {}

    def documents(self, service: str, **where: Any) -> Iterator[dict[str, Any]]:
        """All documents of a service (projects, tasks, models), oldest first."""
        endpoint = "projects.get_all_ex" if service == "projects" else f"{service}.get_all"
        page = 0
        while True:
            found = self.call(endpoint, page=page, page_size=PAGE_DOCUMENTS, order_by=["created", "id"], search_hidden=True, **where)[
                service
            ]
            yield from found
            if len(found) < PAGE_DOCUMENTS:
                return
            page += 1

    def events(self, owner: str, *, model: bool, types: tuple[str, ...] = TYPES) -> Iterator[EventPage]:
        """Every event of a task or model, in pages. The first page of a type comes even when it is empty."""
        for type in types:
            if model and type == "log":
                continue
            request = {"task": owner, "event_type": type, "batch_size": PAGE_EVENTS, "order": "asc", "model_events": model}
            scroll, received = None, 0
            before: tuple[int, bytes, bytes] | None = None
            while True:
                answer = self.call("events.get_task_events", **request, **({"scroll_id": scroll} if scroll else {}))
                events = answer.get("events") or []
                total = int(answer.get("total") or 0)
                mark = (len(events), orjson.dumps(events[0]), orjson.dumps(events[-1])) if events else None
                if mark is not None and mark == before:
                    raise RemoteFailed(f"the same page of {type} came twice")
                received += len(events)
                yield EventPage(type, total, events)
                scroll, before = answer.get("scroll_id"), mark
                if not events or not scroll or received >= total:
                    break

    def count(self, owner: str, type: str, *, model: bool) -> int:
        """How many events of a type there are."""
        answer = self.call("events.get_task_events", task=owner, event_type=type, batch_size=1, model_events=model)
        return int(answer.get("total") or 0)

    def file(self, url: str) -> BinaryIO:
        """A file of the file server, open for reading. Raises RemoteFailed."""
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self._token}"})
        try:
            return urllib.request.urlopen(request, timeout=120)  # type: ignore[no-any-return]
        except (OSError, ValueError) as error:
            raise RemoteFailed(f"{url}: {error}") from None

    # --- one call

    def _log_in(self) -> None:
        data = self._send("auth.login", b"{}", {"Authorization": self._pair}).get("data")
        token = data.get("token") if isinstance(data, dict) else None
        if not isinstance(token, str):
            raise RemoteFailed("the answer to auth.login has no token")
        self._token = token

    def _send(self, endpoint: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        for attempt in range(RETRIES):
            kinds = {"Content-Type": "application/json", **({} if self._near else {"Accept-Encoding": "gzip"})}
            request = urllib.request.Request(f"{self.url}/{endpoint}", body, {**kinds, **headers}, method="POST")
            try:
                with urllib.request.urlopen(request, timeout=300) as response:
                    data = response.read()
                    if response.headers.get("Content-Encoding") == "gzip":
                        data = gzip.decompress(data)
                return _parsed(data)
            except urllib.error.HTTPError as error:
                text = error.read()
                if error.code == 401 and endpoint != "auth.login" and attempt == 0:
                    with self._lock:  # the token has expired
                        self._log_in()
                    headers = {"Authorization": f"Bearer {self._token}"}
                    continue
                if error.code in (429, 502, 503, 504) and attempt < RETRIES - 1:
                    time.sleep(min(float(error.headers.get("Retry-After") or 2**attempt / 4), 30.0))
                    continue
                raise RemoteFailed(f"{endpoint}: {_reason(text)} ({error.code})") from None
            except (OSError, ValueError, EOFError) as error:
                if attempt == RETRIES - 1:
                    raise RemoteFailed(f"{endpoint}: no answer ({getattr(error, 'reason', error)})") from None
                time.sleep(2**attempt / 4)
        raise RemoteFailed(f"{endpoint}: the server does not answer")


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = json.loads(data)  # NaN and infinities, as Python writes them
    if not isinstance(found, dict):
        raise ValueError("the answer is no object")
    return found


def _reason(text: bytes) -> str:
    try:
        meta = json.loads(text)["meta"]
        return str(meta.get("result_msg"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return text[:200].decode("utf-8", "replace")
