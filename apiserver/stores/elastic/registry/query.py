"""Conditions and orders of the registry port: as Elasticsearch queries where that is exact, else decided here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apiserver.stores.conditions import ACTIVITY_KINDS, STATISTICS, Path, number_of, path_of, searched, simplified
from apiserver.stores.elastic.layout import SORTED_FIELDS
from apiserver.stores.elastic.queries import NO_MATCH, Query, all_of, any_of, terms
from apiserver.stores.elastic.registry.documents import equal_tokens, exists_token
from apiserver.stores.patterns import PatternTime
from apiserver.stores.registry import ACTIVITY_FIELDS, AnyOf, Condition, Sort

EVERYTHING: Query = {"match_all": {}}


def is_statistic(path: Path) -> bool:
    return path[0] == "last_metrics" and len(path) == 4 and path[3] in STATISTICS


class SearchFilter:
    """The conditions of one search: what Elasticsearch decides (`query`), and what is decided here (`rest`)."""

    def __init__(self, kind: str, companies: Sequence[str], where: Sequence[Condition | AnyOf]) -> None:
        self.kind = kind
        filters: list[Query] = [{"term": {"kind": kind}}, terms("company", companies)]
        self.rest: list[Condition | AnyOf] = []
        for item in where:
            query, exact = self._item(item)
            filters.append(query)
            if not exact:
                self.rest.append(item)
        self.query = all_of(filters)

    def _item(self, item: Condition | AnyOf) -> tuple[Query, bool]:
        """A query that matches at least every document that meets the condition, and whether it matches no other."""
        if isinstance(item, Condition):
            return self._condition(item)
        groups: list[Query] = []
        exact = True
        for group in item.groups:
            parts = [self._condition(condition) for condition in group]
            exact = exact and all(part[1] for part in parts)
            groups.append(all_of([part[0] for part in parts]) if parts else EVERYTHING)
        return any_of(groups), exact

    def _condition(self, condition: Condition) -> tuple[Query, bool]:
        query, exact = self._positive(simplified(condition))
        if not condition.negate:
            return query, exact
        return ({"bool": {"must_not": [query]}}, True) if exact else (EVERYTHING, False)

    def _positive(self, condition: Condition) -> tuple[Query, bool]:
        path = path_of(condition.path)
        if is_statistic(path) or condition.op == "matches":
            return EVERYTHING, False
        if condition.op == "exists":
            return self._exists(path), True
        if condition.op == "all":
            return all_of([self._in(path, [value]) for value in condition.values]), True
        if condition.op == "in":
            return self._in(path, condition.values), True
        return self._range(path, condition.values)

    def _is_activity(self, path: Path) -> bool:
        return self.kind in ACTIVITY_KINDS and len(path) == 1 and path[0] in ACTIVITY_FIELDS

    def _exists(self, path: Path) -> Query:
        if path == ("company",):
            return EVERYTHING
        return {"exists": {"field": path[0]}} if self._is_activity(path) else {"term": {"tokens": exists_token(path)}}

    def _in(self, path: Path, values: Sequence[Any]) -> Query:
        wanted = [value for value in values if value is not None]
        choices: list[Query] = []
        if self._is_activity(path):
            choices.append(terms(path[0], [value for value in wanted if _is_long(value)]))
        elif wanted and path in (("company",), ("id",)):
            choices.append(terms(path[0], wanted))
        elif wanted:
            choices.append(terms("tokens", [token for value in wanted for token in equal_tokens(path, value)]))
        if len(wanted) < len(values):
            choices.append({"bool": {"must_not": [self._exists(path)]}})
        return any_of(choices)

    def _range(self, path: Path, values: Sequence[Any]) -> tuple[Query, bool]:
        low, high = values
        if low is None and high is None:
            return self._exists(path), True
        bounds = {name: value for name, value in (("gte", low), ("lte", high)) if value is not None}
        if self._is_activity(path):
            if any(isinstance(value, str) for value in bounds.values()) or bounds.get("gte", 0) >= 2**63 or bounds.get("lte", 0) < -(2**63):
                return NO_MATCH, True
            return {"range": {path[0]: {name: value for name, value in bounds.items() if _is_long(value)}}}, True
        if len(path) == 1 and path[0] in SORTED_FIELDS:
            kind = "texts" if isinstance(low if low is not None else high, str) else "numbers"
            return {"range": {f"{kind}.{path[0]}": bounds}}, True
        return self._exists(path), False

    def order(self, sorts: Sequence[Sort]) -> list[Any] | None:
        """The order for Elasticsearch; None when documents have to be sorted here. As in SQLite, numbers come before texts, and absent
        values come last."""
        keys: list[Any] = []
        for sort in sorts:
            path = path_of(sort.path)
            if sort.numeric:
                return None
            way = {"order": "desc" if sort.descending else "asc", "missing": "_last"}
            if len(path) == 1 and (path[0] in ("id", "company") or self._is_activity(path)):
                keys.append({path[0]: way})
            elif len(path) == 1 and path[0] in SORTED_FIELDS:
                both = [{f"numbers.{path[0]}": way}, {f"texts.{path[0]}": way}]
                keys += both[::-1] if sort.descending else both
            else:
                return None
        return [*keys, "id", "company"]


def _is_long(value: Any) -> bool:
    return isinstance(value, int | float) and -(2**63) <= value < 2**63


Lookup = Callable[[Mapping[str, Any], Path], Any]


def value_at(body: Mapping[str, Any], path: Path) -> Any:
    """The value at a path; for a path through a list of objects the list of their values. None when absent."""
    value: Any = body
    for depth, part in enumerate(path):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list):
            below = [value_at(item, path[depth:]) for item in value if isinstance(item, Mapping)]
            return [item for item in below if item is not None] or None
        else:
            return None
    return value


class DocumentTest:
    """A condition or a group of them as a function of a document's body."""

    def __init__(self, item: Condition | AnyOf, lookup: Lookup, allowed: PatternTime) -> None:
        self._lookup = lookup
        groups = [[item]] if isinstance(item, Condition) else item.groups
        self._groups = [[self._one(simplified(condition), allowed) for condition in group] for group in groups]

    def __call__(self, body: Mapping[str, Any]) -> bool:
        return any(all(test(body) for test in group) for group in self._groups)

    def _one(self, condition: Condition, allowed: PatternTime) -> Callable[[Mapping[str, Any]], bool]:
        path = path_of(condition.path)
        holds = predicate(condition, allowed)
        return lambda body: holds(self._lookup(body, path)) != condition.negate


