"""Counts, iterations and image urls of a task's events."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from heapq import merge
from typing import Any

import numpy as np

from apiserver.stores.event_types import TYPES
from apiserver.stores.records import MAX_ITER, MIN_ITER, SINGLE_VALUE_ITER, EventQuery, ImageVariant
from apiserver.stores.sqlite.paging import TaskSeries, conditions
from apiserver.stores.sqlite.points import read_series


def count(connection: sqlite3.Connection, found: TaskSeries, query: EventQuery) -> int:
    """The exact number of events; from the series rows if only series are counted and no event was replaced."""
    plain = (query.min_iter, query.max_iter, query.iters, query.min_timestamp, query.max_timestamp, query.levels, query.until_seq)
    if all(part is None for part in plain) and not query.with_iter:
        rows = _series(connection, "SELECT stale, count FROM series WHERE id", found.keys)
        if not any(stale for stale, _ in rows):
            return sum(n for _, n in rows)
    total = 0
    for kind, ids in found.by_type(query.types).items():
        if not ids:
            continue
        type = TYPES[kind]
        if type.is_points:
            total += sum(_count_points(connection, series, query) for series in ids)
        where, values = conditions(query, type, None if query.metrics is None else ids)
        if type.is_lines:
            total += connection.execute(f"SELECT count(*) FROM logs WHERE entity=?{where}", (found.entity, *values)).fetchone()[0]
        else:
            total += connection.execute(
                f"SELECT count(*) FROM events WHERE entity=? AND type=?{where}", (found.entity, type.code, *values)
            ).fetchone()[0]
    return total


def _count_points(connection: sqlite3.Connection, series: int, query: EventQuery) -> int:
    columns = read_series(connection, series, query.min_iter, query.max_iter)
    keep = np.ones(len(columns.iters), np.bool_)
    if query.iters is not None:
        keep &= np.isin(columns.iters, np.array(query.iters, np.int64))
    if query.with_iter:
        keep &= columns.iters != SINGLE_VALUE_ITER
    if query.min_timestamp is not None:
        keep &= columns.timestamps >= query.min_timestamp
    if query.max_timestamp is not None:
        keep &= columns.timestamps <= query.max_timestamp
    if query.until_seq is not None:
        keep &= columns.seqs <= query.until_seq
    return int(keep.sum())


def iterations(
    connection: sqlite3.Connection, found: TaskSeries, query: EventQuery, descending: bool, wanted: int, beyond: int | None
) -> list[int]:
    """The nearest distinct iterations, in the direction of the search."""
    if wanted <= 0:
        return []
    lo = MIN_ITER if query.min_iter is None else query.min_iter
    hi = MAX_ITER if query.max_iter is None else query.max_iter
    if beyond is not None:
        lo, hi = (lo, min(hi, beyond - 1)) if descending else (max(lo, beyond + 1), hi)
    if lo > hi:
        return []
    streams: list[Iterable[int]] = []
    for series, key in found.keys.items():
        type = TYPES[key.type]
        if type.is_points:
            iters = read_series(connection, series, lo, hi).iters.tolist()
            streams.append(reversed(iters) if descending else iters)
        elif not type.is_lines:
            streams.append(_event_iterations(connection, series, type.has_url, query.until_seq, lo, hi, descending, wanted))
        else:
            rows = connection.execute(
                "SELECT DISTINCT iter FROM logs WHERE entity=(SELECT entity FROM series WHERE id=?1) AND series=?1 AND iter BETWEEN ?2 AND ?3"
                f" ORDER BY iter {'DESC' if descending else ''} LIMIT ?4",
                (series, lo, hi, wanted + 1),
            )
            streams.append([row[0] for row in rows])
    nearest: list[int] = []
    for iteration in merge(*streams, reverse=descending):
        if iteration != SINGLE_VALUE_ITER and (not nearest or nearest[-1] != iteration):
            if len(nearest) == wanted:
                break
            nearest.append(iteration)
    return nearest


def _event_iterations(
    connection: sqlite3.Connection, series: int, with_url: bool, until_seq: int | None, lo: int, hi: int, descending: bool, wanted: int
) -> list[int]:
    extra = " AND url IS NOT NULL" if with_url else ""
    values: list[Any] = [series, lo, hi]
    if until_seq is not None:
        extra += " AND seq<=?"
        values.append(until_seq)
    rows = connection.execute(
        f"SELECT DISTINCT iter FROM events WHERE series=? AND has_iter=1 AND iter BETWEEN ? AND ?{extra} ORDER BY iter {'DESC' if descending else ''} LIMIT ?",
        (*values, wanted + 1),
    )
    return [row[0] for row in rows]


def image_variants(connection: sqlite3.Connection, found: TaskSeries) -> list[ImageVariant]:
    """Per variant of debug images: the newest file, and the iteration from which on its files still exist."""
    variants = []
    for series, key in found.keys.items():
        newest = connection.execute(
            "SELECT iter, url FROM events WHERE series=? AND has_iter=1 AND iter<>? AND url IS NOT NULL ORDER BY iter DESC, url DESC LIMIT 1",
            (series, SINGLE_VALUE_ITER),
        ).fetchone()
        if newest is None:
            continue
        valid_from = connection.execute(
            "SELECT min(max_iter) FROM urls WHERE series=? AND max_iter<>?", (series, SINGLE_VALUE_ITER)
        ).fetchone()[0]
        previous = connection.execute("SELECT previous_iter FROM urls WHERE series=? AND url=?", (series, newest[1])).fetchone()[0]
        latest = connection.execute("SELECT max_timestamp FROM series WHERE id=?", (series,)).fetchone()[0]
        variants.append(ImageVariant(key.metric, key.variant, newest[0], newest[1], previous, valid_from, latest))
    return sorted(variants, key=lambda image: (image.metric.encode(), image.variant.encode()))


def _series(connection: sqlite3.Connection, select: str, series: Iterable[int]) -> list[tuple[int, ...]]:
    ids = list(series)
    found: list[tuple[int, ...]] = []
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        found += connection.execute(f"{select} IN ({','.join('?' * len(part))})", part)
    return found
