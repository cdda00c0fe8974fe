"""Lines of an events.jsonl file as a batch of the event store.

One JSON object per line, `{"ts": <Unix seconds>, "type": ..., "data": {...}}`. Types: `metrics` and `image` as Runicorn writes them, and three of ours:
`log` (the file has a logs.txt beside it), `{"text": ..., "level": ..., "ordinal": n}`; `points`, many points of one metric, `{"key": ..., "steps": [...],
"values": [...], "times": [<ms>, ...]}`; `plot`, `{"key": ..., "variant": ..., "step": ..., "plot": <Plotly's JSON>}`. Unknown types are skipped, as
Runicorn does.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from apiserver.bll.runs import columns as names
from apiserver.common.json_shape import MAX_LINE_CONTAINERS, MAX_LINE_NODES, MAX_NODES, check_shape
from apiserver.errors import BadBody
from apiserver.stores.batch import Event, EventBatch, LogLine, Points, Refusal
from apiserver.stores.records import IMAGE, MAX_ITER, MIN_ITER, PLOT, SINGLE_VALUE_ITER
from apiserver.stores.touches import touches_of

LOG_METRIC = "logs.txt"
"""The metric of imported log lines: their ordinals are counted by it."""
ORDINAL = "ordinal"
"""The extra field with the number (from 1) of an imported line in its file."""

MAX_ERRORS = 20_000
"""Errors that are kept: more than an answer lists."""
MAX_SERIES = 100_000
"""Series of one batch: each takes a kilobyte before the store says whether its run may have so many."""
_MAX_NAME, _MAX_URL = 1_024, 8_192
"""Bytes, as for lines of `events.add_batch`."""
_LONG_LINE = 20_000
"""Length in bytes above which the shape of a line is checked before it is parsed. A line may hold more lists than one of `events.add_batch`, because
figures are sent as objects here, not as text."""
_MIN_TIMESTAMP, _MAX_TIMESTAMP = -62_135_596_800_000, 253_402_300_799_999  # the years 1 to 9999
_BYTES_PER_POINT = 24
"""Bytes counted for a point: a row has one line for many points."""


class BadLine(Exception):
    """The reason why a line is not stored."""


class RefusedLine(NamedTuple):
    line: int
    reason: str


@dataclass(slots=True)
class RunLines:
    """Collects lines of one run into a batch; `errors` holds the first MAX_ERRORS of the lines that could not be read, by number."""

    run: str
    now: int
    worker: str = ""
    errors: list[RefusedLine] = field(default_factory=list)
    refused: int = 0
    """Number of refusals,"""
    broken: int = 0
    """and of those, the ones of lines that are not JSON."""
    added: int = 0
    skipped: int = 0
    """Lines of unknown types, and lists and objects in rows."""
    timed: int = 0
    """Lines with a time of their own."""
    batch: EventBatch = field(init=False)
    _offset: int = 0
    _scalars: dict[str, Points] = field(default_factory=dict)
    _attributes: dict[tuple[str, str], Points] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)
    _refused_names: dict[str, None] = field(default_factory=dict)
    _starts: list[int] = field(default_factory=list)  # of each accepted line: its first offset,
    _numbers: list[int] = field(default_factory=list)  # and its number

    def __post_init__(self) -> None:
        self.batch = EventBatch(now=self.now, worker=self.worker)

    def add(self, number: int, line: bytes) -> None:
        """Read one line (without its end); blank lines are skipped."""
        try:
            if len(line) > _LONG_LINE:
                check_shape(line, MAX_LINE_NODES, MAX_LINE_CONTAINERS, MAX_NODES)
            event = orjson.loads(line)
        except BadBody as error:
            self._refuse_broken(number, f"not JSON within the limits: {error.extra}")
            return
        except orjson.JSONDecodeError:
            if not line.strip():
                return
            event = self._read_leniently(number, line)
            if event is None:
                return
        start = self._offset
        try:
            self._take(event)
        except BadLine as error:
            self._refuse(number, str(error))
        if self._offset > start:
            self._starts.append(start)
            self._numbers.append(number)
        if self._refused_names:
            for name in self._refused_names:
                self._refuse(number, f"{_too_long(name)}; the rest of the row is stored")
            self._refused_names.clear()

    def finish(self) -> EventBatch:
        """The batch of what was added so far."""
        for points in self.batch.points.values():
            points.sizes = [_BYTES_PER_POINT] * len(points.iters)
        self.batch.lines = self._offset
        self.batch.touches = touches_of(self.batch)
        return self.batch

    def refuse(self, refusals: Sequence[Refusal]) -> list[RefusedLine]:
        """Add the store's refusals by line, each reason once. A line of which nothing was stored no longer counts in `added`."""
        places = [bisect_right(self._starts, refusal.line) - 1 for refusal in refusals]
        ends = [*self._starts[1:], self._offset]
        self.added -= sum(count == ends[place] - self._starts[place] for place, count in Counter(places).items())
        found = (RefusedLine(self._numbers[place], refusal.reason) for place, refusal in zip(places, refusals, strict=True))
        return list(dict.fromkeys(found))

    # --- one line ---

    def _read_leniently(self, number: int, line: bytes) -> Any:
        """What Python's JSON reader accepts beyond the standard: NaN, Infinity, 1e400, stray bytes (dropped)."""
        try:
            event = json.loads(line.decode("utf-8", "ignore"))
            json.dumps(event, ensure_ascii=False).encode()
            return event
        except UnicodeEncodeError:
            reason = "a lone surrogate is no text"
        except (ValueError, RecursionError) as error:
            reason = f"not JSON: {error}"
        self._refuse_broken(number, reason)
        return None

    def _refuse_broken(self, number: int, reason: str) -> None:
        self.broken += 1
        self._refuse(number, reason)

    def _refuse(self, number: int, reason: str) -> None:
        self.refused += 1
        if len(self.errors) < MAX_ERRORS:  # a body of two hundred thousand broken lines packs into 400 bytes
            self.errors.append(RefusedLine(number, reason))

    def _take(self, event: Any) -> None:
        if not isinstance(event, dict):
            raise BadLine(f"a JSON object was expected, got {_brief(event)}")
        kind = event.get("type")
        take = _TAKERS.get(kind) if isinstance(kind, str) else None
        if take is None:
            self.skipped += 1
            return
        data = event.get("data")
        if not isinstance(data, dict):
            raise BadLine('"data" must be an object' + ("" if "data" in event else ", it is missing"))
        timestamp = self._timestamp(event.get("ts"))
        take(self, data, timestamp)
        self.added += 1

    def _timestamp(self, seconds: Any) -> int:
        """Seconds as milliseconds; missing, null or impossible: now."""
        if isinstance(seconds, (int, float)) and -62_135_596_800 <= seconds <= _MAX_TIMESTAMP / 1000:
            self.timed += 1
            return round(seconds * 1000)
        return self.now

    def _take_row(self, data: dict[str, Any], timestamp: int) -> None:
        step = data.get(names.STEP_COLUMN)
        if step is None:
            step = data.get("step")
            if step is None:
                raise BadLine('"data" has neither "global_step" nor "step"')
        if type(step) is not int:
            step = to_step(step)
        if not MIN_ITER <= step <= MAX_ITER or step == SINGLE_VALUE_ITER:
            raise BadLine(f"the step {_brief(step)} is outside the 64-bit range or reserved")
        if (
            len(self.batch.points) + len(data) > MAX_SERIES
            and len(self.batch.points) + len(data.keys() - self._scalars.keys()) > MAX_SERIES
        ):
            raise BadLine(f"the metrics of all rows must be at most {MAX_SERIES:,}")
        if not data.keys() <= self._known:
            self._refused_names.update((name, None) for name in data if len(name.encode()) > _MAX_NAME)
            if self._refused_names:
                data = {name: value for name, value in data.items() if name not in self._refused_names}
            if len(self._known) < 10_000:
                self._known.update(data)
        start = offset = self._offset
        scalars = self._scalars
        for name, value in data.items():
            kind = type(value)
            if kind is float or kind is int:
                points = scalars.get(name)
                if points is None:
                    points = self._new_points(name)
                    if points is None:
                        continue
                try:
                    points.values.append(float(value))
                except OverflowError:
                    points.values.append(math.inf if value > 0 else -math.inf)
            elif name in names.STEP_NAMES:
                continue
            elif kind is str:
                points = self._attribute(names.TEXT, name)
                points.extra[len(points.iters)] = {names.TEXT_FIELD: value}
                points.values.append(math.nan)
            elif kind is bool:
                points = self._attribute(names.BOOLEAN, name)
                points.values.append(float(value))
            elif value is None:
                points = self._attribute(names.NULL, name)
                points.values.append(math.nan)
            else:
                self.skipped += 1  # lists and objects
                continue
            points.iters.append(step)
            points.timestamps.append(timestamp)
            points.lines.append(offset)
            offset += 1
        if offset == start:
            points = self._attribute(names.ROW, "")
            points.iters.append(step)
            points.values.append(math.nan)
            points.timestamps.append(timestamp)
            points.lines.append(offset)
            offset += 1
        self._offset = offset

    def _new_points(self, name: str) -> Points | None:
        """The series for the numbers of a name; None when the name means the step."""
        if name in names.STEP_NAMES:
            return None
        if name == names.TIME_COLUMN or name == names.STAGE_COLUMN:
            points = self._attribute(names.NUMBER, name)
        else:
            points = self.batch.points.setdefault(names.scalar(self.run, name), Points())
        self._scalars[name] = points
        return points

    def _attribute(self, kind: str, name: str) -> Points:
        points = self._attributes.get((kind, name))
        if points is None:
            points = self._attributes[kind, name] = self.batch.points[names.attribute(self.run, kind, name)] = Points()
        return points

    def _take_image(self, data: dict[str, Any], timestamp: int) -> None:
        metric, path = data.get("key"), data.get("path")
        if not isinstance(metric, str) or not isinstance(path, str) or not path:
            raise BadLine('an image needs "key" and "path", both texts')
        _check_name(metric)
        _check_name(path)
        iteration = _iteration(data)
        url = data.get("url")  # ours: the address at which an importer stored the file
        if isinstance(url, str) and len(url.encode()) > _MAX_URL:
            raise BadLine(f"a url must have at most {_MAX_URL} bytes, got {_brief(url)}")
        body: dict[str, Any] = {"url": url if isinstance(url, str) and url else path, "path": path}
        caption = data.get("caption")
        if isinstance(caption, str):
            body["caption"] = caption
        self.batch.events.append(
            Event(IMAGE, self.run, metric, metric, iteration, path, timestamp, self.worker, self._offset, 200 + len(path), body)
        )
        self._offset += 1

    def _take_points(self, data: dict[str, Any], timestamp: int) -> None:
        """Many points of one metric of any name: `time` and `step` have no special meaning here. Times in ms; missing: that of the line."""
        name, steps, values, times = data.get("key"), data.get("steps"), data.get("values"), data.get("times")
        if not isinstance(name, str) or not isinstance(steps, list) or not isinstance(values, list):
            raise BadLine('points need "key", "steps" and "values"')
        _check_name(name)
        if times is None:
            times = [timestamp] * len(steps)
        if not isinstance(times, list) or not len(steps) == len(values) == len(times) > 0:
            raise BadLine('"steps", "values" and "times" must be lists of equal length')
        if set(map(type, steps)) != {int} or min(steps) < MIN_ITER or max(steps) > MAX_ITER or SINGLE_VALUE_ITER in steps:
            raise BadLine('"steps" must be whole numbers in the 64-bit range')
        if set(map(type, times)) != {int} or min(times) < _MIN_TIMESTAMP or max(times) > _MAX_TIMESTAMP:
            raise BadLine('"times" must be whole milliseconds of the years 1 to 9999')
        if set(map(type, values)) != {float}:
            values = [_number(value) for value in values]
        points = self.batch.points.setdefault(names.scalar(self.run, name), Points())
        points.iters += steps
        points.timestamps += times
        points.lines += range(self._offset, self._offset + len(steps))
        points.values += values
        self._offset += len(steps)

    def _take_plot(self, data: dict[str, Any], timestamp: int) -> None:
        metric, variant, figure = data.get("key"), data.get("variant"), data.get("plot")
        if not isinstance(metric, str) or not isinstance(figure, dict):
            raise BadLine('a plot needs "key", a text, and "plot", an object')
        variant = variant if isinstance(variant, str) else metric
        _check_name(metric)
        _check_name(variant)
        try:
            text = orjson.dumps(figure).decode()
        except (TypeError, ValueError):
            text = _deep_text(figure)
        body = {"plot_str": text, "plot_len": len(text)}
        self.batch.events.append(
            Event(PLOT, self.run, metric, variant, _iteration(data), None, timestamp, self.worker, self._offset, len(text), body)
        )
        self._offset += 1

    def _take_log(self, data: dict[str, Any], timestamp: int) -> None:
        text, level, ordinal = data.get("text"), data.get("level"), data.get(ORDINAL)
        if not isinstance(text, str):
            raise BadLine('a log line needs "text"')
        if level is not None and not isinstance(level, str):
            raise BadLine(f'"level" must be a text, got {_brief(level)}')
        if level is not None and len(level.encode()) > _MAX_NAME:
            raise BadLine(f'"level" must have at most {_MAX_NAME} bytes, got {_brief(level)}')
        if ordinal is not None and (type(ordinal) is not int or not 1 <= ordinal <= MAX_ITER):
            raise BadLine(f'"ordinal" must be a number from 1 on, got {_brief(ordinal)}')
        self.add_log(text, timestamp, ordinal, level)

    def add_log(self, text: str, timestamp: int, ordinal: int | None = None, level: str | None = None) -> None:
        """One line of the log; `ordinal` is its number (from 1) in the file it was imported from."""
        metric, extra = ("", None) if ordinal is None else (LOG_METRIC, {ORDINAL: ordinal})
        self.batch.logs.append(
            LogLine(self.run, timestamp, level, self.worker, text, metric, "", None, self._offset, len(text) + 64, extra)
        )
        self._offset += 1


