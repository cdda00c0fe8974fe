"""SQLite: what is deleted is given back to the file system."""

from __future__ import annotations

from pathlib import Path

import gevent

from apiserver.stores.records import LOG, EventBatch, EventQuery, LogLine, Touch
from apiserver.stores.sqlite import open_sqlite


def test_the_file_shrinks_after_a_delete(tmp_path: Path) -> None:
    file = tmp_path / "events.db"
    events, _ = open_sqlite(file)
    try:
        for batch in range(8):
            lines = [LogLine("task", 1000 * batch + n, "info", "w", f"{batch} {n} " * 60, "", "", None, n, 500) for n in range(1000)]
            events.append("company", EventBatch(now=1_700_000_000_000, worker="w", lines=1000, logs=lines, touches={"task": Touch()}))
        before = file.stat().st_size
        assert events.delete("company", "task") == 8000
        assert events.count("company", EventQuery("task", (LOG,))) == 0
        with gevent.Timeout(30):
            while file.stat().st_size > before / 2:
                # A write now and then, as a live server has them, moves the log into the file.
                events.append("company", EventBatch(now=1_700_000_000_000, worker="w", lines=1, touches={"other": Touch()}))
                gevent.sleep(0.01)
    finally:
        events.close()
