"""What is known of a series without reading it: a document per series, moved by batches, computed anew when something was replaced."""

from __future__ import annotations

import hashlib
from array import array
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from apiserver.stores.records import LAST_VALUES, POINT_TYPES, LastValues, Series, SeriesKey
from apiserver.stores.series_row import SeriesRow

_NAMES = tuple(field.name for field in fields(SeriesRow))
_values = attrgetter(*_NAMES)


class LastPoints(NamedTuple):
    """`LastValues` as they are stored. Iterations are mostly evenly spaced: then the first and the step say it all and `iters` is empty."""

    first: int
    step: int
    iters: bytes
    values: bytes

    @classmethod
    def of(cls, iters: list[int], values: list[float]) -> LastPoints:
        """Of points sorted by iteration, unique in it."""
        if not iters:
            return cls(0, 1, b"", b"")
        iters, values = iters[-LAST_VALUES:], values[-LAST_VALUES:]
        step = iters[1] - iters[0] if len(iters) > 1 else 1
        even = 0 < step < 2**62 and iters == list(range(iters[0], iters[0] + step * len(iters), step))
        return cls(iters[0], step, b"" if even else array("q", iters).tobytes(), array("d", values).tobytes())

    def arrays(self) -> LastValues:
        values = np.frombuffer(self.values, np.float64)
        if self.iters:
            return LastValues(np.frombuffer(self.iters, np.int64), values)
        return LastValues(self.first + self.step * np.arange(len(values), dtype=np.int64), values)

    def joined(self, new: LastPoints) -> LastPoints:
        """The last points of both; which of two of the same iteration is left open (the series is counted anew then)."""
        count, more = len(self.values) // 8, len(new.values) // 8
        step = self.step if count > 1 else new.first - self.first
        goes_on = not self.iters and not new.iters and new.first == self.first + count * step and (more == 1 or new.step == step)
        if goes_on and 0 < step < 2**62:
            dropped = max(0, count + more - LAST_VALUES)
            return LastPoints(self.first + dropped * step, step, b"", (self.values + new.values)[-8 * LAST_VALUES :])
        old, late = self.arrays(), new.arrays()
        iters, values = [*old.iters.tolist(), *late.iters.tolist()], [*old.values.tolist(), *late.values.tolist()]
        order = sorted(range(len(iters)), key=iters.__getitem__)
        return LastPoints.of([iters[place] for place in order], [values[place] for place in order])


@dataclass(slots=True)
class Row(SeriesRow):
    """A row that carries the last values of a scalar series along, so that they are read without a search. `last` is None where they are not known."""

    last: LastPoints | None = None

    def copy(self) -> Row:
        made = Row(*_values(self))
        made.last = self.last
        return made

    def add(self, new: SeriesRow) -> None:
        last = new.last if isinstance(new, Row) else None
        if new.points:
            if self.points:
                last = self.last.joined(last) if self.last is not None and last is not None else None
            self.last = last
        SeriesRow.add(self, new)


def row_of(source: Mapping[str, Any]) -> Row:
    """The row in a document's source."""
    row = Row(**{name: source[name] for name in _NAMES if name in source})
    if "last" in source:
        last = source["last"]
        iters = b64decode(last["iters"]) if "iters" in last else b""
        row.last = LastPoints(last.get("first", 0), last.get("step", 1), iters, b64decode(last["values"]))
    return row


def source_of(key: SeriesKey, row: Row, epoch: int) -> dict[str, Any]:
    """The document of a series. Its empty fields are left out."""
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
    source.update((name, value) for name, value in zip(_NAMES, _values(row), strict=True) if value is not None)
    if row.last is not None:
        first, step, iters, values = row.last
        spaced: dict[str, Any] = {"iters": b64encode(iters).decode()} if iters else {"first": first, "step": step}
        source["last"] = {**spaced, "values": b64encode(values).decode()}
    return source


def key_of(source: Mapping[str, Any]) -> SeriesKey:
    return SeriesKey(source["task"], source["type"], source["metric"], source["variant"])


def as_series(key: SeriesKey, row: SeriesRow) -> Series:
    return Series(
        key=key,
        count=row.count,
        min_iter=row.min_iter,
        max_iter=row.max_iter,
        min_timestamp=row.min_timestamp or 0,
        max_timestamp=row.max_timestamp or 0,
        chart_count=row.chart_count,
        chart_min_iter=row.chart_min_iter,
        chart_max_iter=row.chart_max_iter,
        chart_min_timestamp=row.chart_min_timestamp,
        chart_max_timestamp=row.chart_max_timestamp,
        statistics=row.statistics if key.type in POINT_TYPES else None,
        last_written=row.last_written,
    )


@lru_cache(maxsize=4096)
def name_hash(name: str) -> str:
    """The key under which clients find a metric or variant in last_metrics (md5 is theirs, not for security)."""
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


def series_hash(company: str, key: SeriesKey, event_key: str = "") -> str:
    """16 characters that begin the ids of all events of a series: every part is length-prefixed, so no two series can be mixed up."""
    mark = hashlib.blake2b(digest_size=12)
    for part in (company, *key, event_key):
        data = part.encode()
        mark.update(b"%d:" % len(data))
        mark.update(data)
    return urlsafe_b64encode(mark.digest()).decode()


def series_id(company: str, key: SeriesKey) -> str:
    """The id of a series' document."""
    return "series-" + series_hash(company, key)