_TAKERS: dict[str, Callable[[RunLines, dict[str, Any], int], None]] = {
    "metrics": RunLines._take_row,
    "image": RunLines._take_image,
    "log": RunLines._take_log,
    "points": RunLines._take_points,
    "plot": RunLines._take_plot,
}


def to_step(step: Any) -> int:
    """A step as Runicorn reads it: truncated toward zero; text only when it is a whole number. Raises BadLine."""
    try:
        return int(step)
    except (ValueError, TypeError, OverflowError):
        raise BadLine(f"the step must be a whole number, got {_brief(step)}") from None


def _iteration(data: Mapping[str, Any]) -> int | None:
    """The step of an image or a plot."""
    step = data.get("step", data.get(names.STEP_COLUMN))
    iteration = None if step is None else to_step(step)
    if iteration is not None and (not MIN_ITER <= iteration <= MAX_ITER or iteration == SINGLE_VALUE_ITER):
        raise BadLine(f"the step {_brief(step)} is outside the 64-bit range or reserved")
    return iteration


def _number(value: Any) -> float:
    """A value of `points`: JSON has no NaN and no infinities, so that they may be texts; null is NaN."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or (not isinstance(value, (int, float)) and value not in ("NaN", "inf", "-inf")):
        raise BadLine(f'"values" must be numbers, null, "NaN", "inf" or "-inf", got {_brief(value)}')
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _deep_text(figure: Mapping[str, Any]) -> str:
    """A figure as JSON, with integers of any size and more levels than the fast encoder takes."""
    try:
        return json.dumps(figure)
    except RecursionError:
        raise BadLine('"plot" is nested too deeply') from None


def _check_name(name: str) -> None:
    if len(name.encode()) > _MAX_NAME:
        raise BadLine(_too_long(name))


def _too_long(name: str) -> str:
    return f"a name must have at most {_MAX_NAME} bytes, got {_brief(name)}"


def _brief(value: Any) -> str:
    text = ascii(value) if not isinstance(value, int) or value.bit_length() < 300 else "a huge number"
    return text if len(text) <= 60 else text[:57] + "..."
