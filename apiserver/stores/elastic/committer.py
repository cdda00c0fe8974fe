"""Documents that many batches change at once: statistics of series, activity of tasks.

A process has one bulk of small batches under way at a time; whoever comes meanwhile is taken along by the next one. Large batches travel
alone and at once. No document is in two bulks at a time. Every document is replaced under `if_seq_no`, so nothing that another worker wrote
is lost: its version is remembered from the last write, and looked up after a conflict.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from apiserver.stores.base import StoreBusy
from apiserver.stores.elastic.client import BulkAnswer, ElasticClient, busy_reason, reason
from apiserver.stores.elastic.rows import Row, row_of, source_of
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


@dataclass(slots=True)
class _Ticket:
    changes: Sequence[Change]
    rider: Rider | None
    places: frozenset[tuple[str, str]]
    """The documents that it changes: index and id."""
    taken: bool = False
    leads: bool = False
    """Whether the others wait for its bulk."""
    done: bool = False
    error: Exception | None = None

    @property
    def size(self) -> int:
        return sum(map(len, self.rider.pieces)) if self.rider else 0


class Committer:
    """`commit` returns when the changes are stored."""

    def __init__(self, client: ElasticClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self._waiting: list[_Ticket] = []
        self._led = False  # whether a bulk of small batches is under way
        self._written: set[tuple[str, str]] = set()  # documents in the bulks under way
        self._removals: list[tuple[str, str]] = []
        self._sweeping = False
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()

    def epochs(self, index: str, ids: Sequence[str]) -> list[int | None]:
        """The epochs of these series before a batch is written. None: no document yet."""
        with self._lock:
            unknown = [id for id in ids if (index, id) not in self._known]
        if unknown:
            self._load(index, unknown)
        with self._lock:
            return [known.epoch if (known := self._known.get((index, id))) else None for id in ids]

    def commit(self, changes: Sequence[Change], rider: Rider | None = None) -> None:
        """Raises StoreBusy or StoreUnavailable when they could not be stored."""
        ticket = _Ticket(changes, rider, frozenset((change.index, change.id) for change in changes))
        with self._ended:
            self._waiting.append(ticket)
            alone = ticket.size > RIDERS_BYTES
            while not ticket.done and (ticket.taken or (self._led and not alone) or ticket.places & self._written):
                self._ended.wait()
            together = [] if ticket.done else self._take(ticket)
            if together and not alone:
                ticket.leads = self._led = True
        if together:
            self._write_all(together)
        if ticket.error is not None:
            raise ticket.error

    def _take(self, mine: _Ticket) -> list[_Ticket]:
        """One's own ticket and those that fit beside it, oldest first; the lock is held."""
        taken, left, size = [mine], list[_Ticket](), mine.size
        index = mine.rider.index if mine.rider else ""
        for ticket in self._waiting:
            if ticket is mine:
                continue
            fits = size + ticket.size <= RIDERS_BYTES and not ticket.places & self._written
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
            ticket.taken = True
            self._written |= ticket.places
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

    def _write_all(self, batch: list[_Ticket]) -> None:
        error: Exception | None = StoreBusy("a write was broken off")
        try:
            self._write(batch)
            error = None
        except Exception as caught:  # whoever rides along must hear of it too
            error = caught
        finally:
            with self._ended:
                for ticket in batch:
                    self._written -= ticket.places
                    ticket.error, ticket.done = error, True
            self._let_others_go(batch)

    def _let_others_go(self, batch: list[_Ticket]) -> None:
        with self._ended:
            if batch[0].leads:
                batch[0].leads = self._led = False
            self._ended.notify_all()

    def _write(self, batch: list[_Ticket]) -> None:
        riders = [ticket.rider for ticket in batch if ticket.rider]
        pending: dict[tuple[str, str], list[Change]] = {}
        for ticket in batch:
            for change in ticket.changes:
                pending.setdefault((change.index, change.id), []).append(change)
        with self._lock:
            removals, self._removals = self._removals, []
        for attempt in range(TRIES):
            self._load_missing(pending)
            lines = [piece for rider in riders for piece in rider.pieces]
            lines += [orjson.dumps({"delete": {"_index": index, "_id": id}}) + b"\n" for index, id in removals]
            actions: list[bytes] = []
            sent: list[tuple[tuple[str, str], _Known]] = []
            for place, todo in pending.items():
                after = self._action(place, todo, actions)
                if after is not None:
                    sent.append((place, after))
            lines += [action + b"\n" for action in actions]
            if not lines:
                return
            answer = self._client.bulk(b"".join(lines), riders[0].index if riders else "", details=True)
            items = answer.last(len(sent))
            _tell(riders, answer, sum(item["status"] == 201 for item in items))
            pending = self._outcome(pending, sent, items)
            if not pending:
                return
            riders, removals = [], []
            self._let_others_go(batch)  # only these documents have to be tried again
            time.sleep(min(0.002 * 2**attempt, 0.1) * (0.5 + secrets.randbelow(1000) / 1000))
        raise StoreBusy("too many workers change the same statistics at once", 1.0)

    def _outcome(
        self, pending: dict[tuple[str, str], list[Change]], sent: list[tuple[tuple[str, str], _Known]], items: list[dict[str, Any]]
    ) -> dict[tuple[str, str], list[Change]]:
        """What is left to do: the documents that somebody else changed."""
        left: dict[tuple[str, str], list[Change]] = {}
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

    def _action(self, place: tuple[str, str], todo: list[Change], lines: list[bytes]) -> _Known | None:
        """Append the action that carries out the changes of one document; what it will be afterwards. None: nothing to do."""
        index, id = place
        target: dict[str, Any] = {"_index": index, "_id": id, "require_alias": False}
        known = self._known.get(place) or _Known()
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
            target |= {"if_seq_no": known.seq_no, "if_primary_term": known.term}
            lines += [orjson.dumps({"update": target}), orjson.dumps({"doc": activity})]
            return _Known(activity=activity)
        row = known.row.copy() if known.row is not None else Row()
        for change in todo:
            assert isinstance(change, SeriesChange)
            # Between reading the epoch and now somebody counted or deleted the series' events: whether ours are in that can't be known.
            stranger = change.epoch != known.epoch and not (change.epoch is None and known.born)
            row.add(change.row)
            row.stale = row.stale or stranger
            key = change.key
        after = _Known(epoch=known.epoch if known.exists else secrets.randbelow(2**31), born=known.born or not known.exists, row=row)
        if known.exists:
            target |= {"if_seq_no": known.seq_no, "if_primary_term": known.term}
        lines += [orjson.dumps({"index" if known.exists else "create": target}), orjson.dumps(source_of(key, row, after.epoch or 0))]
        return after

    # --- what is known

    def _load_missing(self, pending: dict[tuple[str, str], list[Change]]) -> None:
        missing: dict[str, list[str]] = {}
        for index, id in pending:
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

    def _remember(self, place: tuple[str, str], known: _Known) -> None:
        with self._lock:
            self._known[place] = known
            self._known.move_to_end(place)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def _forget(self, place: tuple[str, str]) -> None:
        with self._lock:
            self._known.pop(place, None)


def _tell(riders: Sequence[Rider], answer: BulkAnswer, others: int) -> None:
    """Hand out what became of the riders' lines, unless all made new documents. `others`: documents made by the rest of the request."""
    if answer.created() == others + sum(rider.count for rider in riders):
        return
    done = 0
    for rider in riders:
        rider.items = answer.items[done : done + rider.count]
        done += rider.count