def predicate(condition: Condition, allowed: PatternTime) -> Callable[[Any], bool]:
    """Whether a condition holds for a value, before it is negated. Absent values are None."""
    values = condition.values
    if condition.op == "exists":
        return lambda value: value is not None
    if condition.op == "in":
        return _is_among(values)
    if condition.op == "all":
        return lambda value: all(_equals(value, wanted) for wanted in values)
    if condition.op == "range":
        return lambda value: _inside(value, values[0], values[1])
    return searched(allowed, *values)


def _is_among(values: Sequence[Any]) -> Callable[[Any], bool]:
    """Whether a value, or an item of a list, equals one of the values: with 200 ids and 10,000 documents, each a look-up instead of 200 comparisons."""
    try:
        wanted = frozenset(values)
    except TypeError:  # an object or a list among them
        return lambda value: any(_equals(value, one) for one in values)
    items = wanted - {None}

    def holds(value: Any) -> bool:
        if isinstance(value, list):
            return any(item.__hash__ is not None and item in items for item in value)
        return value.__hash__ is not None and value in wanted

    return holds


def _equals(value: Any, wanted: Any) -> bool:
    if wanted is None:
        return value is None
    return bool(wanted in value) if isinstance(value, list) else bool(value == wanted)


def _inside(value: Any, low: Any, high: Any) -> bool:
    if low is None and high is None:
        return value is not None
    is_text = isinstance(low if low is not None else high, str)
    if isinstance(value, str) != is_text or not isinstance(value, str | int | float):
        return False
    return bool((low is None or value >= low) and (high is None or value <= high))


def sort_key(value: Any, numeric: bool = False) -> tuple[int, Any]:
    """Numbers before texts before anything else; with `numeric` texts that are numbers count as numbers."""
    if numeric and isinstance(value, str):
        number = number_of(value)
        value = value if number is None else number
    if isinstance(value, int | float):
        return (0, value)
    return (1, value.encode()) if isinstance(value, str) else (2, str(value).encode())
