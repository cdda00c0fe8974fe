"""Facets: the values of a field in all documents that match a filter, each with its number of documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.bll.registry.query import field_path
from apiserver.errors import ValidationFailed

PLAIN = ("status", "type", "user", "project", "parent", "tags", "system_tags")


def facet_path(name: str) -> tuple[str, ...]:
    """The field of a facet: one that holds texts, or `hyperparams.<section>.<name>`. Raises ValidationFailed for any other."""
    if name in PLAIN:
        return (name,)
    path = field_path(name)
    if path[0] == "hyperparams" and len(path) in (3, 4) and path[3:] in ((), ("value",)):
        return (*path[:3], "value")
    raise ValidationFailed("facets", f"names of {', '.join(PLAIN)} or hyperparams.<section>.<name>", name)


def listed_facet(counted: Mapping[tuple[Any, ...], tuple[int, float]], limit: int) -> dict[str, Any]:
    """{values: [{value, count}], distinct}: the `limit` most frequent values (None: absent), equally frequent ones in order; and how many there are."""
    counts = {value: count for (value,), (count, _) in counted.items()}
    order = sorted(counts, key=lambda value: (-counts[value], value is None, str(value)))
    return {"values": [{"value": value, "count": counts[value]} for value in order[:limit]], "distinct": len(counts)}
