"""The contents of a store as plain records, exported by one engine and imported by another (`tidemark restore`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from apiserver.stores.batch import Event, LogLine, Points
from apiserver.stores.records import LastValues, SeriesKey
from apiserver.stores.series_row import SeriesRow


class StoredDocument(NamedTuple):
    """A document of the registry; `activity`: its activity fields, empty for kinds that have none."""

    kind: str
    company: str
    id: str
    version: int
    body: dict[str, Any]
    activity: dict[str, int | None]


class StoredSeries(NamedTuple):
    """The record of a series; `last` where its type keeps last values."""

    company: str
    key: SeriesKey
    row: SeriesRow
    last: LastValues | None


class StoredPoints(NamedTuple):
    """Some points of a series, sorted by iteration and unique in it. `Points.lines` holds their arrival numbers. `worker` reported those that name
    none of their own."""

    company: str
    key: SeriesKey
    worker: str
    points: Points


class Contents(Protocol):
    """Each method gives all records of a kind, at the same moment of the store. Arrival numbers are kept: `line` of an event or a log line is one."""

    def documents(self) -> Iterator[StoredDocument]: ...

    def owners(self) -> Iterator[tuple[str, str]]:
        """Company and id of every task and model that has, or had, events."""

    def series(self) -> Iterator[StoredSeries]: ...

    def points(self) -> Iterator[StoredPoints]: ...

    def events(self) -> Iterator[tuple[str, Event]]:
        """With their companies."""

    def lines(self) -> Iterator[tuple[str, LogLine]]:
        """Log lines, with their companies."""

    def close(self) -> None: ...
