"""The registry port over SQLite: documents as JSON text, with columns for what tables are filtered and sorted by."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import orjson

from apiserver.common.fairness import paced
from apiserver.stores.conditions import ACTIVITY_KINDS, BULK_FIELDS, Path, path_of, simplified
from apiserver.stores.patterns import PatternTime
from apiserver.stores.registry import ACTIVITY_FIELDS, AnyOf, Condition, Document, Kind, Registry, Sort
from apiserver.stores.sqlite import series_rows
from apiserver.stores.sqlite.database import Database
from apiserver.stores.sqlite.registry_query import (
    Statement,
    has_pattern,
    pattern_test,
    reads_statistics,
)

AT_ONCE = 20
"""Documents that are encoded before others have their turn."""

_ROW = "d.company, d.id, d.version, d.body, {bulk}, a.last_iteration, a.last_update, a.last_change"
_FROM = "documents d LEFT JOIN activity a ON a.company = d.company AND a.id = d.id"


class SqliteRegistry(Registry):
    """See `stores.registry.Registry`. `version` counts changes, from the time of creation, so that a new document never repeats an old one's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- one document, or some by id

    def get_many(self, kind: Kind, company: str, ids: Collection[str], *, fields: Collection[str] | None = None) -> dict[str, Document]:
        if not ids:
            return {}
        sql = f"SELECT {_columns(kind, fields)} FROM {_FROM} WHERE d.kind = ? AND d.company = ? AND d.id"
        documents = self._database.read(lambda connection: _by_ids(connection, kind, sql, (kind, company), ids))
        return {document.id: document for document in documents}

    def find_anywhere(self, kind: Kind, ids: Collection[str]) -> list[Document]:
        if not ids:
            return []
        sql = f"SELECT {_columns(kind, None)} FROM {_FROM} WHERE d.kind = ? AND d.id"
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

    def _query(self, kind: Kind, companies: Sequence[str], where: Sequence[Condition | AnyOf]) -> _Query:
        """Match the patterns of a query, outside of the reader threads, which serve every call."""
        query = _Query(kind, companies, where)
        if query.has_patterns:
            query.match(self._database.read(query.candidates))
        return query

    def _freshen(self, where: Sequence[Condition | AnyOf], order: Sequence[Sort] = ()) -> None:
        """Recompute stale statistics, if the answer depends on statistics."""
        if reads_statistics(where, order):
            for series in self._database.read(lambda connection: series_rows.stale_series(connection, None)):
                self._database.write(lambda connection, series=series: series_rows.recompute(connection, series))  # type: ignore[misc]


