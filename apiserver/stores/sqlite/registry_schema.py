"""The tables of the registry: documents, and their activity fields, which event batches update."""

from __future__ import annotations

REGISTRY_SCHEMA = (
    # Scalar fields that tables are filtered and sorted by are (generated) columns in front of the body, so that an index can hold them and
    # the body need not be parsed. `bulk` holds the large fields (source code, configuration), which tables don't show.
    """CREATE TABLE IF NOT EXISTS documents(
        kind TEXT NOT NULL, company TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
        name TEXT AS (json_extract(body, '$.name')) STORED,
        project TEXT AS (json_extract(body, '$.project')) STORED,
        status TEXT AS (json_extract(body, '$.status')) STORED,
        type TEXT AS (json_extract(body, '$.type')) STORED,
        user TEXT AS (json_extract(body, '$.user')) STORED,
        parent TEXT AS (json_extract(body, '$.parent')) STORED,
        task TEXT AS (json_extract(body, '$.task')) STORED,
        created INTEGER AS (json_extract(body, '$.created')) STORED,
        started INTEGER AS (json_extract(body, '$.started')) STORED,
        completed INTEGER AS (json_extract(body, '$.completed')) STORED,
        active_duration INTEGER AS (json_extract(body, '$.active_duration')) STORED,
        tags TEXT AS (json_extract(body, '$.tags')) STORED,
        system_tags TEXT AS (json_extract(body, '$.system_tags')) STORED,
        body TEXT NOT NULL, bulk TEXT)""",
    "CREATE UNIQUE INDEX IF NOT EXISTS documents_by_id ON documents(kind, company, id)",
    "CREATE INDEX IF NOT EXISTS documents_anywhere ON documents(kind, id)",
    # Covers the usual table queries: they read this index and the activity table only, then the bodies of one page.
    """CREATE INDEX IF NOT EXISTS documents_table
        ON documents(kind, company, project, status, type, user, parent, name, task, created, started, completed, active_duration, tags,
            system_tags, id)""",
    # Apart from the documents, because every event batch moves it and a document may be large.
    """CREATE TABLE IF NOT EXISTS activity(
        company TEXT NOT NULL, id TEXT NOT NULL, last_iteration INTEGER, last_update INTEGER, last_change INTEGER,
        PRIMARY KEY(company, id)) WITHOUT ROWID""",
)
