"""What is known of a series without reading it: a document per series, moved by batches, computed anew when something was replaced."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

import numpy as np

from apiserver.stores.records import LAST_VALUES, POINT_TYPES, Floats, Ints, LastValues, Series, SeriesKey
from apiserver.stores.series_row import SeriesRow

_NAMES = tuple(field.name for field in fields(SeriesRow))
_values = attrgetter(*_NAMES)


@dataclass(slots=True)
class Row(SeriesRow):
    """A row that carries the last values of a scalar series along, so that they are read without a search. `last` is None where they are not known."""

    last: LastValues | None = None

    def copy(self) -> Row:
        made = Row(*_values(self))
        made.last = self.last
        return made

    def add(self, new: SeriesRow) -> None:
        last = new.last if isinstance(new, Row) else None
        if new.points:
            if self.points and self.last is not None and last is not None:
                iters, values = np.concatenate((self.last.iters, last.iters)), np.concatenate((self.last.values, last.values))
                if last.iters[0] <= self.last.iters[-1]:
                    order = np.argsort(iters, kind="stable")
                    iters, values = iters[order], values[order]
                last = LastValues(iters[-LAST_VALUES:], values[-LAST_VALUES:])
            elif self.points:
                last = None
            self.last = last
        SeriesRow.add(self, new)


def row_of(source: Mapping[str, Any]) -> Row:
    """The row in a document's source."""
    row = Row(**{name: source[name] for name in _NAMES if name in source})
    if "last" in source:
        row.last = _unpacked(source["last"])
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
        source["last"] = _packed(row.last)
    return source


def _packed(last: LastValues) -> dict[str, Any]:
    """Iterations are mostly evenly spaced: then the first and the step say it all."""
    values = b64encode(last.values.tobytes()).decode()
    steps = last.iters[1:] - last.iters[:-1]
    if not len(steps) or (steps == steps[0]).all():
        return {"first": int(last.iters[0]), "step": int(steps[0]) if len(steps) else 1, "values": values}
    return {"iters": b64encode(last.iters.tobytes()).decode(), "values": values}


def _unpacked(packed: Mapping[str, Any]) -> LastValues:
    values = np.frombuffer(b64decode(packed["values"]), np.float64)
    if "iters" in packed:
        return LastValues(np.frombuffer(b64decode(packed["iters"]), np.int64), values)
    return LastValues(packed["first"] + packed["step"] * np.arange(len(values), dtype=np.int64), values)


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


def sorted_points(iters: Ints, values: Floats, timestamps: Ints) -> tuple[Ints, Floats, Ints]:
    """By iteration; of equal iterations the last one."""
    if len(iters) < 2 or bool((iters[1:] > iters[:-1]).all()):
        return iters, values, timestamps
    order = np.argsort(iters, kind="stable")
    iters, values, timestamps = iters[order], values[order], timestamps[order]
    last = np.append(iters[1:] != iters[:-1], True)
    return iters[last], values[last], timestamps[last]
