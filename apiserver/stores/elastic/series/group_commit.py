"""Documents that many batches change at once: statistics of series, activity of tasks.

A process has one bulk of small batches under way at a time; whoever comes meanwhile prepares its part and is taken along by the next one.
Large batches travel alone and at once. No document is in two bulks at a time. Every document is replaced under `if_seq_no`, so nothing that
another worker wrote is lost: its version is remembered from the last write, and looked up after a conflict.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from apiserver.stores.base import StoreBusy
from apiserver.stores.elastic.client import BulkAnswer, ElasticClient, busy_reason, reason
from apiserver.stores.elastic.series.row import Row, row_of, source_of
from apiserver.stores.records import SeriesKey

REMEMBERED = 20_000
TRIES = 50
RIDERS_BYTES = 500_000
"""Bytes of small batches that travel together; a larger one travels alone, and waits for no other."""
SWEEP_SECONDS = 5.0
_ACTIVITY = ("last_iteration", "last_update", "last_change")


@dataclass(slots=True)
class SeriesChange:
    """What a batch did to a series. `epoch` is the one that was read before the batch was written (None: there was no document)."""

    index: str
    id: str
    key: SeriesKey
    row: Row
    epoch: int | None


@dataclass(slots=True)
class ActivityChange:
    """What a batch did to a task or model."""

    index: str
    id: str
    now: int
    max_iter: int | None


Change = SeriesChange | ActivityChange
Place = tuple[str, str]
"""Index and id of a document."""


@dataclass(slots=True)
class _Known:
    """A document as we last saw it."""

    seq_no: int = -1
    term: int = 0
    epoch: int | None = None
    born: bool = False  # made by this process, from nothing: batches that saw nothing then are no strangers
    row: Row | None = None
    activity: dict[str, int | None] | None = None

    @property
    def exists(self) -> bool:
        return self.seq_no >= 0


@dataclass(slots=True)
class Rider:
    """Lines of a batch that travel in the same request as its changes; those that name no index go to `index`. `items` is what became of them,
    None when each made a new document."""

    pieces: list[bytes]
    index: str
    count: int
    items: list[dict[str, Any]] | None = None


class _Action(NamedTuple):
    """The lines that carry out the changes of a document, and what it will be afterwards. They are void once something else than `before` is known of
    it."""

    before: _Known
    after: _Known
    lines: bytes


@dataclass(slots=True, eq=False)
class _Ticket:
    changes: dict[Place, list[Change]]
    rider: Rider | None
    size: int = 0
    ahead: dict[Place, _Action] = field(default_factory=dict)
    """What was prepared before its turn."""
    crew: list[_Ticket] = field(default_factory=list)
    """Those whose bulk this one sends, itself the first; empty while it waits or travels with another."""
    go: threading.Event = field(default_factory=threading.Event)
    """Its bulk may be sent, or was sent by another."""
    error: Exception | None = None

    @property
    def alone(self) -> bool:
        return self.size > RIDERS_BYTES


class GroupCommit:
    """`commit` returns when the changes are stored."""

    def __init__(self, client: ElasticClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._leader: _Ticket | None = None  # whose bulk the small batches wait for
        self._written: set[Place] = set()  # documents in the bulks under way
        self._removals: list[Place] = []
        self._sweeping = False
        self._known: OrderedDict[Place, _Known] = OrderedDict()

    def epochs(self, index: str, ids: Sequence[str]) -> list[int | None]:
        """The epochs of these series before a batch is written. None: no document yet."""
        self._load_missing([(index, id) for id in ids])
        with self._lock:
            return [known.epoch if (known := self._known.get((index, id))) else None for id in ids]

    def commit(self, changes: Sequence[Change], rider: Rider | None = None) -> None:
        """Raises StoreBusy or StoreUnavailable when they could not be stored."""
        ticket = _Ticket({}, rider, sum(map(len, rider.pieces)) if rider else 0)
        for change in changes:
            ticket.changes.setdefault((change.index, change.id), []).append(change)
        self._load_missing(ticket.changes)
        for place, todo in ticket.changes.items():
            if place not in self._written and (action := self._action(place, todo)):
                ticket.ahead[place] = action
        with self._lock:
            self._waiting.append(ticket)
        self._start()
        try:
            ticket.go.wait()
        except BaseException:
            with self._lock:  # whoever waits for it would wait for ever
                self._waiting = [other for other in self._waiting if other is not ticket]
            raise
        finally:
            if ticket.crew:
                self._carry_out(ticket.crew)
        if ticket.error is not None:
            raise ticket.error

    def _start(self) -> None:
        """Let those go that may; the first of them take along who fits."""
        with self._lock:
            while leader := next(filter(self._may_go, self._waiting), None):
                leader.crew = self._take(leader)
                if not leader.alone:
                    self._leader = leader
                leader.go.set()

    def _may_go(self, ticket: _Ticket) -> bool:
        return (ticket.alone or self._leader is None) and self._written.isdisjoint(ticket.changes)

    def _take(self, mine: _Ticket) -> list[_Ticket]:
        """One's own ticket and those that fit beside it, oldest first; the lock is held."""
        taken, left, size = [mine], list[_Ticket](), mine.size
        index = mine.rider.index if mine.rider else ""
        for ticket in self._waiting:
            if ticket is mine:
                continue
            fits = size + ticket.size <= RIDERS_BYTES and self._written.isdisjoint(ticket.changes)
            if ticket.rider is not None:
                index = index or ticket.rider.index
                fits = fits and ticket.rider.index == index
            if fits:
                taken.append(ticket)
                size += ticket.size
            else:
                left.append(ticket)
        self._waiting = left
        for ticket in taken:
            self._written.update(ticket.changes)
        return taken

    def remove_later(self, index: str, id: str) -> None:
        """Take a mark away with one of the next requests; it does no harm for a while."""
        with self._lock:
            self._removals.append((index, id))
            start, self._sweeping = not self._sweeping, True
        if start:
            threading.Thread(target=self._sweep, name="tidemark-marks", daemon=True).start()

    def _sweep(self) -> None:
        """Take away marks that no other request has taken along."""
        while True:
            time.sleep(SWEEP_SECONDS)
            with self._lock:
                if not self._removals:
                    self._sweeping = False
                    return
            try:
                self.commit(())
            except StoreBusy:
                continue

    def close(self) -> None:
        """Take away the marks that are left."""
        with suppress(StoreBusy):
            if self._removals:
                self.commit(())

    def forget(self, index: str, id: str) -> None:
        """Somebody else changed this document: look at it again before the next change."""
        self._forget((index, id))

    def _carry_out(self, crew: list[_Ticket]) -> None:
        error: Exception | None = StoreBusy("a write was broken off")
        try:
            self._write(crew)
            error = None
        except Exception as caught:  # whoever rides along must hear of it too
            error = caught
        finally:
            with self._lock:
                for ticket in crew:
                    self._written.difference_update(ticket.changes)
                    ticket.error = error
            self._hand_over(crew[0])
            for ticket in crew:
                ticket.go.set()

    def _hand_over(self, leader: _Ticket) -> None:
        """Its bulk is answered: the next one starts before anything is made of the answer."""
        if self._leader is leader:
            self._leader = None
        self._start()

    def _write(self, crew: list[_Ticket]) -> None:
        riders = [ticket.rider for ticket in crew if ticket.rider]
        pending: dict[Place, list[Change]] = {}
        ahead: dict[Place, _Action] = {}
        for ticket in crew:
            ahead |= ticket.ahead
            for place, todo in ticket.changes.items():
                if place in pending:
                    ahead.pop(place, None)
                pending[place] = pending.get(place, []) + todo
        with self._lock:
            removals, self._removals = self._removals, []
        for attempt in range(TRIES):
            self._load_missing(pending)
            lines = [piece for rider in riders for piece in rider.pieces]
            lines += [orjson.dumps({"delete": {"_index": index, "_id": id}}) + b"\n" for index, id in removals]
            sent: list[tuple[Place, _Known]] = []
            for place, todo in pending.items():
                action = ahead.get(place)
                if action is None or action.before is not self._known.get(place):
                    action = self._action(place, todo)
                if action is not None:
                    sent.append((place, action.after))
                    lines.append(action.lines)
            if not lines:
                return
            answer = self._client.bulk(b"".join(lines), riders[0].index if riders else "", details=True)
            self._hand_over(crew[0])
            time.sleep(0)  # to whoever leads now: his bulk is ready to be sent
            items = answer.last(len(sent))
            _tell(riders, answer, sum(item["status"] == 201 for item in items))
            pending = self._outcome(pending, sent, items)
            if not pending:
                return
            riders, removals = [], []  # only these documents have to be tried again
            time.sleep(min(0.002 * 2**attempt, 0.1) * (0.5 + secrets.randbelow(1000) / 1000))
        raise StoreBusy("too many workers change the same statistics at once", 1.0)

    def _outcome(
        self, pending: dict[Place, list[Change]], sent: list[tuple[Place, _Known]], items: list[dict[str, Any]]
    ) -> dict[Place, list[Change]]:
        """What is left to do: the documents that somebody else changed."""
        left: dict[Place, list[Change]] = {}
        busy: StoreBusy | None = None
        for (place, after), item in zip(sent, items, strict=True):
            status = item["status"]
            if status in (200, 201):
                after.seq_no, after.term = item["_seq_no"], item["_primary_term"]
                self._remember(place, after)
            elif status in (404, 409):
                self._forget(place)
                left[place] = pending[place]
            else:
                self._forget(place)
                busy = busy or busy_reason(status, item) or StoreBusy(f"Elasticsearch refuses statistics: {reason(item)}")
        if busy is not None:
            raise busy
        return left

    def _action(self, place: Place, todo: list[Change]) -> _Action | None:
        """What carries out the changes of one document. None: nothing to do."""
        index, id = place
        known = self._known.get(place) or _Known()
        target: dict[str, Any] = {"_index": index, "_id": id, "require_alias": False}
        if known.exists:
            target |= {"if_seq_no": known.seq_no, "if_primary_term": known.term}
        if isinstance(todo[0], ActivityChange):
            if not known.exists or known.activity is None:
                return None  # a task that the registry does not know (any more)
            activity = dict(known.activity)
            for change in todo:
                assert isinstance(change, ActivityChange)
                if change.max_iter is not None:
                    activity["last_iteration"] = max(activity["last_iteration"] or 0, change.max_iter, 0)
                activity["last_update"] = change.now
                activity["last_change"] = max((activity["last_change"] or 0) + 1, change.now)
            return _Action(known, _Known(activity=activity), _lines({"update": target}, {"doc": activity}))
        row = known.row.copy() if known.row is not None else Row()
        for change in todo:
            assert isinstance(change, SeriesChange)
            # Between reading the epoch and now somebody counted or deleted the series' events: whether ours are in that can't be known.
            stranger = change.epoch != known.epoch and not (change.epoch is None and known.born)
            row.add(change.row)
            row.stale = row.stale or stranger
            key = change.key
        after = _Known(epoch=known.epoch if known.exists else secrets.randbelow(2**31), born=known.born or not known.exists, row=row)
        return _Action(known, after, _lines({"index" if known.exists else "create": target}, source_of(key, row, after.epoch or 0)))

    # --- what is known

    def _load_missing(self, places: Iterable[Place]) -> None:
        missing: dict[str, list[str]] = {}
        for index, id in places:
            if (index, id) not in self._known:
                missing.setdefault(index, []).append(id)
        for index, ids in missing.items():
            self._load(index, ids)

    def _load(self, index: str, ids: Sequence[str]) -> None:
        series = ids[0].startswith("series-")
        found = self._client.get_many(index, ids, None if series else _ACTIVITY)
        for id in ids:
            if id not in found and not series:
                continue  # the registry may make it at any moment
            known = _Known()
            if id in found:
                document = found[id]
                known.seq_no, known.term = document["_seq_no"], document["_primary_term"]
                source = document.get("_source", {})
                if series:
                    known.epoch, known.row = source["epoch"], row_of(source)
                else:
                    known.activity = {name: source.get(name) for name in _ACTIVITY}
            self._remember((index, id), known)

    def _remember(self, place: Place, known: _Known) -> None:
        with self._lock:
            self._known[place] = known
            self._known.move_to_end(place)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def _forget(self, place: Place) -> None:
        with self._lock:
            self._known.pop(place, None)


def _lines(action: dict[str, Any], source: dict[str, Any]) -> bytes:
    return b"%b\n%b\n" % (orjson.dumps(action), orjson.dumps(source))


def _tell(riders: Sequence[Rider], answer: BulkAnswer, others: int) -> None:
    """Hand out what became of the riders' lines, unless all made new documents. `others`: documents made by the rest of the request."""
    if answer.created() == others + sum(rider.count for rider in riders):
        return
    done = 0
    for rider in riders:
        rider.items = answer.items[done : done + rider.count]
        done += rider.count
