"""The registry port over SQLite: documents as JSON text, with columns for what tables are filtered and sorted by."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from apiserver.common.fairness import paced
from apiserver.stores.conditions import ACTIVITY_KINDS, BULK_FIELDS, path_of
from apiserver.stores.patterns import PatternTime
from apiserver.stores.registry import ACTIVITY_FIELDS, AnyOf, Condition, Document, Kind, Registry, Sort
from apiserver.stores.sqlite import series_rows
from apiserver.stores.sqlite.database import Database
from apiserver.stores.sqlite.registry_query import reads_statistics
from apiserver.stores.sqlite.registry_search import JOINED, Query

AT_ONCE = 20
"""Documents that are encoded before others have their turn."""

_ROW = "d.company, d.id, d.version, d.body, {bulk}, a.last_iteration, a.last_update, a.last_change"


class SqliteRegistry(Registry):
    """See `stores.registry.Registry`. `version` counts changes, from the time of creation, so that a new document never repeats an old one's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- one document, or some by id

    def get_many(self, kind: Kind, company: str, ids: Collection[str], *, fields: Collection[str] | None = None) -> dict[str, Document]:
        if not ids:
            return {}
        sql = f"SELECT {_columns(kind, fields)} FROM {JOINED} WHERE d.kind = ? AND d.company = ? AND d.id"
        documents = self._database.read(lambda connection: _by_ids(connection, kind, sql, (kind, company), ids))
        return {document.id: document for document in documents}

    def find_anywhere(self, kind: Kind, ids: Collection[str]) -> list[Document]:
        if not ids:
            return []
        sql = f"SELECT {_columns(kind, None)} FROM {JOINED} WHERE d.kind = ? AND d.id"
        return self._database.read(lambda connection: _by_ids(connection, kind, sql, (kind,), ids))

    def companies(self) -> list[str]:
        return self._database.read(
            lambda connection: [row[0] for row in connection.execute("SELECT DISTINCT company FROM documents ORDER BY company")]
        )

    def create_many(self, kind: Kind, company: str, bodies: Mapping[str, Mapping[str, Any]]) -> dict[str, Document]:
        version = time.time_ns()
        made = {id: Document(id, company, {**body, "id": id}, (kind, version)) for id, body in bodies.items()}
        encoded = [(id, *_encoded(kind, document.body)) for id, document in paced(made.items(), AT_ONCE)]

        def insert(connection: sqlite3.Connection) -> dict[str, Document]:
            created = {}
            for id, main, bulk in encoded:
                done = connection.execute(
                    "INSERT INTO documents(kind, company, id, version, body, bulk) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (kind, company, id, version, main, bulk),
                )
                if done.rowcount > 0:
                    created[id] = made[id]
                    if kind in ACTIVITY_KINDS:
                        activity = [bodies[id].get(field) for field in ACTIVITY_FIELDS]
                        connection.execute("INSERT OR REPLACE INTO activity VALUES (?, ?, ?, ?, ?)", (company, id, *activity))
            return created

        return self._database.write(insert, lines=len(encoded)) if encoded else {}

    def replace_many(
        self, kind: Kind, company: str, documents: Collection[Document], *, touch: Mapping[str, int] | None = None
    ) -> dict[str, Document]:
        encoded = [(document, *_encoded(kind, document.body)) for document in paced(documents, AT_ONCE)]

        def update(connection: sqlite3.Connection) -> dict[str, Document]:
            replaced = {}
            for document, main, bulk in encoded:
                number = document.version[1]
                done = connection.execute(
                    "UPDATE documents SET version = ?, body = ?, bulk = ? WHERE kind = ? AND company = ? AND id = ? AND version = ?",
                    (number + 1, main, bulk, kind, company, document.id, number),
                )
                if done.rowcount > 0:
                    replaced[document.id] = Document(document.id, company, document.body, (kind, number + 1))
                    if touch:
                        _touch(connection, company, document.id, touch)
            return replaced

        return self._database.write(update, lines=len(encoded)) if encoded else {}

    def delete_many(self, kind: Kind, company: str, ids: Collection[str]) -> set[str]:
        def remove(connection: sqlite3.Connection) -> set[str]:
            removed = set()
            for id in ids:
                done = connection.execute("DELETE FROM documents WHERE kind = ? AND company = ? AND id = ?", (kind, company, id))
                if done.rowcount > 0:
                    removed.add(id)
                if kind in ACTIVITY_KINDS:
                    connection.execute("DELETE FROM activity WHERE company = ? AND id = ?", (company, id))
            return removed

        return self._database.write(remove, lines=len(ids)) if ids else set()

    def touch(
        self,
        kind: Kind,
        company: str,
        id: str,
        *,
        last_iteration: int | None = None,
        last_update: int | None = None,
        last_change: int | None = None,
    ) -> None:
        moved = {"last_iteration": last_iteration, "last_update": last_update, "last_change": last_change}
        if kind in ACTIVITY_KINDS:
            self._database.write(lambda connection: _touch(connection, company, id, moved), lines=1)

    # --- queries

    def find(
        self,
        kind: Kind,
        companies: Sequence[str],
        where: Sequence[Condition | AnyOf] = (),
        *,
        order: Sequence[Sort] = (),
        offset: int = 0,
        limit: int | None = None,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        self._freshen(where, order)
        query = self._query(kind, companies, where)
        columns = _columns(kind, fields)

        def search(connection: sqlite3.Connection) -> list[Document]:
            if fields is not None and set(fields) <= {"id"}:
                found = query.select(connection, "d.id, d.company, d.version", order, offset, limit)
                return [Document(id, company, {"id": id}, (kind, version)) for id, company, version in found]
            rows = [row[0] for row in query.select(connection, "d.rowid", order, offset, limit)]
            return _by_rowids(connection, kind, columns, rows)

        return self._database.read(search)

    def count(self, kind: Kind, companies: Sequence[str], where: Sequence[Condition | AnyOf] = ()) -> int:
        self._freshen(where)
        query = self._query(kind, companies, where)
        return self._database.read(query.count)

    def tally(
        self,
        kind: Kind,
        companies: Sequence[str],
        where: Sequence[Condition | AnyOf],
        by: Sequence[str | tuple[str, ...]],
        *,
        total: str | tuple[str, ...] | None = None,
        greatest: bool = False,
    ) -> dict[tuple[Any, ...], tuple[int, float]]:
        self._freshen(where)
        query = self._query(kind, companies, where)
        keys = [path_of(path) for path in by]
        return self._database.read(lambda connection: query.tally(connection, keys, None if total is None else path_of(total), greatest))

    def names(self, kind: Kind, companies: Sequence[str], where: Sequence[Condition | AnyOf], field: str) -> set[tuple[str, str]]:
        self._freshen(where)
        query = self._query(kind, companies, where)
        return self._database.read(lambda connection: query.names(connection, field))

    def _query(self, kind: Kind, companies: Sequence[str], where: Sequence[Condition | AnyOf]) -> Query:
        """A query whose patterns are matched: outside of the reader threads, which serve every call."""
        query = Query(kind, companies, where)
        if query.has_patterns:
            rows, allowed = self._database.read(query.candidates), PatternTime()
            while rows:
                taken, columns = self._database.read(lambda connection, rows=rows: query.texts(connection, rows))  # type: ignore[misc]
                query.match(columns, allowed)
                rows = rows[taken:]
        return query

    def _freshen(self, where: Sequence[Condition | AnyOf], order: Sequence[Sort] = ()) -> None:
        """Recompute stale statistics, if the answer depends on statistics."""
        if reads_statistics(where, order):
            for series in self._database.read(lambda connection: series_rows.stale_series(connection, None)):
                self._database.write(lambda connection, series=series: series_rows.recompute(connection, series))  # type: ignore[misc]


def _touch(connection: sqlite3.Connection, company: str, id: str, moved: Mapping[str, int | None]) -> None:
    connection.execute(
        "UPDATE activity SET last_iteration = coalesce(?, last_iteration), last_update = coalesce(?, last_update),"
        " last_change = coalesce(?, last_change) WHERE company = ? AND id = ?",
        (*(moved.get(field) for field in ACTIVITY_FIELDS), company, id),
    )


def _columns(kind: Kind, fields: Collection[str] | None) -> str:
    wants_bulk = kind in BULK_FIELDS and (fields is None or not BULK_FIELDS[kind].isdisjoint(fields))
    return _ROW.format(bulk="d.bulk" if wants_bulk else "NULL")


def _by_ids(connection: sqlite3.Connection, kind: Kind, sql: str, params: tuple[str, ...], ids: Collection[str]) -> list[Document]:
    if len(ids) == 1:
        rows = connection.execute(f"{sql} = ?", (*params, *ids))
    else:
        rows = connection.execute(f"{sql} IN (SELECT value FROM json_each(?))", (*params, orjson.dumps(list(ids)).decode()))
    return [_document(kind, row) for row in rows]


def _by_rowids(connection: sqlite3.Connection, kind: Kind, columns: str, rows: Sequence[int]) -> list[Document]:
    if not rows:
        return []
    sql = f"SELECT d.rowid, {columns} FROM {JOINED} WHERE d.rowid IN (SELECT value FROM json_each(?))"
    found = {row[0]: _document(kind, row[1:]) for row in connection.execute(sql, (orjson.dumps(rows).decode(),))}
    return [found[row] for row in rows if row in found]


def _document(kind: Kind, row: Sequence[Any]) -> Document:
    company, id, version, main, bulk, *activity = row
    body: dict[str, Any] = orjson.loads(main)
    if bulk is not None:
        body.update(orjson.loads(bulk))
    if kind in ACTIVITY_KINDS:
        body.update(zip(ACTIVITY_FIELDS, activity, strict=True))
    return Document(id, company, body, (kind, version))


def _encoded(kind: Kind, body: Mapping[str, Any]) -> tuple[str, str | None]:
    """The JSON of the small and of the large fields; activity fields are kept elsewhere."""
    apart = BULK_FIELDS.get(kind, frozenset())
    skipped = ACTIVITY_FIELDS if kind in ACTIVITY_KINDS else ()
    main = {key: value for key, value in body.items() if key not in apart and key not in skipped}
    bulk = {key: value for key, value in body.items() if key in apart and (value or value is None)}
    return orjson.dumps(main).decode(), orjson.dumps(bulk).decode() if bulk else None
