"""The records that stores take and return, shared by every engine.

Nothing here knows HTTP, SQL or a query language. Units: timestamps are integer milliseconds since the epoch, iterations are Python
integers in the 64-bit range, values are float64 (NaN stands for "no number": null and NaN read back as null).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

SCALAR = "training_stats_scalar"
VECTOR = "training_stats_vector"
IMAGE = "training_debug_image"
PLOT = "plot"
LOG = "log"
ATTRIBUTE = "run_attribute"
"""Stored exactly as scalars are (`Points`, read with `points` and `point_extras`), but no event of any API: what a row of the runs API holds
beside its metrics (runs/names.py). `series` and `storage` name it only when they are asked for this type; `delete` removes it too."""

SINGLE_VALUE_ITER = -(2**31)
"""A scalar at this iteration is a single value of the task: no chart shows it, and it never moves `last_iteration`."""
MIN_ITER, MAX_ITER = -(2**63), 2**63 - 1

DOCUMENT = "@"
"""Stands among the indices that a task was written to: its document in the registry was changed. No index can have this name."""
SEQ_SHIFT = 20
"""`seq >> SEQ_SHIFT` is the time of writing in milliseconds; the lower bits number the events of that millisecond."""

Axis = Literal["iter", "timestamp"]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

Metrics = Mapping[str, Collection[str]]
"""A filter: metric -> variants; an empty collection means all variants of the metric. `None` in its place: no filter."""


_REWOUND = "\x01rewound"
"""No client can name a task with it: ids hold no control characters."""


def rewound(task: str) -> str:
    """The hidden owner of the events of a task (or model) that were rewound."""
    return task + _REWOUND


def shown_owner(owner: str) -> str:
    """The task that an owner of events belongs to: itself, unless it is the hidden one."""
    return owner.removesuffix(_REWOUND)


class SeriesKey(NamedTuple):
    """The identity of a series inside a company. `task` is the id of the task or of the model that owns it."""

    task: str
    type: str
    metric: str
    variant: str


@dataclass(slots=True)
class Statistics:
    """The statistics of a scalar series, available without reading it; exact under overwrites and retries.

    `value` belongs to the greatest (iter, timestamp, arrival); a single value (iteration -2^31) that arrived after that point is the newest
    report and goes before it. Minimum, maximum and mean are over finite values; among equal ones the
    smallest iteration is named; all are None when there is no finite value. `count` counts every stored point with an iteration, `finite`
    those with a finite value. `sum` is infinite when it does not fit into a double; the mean always fits.
    """

    count: int = 0
    value: float | None = None
    value_iter: int | None = None
    value_timestamp: int | None = None
    min_value: float | None = None
    min_value_iter: int | None = None
    max_value: float | None = None
    max_value_iter: int | None = None
    first_value: float | None = None
    first_value_iter: int | None = None
    sum: float = 0.0
    finite: int = 0
    mean_value: float | None = None
    x_axis_label: str | None = None


@dataclass(slots=True)
class Series:
    """One series with its extent. `min_iter`/`max_iter` are None when no event of it has an iteration.

    `count` is the number of stored events (with and without iteration). `statistics` is given for scalars. `chart_*` leave out the
    single-value iteration; they are None (count 0) when nothing is left for a chart. `last_written` is the greatest seq of its events (an
    error of some hundreds is allowed).
    """

    key: SeriesKey
    count: int
    min_iter: int | None
    max_iter: int | None
    min_timestamp: int
    max_timestamp: int
    chart_count: int = 0
    chart_min_iter: int | None = None
    chart_max_iter: int | None = None
    chart_min_timestamp: int | None = None
    chart_max_timestamp: int | None = None
    statistics: Statistics | None = None
    last_written: int = 0


LAST_VALUES = 100
"""The last points of a scalar series, available without reading it."""


class LastValues(NamedTuple):
    """The `LAST_VALUES` points of a series with the greatest iterations (all, if there are fewer), ascending: arrays of equal length."""

    iters: Ints
    values: Floats


class BucketRequest(NamedTuple):
    """One series to be bucketed: bucket = floor(x / interval) * interval over lo <= x <= hi (both inclusive, None: open).

    `series` is as `EventStore.series` gave it: its extent tells a store how much to expect. `interval` 1 on the iteration axis means every
    point by itself. Points at the single-value iteration are never included. `extremes`: whether minimum and maximum are needed; they may
    be the mean otherwise. `ends`, `kinds`: whether these parts of `Buckets` are needed. `origin` (time axis): x is the time since then,
    in the bounds and in the answer. `since_seq`: only the buckets that hold a point that arrived later; they are whole.
    """

    series: Series
    axis: Axis
    interval: int
    lo: int | None = None
    hi: int | None = None
    extremes: bool = True
    ends: bool = False
    kinds: bool = False
    origin: int = 0
    since_seq: int | None = None


class Ends(NamedTuple):
    """The greatest iteration and the greatest timestamp of each bucket."""

    iters: Ints
    timestamps: Ints


class Kinds(NamedTuple):
    """How many points of each bucket are not finite, by kind; and the x of the first NaN (None: there is none)."""

    nan: Ints
    pos_inf: Ints
    neg_inf: Ints
    first_nan: int | None


@dataclass(slots=True)
class Buckets:
    """The non-empty buckets of a series: arrays of equal length, ascending. Non-finite values take no part in the value columns; a bucket
    with points but without a finite value has NaN there. `count` counts its points. `kinds` is None when every point is finite. `first_x` and
    `last_x` are those of the range, whatever `since_seq` leaves out."""

    x: Ints
    mean: Floats
    min: Floats
    max: Floats
    count: Ints
    first_x: int | None = None
    last_x: int | None = None
    ends: Ends | None = None
    kinds: Kinds | None = None

    def take(self, which: npt.NDArray[np.bool_]) -> Buckets:
        """Some of the buckets."""
        ends = None if self.ends is None else Ends(*(column[which] for column in self.ends))
        kinds = self.kinds
        if kinds is not None:
            kinds = Kinds(kinds.nan[which], kinds.pos_inf[which], kinds.neg_inf[which], kinds.first_nan)
        columns = (self.x[which], self.mean[which], self.min[which], self.max[which], self.count[which])
        return Buckets(*columns, self.first_x, self.last_x, ends, kinds)


@dataclass(slots=True)
class PointColumns:
    """Points of one series: arrays of equal length, ordered by (axis, timestamp, seq)."""

    key: SeriesKey
    iters: Ints
    values: Floats
    timestamps: Ints
    seqs: Ints


class Cursor(NamedTuple):
    """A position in a total order: the axis value (None among events without iteration, which come last), then timestamp, then seq."""

    key: int | None
    timestamp: int
    seq: int


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events of one task: all conditions must hold. Bounds are inclusive. `until_seq` leaves out what arrived later."""

    task: str
    types: Collection[str]
    metrics: Metrics | None = None
    min_iter: int | None = None
    max_iter: int | None = None
    iters: Sequence[int] | None = None
    min_timestamp: int | None = None
    max_timestamp: int | None = None
    levels: Sequence[str] | None = None
    until_seq: int | None = None
    from_seq: int | None = None
    """Only log lines that arrived from here on (live readers); scalars and other events are never asked for with it."""
    with_iter: bool = False
    """Only events that have an iteration other than the single-value one."""


