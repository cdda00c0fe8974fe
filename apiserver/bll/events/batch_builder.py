"""Grouping decoded events into what a store appends: columns per series, single events, log lines.

The loop over lines is the hottest code of the service: scalars go straight into the columns of their series, found by one dictionary
look-up. Checks that hold for a whole task or series (ids, lengths of names) are made once for each in `finish`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from apiserver.bll.events.event_decoder import EventDecoder, LineError, leaked_method
from apiserver.bll.registry.directory import OwnerKind
from apiserver.common.fairness import paced
from apiserver.errors import ValidationFailed
from apiserver.stores.batch import Event, EventBatch, LogLine, Points
from apiserver.stores.event_types import TYPES
from apiserver.stores.records import LOG, PLOT, SCALAR, SeriesKey
from apiserver.stores.touches import touches_of

SERIES = 2_000
"""Series processed before yielding to other requests."""
MAX_NAME, MAX_URL, MAX_TASK = 1_024, 8_192, 256
"""Greatest lengths in bytes: metric, variant, key, worker, level; url; task id."""

_SOURCE_URL = re.compile(r"""["']source["']\s*:\s*["']([a-z][a-z0-9+.-]*://[^"']*)["']""", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TEXTS = {
    "metric": MAX_NAME,
    "variant": MAX_NAME,
    "key": MAX_NAME,
    "url": MAX_URL,
    "level": MAX_NAME,
    "worker": MAX_NAME,
    "x_axis_label": MAX_NAME,
}


class Refused(NamedTuple):
    """A line (counted from 0) that is not stored."""

    line: int
    kind: str
    reason: str
    field: str | None


class _SeriesColumns:
    """The columns of a series while lines come in: the append methods, looked up once."""

    __slots__ = ("iter", "line", "points", "size", "timestamp", "value")

    def __init__(self) -> None:
        self.points = points = Points()
        self.iter = points.iters.append
        self.value = points.values.append
        self.timestamp = points.timestamps.append
        self.line = points.lines.append
        self.size = points.sizes.append


_Key = tuple[str, str | None, str | None, bool | None, bool | None]
"""(task, metric, variant, allow_locked, model_event) of a scalar as it was sent"""


