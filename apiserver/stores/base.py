"""The ports: what `bll` asks of a store. Every engine does all of it, and the same tests run over every engine.

No method takes a query language, a dict of options or anything of HTTP. Every id is looked up inside the company that is named: nothing of
another company is ever found. All methods may be called from any greenlet; adapters that block do so in threads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from apiserver.stores.records import (
    Appended,
    Axis,
    BucketRequest,
    Buckets,
    Cursor,
    EventBatch,
    EventQuery,
    ImageVariant,
    LastValues,
    LineSearch,
    LogSlice,
    Metrics,
    PagedEvent,
    PointColumns,
    SearchedStretch,
    Series,
    SeriesKey,
    TypeStorage,
)


class StoreError(Exception):
    """Base of what a store raises."""


class StoreBusy(StoreError):
    """The store wants the caller to come back later (queue full, disk full, index read-only). `retry_after` in seconds, `kind` as the log names
    the trouble (empty: it is no trouble of the whole store)."""

    def __init__(self, reason: str, retry_after: float = 5.0, kind: str = "") -> None:
        super().__init__(reason)
        self.retry_after, self.kind = retry_after, kind


DISK_TROUBLE = "a full disk"


class StoreReadOnly(StoreBusy):
    """The store takes no writes, usually because its disk is full. It can be read."""

    def __init__(self, reason: str, retry_after: float = 30.0) -> None:
        super().__init__(reason, retry_after, DISK_TROUBLE)


class StoreUnavailable(StoreBusy):
    """The store cannot be reached or did not answer in time."""


class StateUnavailable(StoreBusy):
    """The state (navigation, scrolls, rate limits) cannot be reached."""


class StateTooLarge(StoreError):
    """A single state is larger than all states of a company may be. `limit`: these bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"the states of a company may take {limit} bytes")


class StoreDamaged(StoreError):
    """The store can't be opened: damaged, newer than this program, or with a conflicting layout. The text is for the operator."""


class Conflict(StoreError):
    """A document was changed by someone else, or one with this id exists already."""


class Health(NamedTuple):
    """`ok`, and one sentence for the operator. `degraded`: not ok, but calls are answered all the same, or most of them."""

    ok: bool
    detail: str
    degraded: bool = False


class Retired(NamedTuple):
    """What a retention run removes (or would remove): `tasks` lose their `events`. `what` says it for the operator."""

    what: str
    tasks: list[str]
    events: int


class StoreUsage(NamedTuple):
    """For operators' graphs. `disks`: by node of the store, which part of its disk is used; `generations`: of indices, of all companies."""

    disks: dict[str, float]
    read_only: int = 0
    generations: int = 1


AgeOf = Literal["arrival", "event-time"]


class EventWriter(Protocol):
    """Takes events in and removes them."""

    def append(self, company: str, batch: EventBatch) -> Appended:
        """Store a batch; on return it is durable.

        Scalars, vectors, plots and images with the same identity (task, type, metric, variant, iter, key) replace each other; log lines
        never do. Keeps the statistics of the series it touches, and last_iteration, last_update and last_change of the tasks and models
        it touches (`batch.touches`). A store that refuses single events returns them as refusals; the rest is stored.
        Raises StoreBusy or StoreUnavailable: then nothing is acknowledged, and a retry stores nothing twice.
        """

    def delete(self, company: str, task: str) -> int:
        """Remove all events of the task or model with their statistics; the number of removed events. Everything acknowledged before
        the call is gone on return; a batch acknowledged later is whole."""

    def delete_logs(
        self, company: str, task: str, *, before: int | None, include: Collection[str] | None, exclude: Collection[str] | None
    ) -> int:
        """Remove log lines: older than `before` (ms, exclusive), with a metric in `include`, with a metric not in `exclude`."""


