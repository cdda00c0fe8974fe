"""The tables of the registry: documents, and what event batches move in them."""

from __future__ import annotations

REGISTRY_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS documents(
        kind TEXT NOT NULL, company TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY(kind, company, id))""",
    # Apart from the documents, because every event batch moves it and a document may be large.
    """CREATE TABLE IF NOT EXISTS activity(
        company TEXT NOT NULL, id TEXT NOT NULL, last_iteration INTEGER, last_update INTEGER, last_change INTEGER,
        PRIMARY KEY(company, id)) WITHOUT ROWID""",
)
