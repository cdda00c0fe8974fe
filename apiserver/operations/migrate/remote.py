"""The server that is migrated, through its public API."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Generator, Iterator
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson

from apiserver.errors import StartupError
from apiserver.operations.http_calls import Answer, NoAnswer, blocks, opened, send
from apiserver.operations.migrate.documents import id_of

PAGE_DOCUMENTS = 200
PAGE_EVENTS = 10_000
COUNTED_LINES = 10_000
"""ClearML's server counts the lines of a log up to here."""
TYPES = ("training_stats_scalar", "training_stats_vector", "training_debug_image", "plot", "log")


class RemoteFailed(Exception):
    """The server refused a call (`code`), or could not be reached; the text says which."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class FileGone(RemoteFailed):
    """The other server does not have this file."""


class EventPage(NamedTuple):
    """Some events of one type, and how many the server says there are."""

    type: str
    total: int
    events: list[dict[str, Any]]


_Mark = tuple[int, bytes, bytes]


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
        self._logs_by_time = False
        """Whether this server pages log lines by time; other events are paged by iteration."""

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
        return id_of(user.get("company"))

    def call(self, endpoint: str, **data: Any) -> dict[str, Any]:
        """The data of an answer. Raises RemoteFailed."""
        answer = self._send(endpoint, orjson.dumps(data), {"Authorization": f"Bearer {self._token}"})
        found = answer.get("data")
        return found if isinstance(found, dict) else {}

    def documents(self, service: str, **where: Any) -> Iterator[dict[str, Any]]:
        """All documents of a service (users, projects, tasks, models), oldest first, each once."""
        endpoint = "projects.get_all_ex" if service == "projects" else f"{service}.get_all"
        seen: set[str] = set()
        for page in count():
            found = self.call(endpoint, page=page, page_size=PAGE_DOCUMENTS, order_by=["created", "id"], search_hidden=True, **where).get(
                service
            )
            new = [document for document in found or () if isinstance(document.get("id"), str) and document["id"] not in seen]
            yield from new
            seen |= {document["id"] for document in new}
            if len(found or ()) < PAGE_DOCUMENTS or not new:  # nothing new: the server knows no pages
                return

    def events(self, owner: str, type: str, *, model: bool) -> Iterator[EventPage]:
        """Every event of one type of a task or model, in pages. The first page comes even when it is empty."""
        request = {"task": owner, "event_type": type, "batch_size": PAGE_EVENTS, "model_events": model}
        scroll, received = None, 0
        first: _Mark | None = None
        before: _Mark | None = None
        while True:
            answer = self._by_iteration(**request, order="asc", **({"scroll_id": scroll} if scroll else {}))
            if answer is None:
                yield from self._log(owner)
                return
            events = answer.get("events") or []
            total = int(answer.get("total") or 0)
            mark = _mark(events) if events else None
            if mark is not None and mark in (first, before):
                yield from self._above_zero(request, type, total)
                return
            first, before = first or mark, mark
            received += len(events)
            yield EventPage(type, total, events)
            scroll = answer.get("scroll_id")
            if not events or not scroll or received >= total:
                return

    def _above_zero(self, request: dict[str, Any], type: str, total: int) -> Iterator[EventPage]:
        """The events above iteration 0, in descending order. After a page that ends at iteration 0 ClearML's server starts again from the first page;
        all events up to iteration 0 have been read before this is called."""
        scroll: str | None = None
        before: _Mark | None = None
        while True:
            answer = self.call("events.get_task_events", **request, order="desc", **({"scroll_id": scroll} if scroll else {}))
            events = answer.get("events") or []
            mark = _mark(events) if events else None
            if mark is not None and mark == before:
                raise RemoteFailed(f"the same page of {type} came twice")
            above = [event for event in events if isinstance(event.get("iter"), int) and event["iter"] > 0]
            yield EventPage(type, total, above)
            scroll, before = answer.get("scroll_id"), mark
            if len(above) < len(events) or not events or not scroll:
                return

    def _log(self, task: str) -> Iterator[EventPage]:
        """The log of a task, by time: a page ends with all lines of its last millisecond. This listing counts to 10,000 lines."""
        last: int | None = None
        received = 0
        while True:
            where: dict[str, Any] = {"from_timestamp": last} if last is not None else {}
            answer = self.call("events.get_task_log", task=task, batch_size=PAGE_EVENTS, navigate_earlier=False, order="asc", **where)
            events = answer.get("events") or []
            received += len(events)
            total = int(answer.get("total") or 0)
            yield EventPage("log", max(total, received), events)
            if len(events) < PAGE_EVENTS:
                return
            before, last = last, int(events[-1]["timestamp"])
            if before is not None and last <= before:
                raise RemoteFailed("the same page of log came twice")
            if sum(1 for event in events if event.get("timestamp") == last) >= PAGE_EVENTS:
                raise RemoteFailed(
                    f"the server gives no more than {PAGE_EVENTS:,} lines of one millisecond, and there may be more at {last}"
                )

    def count(self, owner: str, type: str, *, model: bool) -> int:
        """How many events of a type there are. ClearML's server counts lines of a log to 10,000."""
        answer = self._by_iteration(task=owner, event_type=type, batch_size=1, model_events=model)
        if answer is None:
            answer = self.call("events.get_task_log", task=owner, batch_size=1)
        return int(answer.get("total") or 0)

    def _by_iteration(self, **request: Any) -> dict[str, Any] | None:
        """An answer of events.get_task_events; None for a log that the server gives by time only: ClearML's pages by iteration, which lines of a log
        do not have, and answers 500."""
        log = request["event_type"] == "log"
        if log and self._logs_by_time:
            return None
        try:
            return self.call("events.get_task_events", **request)
        except RemoteFailed as error:
            if not log or error.code != 500 or "scroll_id" in request:
                raise
            self._logs_by_time = True
            return None

    def file(self, url: str) -> Generator[bytes, None, None]:
        """The blocks of a file of the file server. Raises RemoteFailed; FileGone when there is none."""
        try:
            with opened(url, headers={"Authorization": f"Bearer {self._token}"}) as response:
                if response.status != 200:
                    raise (FileGone if response.status in (404, 410) else RemoteFailed)(f"{url}: the server answers {response.status}")
                yield from blocks(response)
        except NoAnswer as error:
            raise RemoteFailed(f"{url}: {error}") from None

    # --- one call

    def _log_in(self) -> None:
        data = self._send("auth.login", b"{}", {"Authorization": self._pair}).get("data")
        token = data.get("token") if isinstance(data, dict) else None
        if not isinstance(token, str):
            raise RemoteFailed("the answer to auth.login has no token")
        self._token = token

    def _send(self, endpoint: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        kinds = {"Content-Type": "application/json", **({} if self._near else {"Accept-Encoding": "gzip"})}
        try:
            answer = send(f"{self.url}/{endpoint}", body, {**kinds, **headers}, timeout=300)
            if answer.status == 401 and endpoint != "auth.login":  # the token has expired
                with self._lock:
                    self._log_in()
                answer = send(f"{self.url}/{endpoint}", body, {**kinds, "Authorization": f"Bearer {self._token}"}, timeout=300)
        except NoAnswer as error:
            raise RemoteFailed(f"{endpoint}: no answer ({error})") from None
        if answer.status != 200:
            raise RemoteFailed(f"{endpoint}: {_reason(answer)} ({answer.status})", answer.status)
        try:
            return _parsed(answer.body)
        except (ValueError, RecursionError):
            raise RemoteFailed(f"{endpoint}: the answer is not a JSON object: {answer.beginning}") from None


def _mark(events: list[dict[str, Any]]) -> _Mark:
    """A value that differs between pages."""
    return len(events), orjson.dumps(events[0]), orjson.dumps(events[-1])


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = json.loads(data)  # NaN and infinities, as Python writes them
    if not isinstance(found, dict):
        raise ValueError("the answer is no object")
    return found


def _reason(answer: Answer) -> str:
    try:
        meta = json.loads(answer.body)["meta"]
        return str(meta.get("result_msg"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return answer.beginning
