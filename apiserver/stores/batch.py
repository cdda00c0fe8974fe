"""A batch of events for a store: plain records, the same for every engine. Units as in `records.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from apiserver.stores.records import LOG, SeriesKey


@dataclass(slots=True)
class Points:
    """The scalars of one series in one batch that have an iteration: columns of equal length, in order of arrival.

    A later entry with the same iteration replaces an earlier one. `lines` holds the arrival offsets: the event's seq is the batch's
    first seq plus its offset; `sizes` the bytes as received. `extra` maps a position to the fields that are kept verbatim (unknown ones, a worker of its own).
    """

    iters: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    extra: dict[int, dict[str, Any]] = field(default_factory=dict)
    model_event: bool = False
    x_axis_label: str | None = None


@dataclass(slots=True)
class Event:
    """One event that is not a plain scalar and not a log line: vector, image, plot, or a scalar without an iteration.

    Identity: (task, type, metric, variant, iter, key); an event with the same identity is replaced. `body` holds what the client sent
    beyond the fields named here, verbatim: `value` (a list, for vectors), `url`, `plot_str`, unknown fields ...
    """

    type: str
    task: str
    metric: str
    variant: str
    iter: int | None
    key: str | None
    timestamp: int
    worker: str
    line: int
    size: int
    body: dict[str, Any]
    model_event: bool = False

    @property
    def series(self) -> SeriesKey:
        return SeriesKey(self.task, self.type, self.metric, self.variant)


@dataclass(slots=True)
class LogLine:
    """One log event. Two lines never replace each other. `extra` holds unknown fields, `None` when there are none."""

    task: str
    timestamp: int
    level: str | None
    worker: str
    msg: str | None
    metric: str
    variant: str
    iter: int | None
    line: int
    size: int
    extra: dict[str, Any] | None = None
    model_event: bool = False

    @property
    def series(self) -> SeriesKey:
        return SeriesKey(self.task, LOG, self.metric, self.variant)


@dataclass(slots=True)
class Touch:
    """The effect of a batch on the document of a task or model: `max_iter` raises last_iteration (None: unchanged)."""

    max_iter: int | None = None
    is_model: bool = False

    def raise_to(self, iteration: int) -> None:
        if self.max_iter is None or iteration > self.max_iter:
            self.max_iter = iteration


@dataclass(slots=True)
class EventBatch:
    """A batch of decoded events, grouped and ready to be stored; all of one company.

    `lines` is one more than the greatest arrival offset in it. `digest` identifies the raw body and its sender when any line carried a
    timestamp of its own: the log lines of a batch whose digest was stored within the last hour are a retry and are not stored again.
    `quiet_metrics` never move last_iteration.
    """

    now: int
    worker: str
    lines: int = 0
    points: dict[SeriesKey, Points] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    logs: list[LogLine] = field(default_factory=list)
    touches: dict[str, Touch] = field(default_factory=dict)
    digest: bytes | None = None
    quiet_metrics: frozenset[str] = frozenset()


class Refusal(NamedTuple):
    """An event that the store itself refused: for its content (Elasticsearch item errors), or because there are too many series.

    `kind`: what such refusals are counted under."""

    line: int
    field: str | None
    reason: str
    kind: str = "an event was refused by the store"


@dataclass(slots=True)
class Appended:
    """The outcome of a stored batch: the event at arrival offset i has seq `seq + i`."""

    seq: int
    refusals: list[Refusal] = field(default_factory=list)
    logs_were_stored_before: bool = False
