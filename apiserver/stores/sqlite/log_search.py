"""Searching the log of a task, and the places of its lines."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import pairwise

from apiserver.stores.base import TextMatch
from apiserver.stores.records import LOG, MIN_ITER, Cursor, EventQuery, StoredEvent
from apiserver.stores.sqlite.paging import Names, conditions, log_event

Key = tuple[int, int]
"""Timestamp and seq of a line."""

STRETCH_CHARACTERS = 4_000_000
ROWS_AT_ONCE = 500

SCAN_ROWS = 100_000
"""Rows that one statement looks at, at most: a reader thread (there are few) is not held for a whole log."""


def stretch(
    connection: sqlite3.Connection,
    entity: int,
    names: Names,
    query: EventQuery,
    match: TextMatch,
    literal: str | None,
    ignore_case: bool,
    after: Cursor | None,
    descending: bool,
    chunk: int,
    whole: bool,
) -> tuple[list[StoredEvent], Cursor | None]:
    """The matching lines of the next stretch of the log, and where to go on (None: at the end).

    With a literal SQLite looks at up to 100,000 rows by itself, else `chunk` rows are read. Only times and texts are read of lines that
    don't match.
    """
    where, values = conditions(query, LOG, None if whole else list(names.series))
    way, sign = ("DESC", "<") if descending else ("ASC", ">")
    if after is not None:
        where += f" AND (timestamp, seq) {sign} (?,?)"
        values += [after.timestamp, after.seq]
    ordering = f" ORDER BY timestamp {way}, seq {way}"
    end: Key | None = None
    if literal and (not ignore_case or literal.isascii()):
        end = connection.execute(
            f"SELECT timestamp, seq FROM logs WHERE entity=?{where}{ordering} LIMIT 1 OFFSET ?", (entity, *values, SCAN_ROWS)
        ).fetchone()
        if end is not None:
            where += f" AND (timestamp, seq) {'>' if descending else '<'}= (?,?)"
            values += end
        # SQLite's lower() is ASCII only, as is the narrowing that is asked for.
        where += " AND instr(lower(msg), ?)" if ignore_case else " AND instr(msg, ?)"
        values.append(literal.lower() if ignore_case else literal)
    reading = connection.execute(f"SELECT timestamp, seq, msg FROM logs WHERE entity=?{where}{ordering}", (entity, *values))
    rows, cut = _some(reading, chunk)
    last = rows[-1][:2] if cut else end
    lines = [(timestamp, seq, msg) for timestamp, seq, msg in rows if msg is not None]
    workers: dict[int, str] = {}
    found = [_line(connection, entity, names, workers, *lines[index][:2]) for index in match([line[2] for line in lines])]
    return found, None if last is None else Cursor(last[0], last[0], last[1])


def _some(reading: sqlite3.Cursor, most: int) -> tuple[list[tuple[int, int, str | None]], bool]:
    """Up to `most` rows, fewer when their texts are long; and whether there may be more."""
    rows: list[tuple[int, int, str | None]] = []
    characters = 0
    while len(rows) < most and characters < STRETCH_CHARACTERS:
        some = reading.fetchmany(min(ROWS_AT_ONCE, most - len(rows)))
        if not some:
            return rows, False
        rows += some
        characters += sum(len(row[2] or "") for row in some)
    reading.close()
    return rows, True


def _line(connection: sqlite3.Connection, entity: int, names: Names, workers: dict[int, str], timestamp: int, seq: int) -> StoredEvent:
    row = connection.execute(
        "SELECT series, iter, timestamp, seq, level, worker, msg, extra FROM logs WHERE entity=? AND timestamp=? AND seq=?",
        (entity, timestamp, seq),
    ).fetchone()
    return log_event(connection, names, workers, row, "timestamp")


def positions(connection: sqlite3.Connection, entity: int, total: int, cursors: Sequence[Cursor]) -> list[int]:
    """How many lines come before each cursor (ascending). Counted from the nearer end of the log, then from cursor to cursor."""
    oldest, newest = connection.execute("SELECT min(timestamp), max(timestamp) FROM logs WHERE entity=?", (entity,)).fetchone()
    if oldest is None:
        return [0] * len(cursors)
    first = cursors[0]
    between = "SELECT count(*) FROM logs WHERE entity=? AND (timestamp, seq) >= (?,?) AND (timestamp, seq) < (?,?)"
    if first.timestamp - oldest <= newest - first.timestamp:
        before = connection.execute(between, (entity, oldest, MIN_ITER, first.timestamp, first.seq)).fetchone()[0]
    else:
        behind = connection.execute(
            "SELECT count(*) FROM logs WHERE entity=? AND (timestamp, seq) >= (?,?)", (entity, first.timestamp, first.seq)
        ).fetchone()[0]
        before = total - behind
    found = [before]
    for one, other in pairwise(cursors):
        step = connection.execute(between, (entity, one.timestamp, one.seq, other.timestamp, other.seq)).fetchone()[0]
        found.append(found[-1] + step)
    return found