class SeriesReader(Protocol):
    """What is known of series without reading their events, and the points of scalar series."""

    def series(
        self, company: str, tasks: Sequence[str], types: Collection[str] | None = None, metrics: Metrics | None = None
    ) -> list[Series]:
        """Every series of the tasks, ordered by task as given, then metric and variant in UTF-8 byte order. Nothing is cut."""

    def series_names(self, company: str, tasks: Sequence[str], type: str) -> list[tuple[str, str]]:
        """Metric and variant of the series of one type that the tasks have, each pair once, in UTF-8 byte order."""

    def revision(self, company: str, tasks: Sequence[str]) -> tuple[int, ...] | None:
        """A value per task that is different after any change of the task's events; None when that can't be known (then nothing may be
        cached). Cheap: no search."""

    def oldest_pending(self, company: str) -> int | None:
        """The smallest arrival number of a batch that is under way; None: no batch is. A reader that asks before it reads knows that events with
        smaller numbers are there, or never will be."""

    def buckets(self, company: str, requests: Sequence[BucketRequest]) -> list[Buckets]:
        """One answer per request, in order; empty arrays where there is nothing."""

    def points(
        self,
        company: str,
        keys: Sequence[SeriesKey],
        axis: Axis = "iter",
        *,
        after: Cursor | None = None,
        limit: int | None = None,
        lo: int | None = None,
        hi: int | None = None,
        until_seq: int | None = None,
    ) -> list[PointColumns]:
        """The first `limit` points of these scalar series of one task, all series taken together in the order (axis, timestamp, seq), after
        the cursor and inside lo..hi (inclusive): columns per series, series without points left out. Single values are included."""

    def point_extras(
        self, company: str, keys: Sequence[SeriesKey], *, lo: int | None = None, hi: int | None = None, iters: Sequence[int] | None = None
    ) -> dict[SeriesKey, dict[int, dict[str, Any]]]:
        """The fields that were kept verbatim with the points of these series of one task (`Points.extra`, without the worker), by
        iteration inside lo..hi (inclusive). Points and series without such fields are left out. `iters` (ascending) are the only ones
        wanted: others may be left out."""

    def latest(self, company: str, task: str) -> list[tuple[Series, LastValues | None]]:
        """Every series of a task, as `series` gives it; scalars that have points with iterations come with their last values."""

    def storage(self, company: str, task: str) -> list[TypeStorage]:
        """How much the task holds, per event type; types without events are left out."""


class EventReader(SeriesReader, Protocol):
    """Pages of events. Who pages through events asks first which series there are: so a reader of events reads series too."""

    def page(
        self, company: str, query: EventQuery, order: Axis, *, descending: bool = False, after: Cursor | None = None, limit: int = 500
    ) -> list[PagedEvent]:
        """The next events in the order (axis, timestamp, seq), reversed when `descending`; events without iteration come last on the
        iteration axis in both directions."""

    def count(self, company: str, query: EventQuery) -> int:
        """The exact number of events."""

    def iterations(
        self,
        company: str,
        query: EventQuery,
        *,
        descending: bool,
        count: int,
        beyond: int | None = None,
    ) -> list[int]:
        """The nearest `count` distinct iterations: smaller than `beyond` when descending, greater otherwise (None: from the end). Images
        count only when they have a url; iterations are never the single-value one."""

    def image_variants(self, company: str, task: str, metrics: Metrics | None = None) -> list[ImageVariant]:
        """What navigation needs of every variant of debug images, ordered by metric and variant."""


class LogReader(Protocol):
    """The log of a task or model, line by line."""

    def scan_log(
        self,
        company: str,
        query: EventQuery,
        *,
        after: Cursor | None = None,
        descending: bool = False,
        chunk: int = 10_000,
    ) -> Iterator[list[PagedEvent]]:
        """The log lines of a query in order of (timestamp, seq), in lists of at most `chunk`."""

    def search_log(
        self,
        company: str,
        query: EventQuery,
        search: LineSearch,
        *,
        after: Cursor | None = None,
        descending: bool = False,
        chunk: int = 10_000,
    ) -> Iterator[SearchedStretch]:
        """The lines of a query that the search picks, in the same order. No document is made of the others. A stretch may hold no line, so that the
        caller can give way or stop between them. Where `search.match` stops, the last stretch ends."""

    def log_positions(self, company: str, task: str, cursors: Sequence[Cursor]) -> list[int]:
        """For each cursor (ascending, on the timestamp axis) how many log lines of the task come before it."""

    def log_slices(self, company: str, task: str, interval: int, lo: int, hi: int) -> list[LogSlice]:
        """The lines with lo <= timestamp <= hi in slices that begin at multiples of `interval` (ms), ascending; slices without lines are left
        out. At most 2,000 slices may be asked for."""