class _Query:
    """One search: SQL for the conditions that SQLite evaluates, matchers for patterns."""

    def __init__(self, kind: Kind, companies: Sequence[str], where: Sequence[Condition | AnyOf]) -> None:
        self._kind = kind
        self._companies = list(companies)
        items = [_simplified(item) for item in where]
        self._plain = [item for item in items if not has_pattern(item)]
        self._patterns = [item for item in items if has_pattern(item)]
        self.has_patterns = bool(self._patterns)
        self._matching: list[int] = []

    def count(self, connection: sqlite3.Connection) -> int:
        if self._patterns:
            return len(self._matching)
        statement = Statement(self._kind)
        params: list[Any] = []
        where = self._where(statement, params)
        found: int = connection.execute(f"SELECT count(*) FROM {_source(statement)} WHERE {where}", params).fetchone()[0]
        return found

    def tally(
        self, connection: sqlite3.Connection, keys: Sequence[Path], total: Path | None, greatest: bool
    ) -> dict[tuple[Any, ...], tuple[int, float]]:
        """Counts (and sums, or greatest numbers) by the values of fields; items of list fields one by one."""
        statement = Statement(self._kind)
        selected: list[Any] = []
        joined: list[Any] = []
        columns, joins = [], []
        for number, path in enumerate(keys):
            if statement.is_scalar(path):
                columns.append(f"{statement.scalar(path, selected)} AS k{number}")
            else:
                joins.append(f" LEFT JOIN json_each({statement.list_of(path, joined)}) AS j{number}")
                columns.append(f"j{number}.value AS k{number}")
        measure = "ifnull(max({}), 0.0)" if greatest else "total({})"
        summed = "0.0" if total is None else measure.format(statement.scalar(total, selected))
        filtered: list[Any] = []
        if self._patterns:
            where = self._named(filtered)
        else:
            where = self._where(statement, filtered)
        groups = ", ".join(f"k{number}" for number in range(len(keys)))
        sql = f"SELECT {', '.join(columns)}, count(*), {summed} FROM {_source(statement)}{''.join(joins)} WHERE {where} GROUP BY {groups}"
        rows_found = connection.execute(sql, [*selected, *joined, *filtered]).fetchall()
        return {tuple(row[:-2]): (row[-2], row[-1]) for row in rows_found}

    def names(self, connection: sqlite3.Connection, field: str) -> set[tuple[str, str]]:
        """The names of two levels of an object, found by SQLite: ten thousand bodies are not parsed in Python."""
        filtered: list[Any] = []
        statement = Statement(self._kind)
        if self._patterns:
            where = self._named(filtered)
        else:
            where = self._where(statement, filtered)
        source = f"{_source(statement)} JOIN json_each(d.body, ?) outer_ JOIN json_each(outer_.value) inner_"
        sql = f"SELECT DISTINCT outer_.key, inner_.key FROM {source} WHERE outer_.type = 'object' AND {where}"
        return set(connection.execute(sql, [f'$."{field}"', *filtered]))

    def select(
        self, connection: sqlite3.Connection, columns: str, order: Sequence[Sort], offset: int, limit: int | None
    ) -> Sequence[tuple[Any, ...]]:
        """Columns of the documents of one page, in order."""
        statement = Statement(self._kind)
        params: list[Any] = []
        if self._patterns:
            if not self._matching:
                return []
            where = self._named(params)
        else:
            where = self._where(statement, params)
        order_by = statement.order(order, params)
        sql = f"SELECT {columns} FROM {_source(statement)} WHERE {where} ORDER BY {order_by} LIMIT ? OFFSET ?"
        return connection.execute(sql, [*params, -1 if limit is None else limit, offset]).fetchall()

    def candidates(self, connection: sqlite3.Connection) -> list[list[Any]]:
        """The rows that pass the conditions that SQLite evaluates, then a column for each leaf of the conditions with patterns."""
        # One text per column: ten thousand single rows would release and take the GIL ten thousand times.
        statement = Statement(self._kind)
        params: list[Any] = []
        columns = [f"json_group_array({column})" for column in ("d.rowid", *self._tests(statement, params))]
        where = self._where(statement, params)
        sql = f"SELECT {', '.join(columns)} FROM {_source(statement)} WHERE {where}"
        return [orjson.loads(text) for text in connection.execute(sql, params).fetchone()]

    def match(self, candidates: list[list[Any]]) -> None:
        """Keep the rows whose texts the patterns match, in any order. Raises PatternTooSlow."""
        rows, *values = candidates
        allowed = PatternTime()
        holds = [True] * len(rows)
        column = iter(values)
        for item in self._patterns:
            groups = [[item]] if isinstance(item, Condition) else item.groups
            some = [False] * len(rows)
            for group in groups:
                every = [ok and not done for ok, done in zip(holds, some, strict=True)]  # rows that are decided need no test
                for condition in group:
                    test: Callable[[Any], bool] = pattern_test(condition, allowed) if condition.op == "matches" else bool
                    every = [ok and test(value) for ok, value in zip(every, next(column), strict=True)]
                some = [one or other for one, other in zip(some, every, strict=True)]
            holds = some
        self._matching = [row for row, ok in zip(rows, holds, strict=True) if ok]

    def _named(self, params: list[Any]) -> str:
        """The documents of the rows that matched. The row of a document that was deleted meanwhile may hold another one."""
        params += [self._kind, orjson.dumps(self._companies).decode(), orjson.dumps(self._matching).decode()]
        return "+d.kind = ? AND +d.company IN (SELECT value FROM json_each(?)) AND d.rowid IN (SELECT value FROM json_each(?))"

    def _where(self, statement: Statement, params: list[Any]) -> str:
        params.append(self._kind)
        params.append(orjson.dumps(self._companies).decode())
        parts = ["d.kind = ?", "d.company IN (SELECT value FROM json_each(?))"]
        if len(self._companies) == 1:
            params[-1] = self._companies[0]
            parts[1] = "d.company = ?"
        for item in self._plain:
            if isinstance(item, Condition):
                parts.append(statement.condition(item, params))
            else:
                groups = [" AND ".join([statement.condition(condition, params) for condition in group] or ["1"]) for group in item.groups]
                parts.append("(" + (" OR ".join(f"({group})" for group in groups) or "0") + ")")
        return " AND ".join(parts)

    def _tests(self, statement: Statement, params: list[Any]) -> list[str]:
        """One column per leaf of the conditions with patterns: the text to match, or the truth of another condition."""
        columns = []
        for condition in self._leaves():
            if condition.op == "matches":
                columns.append(statement.text(path_of(condition.path), params))
            else:
                columns.append(statement.condition(condition, params))
        return columns

    def _leaves(self) -> list[Condition]:
        leaves: list[Condition] = []
        for item in self._patterns:
            if isinstance(item, Condition):
                leaves.append(item)
            else:
                leaves.extend(condition for group in item.groups for condition in group)
        return leaves


def _touch(connection: sqlite3.Connection, company: str, id: str, moved: Mapping[str, int | None]) -> None:
    connection.execute(
        "UPDATE activity SET last_iteration = coalesce(?, last_iteration), last_update = coalesce(?, last_update),"
        " last_change = coalesce(?, last_change) WHERE company = ? AND id = ?",
        (*(moved.get(field) for field in ACTIVITY_FIELDS), company, id),
    )


def _simplified(item: Condition | AnyOf) -> Condition | AnyOf:
    if isinstance(item, Condition):
        return simplified(item)
    return AnyOf([[simplified(condition) for condition in group] for group in item.groups])


def _source(statement: Statement) -> str:
    return _FROM if statement.needs_activity else "documents d"


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
    sql = f"SELECT d.rowid, {columns} FROM {_FROM} WHERE d.rowid IN (SELECT value FROM json_each(?))"
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
