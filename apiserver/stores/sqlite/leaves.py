"""The points of a scalar series as packed columns, in leaves that are disjoint in iterations (a B+ tree with one level of SQL above it).

A leaf's `data` holds its columns one after the other, little endian: iteration, value, timestamp, seq (8 bytes each), worker, size (4 bytes
each), 40 bytes a point; rows are sorted by iteration and unique in it. `extra` is JSON: {"<iteration>": {field: value}}.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from apiserver.stores.codec import decode_json, encode_json
from apiserver.stores.records import SINGLE_VALUE_ITER, Floats, Ints

SMALL = 256
"""Appends are merged into the last leaf up to this size: single points do not become single rows, and a rewrite stays within two pages."""
LEAF = 1024
"""The largest size of a leaf."""

Extra = dict[str, dict[str, Any]]


class Columns(NamedTuple):
    """Points of one series: arrays of equal length."""

    iters: Ints
    values: Floats
    timestamps: Ints
    seqs: Ints
    workers: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int32]

    def take(self, which: Any) -> Columns:
        """The rows at an index, slice or mask."""
        parts: Any = [column[which] for column in self]
        return Columns(*parts)


def pack(columns: Columns) -> bytes:
    return b"".join([np.ascontiguousarray(column).data for column in columns])


def unpack(data: bytes, n: int) -> Columns:
    return Columns(
        np.frombuffer(data, np.int64, n, 0),
        np.frombuffer(data, np.float64, n, 8 * n),
        np.frombuffer(data, np.int64, n, 16 * n),
        np.frombuffer(data, np.int64, n, 24 * n),
        np.frombuffer(data, np.int32, n, 32 * n),
        np.frombuffer(data, np.int32, n, 36 * n),
    )


_TYPES: Any = (np.int64, np.float64, np.int64, np.int64, np.int32, np.int32)
_NONE = Columns(*(np.empty(0, t) for t in _TYPES))


def joined(parts: list[Columns]) -> Columns:
    """Concatenate columns."""
    if len(parts) == 1:
        return parts[0]
    return Columns(*(np.concatenate(column) for column in zip(*parts, strict=True))) if parts else _NONE


def unpack_all(leaves: Iterable[tuple[int, bytes]]) -> Columns:
    """The leaves (n, data) of a series in order, as one set of columns; without per-leaf arrays."""
    parts: list[list[memoryview]] = [[], [], [], [], [], []]
    for n, data in leaves:
        view = memoryview(data)
        parts[0].append(view[: 8 * n])
        parts[1].append(view[8 * n : 16 * n])
        parts[2].append(view[16 * n : 24 * n])
        parts[3].append(view[24 * n : 32 * n])
        parts[4].append(view[32 * n : 36 * n])
        parts[5].append(view[36 * n : 40 * n])
    return Columns(*(np.frombuffer(b"".join(p), t) for p, t in zip(parts, _TYPES, strict=True)))


def ordered(columns: Columns) -> Columns:
    """Sorted by iteration, the later of equal iterations kept (columns come in order of arrival)."""
    iters = columns.iters
    if len(iters) < 2 or bool((iters[1:] > iters[:-1]).all()):
        return columns
    order = np.argsort(iters, kind="stable")
    sorted_iters = iters[order]
    keep = np.append(sorted_iters[1:] != sorted_iters[:-1], True)
    return columns.take(order[keep])


def insert(connection: sqlite3.Connection, series: int, new: Columns, extra: Extra, *, last_iter: int | None) -> int:
    """Insert points (sorted, unique) into the leaves of a series; returns the number of points that were replaced.

    `last_iter` is the greatest iteration that the series has (None: no points): appends touch the last leaf only.
    """
    if last_iter is None or new.iters[0] > last_iter:
        if last_iter is None or len(new.iters) >= SMALL or not _grow(connection, series, new, extra):
            _write(connection, series, new, extra)
        return 0
    return _merge(connection, series, new, extra)


def _grow(connection: sqlite3.Connection, series: int, new: Columns, extra: Extra) -> bool:
    """Append to the last leaf when both together are small."""
    row = connection.execute("SELECT id, n FROM leaves WHERE series=? ORDER BY first_iter DESC LIMIT 1", (series,)).fetchone()
    if row is None or row[1] + len(new.iters) > SMALL:
        return False
    data, old_extra = connection.execute("SELECT data, extra FROM leaves WHERE id=?", (row[0],)).fetchone()
    both = joined([unpack(data, row[1]), new])
    _update(connection, row[0], both, {**decode_extra(old_extra), **extra})
    return True


def _merge(connection: sqlite3.Connection, series: int, new: Columns, extra: Extra) -> int:
    low, high = int(new.iters[0]), int(new.iters[-1])
    heads = connection.execute(
        """SELECT id, first_iter, n FROM leaves WHERE series=?1 AND first_iter <= ?3
           AND first_iter >= ifnull((SELECT max(first_iter) FROM leaves WHERE series=?1 AND first_iter <= ?2),
                                    (SELECT min(first_iter) FROM leaves WHERE series=?1)) ORDER BY first_iter""",
        (series, low, high),
    ).fetchall()
    if not heads:  # everything lies before the first leaf
        heads = connection.execute("SELECT id, first_iter, n FROM leaves WHERE series=? ORDER BY first_iter LIMIT 1", (series,)).fetchall()
    firsts = np.fromiter((head[1] for head in heads), np.int64, len(heads))
    home = np.maximum(np.searchsorted(firsts, new.iters, "right") - 1, 0)
    replaced = 0
    for index in np.unique(home).tolist():
        leaf, _, n = heads[index]
        mine = new.take(home == index)
        data, old_extra = connection.execute("SELECT data, extra FROM leaves WHERE id=?", (leaf,)).fetchone()
        both = ordered(joined([unpack(data, n), mine]))
        replaced += n + len(mine.iters) - len(both.iters)
        kept = decode_extra(old_extra)
        for iteration in mine.iters.tolist() if kept else ():
            kept.pop(str(iteration), None)
        kept.update({key: extra[key] for key in map(str, mine.iters.tolist()) if key in extra} if extra else {})
        if len(both.iters) <= LEAF:
            _update(connection, leaf, both, kept)
        else:
            connection.execute("DELETE FROM leaves WHERE id=?", (leaf,))
            _write(connection, series, both, kept, LEAF // 2)
    return replaced


def cut(connection: sqlite3.Connection, series: int, after: int, until_seq: int) -> int:
    """Remove the points with an iteration greater than `after` and a seq up to `until_seq`; returns their number."""
    removed = 0
    for leaf, n in connection.execute(
        "SELECT id, n FROM leaves WHERE series=? AND last_iter>? ORDER BY first_iter", (series, after)
    ).fetchall():
        data, extra = connection.execute("SELECT data, extra FROM leaves WHERE id=?", (leaf,)).fetchone()
        columns = unpack(data, n)
        kept = columns.take((columns.iters <= after) | (columns.iters == SINGLE_VALUE_ITER) | (columns.seqs > until_seq))
        removed += n - len(kept.iters)
        if not len(kept.iters):
            connection.execute("DELETE FROM leaves WHERE id=?", (leaf,))
        elif len(kept.iters) < n:
            _update(connection, leaf, kept, decode_extra(extra))
    return removed


def _write(connection: sqlite3.Connection, series: int, columns: Columns, extra: Extra, size: int = LEAF) -> None:
    for start in range(0, len(columns.iters), size):
        part = columns.take(slice(start, start + size))
        connection.execute(
            "INSERT INTO leaves(series, first_iter, last_iter, n, min_timestamp, max_timestamp, data, extra) VALUES(?,?,?,?,?,?,?,?)",
            (series, *_head(part), pack(part), _extra_of(part, extra)),
        )


def _update(connection: sqlite3.Connection, leaf: int, columns: Columns, extra: Extra) -> None:
    connection.execute(
        "UPDATE leaves SET first_iter=?, last_iter=?, n=?, min_timestamp=?, max_timestamp=?, data=?, extra=? WHERE id=?",
        (*_head(columns), pack(columns), _extra_of(columns, extra), leaf),
    )


def _head(columns: Columns) -> tuple[int, int, int, int, int]:
    iters, times = columns.iters, columns.timestamps
    return int(iters[0]), int(iters[-1]), len(iters), int(times.min()), int(times.max())


def _extra_of(columns: Columns, extra: Extra) -> str | None:
    if not extra:
        return None
    mine = {key: extra[key] for key in map(str, columns.iters.tolist()) if key in extra}
    return encode_json(mine).decode() if mine else None


def decode_extra(text: str | None) -> Extra:
    """The extra fields of a leaf by iteration."""
    extra: Extra = decode_json(text) if text else {}
    return extra
