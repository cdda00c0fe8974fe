"""Which tasks of the embedded store are old."""

from __future__ import annotations

import sqlite3


def old_tasks(connection: sqlite3.Connection, company: str, before: int) -> list[tuple[str, int]]:
    """(task, events) of every task of a company whose newest event is older than `before` (ms), oldest first."""
    rows = connection.execute(
        """SELECT e.task, sum(s.count) FROM entities e JOIN series s ON s.entity = e.id WHERE e.company = ? AND s.count > 0
           GROUP BY e.id HAVING max(s.max_timestamp) < ? ORDER BY max(s.max_timestamp), e.task""",
        (company, before),
    )
    return [(task, count) for task, count in rows]