class Upkeep(Protocol):
    """What operators and the program itself ask of a store."""

    def companies(self) -> list[str]:
        """Companies that have events."""

    def retire(self, company: str, before: int, *, by: AgeOf = "arrival", dry_run: bool = False) -> Iterator[Retired]:
        """Remove the events of every task and model whose newest event is older than `before` (ms), step by step, each named when it is done;
        with `dry_run` they are only named. `by`: whether the time of arrival counts, or the timestamp that the client gave. What is written
        meanwhile stays whole. Raises StoreReadOnly at the end when some tasks are old and their events can't be removed now."""

    def check(self) -> Health:
        """Whether the store answers."""

    def conditions(self) -> dict[str, Health]:
        """What a store that answers may lack all the same, by name: space on its disk, parts of its layout. Cheap: may be seconds old."""

    def usage(self) -> StoreUsage:
        """What is used of the store's disks. Raises StoreBusy."""

    def look_after(self) -> bool:
        """Called every second or so while the program runs: put right what was removed behind its back, or could not be written before. True when
        documents of the registry were lost with it, so that the program has to write its own again. Raises StoreBusy."""

    def close(self) -> None:
        """Let go of connections and threads; safe to call twice."""


class EventStore(EventWriter, EventReader, LogReader, Upkeep, Protocol):
    """All that an engine does with events. Callers take the narrowest protocol that fits."""


# --- documents -------------------------------------------------------------------------------------------------------------------

Kind = Literal[
    "task",
    "project",
    "model",
    "user",
    "credential",
    "company",
    "secret",
    "preference",
    "queue",
    "revoked",
    "deleted",
    "generation",
    "public",
]

ACTIVITY_FIELDS = ("last_iteration", "last_update", "last_change")
"""Fields of task and model documents that `EventStore.append` moves (ms since the epoch for the two times). `replace` leaves them alone;
`Registry.touch` sets them."""


@dataclass(slots=True)
class Document:
    """A registry document. `body` is plain JSON data and holds the id too; `version` is for compare-and-set."""

    id: str
    company: str
    body: dict[str, Any]
    version: Any = None


class Condition(NamedTuple):
    """One condition on a field (`path`: dotted, or a tuple when names hold dots).

    op: `in` (the field, or an item of a list field, equals one of the values; None stands for absent or null), `all` (a list field holds
    every value), `range` (values = (lo, hi), either may be None, inclusive), `exists`, `matches` (RE2 pattern, values = (pattern,
    ignore_case), found anywhere in the text). `negate` turns it round.
    """

    path: str | tuple[str, ...]
    op: Literal["in", "all", "range", "exists", "matches"]
    values: Sequence[Any] = ()
    negate: bool = False


@dataclass(slots=True)
class AnyOf:
    """At least one of the groups holds; a group is a list of conditions that must all hold."""

    groups: list[list[Condition]] = field(default_factory=list)


class Sort(NamedTuple):
    """Order by a field; absent values come last in both directions. `last_metrics.<md5>.<md5>.<field>` sorts tasks by a statistic of a series
    (field: value, min_value, max_value, mean_value, first_value, count, ..._iteration). With `numeric` texts that are decimal numbers count as
    numbers, which come before other texts."""

    path: str | tuple[str, ...]
    descending: bool = False
    numeric: bool = False


