"""Reading the points of scalar series: whole columns, buckets, and pages in a total order over many series."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from apiserver.stores.bucketing import buckets_of
from apiserver.stores.records import LAST_VALUES, MAX_ITER, MIN_ITER, Axis, BucketRequest, Buckets, Cursor, Ints, LastValues
from apiserver.stores.sqlite.leaves import Columns, Extra, decode_extra, unpack, unpack_all

Extras = dict[int, dict[str, Any]]
_scan = json.JSONDecoder().raw_decode


def read_series(connection: sqlite3.Connection, series: int, lo: int | None = None, hi: int | None = None) -> Columns:
    """All points of a series with lo <= iteration <= hi, by iteration."""
    rows = connection.execute(
        "SELECT n, data FROM leaves WHERE series=? AND first_iter<=? AND last_iter>=? ORDER BY first_iter",
        (series, MAX_ITER if hi is None else hi, MIN_ITER if lo is None else lo),
    )
    columns = unpack_all(rows)
    if lo is None and hi is None:
        return columns
    left = 0 if lo is None else int(np.searchsorted(columns.iters, lo, "left"))
    right = len(columns.iters) if hi is None else int(np.searchsorted(columns.iters, hi, "right"))
    return columns.take(slice(left, right))


def last_values(connection: sqlite3.Connection, series: int) -> LastValues:
    """The points with the greatest iterations."""
    leaves: list[tuple[int, bytes]] = []
    have = 0
    for n, data in connection.execute("SELECT n, data FROM leaves WHERE series=? ORDER BY first_iter DESC", (series,)):
        leaves.append((n, data))
        have += n
        if have >= LAST_VALUES:
            break
    columns = unpack_all(reversed(leaves))
    return LastValues(columns.iters[-LAST_VALUES:], columns.values[-LAST_VALUES:])


def read_extras(
    connection: sqlite3.Connection,
    series: int,
    lo: int | None = None,
    hi: int | None = None,
    iters: Sequence[int] | None = None,
    *,
    flat: bool = False,
) -> Extras:
    """The fields kept with the points of a series with lo <= iteration <= hi (only those of `iters`, if they are given), by iteration.
    `flat`: no field holds an object."""
    low, high = MIN_ITER if lo is None else lo, MAX_ITER if hi is None else hi
    found: dict[int, dict[str, Any]] = {}
    for first, last, text in connection.execute(
        "SELECT first_iter, last_iter, extra FROM leaves WHERE series=? AND first_iter<=? AND last_iter>=? AND extra IS NOT NULL ORDER BY first_iter",
        (series, high, low),
    ):
        if iters is not None:
            wanted = iters[bisect_left(iters, first) : bisect_right(iters, last)]
            found.update(_picked(text, wanted) if flat and 8 * len(wanted) < last - first else _decoded(text, set(wanted).__contains__))
        else:
            found.update(_decoded(text, None if low <= first and last <= high else lambda step: low <= step <= high))
    return found


def _decoded(text: str, wanted: Callable[[int], bool] | None) -> Extras:
    extras = decode_extra(text)
    if wanted is None:
        return dict(zip(map(int, extras), extras.values(), strict=True))
    return {step: fields for step, fields in zip(map(int, extras), extras.values(), strict=True) if wanted(step)}


def _picked(text: str, wanted: Sequence[int]) -> Extras:
    """A few iterations of a leaf's extra fields without decoding all of them.

    They are in ascending order, and a quoted number before a colon is one of them: inside a JSON string quotes are escaped, and the fields
    are flat.
    """
    found: Extras = {}
    at = 0
    for step in wanted:
        key = f'"{step}":'
        where = text.find(key, at)
        if where >= 0:
            found[step], at = _scan(text, where + len(key))
    return found


def read_buckets(connection: sqlite3.Connection, series: int, request: BucketRequest) -> Buckets:
    """One series' points in buckets of equal width (see BucketRequest)."""
    by_iter = request.axis == "iter"
    columns = read_series(connection, series, request.lo if by_iter else None, request.hi if by_iter else None)
    return buckets_of(request, columns.iters, columns.values, columns.timestamps, columns.seqs)


@dataclass(slots=True)
class Selected:
    """Points of many series in one total order: equal lengths; `owner` holds the id of each point's series."""

    columns: Columns
    owner: npt.NDArray[np.int64]
    extra: dict[int, Extra]

    def __len__(self) -> int:
        return len(self.owner)


