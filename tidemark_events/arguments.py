"""Arguments are checked where they are given: an error names the argument and what it may be."""

from __future__ import annotations

import operator
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from tidemark_events.errors import InvalidArgument

STATUSES = ("created", "queued", "running", "completed", "failed", "stopped", "closed", "published")
"""Statuses of runs; ClearML's `in_progress`, `publishing` and `unknown` are taken too."""
FIELDS = frozenset(
    [
        "id",
        "name",
        "type",
        "status",
        "status_reason",
        "status_message",
        "status_changed",
        "user",
        "project",
        "parent",
        "tags",
        "system_tags",
        "comment",
        "report",
        "created",
        "started",
        "completed",
        "published",
        "last_update",
        "last_change",
        "last_worker_report",
        "last_iteration",
        "active_duration",
    ]
)
"""Fields of a task that a filter can name (docs/tasks.md, "Finding tasks, models, projects")."""
TREES = frozenset(["hyperparams", "last_metrics", "configuration", "runtime", "script", "execution", "output", "container", "models"])
"""Fields of a task that a filter can name by a dotted path."""
OPTIONS = frozenset(("_any_", "_all_", "filters", "include_subprojects", "search_hidden"))
"""Other keys of `where`."""
STATISTICS = frozenset(
    [
        "value",
        "min_value",
        "min_value_iteration",
        "max_value",
        "max_value_iteration",
        "first_value",
        "first_value_iteration",
        "mean_value",
        "count",
        "iter",
        "timestamp",
        "metric",
        "variant",
    ]
)
LONGEST_NAME = 1024
"""Bytes of a metric's or a variant's name: the server's limit."""
_SERIES = re.compile(r"last_metrics\.[0-9a-f]{32}\.[0-9a-f]{32}\.(\w+)")
_OWN = {"order_by": "order_by=", "page": "limit=", "page_size": "limit=", "size": "limit=", "scroll_id": "limit="}
"""Fields that the call sets itself -> the argument to use instead."""


def text(name: str, value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise InvalidArgument(f"{name} must be a text, got {_kind(value)}")
    return value


def texts(name: str, value: Any) -> list[str]:
    """A list of texts; a text alone is a list of one."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, Iterable) or isinstance(value, (Mapping, bytes)):
        raise InvalidArgument(f"{name} must be a text or a list of texts, got {_kind(value)}")
    return [text(f"{name}[{at}]", one) for at, one in enumerate(value)]


def integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """An integer between two bounds, both included; also numpy's, and a float without a fraction."""
    try:
        found: int | None = operator.index(value)
    except TypeError:
        whole = getattr(value, "is_integer", None)
        found = int(value) if whole is not None and whole() else None
    if found is None or found < low or (high is not None and found > high):
        span = f"of at least {low:,}" if high is None else f"from {low:,} to {high:,}"
        raise InvalidArgument(f"{name} must be an integer {span}, got {_shown(value)}")
    return found


def step(value: Any) -> int:
    """A step."""
    try:
        return integer("step", value, -(2**63), 2**63 - 1)
    except InvalidArgument:
        raise InvalidArgument(f"step must be an integer of 64 bits, got {_shown(value)}") from None


def seconds(name: str, value: Any) -> float:
    """A span of time in seconds, not negative."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = -1.0
    if not found >= 0:
        raise InvalidArgument(f"{name} must be a number of seconds, not negative, got {_shown(value)}")
    return found


def mapping(name: str, value: Any) -> Mapping[str, Any]:
    """A dict."""
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"{name} must be a dict, got {_kind(value)}")
    return value


def status(name: str) -> str:
    """A status as the API spells it."""
    if name not in (*STATUSES, "in_progress", "publishing", "unknown"):
        raise InvalidArgument(f'there is no status "{name}": runs are {", ".join(STATUSES)}')
    return "in_progress" if name == "running" else name


def filters(where: Any) -> dict[str, Any]:
    """Filters of `tasks.get_all_ex`. The server ignores fields that it does not know, as ClearML's does: here they are errors."""
    found = dict(mapping("where", where))
    for name, value in found.items():
        text("a field of where", name)
        if name in _OWN:
            raise InvalidArgument(f'where has "{name}", which the call sets itself: use {_OWN[name]}')
        if name in ("_any_", "_all_"):
            _search(name, value)
        elif name == "filters":
            for one in mapping('where["filters"]', value):
                field('where["filters"]', one)
        elif name not in OPTIONS:
            field("where", name)
    if isinstance(given := found.get("status"), (str, list, tuple)):
        found["status"] = [_status_item(one) for one in ([given] if isinstance(given, str) else given)]
    return found


def order(given: Any) -> list[str]:
    """Fields to sort by, with `-` in front for descending."""
    found = texts("order_by", given)
    for one in found:
        field("order_by", one.lstrip("+-"))
    return found


def field(where: str, name: str) -> None:
    """A field of a task, or a path below it. Which parameters there are is not known here: one that no run has matches no run."""
    head, _, rest = name.partition(".")
    if head == "last_metrics":
        found = _SERIES.fullmatch(name)
        if found is None or found[1] not in STATISTICS:
            raise InvalidArgument(
                f'{where} has "{name}": a statistic of a series is last_metrics.<md5 of metric>.<md5 of variant>.<one of '
                f"{', '.join(sorted(STATISTICS))}>; .frame() has them by name"
            )
    elif not (name in FIELDS or (rest and (head in TREES or (where == "order_by" and head in ("project", "user", "parent"))))):
        raise InvalidArgument(
            f'{where} has the unknown field "{name}"; there are {", ".join(sorted(FIELDS))}, '
            f"and paths such as hyperparams.General.lr.value below {', '.join(sorted(TREES))}"
        )


def name_of_series(name: Any) -> str:
    """The name of a series, plot or image, as the server takes it: `metric/variant`."""
    if not isinstance(name, str) or not name:
        raise InvalidArgument(f"the name of a series must be a text that is not empty, got {_shown(name)}")
    if len(name.encode(errors="replace")) > LONGEST_NAME:
        raise InvalidArgument(f"the name of a series has at most {LONGEST_NAME:,} bytes, got {_shown(name)} …")
    return name


def _search(name: str, value: Any) -> None:
    """`_any_` and `_all_`: the server takes one without fields, or without anything to find, for no filter."""
    given = mapping(f'where["{name}"]', value)
    for one in given:
        if one not in ("pattern", "datetime", "fields"):
            raise InvalidArgument(f'where["{name}"] has "{one}"; it takes fields, and pattern or datetime')
    if not given.get("fields") or not (given.get("pattern") or given.get("datetime")):
        raise InvalidArgument(f'where["{name}"] needs fields, and pattern or datetime')
    for one in texts(f'where["{name}"]["fields"]', given["fields"]):
        field(f'where["{name}"]["fields"]', one)


def _status_item(value: Any) -> Any:
    """A status of a list filter, which may be an operator or begin with `-`."""
    if not isinstance(value, str) or value.startswith("__$"):
        return value
    return f"-{status(value[1:])}" if value.startswith("-") else status(value)


def known(what: str, name: str, names: Collection[str] | Sequence[str]) -> str:
    """The sentence for a name that is not there."""
    shown = list(names)[:20]
    return f'{what} "{name}"; it has: {", ".join(shown) or "none yet"}{", …" if len(names) > len(shown) else ""}'


def _kind(value: Any) -> str:
    return type(value).__name__


def _shown(value: Any) -> str:
    return f"{str(value)[:60]!r}" if isinstance(value, str) else f"{value!r:.60} ({_kind(value)})"
