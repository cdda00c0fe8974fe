"""The port for events: the methods that `bll` needs of a store. (Documents: `registry.py`; states and live messages: `state.py`; what they
raise: `errors.py`.)
Every engine implements all of it, and the same tests run against every engine.

No method takes a query language, a dict of options or anything of HTTP. Ids are looked up within the given company only. All methods may be called
from any greenlet; adapters that block do so in threads.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from apiserver.stores.batch import Appended, EventBatch
from apiserver.stores.records import (
    Axis,
    BucketRequest,
    Buckets,
    Cursor,
    EventQuery,
    ImageVariant,
    LastValues,
    LineSearch,
    LogSlice,
    LogStretch,
    Metrics,
    PagedEvent,
    PointColumns,
    Series,
    SeriesKey,
    TypeStorage,
)


class Health(NamedTuple):
    """`ok`, and one sentence for the operator. `degraded`: not ok, but most or all calls still work."""

    ok: bool
    detail: str
    degraded: bool = False


class Retired(NamedTuple):
    """A retention step, done or (dry run) planned: `tasks` lose their `events`. `what` names it for the operator."""

    what: str
    tasks: list[str]
    events: int


class Compacted(NamedTuple):
    """A compaction step, done or (dry run) planned: `what` names it for the operator, with the bytes on disk before and after."""

    what: str
    before: int
    after: int


class StoreUsage(NamedTuple):
    """For metrics. `disks`: used fraction (0 to 1) of the disk of each node of the store; `generations`: number of generations of indices, of all
    companies."""

    disks: dict[str, float]
    read_only: int = 0
    generations: int = 1


AgeOf = Literal["arrival", "event-time"]


class EventWriter(Protocol):
    """Stores and removes events."""

    def append(self, company: str, batch: EventBatch) -> Appended:
        """Store a batch; on return it is durable.

        Scalars, vectors, plots and images with the same identity (task, type, metric, variant, iter, key) replace each other; log lines
        never do. Keeps the statistics of the series it touches, and last_iteration, last_update and last_change of the tasks and models
        it touches (`batch.touches`). A store that refuses single events returns them as refusals; the rest is stored.
        Raises StoreBusy or StoreUnavailable: then nothing is acknowledged, and a retry stores nothing twice.
        """

    def delete(self, company: str, task: str) -> int:
        """Delete all events of the task or model, also rewound ones, and their statistics; returns the number of events (without rewound ones). All
        events acknowledged before the call are deleted on return; a batch acknowledged later is kept whole."""

    def delete_many(self, company: str, tasks: Sequence[str]) -> dict[str, int]:
        """The same for several tasks or models at once: the number of removed events of each."""

    def delete_logs(
        self, company: str, task: str, *, before: int | None, include: Collection[str] | None, exclude: Collection[str] | None
    ) -> int:
        """Delete log lines older than `before` (ms, exclusive), with a metric in `include` and not in `exclude`; returns their number."""

    def cut(self, company: str, task: str, *, after: int, until_seq: int) -> int:
        """Delete events with an iteration greater than `after` that arrived up to `until_seq`, except log lines and single values; returns their number.
        Statistics are up to date on return; events that arrive meanwhile are kept."""


class SeriesReader(Protocol):
    """Reads records of series (without reading their events) and points of scalar series."""

    def series(
        self, company: str, tasks: Sequence[str], types: Collection[str] | None = None, metrics: Metrics | None = None
    ) -> list[Series]:
        """Every series of the tasks, ordered by task as given, then metric and variant in UTF-8 byte order. Always complete."""

    def series_names(self, company: str, tasks: Sequence[str], type: str) -> list[tuple[str, str]]:
        """Metric and variant of the series of one type that the tasks have, each pair once, in UTF-8 byte order."""

    def revision(self, company: str, tasks: Sequence[str]) -> tuple[int, ...] | None:
        """A revision per task that changes with the task's events; None when it is unknown (then nothing may be cached). Cheap: no
        search."""

    def oldest_pending(self, company: str) -> int | None:
        """The smallest arrival number of a pending batch; None if there is none. After this call a reader sees all events with smaller numbers: they are
        visible, or will never exist."""

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
        """Number and size of the task's events per type; types without events are left out."""


class EventReader(SeriesReader, Protocol):
    """Pages of events. Paging needs the list of series first, so a reader of events reads series too."""

    def page(
        self, company: str, query: EventQuery, order: Axis, *, descending: bool = False, after: Cursor | None = None, limit: int = 500
    ) -> list[PagedEvent]:
        """The next events in the order (axis, timestamp, seq), reversed if `descending`. On the iteration axis events without iteration come last in
        both directions."""

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
        """The data of every variant of debug images that navigation needs, ordered by metric and variant."""


class LogReader(Protocol):
    """Reads the log lines of a task."""

    def scan_log(
        self,
        company: str,
        query: EventQuery,
        search: LineSearch | None = None,
        *,
        after: Cursor | None = None,
        descending: bool = False,
        chunk: int = 10_000,
    ) -> Generator[LogStretch, None, None]:
        """The log lines of a query in order of (timestamp, seq), in stretches of at most `chunk` lines; no stretch is empty.

        With `search`, only matching lines, without decoding the others. A stretch may then be empty, so that the caller can yield or stop in between.
        The last stretch ends where `search.match` stops.
        """

    def log_positions(self, company: str, task: str, cursors: Sequence[Cursor]) -> list[int]:
        """For each cursor (ascending, on the timestamp axis) how many log lines of the task come before it."""

    def log_slices(self, company: str, task: str, interval: int, lo: int, hi: int) -> list[LogSlice]:
        """The lines with lo <= timestamp <= hi in slices that begin at multiples of `interval` (ms), ascending; slices without lines are left
        out. At most 2,000 slices may be asked for."""


class StoreUpkeep(Protocol):
    """Maintenance of a store, for operators and the program itself."""

    def companies(self) -> list[str]:
        """Companies that have events."""

    def retire(self, company: str, before: int, *, by: AgeOf = "arrival", dry_run: bool = False) -> Iterator[Retired]:
        """Delete the events of every task and model whose newest event is older than `before` (ms). Yields each step after it is done; with `dry_run`
        steps are only yielded. `by`: age by time of arrival, or by the client's timestamps. Events written meanwhile are kept. Raises StoreReadOnly at
        the end if events of some old tasks could not be deleted."""

    def compact(self, company: str, idle_since: int, *, dry_run: bool = False) -> Iterator[Compacted]:
        """Compact the generations without writes since `idle_since` (ms), each once. Yields each step after it is done; with `dry_run` steps are only
        yielded. May take hours; reads and writes continue. SQLite has nothing to compact. Raises StoreBusy."""

    def check(self) -> Health:
        """Whether the store answers."""

    def conditions(self) -> dict[str, Health]:
        """Conditions of a store that answers, by name: free disk space, missing parts of its layout. Cheap: may be seconds old."""

    def usage(self) -> StoreUsage:
        """Disk usage and related numbers of the store. Raises StoreBusy."""

    def look_after(self) -> bool:
        """Maintenance, called about every second: recreate indices that were removed externally, and write what could not be written before. True if
        documents of the registry were lost with them, so that the caller has to write its own again. Raises StoreBusy."""

    def close(self) -> None:
        """Close connections and threads; safe to call twice."""


class EventStore(EventWriter, EventReader, LogReader, StoreUpkeep, Protocol):
    """The whole port for events. Callers depend on the narrowest protocol that fits."""