@dataclass(frozen=True, slots=True)
class Paging:
    """One page of an ordered listing: the first `limit` entries after the cursor (None: from the beginning)."""

    order: Axis
    descending: bool = False
    after: Cursor | None = None
    limit: int = 500


StoredEvent = dict[str, Any]
"""An event as clients read it (see `stored_event`)."""


class PagedEvent(NamedTuple):
    """An event of a page, and its position in the order asked for."""

    event: StoredEvent
    cursor: Cursor


class Matches(NamedTuple):
    """`indexes` of the texts that match, ascending. `looked`: how many texts were examined, one or more; fewer than given: the search
    stops."""

    indexes: list[int]
    looked: int


TextMatch = Callable[[list[str]], Matches]
"""Picks lines of a log by their texts. Called by the caller's greenlet, not in a thread of the store."""


class LineSearch(NamedTuple):
    """Which lines of a log are wanted. `match` is called with the texts of a stretch of the log; lines without text are not searched. With
    `literal`, a store may leave out lines whose text does not contain it (`ignore_case`: in any case) before `match` sees them."""

    match: TextMatch
    literal: str | None = None
    ignore_case: bool = False

    @property
    def narrowing(self) -> str | None:
        """The literal, where a store can narrow with it: stores ignore the case of ASCII letters only."""
        return self.literal if self.literal and (not self.ignore_case or self.literal.isascii()) else None


class LogStretch(NamedTuple):
    """The wanted lines of a stretch of a log, and the last line that was looked at (None: the end of the log was reached)."""

    lines: list[PagedEvent]
    end: Cursor | None


class LogSlice(NamedTuple):
    """The log lines of a stretch of time: when it starts, how many lines, and by level how many of them (levels that are rare among many may be
    left out)."""

    start: int
    lines: int
    levels: dict[str | None, int]


class ImageVariant(NamedTuple):
    """The data of one variant of debug images that navigation needs (only events with a url count).

    `newest_url` is the url of the greatest iteration; `newest_url_previous_iter` the next smaller iteration that used the same url.
    `valid_from` is the minimum over the variant's urls of that url's greatest iteration: older files were overwritten.
    """

    metric: str
    variant: str
    max_iter: int
    newest_url: str
    newest_url_previous_iter: int | None
    valid_from: int
    max_timestamp: int


@dataclass(frozen=True, slots=True)
class TypeStorage:
    """Number and size of a task's events of one type; `bytes` as received."""

    type: str
    count: int
    bytes: int
    oldest: int | None
    newest: int | None


# --- shared rules ----------------------------------------------------------------------------------------------------------------


def stored_event(
    key: SeriesKey, iter: int | None, timestamp: int, seq: int, worker: str, model_event: bool, body: Mapping[str, Any] | None
) -> StoredEvent:
    """An event as clients read it: the common fields, then what came with it; `iter` is absent when it had none."""
    task, type, metric, variant = key
    event: StoredEvent = {
        "type": type,
        "task": task,
        "metric": metric,
        "variant": variant,
        "timestamp": timestamp,
        "worker": worker,
        "model_event": model_event,
        "@timestamp": iso_time(seq >> SEQ_SHIFT),
    }
    if iter is not None:
        event["iter"] = iter
    if body:
        event.update(body)
    return event


def events_of(page: Iterable[PagedEvent]) -> list[StoredEvent]:
    """The events of a page without their cursors."""
    return [event for event, _ in page]


@lru_cache(maxsize=4096)
def name_hash(name: str) -> str:
    """The key under which clients find a metric or variant in last_metrics (md5 is theirs, not for security)."""
    return hashlib.md5(name.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4096)  # the events of a page were written in few batches
def iso_time(milliseconds: int) -> str:
    """`2023-11-14T22:13:20.000Z`, in UTC; any year from 1 to 9999."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.").zfill(20) + f"{moment.microsecond // 1000:03d}Z"


def wants(metrics: Metrics | None, metric: str, variant: str) -> bool:
    """Whether the filter lets this series through."""
    if metrics is None:
        return True
    variants = metrics.get(metric)
    return variants is not None and (not variants or variant in variants)
