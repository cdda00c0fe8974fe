"""The query language of the `get_all` endpoints: translates filters of clients into conditions of the registry port.

A filter is a field of the request, with the name of the field that it filters:

| filter | means |
|---|---|
| list | any of the values; an empty list and null are no filter, a null item means "absent" |
| `"__$not", x` or `"-x"` in a list | without x |
| `"__$and"` (`"__$all"`), `"__$or"` (`"__$any"`) in a list | all, or any, of the values that follow |
| `name`, `comment` ... as text | RE2 pattern, found anywhere, upper and lower case differ |
| `_any_` / `_all_`: {pattern, fields} | the pattern in any / all of the fields, upper and lower case alike |
| `_any_` / `_all_`: {datetime, fields} | any / all of these times in a range, as below |
| `filters`: {field: {op, any: {include, exclude}, all: {...}}} | lists with explicit operators |
| [low, high] on numbers, `[">=2026-01-01", "<2026-02-01"]` on times | range |
| any dotted path (`hyperparams.General.lr.value`, `last_metrics.<md5>.<md5>.value`) | as above |
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from apiserver.bll.patterns import checked
from apiserver.errors import ValidationFailed
from apiserver.stores.registry import AnyOf, Condition, Sort

Where = list[Condition | AnyOf]

MAX_CONDITIONS = 500
"""Conditions of one request: every field of `_any_`, every value of `filters`, every dotted filter is one. SQLite nests them, up to 1,000."""
MAX_NAMES = 60
"""Names in a dotted path. SQLite walks a path of odd names with a table for each, of which a join has up to 64."""

_OPERATORS = {"__$and": "all", "__$all": "all", "__$or": "any", "__$any": "any"}
_NOT = "__$not"
_IMPOSSIBLE = re.compile(r"[\"\\\x00-\x1f]")
_COMPARISON = re.compile(r"^\s*(>=|<=|>|<|==?)\s*(.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fields:
    """Which fields of one kind can be filtered, and how. Dotted paths are always possible."""

    lists: Collection[str]
    patterns: Collection[str] = ("name",)
    times: Collection[str] = ("created", "last_update", "last_change")
    numbers: Collection[str] = ()
    flags: Collection[str] = ()
    verbatim: Collection[str] = ("id", "parent", "task")
    """List fields whose values may begin with "-"."""
    renamed: Mapping[str, str] = field(default_factory=dict)


TASKS = Fields(
    lists=("id", "user", "project", "type", "status", "parent", "tags", "system_tags"),
    patterns=("name", "comment", "report", "status_reason", "status_message"),
    times=("created", "started", "completed", "published", "last_update", "last_change", "status_changed", "last_worker_report"),
    numbers=("last_iteration", "active_duration"),
)
MODELS = Fields(
    lists=("id", "user", "project", "parent", "task", "framework", "uri", "tags", "system_tags"),
    patterns=("name", "comment"),
    numbers=("last_iteration",),
    flags=("ready",),
    verbatim=("id", "parent", "task", "uri"),
)
PROJECTS = Fields(lists=("id", "user", "parent", "tags", "system_tags"), patterns=("name", "basename", "description"))


def conditions(request: Mapping[str, Any], fields: Fields) -> Where:
    """Every filter of a request. Raises InvalidRegex (a pattern that RE2 can't read) and ValidationFailed (a filter of a wrong form)."""
    where: Where = []
    for name, value in request.items():
        if value is None or value == []:
            continue
        if name in fields.lists:
            where += list_conditions(name, value if isinstance(value, list) else [value], negation=name not in fields.verbatim)
        elif name in fields.patterns:
            where += _named_pattern(name, value)
        elif name in fields.times or name in fields.numbers:
            where.append(_range(name, value, is_time=name in fields.times))
        elif name in fields.flags:
            where.append(Condition(name, "in", (bool(value),) if value else (False, None)))
        elif "." in name and not name.startswith("_"):
            where += _dotted(name, value)
    where += _search(request.get("_any_"), "_any_", fields, alternatives=True)
    where += _search(request.get("_all_"), "_all_", fields, alternatives=False)
    where += _filters(request.get("filters"))
    count = sum(sum(map(len, item.groups)) if isinstance(item, AnyOf) else 1 for item in where)
    if count > MAX_CONDITIONS:
        raise ValidationFailed("", f"a request with at most {MAX_CONDITIONS} conditions (this one has {count})")
    return where


def list_conditions(path: str | tuple[str, ...], values: Sequence[Any], *, negation: bool = True) -> Where:
    """A list filter with its operators."""
    any_of: list[Any] = []
    all_of: list[Any] = []
    without: list[Any] = []
    operator, negate = "any", False
    for value in values:
        if isinstance(value, (list, dict)):
            raise ValidationFailed(path if isinstance(path, str) else ".".join(path), "a list of plain values", value)
        if value in _OPERATORS and isinstance(value, str):
            operator = _OPERATORS[value]
        elif value == _NOT:
            negate = True
        else:
            if negation and isinstance(value, str) and len(value) > 1 and value[0] == "-":
                negate, value = True, value[1:]
            (without if negate else all_of if operator == "all" else any_of).append(value)
            negate = False
    where: Where = []
    if any_of:
        where.append(Condition(path, "in", any_of))
    where += [Condition(path, "in", (value,)) for value in all_of]
    if without:
        where.append(Condition(path, "in", without, negate=True))
    return where


def pattern_condition(path: str | tuple[str, ...], pattern: Any, *, ignore_case: bool, name: str) -> Condition:
    """A pattern, checked. Raises InvalidRegex."""
    if not isinstance(pattern, str):
        raise ValidationFailed(name, "a string", pattern)
    checked(pattern, ignore_case=ignore_case)
    return Condition(path, "matches", (pattern, ignore_case))


def field_path(name: str) -> tuple[str, ...]:
    """A dotted name as clients write it. Names of parameters may hold dots, plain or as `%2E`. Raises ValidationFailed for a path that is too
    long, and for a name that no field can have."""
    parts = name.split(".")
    if len(parts) > MAX_NAMES:
        raise ValidationFailed(name[:100], f"a path of at most {MAX_NAMES} names")
    if len(parts) == 1 and _IMPOSSIBLE.search(name):
        raise ValidationFailed(name[:100], "the name of a field, without quotes, backslashes and control characters")
    if parts[0] in ("hyperparams", "configuration") and len(parts) > 2:
        size = 2 if parts[0] == "hyperparams" else 1  # hyperparams.<section>.<name>.<field>, configuration.<name>.<field>
        last = parts[-1:] if len(parts) > size + 1 and parts[-1] in ("value", "type", "name", "section", "description") else []
        middle = parts[size : len(parts) - len(last)]
        parts = [*parts[:size], ".".join(middle), *last]
    return tuple(part.replace("%2E", ".").replace("%24", "$").replace("%25", "%") for part in parts)


_DEPTH = {"hyperparams": 3, "configuration": 2, "metadata": 2}
"""Names in the path of a parameter, a configuration object, an entry of a model's metadata."""


def value_path(name: str) -> tuple[str, ...]:
    """A dotted name in a filter or an order: of a parameter, a configuration object or metadata its value. Raises ValidationFailed."""
    path = field_path(name)
    return (*path, "value") if len(path) == _DEPTH.get(path[0]) else path


def sorts(order_by: str | Sequence[str] | None, default: Sequence[Sort] = ()) -> list[Sort]:
    """`["-last_update", "name"]` as the port wants it. Fields of joined objects sort by the object's id; parameters are texts, those that are
    numbers are ordered as numbers."""
    found = []
    for item in [order_by] if isinstance(order_by, str) else order_by or ():
        descending = item.startswith("-")
        name = item.lstrip("-+")
        if not name or name.startswith("@"):
            continue
        head, _, rest = name.partition(".")
        path = (head,) if head in ("project", "user", "parent", "company") and rest else value_path(name)
        if path == ("last_metrics",):
            continue
        found.append(Sort(path, descending, numeric=path[0] == "hyperparams"))
    return found or list(default)


def milliseconds(value: Any, name: str) -> int | float:
    """A time of a filter: ISO text, or a number of seconds (of milliseconds when it is large). Microseconds are its fraction."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**53:
        return value if abs(value) > 100_000_000_000 else _of_microseconds(round(value * 1_000_000))
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            pass
        else:
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return _of_microseconds((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))
    raise ValidationFailed(name, "a time such as 2026-01-31T12:00:00, with >=, >, <= or < before it", value)


def _of_microseconds(value: int) -> int | float:
    return value / 1000 if value % 1000 else value // 1000


# --- the single forms


def _named_pattern(name: str, value: Any) -> Where:
    if isinstance(value, list):
        return [AnyOf([[pattern_condition(name, item, ignore_case=False, name=name)] for item in value if item])]
    return [pattern_condition(name, value, ignore_case=False, name=name)] if value else []


def _dotted(name: str, value: Any) -> Where:
    path = value_path(name)
    if isinstance(value, dict):
        raise ValidationFailed(name, "a value, or a list of values", value)
    if path[0] == "last_metrics" or _is_number_range(value):
        return [_range(name, value, is_time=False, path=path)]
    if path[-1] == "name" and path[0] in ("project", "user", "parent"):
        raise ValidationFailed(name, f'a filter on "{path[0]}" with ids')
    return list_conditions(path, value if isinstance(value, list) else [value])


def _is_number_range(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and any(_is_number(item) for item in value)
        and all(item is None or _is_number(item) for item in value)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _range(name: str, value: Any, *, is_time: bool, path: tuple[str, ...] | None = None) -> Condition:
    """[low, high], or comparisons as text: `">=5"`, `[">=5", "<9"]`. Fields of the document itself hold integers, as every time does (ms)."""
    whole = is_time or path is None
    where = path or (name,)
    items = value if isinstance(value, list) else [value, value]
    compared = [_COMPARISON.match(item) if isinstance(item, str) else None for item in items]
    if any(compared):
        lows: list[int | float] = []
        highs: list[int | float] = []
        for item, found in zip(items, compared, strict=True):
            if found is None:
                raise ValidationFailed(name, "comparisons only, or two bounds", item)
            bound = _bound(found[2], name, is_time)
            if found[1] in (">", ">=", "=", "=="):
                lows.append(_edge(bound, 1, exclusive=found[1] == ">", whole=whole))
            if found[1] in ("<", "<=", "=", "=="):
                highs.append(_edge(bound, -1, exclusive=found[1] == "<", whole=whole))
        return Condition(where, "range", (max(lows, default=None), min(highs, default=None)))
    if len(items) == 1:
        items = [items[0], items[0]]
    if len(items) != 2:
        raise ValidationFailed(name, "a list of two bounds (null: open)", value)
    bounds = [None if item is None else _bound(item, name, is_time) for item in items]
    edges = [None if bound is None else _edge(bound, way, whole=whole) for bound, way in zip(bounds, (1, -1), strict=True)]
    return Condition(where, "range", tuple(edges))


def _edge(bound: float, way: int, *, exclusive: bool = False, whole: bool) -> int | float:
    """The least (`way` 1) or the greatest (-1) value that a bound lets through, among integers (`whole`) or among doubles and integers."""
    if whole:
        inside = math.ceil(bound) if way > 0 else math.floor(bound)
        return inside + way if exclusive and inside == bound else inside
    if not exclusive:
        return bound
    if abs(bound) >= 2**53:  # doubles are integers here, and stored integers may lie between them
        return int(bound) + way
    return math.nextafter(bound, way * math.inf)


def _bound(value: Any, name: str, is_time: bool) -> int | float:
    if is_time:
        return milliseconds(value, name)
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            try:
                value = float(value)
            except ValueError:
                value = None
    if not _is_number(value) or not abs(value) <= 2**63 - 1:
        raise ValidationFailed(name, "numbers", value)
    return value  # type: ignore[no-any-return]


def _search(value: Any, name: str, fields: Fields, *, alternatives: bool) -> Where:
    """`_any_` and `_all_`."""
    if value is None:
        return []
    if not isinstance(value, dict):
        raise ValidationFailed(name, "an object with pattern and fields", value)
    pattern, datetimes = value.get("pattern"), value.get("datetime")
    paths = value.get("fields") or []
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise ValidationFailed(f"{name}.fields", "a list of field names", paths)
    paths = list(dict.fromkeys(paths))
    where: Where = []
    if pattern and paths:
        found = [pattern_condition(value_path(path), pattern, ignore_case=True, name=f"{name}.pattern") for path in paths]
        where += [AnyOf([[condition] for condition in found])] if alternatives else found
    if datetimes and paths:
        found = [_range(f"{name}.datetime", datetimes, is_time=True, path=field_path(path)) for path in paths]
        where += [AnyOf([[condition] for condition in found])] if alternatives else found
    return where


def _filters(value: Any) -> Where:
    if not value:
        return []
    if not isinstance(value, dict):
        raise ValidationFailed("filters", "an object of filters by field", value)
    where: Where = []
    for name, item in value.items():
        if not isinstance(item, dict):
            raise ValidationFailed(f"filters.{name}", "an object with any, all and op", item)
        _only(item, ("any", "all", "op"), f"filters.{name}")
        if item.get("op") not in (None, "and", "or"):
            raise ValidationFailed(f"filters.{name}.op", '"and" or "or"', item["op"])
        path = value_path(name)
        every = [condition for group in _parts(item, "all", name, path) for condition in group]
        some = _parts(item, "any", name, path)
        if item.get("op") == "or" and some and every:
            where.append(AnyOf([*some, every]))
        else:
            where += every
            if some:
                where.append(AnyOf(some))
    return where


def _only(item: Mapping[str, Any], names: Collection[str], where: str) -> None:
    for name in item:
        if name not in names:
            raise ValidationFailed(where, f"an object with {' and '.join(names)} only", name)


def _parts(item: Mapping[str, Any], key: str, name: str, path: tuple[str, ...]) -> list[list[Condition]]:
    """One condition per included or excluded value, each in a group of its own."""
    part = item.get(key)
    if not part:
        return []
    if not isinstance(part, dict):
        raise ValidationFailed(f"filters.{name}.{key}", "an object with include and exclude", part)
    _only(part, ("include", "exclude"), f"filters.{name}.{key}")
    groups = []
    for word, negate in (("include", False), ("exclude", True)):
        values = part.get(word) or []
        if not isinstance(values, list) or any(isinstance(value, (list, dict)) for value in values):
            raise ValidationFailed(f"filters.{name}.{key}.{word}", "a list of plain values", values)
        groups += [[Condition(path, "in", (value,), negate)] for value in values]
    return groups
