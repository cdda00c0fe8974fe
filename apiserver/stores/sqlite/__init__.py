"""The embedded engine: events and registry in one SQLite file."""

from __future__ import annotations

import os

from apiserver.stores.base import EventStore
from apiserver.stores.options import WriteOptions
from apiserver.stores.registry import Registry

DEFAULT_OPTIONS = WriteOptions()


def open_sqlite(path: str | os.PathLike[str], options: WriteOptions = DEFAULT_OPTIONS) -> tuple[EventStore, Registry]:
    """Open or create the file. Raises StoreDamaged when it can't be used, StoreBusy when another process holds it."""
    from apiserver.stores.sqlite.database import Database
    from apiserver.stores.sqlite.events import SqliteEvents
    from apiserver.stores.sqlite.registry import SqliteRegistry

    database = Database(path)
    return SqliteEvents(database, options), SqliteRegistry(database)
