"""Row ids of tasks and of their series."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from apiserver.stores.event_types import TYPES, name_of_code
from apiserver.stores.records import EventQuery, SeriesKey, wants
from apiserver.stores.sqlite.paging import TaskSeries


class OwnerRow(NamedTuple):
    """The row of a task or model in the table `entities`."""

    id: int
    is_model: bool
    revision: int


def owner_rows(connection: sqlite3.Connection, company: str, tasks: Sequence[str]) -> dict[str, OwnerRow]:
    """The rows by task, of those that have events."""
    found: dict[str, OwnerRow] = {}
    distinct = list(dict.fromkeys(tasks))
    for start in range(0, len(distinct), 500):
        part = distinct[start : start + 500]
        for task, entity, is_model, revision in connection.execute(
            f"SELECT task, id, model_event, revision FROM entities WHERE company=? AND task IN ({','.join('?' * len(part))})",
            (company, *part),
        ):
            found[task] = OwnerRow(entity, bool(is_model), revision)
    return found


def series_ids(connection: sqlite3.Connection, company: str, keys: Sequence[SeriesKey]) -> dict[SeriesKey, int]:
    """The ids of the scalar series that exist."""
    owners = owner_rows(connection, company, [key.task for key in keys])
    ids: dict[SeriesKey, int] = {}
    for key in keys:
        if key.task in owners:
            row = connection.execute(
                "SELECT id FROM series WHERE entity=? AND type=? AND metric=? AND variant=?",
                (owners[key.task].id, TYPES[key.type].code, key.metric, key.variant),
            ).fetchone()
            if row is not None:
                ids[key] = row[0]
    return ids


def task_series(connection: sqlite3.Connection, company: str, query: EventQuery) -> TaskSeries | None:
    """The series that match the query; None when none does."""
    owner = owner_rows(connection, company, [query.task]).get(query.task)
    if owner is None:
        return None
    codes = [TYPES[kind].code for kind in query.types]
    rows = connection.execute(
        f"SELECT id, type, metric, variant FROM series WHERE entity=? AND type IN ({','.join('?' * len(codes))})", (owner.id, *codes)
    )
    keys = {
        id: SeriesKey(query.task, name_of_code(code), metric, variant)
        for id, code, metric, variant in rows
        if wants(query.metrics, metric, variant)
    }
    return TaskSeries(owner.id, owner.is_model, keys) if keys else None
