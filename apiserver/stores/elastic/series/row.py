"""The statistics of a series and their document. Every batch updates it; it is recomputed after an event was replaced."""

from __future__ import annotations

import hashlib
import math
from array import array
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import numpy as np

from apiserver.stores.records import LAST_VALUES, LastValues, SeriesKey, name_hash
from apiserver.stores.series_row import SeriesRow

PENDING = "pending"
"""The `kind` of documents that record a pending batch."""
_NAMES = tuple(field.name for field in fields(SeriesRow))
_values: Callable[[Any], tuple[Any, ...]] = attrgetter(*_NAMES)


class LastPoints(NamedTuple):
    """`LastValues` in stored form: int64 `iters` and float64 `values` as bytes. Evenly spaced iterations, the usual case, are `first` and `step`, with
    `iters` empty."""

    first: int
    step: int
    iters: bytes
    values: bytes

    @classmethod
    def of(cls, iters: list[int], values: list[float]) -> LastPoints:
        """From points sorted by iteration, without duplicates; the last LAST_VALUES are kept."""
        if not iters:
            return cls(0, 1, b"", b"")
        return cls._packed(array("q", iters[-LAST_VALUES:]), array("d", values[-LAST_VALUES:]).tobytes())

    @classmethod
    def _packed(cls, iters: array[int], values: bytes) -> LastPoints:
        first = iters[0]
        step = iters[1] - first if len(iters) > 1 else 1
        last = first + step * (len(iters) - 1)
        even = 0 < step < 2**62 and last == iters[-1] and iters == array("q", range(first, last + 1, step))
        return cls(first, step, b"" if even else iters.tobytes(), values)

    def arrays(self) -> LastValues:
        values = np.frombuffer(self.values, np.float64)
        if self.iters:
            return LastValues(np.frombuffer(self.iters, np.int64), values)
        return LastValues(self.first + self.step * np.arange(len(values), dtype=np.int64), values)

    def joined(self, new: LastPoints) -> LastPoints:
        """The last points of both together. If both have an iteration, either value may be kept: the series is stale then and will be recomputed."""
        if self.continues_in(new):
            values = (self.values + new.values)[-8 * LAST_VALUES :]
            last = new.first + self.step * (len(new.values) // 8 - 1)
            return LastPoints(last - self.step * (len(values) // 8 - 1), self.step, b"", values)
        old, late = self._iters(), new._iters()
        if not old or not late:
            return self if old else new
        if old[-1] < late[0]:
            return LastPoints._packed((old + late)[-LAST_VALUES:], (self.values + new.values)[-8 * LAST_VALUES :])
        points = sorted(zip([*old, *late], [*array("d", self.values), *array("d", new.values)], strict=True), key=itemgetter(0))
        return LastPoints.of([point[0] for point in points], [point[1] for point in points])

    def continues_in(self, new: LastPoints) -> bool:
        """Whether `new` continues these points at the same spacing."""
        count = len(self.values) // 8
        if self.iters or new.iters or count < 2 or not new.values or new.first != self.first + self.step * count:
            return False
        return new.step == self.step or len(new.values) == 8

    def _iters(self) -> array[int]:
        if self.iters:
            return array("q", self.iters)
        return array("q", range(self.first, self.first + self.step * (len(self.values) // 8), self.step))


@dataclass(slots=True)
class StatisticsRow(SeriesRow):
    """The content of a series' document: statistics and, for scalar series, the last values, so that these are read without a search. `last` is None if
    they are unknown."""

    last: LastPoints | None = None
    batches: str = ""
    """Names of the latest batches counted in the statistics, separated by spaces: see `changes.prepare`."""

    def values(self) -> tuple[Any, ...]:
        """The statistics in the order of the fields of SeriesRow."""
        return _values(self)

    def copy(self) -> StatisticsRow:
        made = StatisticsRow(*_values(self))
        made.last, made.batches = self.last, self.batches
        return made

    def add(self, new: SeriesRow) -> None:
        last = new.last if isinstance(new, StatisticsRow) else None
        if new.points:
            if self.points:
                last = self.last.joined(last) if self.last is not None and last is not None else None
            self.last = last
        SeriesRow.add(self, new)


def row_of(source: Mapping[str, Any]) -> StatisticsRow:
    """The row from a document's source."""
    row = StatisticsRow(**{name: source[name] for name in _NAMES if source.get(name) is not None})
    if row.finite and source.get("sum") is None:
        row.sum, row.stale = math.inf, row.stale or row.mean_value is None
    row.batches = source.get("batches", "")
    if "last" in source:
        last = source["last"]
        iters = b64decode(last["iters"]) if "iters" in last else b""
        row.last = LastPoints(last.get("first", 0), last.get("step", 1), iters, b64decode(last["values"]))
    return row


def source_of(key: SeriesKey, row: StatisticsRow, epoch: int) -> dict[str, Any]:
    """A series' document. Empty fields are left out, and so is an infinite sum, which JSON can't represent."""
    source: dict[str, Any] = {
        "kind": "series",
        "task": key.task,
        "type": key.type,
        "metric": key.metric,
        "variant": key.variant,
        "metric_hash": name_hash(key.metric),
        "variant_hash": name_hash(key.variant),
        "epoch": epoch,
    }
    source |= {name: value for name, value in zip(_NAMES, _values(row), strict=True) if value is not None}
    if not math.isfinite(row.sum):
        del source["sum"]
    if row.batches:
        source["batches"] = row.batches
    if row.last is not None:
        first, step, iters, values = row.last
        spaced: dict[str, Any] = {"iters": b64encode(iters).decode()} if iters else {"first": first, "step": step}
        source["last"] = {**spaced, "values": b64encode(values).decode()}
    return source


def key_of(source: Mapping[str, Any]) -> SeriesKey:
    return SeriesKey(source["task"], source["type"], source["metric"], source["variant"])


@lru_cache(maxsize=4096)
def series_hash(company: str, key: SeriesKey, event_key: str = "") -> str:
    """The first 16 characters of the ids of a series' events: BLAKE2b over length-prefixed parts, so that different series never hash the same input."""
    hashed = hashlib.blake2b(digest_size=12)
    for part in (company, *key, event_key):
        data = part.encode()
        hashed.update(b"%d:" % len(data))
        hashed.update(data)
    return urlsafe_b64encode(hashed.digest()).decode()


def series_id(company: str, key: SeriesKey) -> str:
    """The id of a series' statistics document."""
    return "series-" + series_hash(company, key)