@dataclass(frozen=True, slots=True)
class PointRange:
    """A selection of points: the first `limit` after the cursor in the order (axis, timestamp, seq), reversed when descending, inside all
    bounds (inclusive; `lo` and `hi` are on the axis)."""

    axis: Axis
    descending: bool = False
    after: Cursor | None = None
    limit: int | None = None
    lo: int | None = None
    hi: int | None = None
    until_seq: int | None = None
    min_iter: int | None = None
    max_iter: int | None = None

    def narrowed(self) -> PointRange:
        """The same points, with the cursor among the bounds."""
        key = None if self.after is None else self.after.key
        if key is None:
            return self
        if self.descending:
            return replace(self, hi=key if self.hi is None else min(self.hi, key))
        return replace(self, lo=key if self.lo is None else max(self.lo, key))


def select_points(connection: sqlite3.Connection, series: Sequence[int], wanted: PointRange) -> Selected:
    """Opens leaves in the order of their nearer end, until no unopened leaf can hold a point that sorts before the last one selected."""
    wanted = wanted.narrowed()
    axis, descending, limit = wanted.axis, wanted.descending, wanted.limit
    lo, hi = MIN_ITER if wanted.lo is None else wanted.lo, MAX_ITER if wanted.hi is None else wanted.hi
    ends = ("first_iter", "last_iter") if axis == "iter" else ("min_timestamp", "max_timestamp")
    heads: list[tuple[int, int, int, int, int]] = []
    for start in range(0, len(series), 500):
        part = list(series[start : start + 500])
        heads += connection.execute(
            f"SELECT id, series, n, {ends[0]}, {ends[1]} FROM leaves WHERE series IN ({','.join('?' * len(part))})"
            f" AND {ends[1]}>=? AND {ends[0]}<=?",
            (*part, lo, hi),
        )
    heads.sort(key=(lambda head: -head[4]) if descending else (lambda head: head[3]))
    opened: list[Columns] = []
    owners: list[npt.NDArray[np.int64]] = []
    extra: dict[int, Extra] = {}
    have = 0
    for leaf, owner, n, first, last in heads:
        if limit is not None and have >= limit:
            bound = last if descending else first
            sure = sum(int((_axis(c, axis) > bound).sum() if descending else (_axis(c, axis) < bound).sum()) for c in opened)
            if sure >= limit:
                break
            # Checked again only when the next leaf could make it true: a few more points are cheaper than counting after every leaf.
            have = sure
        data, text = connection.execute("SELECT data, extra FROM leaves WHERE id=?", (leaf,)).fetchone()
        columns = unpack(data, n)
        keep = _inside(columns, wanted)
        if keep is not None:
            columns = columns.take(keep)
        if text:
            extra.setdefault(owner, {}).update(decode_extra(text))
        if len(columns.iters):
            opened.append(columns)
            owners.append(np.full(len(columns.iters), owner, np.int64))
            have += len(columns.iters)
    if not opened:
        return Selected(unpack_all(()), np.empty(0, np.int64), {})
    together = Columns(*(np.concatenate(column) for column in zip(*opened, strict=True)))
    owner_of = np.concatenate(owners)
    order = np.lexsort((together.seqs, together.timestamps, _axis(together, axis)))
    if descending:
        order = order[::-1]
    order = order[:limit]
    return Selected(together.take(order), owner_of[order], extra)


def _axis(columns: Columns, axis: Axis) -> Ints:
    return columns.iters if axis == "iter" else columns.timestamps


def _inside(columns: Columns, wanted: PointRange) -> npt.NDArray[np.bool_] | None:
    """Which points of a leaf are selected; None: all."""
    x, after = _axis(columns, wanted.axis), wanted.after
    tests = []
    if wanted.lo is not None:
        tests.append(x >= wanted.lo)
    if wanted.hi is not None:
        tests.append(x <= wanted.hi)
    if wanted.min_iter is not None:
        tests.append(columns.iters >= wanted.min_iter)
    if wanted.max_iter is not None:
        tests.append(columns.iters <= wanted.max_iter)
    if wanted.until_seq is not None:
        tests.append(columns.seqs <= wanted.until_seq)
    if after is not None and after.key is not None:
        times, seqs = columns.timestamps, columns.seqs
        if wanted.descending:
            tie = (times < after.timestamp) | ((times == after.timestamp) & (seqs < after.seq))
            tests.append((x < after.key) | ((x == after.key) & tie))
        else:
            tie = (times > after.timestamp) | ((times == after.timestamp) & (seqs > after.seq))
            tests.append((x > after.key) | ((x == after.key) & tie))
    return np.logical_and.reduce(tests) if tests else None