class Registry(Protocol):
    """Small documents of a company, strongly consistent: what was written is found by the next call, on any worker."""

    def get(self, kind: Kind, company: str, id: str) -> Document | None:
        """One document, or None."""

    def get_many(self, kind: Kind, company: str, ids: Collection[str], *, fields: Collection[str] | None = None) -> dict[str, Document]:
        """The documents that exist, by id. With `fields` (top-level names), others may be left out of the bodies: such a document is for
        reading, never for `replace`."""

    def find_anywhere(self, kind: Kind, ids: Collection[str]) -> list[Document]:
        """Documents of any company with one of these ids (credentials). The caller checks whether it may use them."""

    def create(self, kind: Kind, company: str, id: str, body: Mapping[str, Any]) -> Document:
        """Raises Conflict when the id is taken in this company."""

    def create_many(self, kind: Kind, company: str, bodies: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """Create documents by their ids in one go; the ids that were free. Those that were taken stay as they are."""

    def replace(self, document: Document, *, touch: Mapping[str, int] | None = None) -> Document:
        """Store `document.body` if nobody changed it since it was read (else Conflict). Activity fields in it are ignored; those in `touch`
        are set, as `Registry.touch` does, together with it."""

    def delete(self, kind: Kind, company: str, id: str) -> bool:
        """False when there was none."""

    def touch(
        self,
        kind: Kind,
        company: str,
        id: str,
        *,
        last_iteration: int | None = None,
        last_update: int | None = None,
        last_change: int | None = None,
    ) -> None:
        """Set activity fields (None: leave)."""

    def find(
        self,
        kind: Kind,
        companies: Sequence[str],
        where: Sequence[Condition | AnyOf] = (),
        *,
        order: Sequence[Sort] = (),
        offset: int = 0,
        limit: int | None = None,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        """Matching documents. `fields` (top-level names) may be used to leave out the rest (id always comes; such a document is not for
        `replace`); ties are ordered by id, then company. No hidden limit."""

    def count(self, kind: Kind, companies: Sequence[str], where: Sequence[Condition | AnyOf] = ()) -> int:
        """The exact number of matching documents."""

    def tally(
        self,
        kind: Kind,
        companies: Sequence[str],
        where: Sequence[Condition | AnyOf],
        by: Sequence[str | tuple[str, ...]],
        *,
        total: str | tuple[str, ...] | None = None,
        greatest: bool = False,
    ) -> dict[tuple[Any, ...], tuple[int, float]]:
        """Matching documents counted by the values of one or more fields (None: absent or null; a list field counts once per item, and as
        None when empty): for each combination the number of documents and the sum of the numbers at `total` (with `greatest` the greatest of
        them, which must not be negative; 0.0 without any). Exact, and all combinations."""


# --- state -----------------------------------------------------------------------------------------------------------------------


class RateLimit(NamedTuple):
    allowed: bool
    remaining: int
    reset_after: float


class State(Protocol):
    """Small JSON states that expire, shared by all workers. Raises StateUnavailable when it cannot be reached."""

    def create(self, kind: str, value: Mapping[str, Any], ttl: float, *, company: str, shared: bool = False) -> str:
        """Keep a state (compressed) under a new random id (32 hex digits). `shared`: equal values of a company have one id and are kept once;
        such a state is never changed.

        The states of a company, and all states together, take a bounded number of bytes. Above it those make room that were not created,
        changed or renewed for the longest time: of this company, or of the one that holds most. Raises StateTooLarge."""

    def renew(self, kind: str, id: str, ttl: float) -> bool:
        """Renew the expiry of a state without reading it; False when it is unknown."""

    def get(self, kind: str, id: str) -> dict[str, Any] | None:
        """The state, or None when unknown or expired."""

    def update(self, kind: str, id: str, change: Callable[[dict[str, Any]], dict[str, Any] | None], ttl: float) -> dict[str, Any] | None:
        """Change a state atomically (`change` may run again when another caller was faster; returning None leaves it) and renew its
        expiry; the state afterwards, or None when unknown."""

    def delete(self, kind: str, id: str) -> None: ...

    def hit(self, key: str, limit: int, window: float, weight: int = 1) -> RateLimit:
        """Count a request in a sliding window of `window` seconds; a refused one is not counted."""

    def claim(self, key: str, holder: str, limit: int, ttl: float) -> bool:
        """Take one of `limit` places under a key for `ttl` seconds, or renew it; False when others hold all of them."""

    def release(self, key: str, holder: str) -> None:
        """Give a place back; nothing happens when it is not held any more."""

    def check(self) -> Health: ...

    def close(self) -> None: ...


class Subscription(Protocol):
    def get(self, timeout: float) -> bytes | None:
        """The next message, None after `timeout` seconds. Raises BusLost when messages may have been missed; the reader then reads the
        store again."""


class BusLost(StoreError):
    """Messages may have been missed."""


class Bus(Protocol):
    """Fan-out of live messages to readers on any worker. Publishing never blocks for a slow reader."""

    def publish(self, channel: str, message: bytes) -> None: ...

    def subscribe(self, channel: str, capacity: int = 1000) -> AbstractContextManager[Subscription]:
        """From entering on, messages are kept (at most `capacity`; more raises BusLost at the reader)."""

    def close(self) -> None: ...
