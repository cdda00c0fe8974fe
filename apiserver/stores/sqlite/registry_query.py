"""Conditions and orders of the registry port as SQL.

A path can name four kinds of places: a column of its own (what tables are usually filtered and sorted by), a time or iteration of the
`activity` table, a statistic of a series, or anything else in the JSON body. Patterns never run inside SQLite: a Python function called
from a statement takes the GIL once per row, and waits each time for a busy main thread. Texts come back as one JSON text for many rows and are
matched outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from apiserver.stores.conditions import ACTIVITY_KINDS, BULK_FIELDS, STATISTICS, Path, conditions_in, path_of, searched
from apiserver.stores.event_types import TYPES
from apiserver.stores.patterns import SEARCHED, PatternTime
from apiserver.stores.records import SCALAR
from apiserver.stores.registry import ACTIVITY_FIELDS, AnyOf, Condition, Kind, Sort

COLUMNS = ("name", "project", "status", "type", "user", "parent", "task", "created", "started", "completed", "active_duration")
"""Scalar fields with a (generated) column of their own."""

LIST_COLUMNS = ("tags", "system_tags")
"""List fields with a column of their own: JSON text."""

OBJECT_LISTS = frozenset({("models", "input"), ("models", "output"), ("execution", "artifacts"), ("runtime", "_pipeline")})
"""Lists of objects: a longer path names a field of their items."""

SCALAR_CODE = TYPES[SCALAR].code


class Statement:
    """Builds one WHERE/ORDER BY over `documents d` (and `activity a`), collecting its parameters in order."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.bulk = BULK_FIELDS.get(kind, frozenset())
        self.needs_activity = False

    # --- places

    def scalar(self, path: Path, params: list[Any]) -> str:
        """An expression for the value at a path; NULL when absent or null."""
        head = path[0]
        if len(path) == 1:
            if head in ("id", "company") or head in COLUMNS or head in LIST_COLUMNS:
                return f'd."{head}"'
            if head in ACTIVITY_FIELDS and self.kind in ACTIVITY_KINDS:
                self.needs_activity = True
                return f"a.{head}"
        if head == "last_metrics" and len(path) == 4 and self.kind in ACTIVITY_KINDS and path[3] in STATISTICS:
            return self._statistic(path, params)
        source = self._source(head)
        if any(_needs_walk(part) for part in path):
            return self._walk(source, path, params)
        params.append(_json_path(path))
        return f"json_extract({source}, ?)"

    def _source(self, head: str) -> str:
        return "d.bulk" if head in self.bulk else "d.body"

    def _walk(self, source: str, path: Path, params: list[Any]) -> str:
        """A path with names that SQLite's path syntax can't hold: object by object, comparing decoded names."""
        tables = [f"json_each({source}) AS w0"]
        for level in range(1, len(path)):
            above = f"w{level - 1}"
            tables.append(f"json_each(CASE WHEN {above}.type = 'object' THEN {above}.value ELSE '{{}}' END) AS w{level}")
        conditions = " AND ".join(f"w{level}.key = ?" for level in range(len(path)))
        params.extend(path)
        return f"(SELECT w{len(path) - 1}.value FROM {', '.join(tables)} WHERE {conditions})"

    def _statistic(self, path: Path, params: list[Any]) -> str:
        params.extend((SCALAR_CODE, path[1], path[2]))
        return (
            f"(SELECT s.{STATISTICS[path[3]]} FROM entities n JOIN series s ON s.entity = n.id WHERE n.company = d.company AND n.task = d.id"
            " AND s.type = ? AND s.metric_hash = ? AND s.variant_hash = ? LIMIT 1)"
        )

    def items(self, path: Path, params: list[Any]) -> tuple[str, str]:
        """A table expression over the values at a path (the value itself, or the items of a list), and its value (NULL for members of an object)."""
        head = path[0]
        value = "CASE typeof(e.key) WHEN 'text' THEN NULL ELSE e.value END"
        if len(path) == 1 and head in LIST_COLUMNS:
            return f"json_each(coalesce(d.{head}, '[]')) AS e", "e.value"
        for size in (2, 3):
            if path[:size] in OBJECT_LISTS and len(path) > size:
                params.extend((_json_path(path[:size]), _json_path(path[size:])))
                return f"json_each({self._source(head)}, ?) AS o, json_each(o.value, ?) AS e", value
        params.append(_json_path(path))
        return f"json_each({self._source(head)}, ?) AS e", value

    def list_of(self, path: Path, params: list[Any]) -> str:
        """The arguments of `json_each` for the items of a list field, or for a single value."""
        if len(path) == 1 and path[0] in LIST_COLUMNS:
            return f"coalesce(d.{path[0]}, '[]')"
        params.append(_json_path(path))
        return f"{self._source(path[0])}, ?"

    def is_scalar(self, path: Path) -> bool:
        head = path[0]
        if len(path) == 1:
            return (
                head in ("id", "company")
                or head in COLUMNS
                or (head in ACTIVITY_FIELDS and self.kind in ACTIVITY_KINDS)
                or _needs_walk(head)
            )
        return head == "last_metrics" or any(_needs_walk(part) for part in path)

    # --- conditions

    def condition(self, condition: Condition, params: list[Any]) -> str:
        """One condition as a boolean expression that is never NULL. Not for `matches`."""
        text = self._positive(condition, params)
        return f"NOT coalesce({text}, 0)" if condition.negate else f"coalesce({text}, 0)"

    def _positive(self, condition: Condition, params: list[Any]) -> str:
        path = path_of(condition.path)
        if condition.op == "exists":
            return f"{self.scalar(path, params)} IS NOT NULL"
        if condition.op == "range":
            return self._range(path, condition.values, params)
        if condition.op == "in":
            return self._in(path, condition.values, params)
        if condition.op == "all":
            tests = [self._in(path, [value], params) for value in condition.values]
            return "(" + (" AND ".join(tests) or "1") + ")"
        raise ValueError(f"unknown operation {condition.op!r}")

    def _range(self, path: Path, values: Sequence[Any], params: list[Any]) -> str:
        low, high = values
        if low is None and high is None:
            return f"{self.scalar(path, params)} IS NOT NULL"
        types = "('text')" if isinstance(low if low is not None else high, str) else "('integer', 'real')"
        tests = [f"typeof({self.scalar(path, params)}) IN {types}"]
        if low is not None:
            tests.append(f"{self.scalar(path, params)} >= ?")
            params.append(low)
        if high is not None:
            tests.append(f"{self.scalar(path, params)} <= ?")
            params.append(high)
        return "(" + " AND ".join(tests) + ")"

    def _in(self, path: Path, values: Sequence[Any], params: list[Any]) -> str:
        wanted = [value for value in values if value is not None]
        tests = []
        if wanted:
            if self.is_scalar(path):
                tests.append(f"{self.scalar(path, params)} {_membership(wanted, params)}")
            else:
                table, value = self.items(path, params)
                tests.append(f"EXISTS (SELECT 1 FROM {table} WHERE {value} {_membership(wanted, params)})")
        if len(wanted) < len(values):
            tests.append(f"{self.scalar(path, params)} IS NULL")
        return "(" + (" OR ".join(f"coalesce({test}, 0)" for test in tests) or "0") + ")"

    # --- patterns

    def text(self, path: Path, params: list[Any]) -> str:
        """The value that a pattern is matched with, a text or a list of texts, as the argument of a JSON function. Long texts are cut to
        what patterns see."""
        if len(path) == 1 and path[0] in LIST_COLUMNS:
            return f"json(coalesce(d.{path[0]}, 'null'))"
        if len(path) == 1 and path[0] in COLUMNS:
            return f'CASE WHEN length(d."{path[0]}") > {SEARCHED} THEN substr(d."{path[0]}", 1, {SEARCHED}) ELSE d."{path[0]}" END'
        if self.is_scalar(path):
            return self.scalar(path, params)
        source = self._source(path[0])
        for size in (2, 3):
            if path[:size] in OBJECT_LISTS and len(path) > size:
                params.extend((_json_path(path[size:]), _json_path(path[:size])))
                return f"json((SELECT json_group_array(json_extract(o.value, ?)) FROM json_each({source}, ?) AS o))"
        params += [_json_path(path)] * 4
        value = f"json_extract({source}, ?)"
        cut = f"WHEN json_type({source}, ?) = 'text' THEN substr({value}, 1, {SEARCHED})"
        return f"CASE WHEN length({source}) <= {SEARCHED} THEN {value} {cut} ELSE {value} END"

    def order(self, sorts: Sequence[Sort], params: list[Any]) -> str:
        parts = []
        for sort in sorts:
            path = path_of(sort.path)
            parts.append(f"{self.scalar(path, params)} IS NULL")
            value = self._number_or_value(path, params) if sort.numeric else self.scalar(path, params)
            parts.append(f"{value}{' DESC' if sort.descending else ''}")
        return ", ".join([*parts, "d.id", "d.company"])

    def _number_or_value(self, path: Path, params: list[Any]) -> str:
        """The value at a path, as a number if it is the text of one. Only such a text equals its own cast: a comparison converts texts
        that are entirely a number, a cast also those that begin with one."""
        value, cast, number, text = [self.scalar(path, params) for _ in range(4)]
        return f"CASE WHEN {value} = CAST({cast} AS NUMERIC) THEN CAST({number} AS NUMERIC) ELSE {text} END"


def _needs_walk(part: str) -> bool:
    return '"' in part or "\\" in part or not part.isprintable()


def _json_path(path: Path) -> str:
    return "$" + "".join(f'."{part}"' for part in path)


def _membership(values: Sequence[Any], params: list[Any]) -> str:
    if len(values) > 20:
        params.append(orjson.dumps(list(values)).decode())
        return "IN (SELECT value FROM json_each(?))"
    params.extend(int(value) if isinstance(value, bool) else value for value in values)
    return "IN (" + ", ".join("?" * len(values)) + ")"


def pattern_test(condition: Condition, allowed: PatternTime) -> Callable[[Any], bool]:
    """Whether a `matches` condition holds for a value."""
    found = searched(allowed, *condition.values)
    return lambda value: found(value) != condition.negate


def reads_statistics(where: Sequence[Condition | AnyOf], order: Sequence[Sort]) -> bool:
    """Whether the answer depends on statistics of series."""
    conditions = conditions_in(where)
    paths = [item.path for item in conditions] + [sort.path for sort in order]
    return any(path_of(path)[0] == "last_metrics" for path in paths)


def has_pattern(item: Condition | AnyOf) -> bool:
    return any(condition.op == "matches" for condition in conditions_in([item]))