class BatchBuilder:
    """Collects the events of one request."""

    def __init__(self, decoder: EventDecoder, now: int, worker: str, ignored_metrics: Iterable[str], validate_plots: bool) -> None:
        self._decoder = decoder
        self._scalar: Any = decoder.structs[SCALAR]
        self._now = now
        self._worker = worker
        self._ignored = frozenset(ignored_metrics)
        self._validate_plots = validate_plots
        self._columns: dict[_Key, _SeriesColumns] = {}
        self._tasks: set[str] = set()
        self._events: list[Event] = []
        self._logs: list[LogLine] = []
        self._flags: set[tuple[str, bool, bool]] = set()
        self._dropped: dict[str, tuple[str, str]] = {}
        self.refused: list[Refused] = []
        self.lines = 0
        """Lines that are not blank."""
        self.last_line = 0
        self.timed = 0
        """Events with a timestamp of their own."""

    # --- collecting

    def add_lines(self, lines: list[bytes], first: int) -> None:
        """Take lines of which the first has this number; blank ones are skipped."""
        fast, scalar, columns, now = self._decoder.fast, self._scalar, self._columns, self._now
        blank = slow = untimed = 0
        for number, line in enumerate(lines, first):
            try:
                event = fast(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                slow += 1
                if line.strip():
                    self._careful(number, line)
                else:
                    blank += 1
                continue
            if (
                type(event) is scalar
                and event.iter is not None
                and event.value is not None
                and event.worker is None
                and event.x_axis_label is None
                and (event.method == "get" or event.method is None)
            ):
                key = (event.task, event.metric, event.variant, event.allow_locked, event.model_event)
                column = columns.get(key)
                if column is None:
                    column = columns[key] = _SeriesColumns()
                    self._tasks.add(event.task)
                timestamp = event.timestamp
                if timestamp is None:
                    timestamp = now
                    untimed += 1
                column.iter(event.iter)
                column.value(event.value)
                column.timestamp(timestamp)
                column.line(number)
                column.size(len(line))
            else:
                slow += 1
                self.add(number, event, None, len(line), counted=True)
        self.lines += len(lines) - blank
        self.timed += len(lines) - slow - untimed
        self.last_line = max(self.last_line, first + len(lines))

    def _careful(self, number: int, line: bytes) -> None:
        try:
            event, unknown = self._decoder.careful(line)
        except LineError as error:
            self.refused.append(Refused(number, error.kind, error.reason, error.field))
        else:
            self.add(number, event, unknown, len(line), counted=True)

    def refuse(self, number: int, kind: str, reason: str, field: str | None) -> None:
        """Count a line that could not be decoded."""
        self.lines += 1
        self.refused.append(Refused(number, kind, reason, field))

    def add(self, number: int, event: Any, unknown: dict[str, Any] | None, size: int, *, counted: bool = False) -> None:
        """Take a decoded event of any type, with the fields that no schema names."""
        if not counted:
            self.lines += 1
            self.last_line = max(self.last_line, number + 1)
        if event.timestamp is None:
            event.timestamp = self._now
        else:
            self.timed += 1
        kind = event.__struct_config__.tag
        problem = _too_long(event, unknown)
        if problem is not None:
            self.refused.append(Refused(number, *problem))
        elif kind == SCALAR and event.iter is not None:
            key = (event.task, event.metric, event.variant, event.allow_locked, event.model_event)
            column = self._columns.get(key)
            if column is None:
                column = self._columns[key] = _SeriesColumns()
                self._tasks.add(event.task)
            column.iter(event.iter)
            column.value(float("nan") if event.value is None else event.value)
            column.timestamp(event.timestamp)
            column.line(number)
            column.size(size)
            self._rest_of_scalar(column, event, unknown)
        elif kind == LOG:
            if event.model_event:
                self.refused.append(Refused(number, "log of a model", "models have no log: a log line belongs to a task", "type"))
                return
            self._flag(event)
            self._logs.append(
                LogLine(
                    event.task,
                    event.timestamp,
                    event.level,
                    event.worker or self._worker,
                    event.msg,
                    event.metric or "",
                    event.variant or "",
                    event.iter,
                    number,
                    size,
                    _with_method(event, unknown),
                )
            )
        else:
            self._flag(event)
            self._events.append(self._event(number, kind, event, unknown, size))

    def _rest_of_scalar(self, column: _SeriesColumns, event: Any, unknown: dict[str, Any] | None) -> None:
        points = column.points
        extra = dict(_with_method(event, unknown) or {})
        if event.worker is not None:
            extra["worker"] = event.worker
        if extra:
            points.extra[len(points.iters) - 1] = extra
        if event.x_axis_label is not None:
            points.x_axis_label = event.x_axis_label

    def _event(self, number: int, kind: str, event: Any, unknown: dict[str, Any] | None, size: int) -> Event:
        body: dict[str, Any] = dict(_with_method(event, unknown) or {})
        type = TYPES[kind]
        for name, stored_as in type.columns.items():
            column = getattr(event, name)
            if column is not None:
                body[stored_as] = column
        if type.has_value:
            body.setdefault("value", None)
        if kind == PLOT:
            self._plot(event, body)
        key = body.get("key")  # declared for images only, but it tells events of any of these types apart
        return Event(
            kind,
            event.task,
            event.metric or "",
            event.variant or "",
            event.iter,
            key if isinstance(key, str) else None,
            event.timestamp,
            event.worker or self._worker,
            number,
            size,
            body,
            bool(event.model_event),
        )

    def _plot(self, event: Any, body: dict[str, Any]) -> None:
        text = event.plot_str
        if text is not None:
            body["plot_str"] = text
        body["plot_len"] = len(text or "")
        if text and "://" in text and (urls := list(dict.fromkeys(_SOURCE_URL.findall(text)))):
            body["source_urls"] = urls
        if not self._validate_plots:
            if event.skip_validation is not None:
                body["skip_validation"] = event.skip_validation
        elif not event.skip_validation:
            body["valid_plot"] = _is_json(text)

    def _flag(self, event: Any) -> None:
        self._flags.add((event.task, bool(event.allow_locked), bool(event.model_event)))
        self._tasks.add(event.task)

    def check_sizes(self, tasks: int, series: int) -> None:
        """Raises ValidationFailed when there are more tasks, or series of scalars, so far. Cheap, so it can run during collection."""
        if len(self._columns) > series:
            raise ValidationFailed(
                "metric", f"at most {series} series of scalars in one batch (events.max_batch_series)", len(self._columns)
            )
        if len(self._tasks) > tasks:
            raise ValidationFailed("task", f"at most {tasks} tasks in one batch (events.max_batch_tasks)", len(self._tasks))

    # --- owners

    def owners(self) -> dict[OwnerKind, dict[str, bool]]:
        """The ids of the batch by kind, with allow_locked. Raises ValidationFailed when events of one id contradict each other.

        Events with names that are too long are refused first, so that they make no task known."""
        self._refuse_long_names()
        flags = set(self._flags)
        for task, _, _, allow_locked, model_event in self._columns:
            flags.add((task, bool(allow_locked), bool(model_event)))
        allowed: dict[str, bool] = {}
        kinds: dict[str, bool] = {}
        owners: dict[OwnerKind, dict[str, bool]] = {"task": {}, "model": {}}
        for task, allow_locked, model_event in sorted(flags):
            if allowed.setdefault(task, allow_locked) != allow_locked:
                raise ValidationFailed("allow_locked", f"the same for all events of {task} in a batch", [True, False])
            if kinds.setdefault(task, model_event) != model_event:
                raise ValidationFailed("model_event", f"the same for all events of {task} in a batch", [True, False])
            if not 1 <= len(task.encode()) <= MAX_TASK or _CONTROL.search(task):
                self.drop(task, "invalid task id", f"a task id has 1 to {MAX_TASK} bytes and no control characters")
            else:
                owners["model" if model_event else "task"][task] = allow_locked
        return {kind: ids for kind, ids in owners.items() if ids}

    def _refuse_long_names(self) -> None:
        """The scalars of series whose names are too long; of other events `add` has refused them."""
        for key, column in paced(list(self._columns.items()), SERIES):
            for field, name in (("metric", key[1]), ("variant", key[2])):
                if name and len(name) * 4 > MAX_NAME and (length := len(name.encode())) > MAX_NAME:
                    problem = _length_problem(field, MAX_NAME, length)
                    self.refused += [Refused(line, *problem) for line in column.points.lines]
                    del self._columns[key]
                    break

    def drop(self, task: str, kind: str, reason: str) -> None:
        """Refuse everything of this task or model."""
        self._dropped[task] = (kind, reason)

    # --- the batch

    def finish(self) -> EventBatch:
        """The batch to store."""
        batch = EventBatch(now=self._now, worker=self._worker, lines=max(self.last_line, 1), quiet_metrics=self._ignored)
        for (task, metric, variant, _, model_event), column in paced(self._columns.items(), SERIES):
            key = SeriesKey(task, SCALAR, metric or "", variant or "")
            if not self._kept(task, column.points.lines):
                continue
            column.points.model_event = bool(model_event)
            if key in batch.points:
                _join(batch.points[key], column.points)
            else:
                batch.points[key] = column.points
        batch.events, batch.logs = self._events, self._logs
        if self._dropped:
            batch.events = [event for event in self._events if self._kept(event.task, [event.line])]
            batch.logs = [line for line in self._logs if self._kept(line.task, [line.line])]
        batch.touches = touches_of(batch)
        return batch

    def _kept(self, task: str, lines: list[int]) -> bool:
        problem = self._dropped.get(task)
        if problem is not None:
            self.refused += [Refused(line, *problem, "task") for line in lines]
        return problem is None


def _join(points: Points, more: Points) -> None:
    """Merge two spellings of one series (null and "" are the same name) in order of arrival."""
    offset = len(points.iters)
    columns: list[tuple[list[Any], list[Any]]] = [
        (points.iters, more.iters),
        (points.values, more.values),
        (points.timestamps, more.timestamps),
        (points.lines, more.lines),
        (points.sizes, more.sizes),
    ]
    for mine, others in columns:
        mine += others
    points.extra.update({offset + position: fields for position, fields in more.extra.items()})
    order = sorted(range(len(points.lines)), key=points.lines.__getitem__)
    for mine, _ in columns:
        mine[:] = [mine[position] for position in order]
    points.extra = {new: points.extra[old] for new, old in enumerate(order) if old in points.extra}
    points.x_axis_label = more.x_axis_label or points.x_axis_label


def _too_long(event: Any, unknown: dict[str, Any] | None) -> tuple[str, str, str] | None:
    for field, limit in _TEXTS.items():
        text = getattr(event, field, None) or (unknown or {}).get(field)
        if isinstance(text, str) and len(text) * 4 > limit and len(text.encode()) > limit:
            return _length_problem(field, limit, len(text.encode()))
    return None


def _length_problem(field: str, limit: int, length: int) -> tuple[str, str, str]:
    return f'"{field}" is too long', f'"{field}" must have at most {limit} bytes, got {length}', field


def _with_method(event: Any, unknown: dict[str, Any] | None) -> dict[str, Any] | None:
    if event.method is not None and not leaked_method(event):
        return {**(unknown or {}), "method": event.method}
    return unknown


def _is_json(text: str | None) -> bool:
    try:
        json.loads(text or "")
    except (ValueError, RecursionError):
        return False
    return True
