"""Live changes for one page: changes of the runs that it shows, collected for up to 50 ms and sent as one frame.

The client sends `{"want": {"runs": [ids]}}` (or `"*"`: every run of the company) whenever what it shows changes; the newest message counts. With
`"newest": true` it also hears of new runs. Frames:

    {"events": [{"task", "types", "seq"}]}         events arrived; `seq` is text
    {"runs": [{"id", "status", "last_iteration", "last_update", "last_change"}]}     as they are now, when they differ from what was sent
    {"newest": id}                                 the run that was created last (null: there is none), when it is another one
    {"unknown": [ids]}                             wanted runs that the company does not have: deleted, or another company's public ones
    {"lost": true}                                 messages may be missing: read again from your last `seq`
    {"error": "..."}                               the last message was not understood
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import EllipsisType
from typing import Any

import msgspec
import orjson

from apiserver.bll.events.live_changes import Change, ChangeReader
from apiserver.stores.errors import BusLost
from apiserver.stores.registry import Registry, Sort

TICK = 0.05
"""Seconds for which changes are gathered: at most 20 frames a second."""
POLL = 2.0
"""Seconds between reads of the wanted runs' documents: statuses and names change without events."""
IDLE = 0.25
"""Seconds until a new `want` takes effect, at most."""
MAX_RUNS = 1_000
FIELDS = ("status", "last_iteration", "last_update", "last_change")


class _Want(msgspec.Struct):
    runs: list[str] | str = []
    newest: bool = False


class _Message(msgspec.Struct):
    want: _Want


_decode = msgspec.json.Decoder(_Message).decode


class NewestRuns:
    """The id of the run of a company that was created last; queried at most once in POLL seconds, however many pages are open."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[str, tuple[float, str | None]] = {}

    def of(self, company: str) -> str | None:
        """The newest run's id, or None if the company has no runs."""
        now = time.monotonic()
        asked, id = self._known.get(company, (-POLL, None))
        if now - asked < POLL * 0.9:
            return id
        found = self._registry.find("task", [company], order=[Sort("created", descending=True)], limit=1, fields=("created",))
        id = found[0].id if found else None
        self._known[company] = (now, id)
        return id


class LiveFeed:
    """Sends the changes to one page."""

    def __init__(self, registry: Registry, newest: NewestRuns, company: str, send: Callable[[list[str]], None]) -> None:
        """`send` takes frames; what it raises ends the feed."""
        self._registry, self._newest_runs, self._company, self._send = registry, newest, company, send
        self._runs: frozenset[str] = frozenset()
        self._all = False
        self._problem: str | None = None
        self._pending: dict[str, tuple[set[str], int]] = {}
        self._flush_at = 0.0
        self._poll_at = 0.0
        self._sent: dict[str, dict[str, Any]] = {}
        self._unknown: frozenset[str] = frozenset()
        self._wants_newest = False
        self._newest: str | EllipsisType | None = ...

    def received(self, message: str | bytes) -> None:
        """Take a message of the page. Called in another greenlet, so it only stores the request; `step` acts on it."""
        try:
            want = _decode(message).want
        except msgspec.DecodeError as error:
            self._problem = str(error)
            return
        self._all = want.runs == "*"
        self._runs = frozenset([] if isinstance(want.runs, str) else want.runs[:MAX_RUNS])
        self._wants_newest = want.newest
        self._poll_at = 0.0

    def step(self, mailbox: ChangeReader) -> None:
        """Wait for changes, up to IDLE seconds, and send the frames that are due."""
        now = time.monotonic()
        try:
            changes = mailbox.get(max(self._flush_at - now, 0.0) if self._pending else IDLE)
        except BusLost:
            self._pending.clear()
            self._frame({"lost": True})
            return
        for change in changes:
            self._note(change)
        now = time.monotonic()
        if self._problem is not None:
            problem, self._problem = self._problem, None
            self._frame({"error": problem})
        if self._pending and now >= self._flush_at:
            pending, self._pending = self._pending, {}
            self._frame({"events": [{"task": task, "types": sorted(types), "seq": str(seq)} for task, (types, seq) in pending.items()]})
            self._show(frozenset(pending))
        if now >= self._poll_at:
            self._poll_at = now + POLL
            self._sent = {id: fields for id, fields in self._sent.items() if id in self._runs}
            self._show(self._runs)
            if self._wants_newest:
                self._show_newest()

    def _note(self, change: Change) -> None:
        if not self._all and change.task not in self._runs:
            return
        if not self._pending:
            self._flush_at = time.monotonic() + TICK
        types, seq = self._pending.get(change.task, (set(), 0))
        self._pending[change.task] = types | set(change.types), max(seq, change.seq)

    def _show(self, ids: frozenset[str]) -> None:
        """Send the runs whose fields differ from those last sent."""
        if not ids:
            return
        news = []
        found = self._registry.get_many("task", self._company, ids, fields=FIELDS)
        for id, document in found.items():
            fields = {name: document.body.get(name) for name in FIELDS}
            if self._sent.get(id) != fields:
                news.append({"id": id, **fields})
                if id in self._runs:
                    self._sent[id] = fields
        if news:
            self._frame({"runs": news})
        if ids is self._runs:
            unknown = ids - found.keys()
            if unknown - self._unknown:
                self._frame({"unknown": sorted(unknown)})
            self._unknown = unknown

    def _show_newest(self) -> None:
        newest = self._newest_runs.of(self._company)
        if newest != self._newest:
            self._newest = newest
            self._frame({"newest": newest})

    def _frame(self, data: dict[str, Any]) -> None:
        self._send([orjson.dumps(data).decode()])
