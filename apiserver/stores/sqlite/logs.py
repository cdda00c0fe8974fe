"""The log of a task: in order, searched, positions of its lines."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import pairwise

from apiserver.stores.event_types import TYPES
from apiserver.stores.records import LOG, MIN_ITER, Cursor, EventQuery, LineSearch, LogSlice, PagedEvent, Paging
from apiserver.stores.sqlite.paging import LOG_COLUMNS, EventBuilder, TaskSeries, conditions

Key = tuple[int, int]
"""Timestamp and seq of a line."""
Text = tuple[int, int, str]
"""Timestamp, seq and text of a line."""

STRETCH_CHARACTERS = 4_000_000
ROWS_AT_ONCE = 500

SCAN_ROWS = 100_000
"""Rows that one statement reads, at most, so that a whole log does not occupy one of the few reader threads."""


class Stretch:
    """The query for the next part of a task's log, as SQL."""

    def __init__(self, connection: sqlite3.Connection, found: TaskSeries, query: EventQuery, paging: Paging) -> None:
        self._connection, self._found, self._paging = connection, found, paging
        self._where, self._values = conditions(query, TYPES[LOG], None if query.metrics is None else list(found.keys))
        self._way, self._sign = ("DESC", "<") if paging.descending else ("ASC", ">")
        self._build = EventBuilder(connection, found, "timestamp").log_line
        if paging.after is not None:
            self._add(f"(timestamp, seq) {self._sign} (?,?)", paging.after.timestamp, paging.after.seq)

    def lines(self) -> tuple[list[PagedEvent], Cursor | None]:
        """The next lines, and where to go on (None: at the end)."""
        rows = self._select(LOG_COLUMNS, self._paging.limit).fetchall()
        lines = [self._build(row) for row in rows]
        return lines, lines[-1].cursor if len(lines) == self._paging.limit else None

    def candidates(self, search: LineSearch) -> tuple[list[Text], Cursor | None]:
        """The texts of the next stretch that may match, and where to go on (None: at the end).

        With a literal, SQLite filters up to 100,000 rows itself, else `limit` rows are read. Of lines that don't match, only times and
        texts are read.
        """
        end: Key | None = None
        if search.narrowing:
            end = self._select("timestamp, seq", 1, offset=SCAN_ROWS).fetchone()
            if end is not None:
                self._add(f"(timestamp, seq) {'>' if self._paging.descending else '<'}= (?,?)", *end)
            # SQLite's lower() is ASCII only, and so is this narrowing.
            lower = search.narrowing.lower() if search.ignore_case else search.narrowing
            self._add("instr(lower(msg), ?)" if search.ignore_case else "instr(msg, ?)", lower)
        rows, cut = _some(self._select("timestamp, seq, msg"), self._paging.limit)
        last = rows[-1][:2] if cut else end
        texts = [(timestamp, seq, msg) for timestamp, seq, msg in rows if msg is not None]
        return texts, None if last is None else Cursor(last[0], last[0], last[1])

    def picked(self, keys: Sequence[Key]) -> list[PagedEvent]:
        """The lines at these positions; lines that were deleted meanwhile are left out."""
        statement = f"SELECT {LOG_COLUMNS} FROM logs WHERE entity=? AND timestamp=? AND seq=?"
        found = [self._connection.execute(statement, (self._found.entity, *key)).fetchone() for key in keys]
        return [self._build(row) for row in found if row is not None]

    def _add(self, condition: str, *values: int | str) -> None:
        self._where += f" AND {condition}"
        self._values += values

    def _select(self, columns: str, limit: int = -1, offset: int = 0) -> sqlite3.Cursor:
        return self._connection.execute(
            f"SELECT {columns} FROM logs WHERE entity=?{self._where} ORDER BY timestamp {self._way}, seq {self._way} LIMIT ? OFFSET ?",
            (self._found.entity, *self._values, limit, offset),
        )


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


def positions(connection: sqlite3.Connection, entity: int, total: int, cursors: Sequence[Cursor]) -> list[int]:
    """How many lines come before each cursor (ascending). Counted from the nearer end of the log, then from cursor to cursor."""
    # Two statements: with both in one, SQLite reads all lines.
    oldest, newest = (
        connection.execute(f"SELECT {end}(timestamp) FROM logs WHERE entity=?", (entity,)).fetchone()[0] for end in ("min", "max")
    )
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


def slices(connection: sqlite3.Connection, entity: int, interval: int, lo: int, hi: int) -> list[LogSlice]:
    """How many lines of each level there are in slices of time (see LogReader.log_slices)."""
    origin = lo // interval * interval  # SQLite's division rounds towards zero: times before the origin are left out
    rows = connection.execute(
        "SELECT (timestamp - ?2) / ?3, level, count(*) FROM logs WHERE entity=?1 AND timestamp BETWEEN ?4 AND ?5 GROUP BY 1, 2 ORDER BY 1",
        (entity, origin, interval, lo, hi),
    )
    found: dict[int, dict[str | None, int]] = {}
    for number, level, count in rows:
        found.setdefault(number, {})[level] = count
    return [LogSlice(origin + number * interval, sum(levels.values()), levels) for number, levels in found.items()]
