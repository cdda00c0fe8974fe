"""One search of the registry: SQL for the conditions that SQLite evaluates, matchers for patterns."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from apiserver.stores.conditions import Path, path_of, simplified
from apiserver.stores.patterns import PatternTime
from apiserver.stores.registry import AnyOf, Condition, Kind, Sort
from apiserver.stores.sqlite.registry_query import Statement, has_pattern, pattern_test

JOINED = "documents d LEFT JOIN activity a ON a.company = d.company AND a.id = d.id"

ROWS = 200
"""Documents whose texts are read in one step."""
TEXTS = 4_000_000
"""Characters of texts after which no more are read before these are matched."""


class Query:
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
        found: int = connection.execute(f"SELECT count(*) FROM {source_of(statement)} WHERE {where}", params).fetchone()[0]
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
        where = self._chosen(statement, filtered)
        groups = ", ".join(f"k{number}" for number in range(len(keys)))
        sql = f"SELECT {', '.join(columns)}, count(*), {summed} FROM {source_of(statement)}{''.join(joins)} WHERE {where} GROUP BY {groups}"
        rows_found = connection.execute(sql, [*selected, *joined, *filtered]).fetchall()
        return {tuple(row[:-2]): (row[-2], row[-1]) for row in rows_found}

    def names(self, connection: sqlite3.Connection, field: str) -> set[tuple[str, str]]:
        """The names of two levels of an object, found by SQLite: ten thousand bodies are not parsed in Python."""
        filtered: list[Any] = []
        statement = Statement(self._kind)
        where = self._chosen(statement, filtered)
        source = f"{source_of(statement)} JOIN json_each(d.body, ?) outer_ JOIN json_each(outer_.value) inner_"
        sql = f"SELECT DISTINCT outer_.key, inner_.key FROM {source} WHERE outer_.type = 'object' AND {where}"
        return set(connection.execute(sql, [f'$."{field}"', *filtered]))

    def select(
        self, connection: sqlite3.Connection, columns: str, order: Sequence[Sort], offset: int, limit: int | None
    ) -> Sequence[tuple[Any, ...]]:
        """Columns of the documents of one page, in order."""
        statement = Statement(self._kind)
        params: list[Any] = []
        if self._patterns and not self._matching:
            return []
        where = self._chosen(statement, params)
        order_by = statement.order(order, params)
        sql = f"SELECT {columns} FROM {source_of(statement)} WHERE {where} ORDER BY {order_by} LIMIT ? OFFSET ?"
        return connection.execute(sql, [*params, -1 if limit is None else limit, offset]).fetchall()

    def candidates(self, connection: sqlite3.Connection) -> list[int]:
        """The rows that pass the conditions that SQLite evaluates."""
        statement = Statement(self._kind)
        params: list[Any] = []
        where = self._where(statement, params)
        # One text: ten thousand single rows would release and take the GIL ten thousand times.
        sql = f"SELECT json_group_array(d.rowid) FROM {source_of(statement)} WHERE {where}"
        return sorted(orjson.loads(connection.execute(sql, params).fetchone()[0]))

    def texts(self, connection: sqlite3.Connection, rows: Sequence[int]) -> tuple[int, list[list[Any]]]:
        """For the first of these rows, as many as may be in memory together: how many they are, and a column with those that are still there and
        one for each leaf of the conditions with patterns."""
        statement = Statement(self._kind)
        tests: list[Any] = []
        selected = ", ".join(f"json_group_array({column})" for column in ("d.rowid", *self._tests(statement, tests)))
        columns: list[list[Any]] = [[] for _ in range(1 + len(self._leaves()))]
        taken = length = 0
        while taken < len(rows) and length < TEXTS:
            some = rows[taken : taken + ROWS]
            params = [*tests]
            sql = f"SELECT {selected} FROM {source_of(statement)} WHERE {self._named(some, params)}"
            found = connection.execute(sql, params).fetchone()
            for column, text in zip(columns, found, strict=True):
                column += orjson.loads(text)
                length += len(text)
            taken += len(some)
        return taken, columns

    def match(self, columns: list[list[Any]], allowed: PatternTime) -> None:
        """Keep the rows of these columns whose texts the patterns match, in any order. Raises PatternTooSlow."""
        rows, *values = columns
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
        self._matching += [row for row, ok in zip(rows, holds, strict=True) if ok]

    def _chosen(self, statement: Statement, params: list[Any]) -> str:
        """The documents that meet all conditions; where patterns are among them, those that `match` kept."""
        return self._named(self._matching, params) if self._patterns else self._where(statement, params)

    def _named(self, rows: Sequence[int], params: list[Any]) -> str:
        """The documents of rows that were found. The row of a document that was deleted meanwhile may hold another one."""
        params += [self._kind, orjson.dumps(self._companies).decode(), orjson.dumps(rows).decode()]
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


def _simplified(item: Condition | AnyOf) -> Condition | AnyOf:
    if isinstance(item, Condition):
        return simplified(item)
    return AnyOf([[simplified(condition) for condition in group] for group in item.groups])


def source_of(statement: Statement) -> str:
    """The tables that a statement reads."""
    return JOINED if statement.needs_activity else "documents d"
