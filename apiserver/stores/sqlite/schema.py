"""The tables of the event store. `user_version` counts the layouts: forward only."""

from __future__ import annotations

VERSION = 2

MIGRATIONS: tuple[str, ...] = (
    "",
    # Layout 1 kept an infinite mean with a sum that overflowed.
    "UPDATE series SET stale=1 WHERE abs(sum)=9e999",
)
"""MIGRATIONS[n] leads from layout n to n + 1 (statement n = 0 is never used: an empty file gets today's tables)."""

EVENT_SCHEMA = (
    # A task or model that has events. Deleting all its events orphans the row (company and task NULL): one small write, at once complete;
    # the rows behind it are purged afterwards. `revision` is the seq after the last change.
    """CREATE TABLE IF NOT EXISTS entities(
        id INTEGER PRIMARY KEY AUTOINCREMENT, company TEXT, task TEXT, model_event INTEGER NOT NULL DEFAULT 0, revision INTEGER NOT NULL DEFAULT 0,
        log_epoch INTEGER NOT NULL DEFAULT 0, UNIQUE(company, task))""",
    "CREATE TABLE IF NOT EXISTS names(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    # `stale`: something was replaced, extents and statistics are recomputed before the next read.
    """CREATE TABLE IF NOT EXISTS series(
        id INTEGER PRIMARY KEY, entity INTEGER NOT NULL, type INTEGER NOT NULL, metric TEXT NOT NULL, variant TEXT NOT NULL,
        metric_hash TEXT NOT NULL, variant_hash TEXT NOT NULL, stale INTEGER NOT NULL DEFAULT 0, last_written INTEGER NOT NULL DEFAULT 0,
        count INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,
        min_iter INTEGER, max_iter INTEGER, min_timestamp INTEGER, max_timestamp INTEGER,
        chart_count INTEGER NOT NULL DEFAULT 0, chart_min_iter INTEGER, chart_max_iter INTEGER,
        chart_min_timestamp INTEGER, chart_max_timestamp INTEGER,
        points INTEGER NOT NULL DEFAULT 0, value REAL, value_iter INTEGER, value_timestamp INTEGER,
        min_value REAL, min_value_iter INTEGER, max_value REAL, max_value_iter INTEGER, first_value REAL, first_value_iter INTEGER,
        sum REAL NOT NULL DEFAULT 0, finite INTEGER NOT NULL DEFAULT 0, mean_value REAL, x_axis_label TEXT,
        UNIQUE(entity, type, metric, variant))""",
    "CREATE INDEX IF NOT EXISTS series_stale ON series(entity) WHERE stale=1",
    # The points of scalars: leaves with packed columns (see leaves.py), disjoint in iterations inside a series.
    """CREATE TABLE IF NOT EXISTS leaves(
        id INTEGER PRIMARY KEY, series INTEGER NOT NULL, first_iter INTEGER NOT NULL, last_iter INTEGER NOT NULL, n INTEGER NOT NULL,
        min_timestamp INTEGER NOT NULL, max_timestamp INTEGER NOT NULL, data BLOB NOT NULL, extra TEXT)""",
    """CREATE UNIQUE INDEX IF NOT EXISTS leaves_by_series
        ON leaves(series, first_iter, last_iter, n, min_timestamp, max_timestamp)""",
    # Vectors, images, plots, and scalars without iteration. `iter` is 0 where has_iter is 0; `key` is '' where there was none.
    """CREATE TABLE IF NOT EXISTS events(
        id INTEGER PRIMARY KEY, entity INTEGER NOT NULL, type INTEGER NOT NULL, series INTEGER NOT NULL, has_iter INTEGER NOT NULL,
        iter INTEGER NOT NULL, key TEXT NOT NULL, timestamp INTEGER NOT NULL, seq INTEGER NOT NULL, worker INTEGER NOT NULL,
        size INTEGER NOT NULL, url TEXT, packed INTEGER NOT NULL, body BLOB)""",
    "CREATE UNIQUE INDEX IF NOT EXISTS events_by_identity ON events(series, has_iter, iter, key)",
    "CREATE INDEX IF NOT EXISTS events_by_order ON events(entity, type, has_iter, iter, timestamp, seq)",
    "CREATE INDEX IF NOT EXISTS events_by_url ON events(series, url, iter) WHERE url IS NOT NULL",
    # For debug images that reuse file names: the two greatest iterations of each url.
    """CREATE TABLE IF NOT EXISTS urls(
        series INTEGER NOT NULL, url TEXT NOT NULL, max_iter INTEGER NOT NULL, previous_iter INTEGER,
        PRIMARY KEY(series, url)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS urls_by_iter ON urls(series, max_iter)",
    """CREATE TABLE IF NOT EXISTS logs(
        entity INTEGER NOT NULL, timestamp INTEGER NOT NULL, seq INTEGER NOT NULL, series INTEGER NOT NULL, iter INTEGER,
        level TEXT, worker INTEGER NOT NULL, size INTEGER NOT NULL, msg TEXT, extra TEXT,
        PRIMARY KEY(entity, timestamp, seq)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS logs_with_iter ON logs(entity, iter, timestamp, seq) WHERE iter IS NOT NULL",
    "CREATE TABLE IF NOT EXISTS log_batches(digest BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS log_batches_by_time ON log_batches(at)",
)
