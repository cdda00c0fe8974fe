"""Names, settings and mappings of the indices. Mappings are strict, and are put as composable templates and in every request that creates an index.

Only fields that are searched are indexed; the others have doc values, which sorting, aggregations and pages read. Unknown fields of clients are kept in
one object that is not indexed, so that clients can't grow a mapping or break it with another type.

Indices of points have no `_source`: doc values hold all fields of a point, and one stored field the additional fields that few points have. Indices of
layout 1 have a `_source`, and are read and written as they are.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from elasticsearch import ApiError

from apiserver.settings import ElasticSettings
from apiserver.stores.elastic.client import ElasticClient, reason
from apiserver.stores.errors import StoreDamaged
from apiserver.stores.event_types import TYPES, Form

LAYOUT = 2
ENTITIES, OBJECTS = "registry-entities", "registry-objects"
MAX_TOKEN = 8_000
"""Words of a log message are indexed up to this length; longer messages are candidates of every search (`long`)."""

_SEARCHED: dict[str, Any] = {"type": "keyword"}
_NUMBER: dict[str, Any] = {"type": "long"}
_KEPT: dict[str, Any] = {"type": "object", "enabled": False}


def _values(kind: str) -> dict[str, Any]:
    """Doc values only."""
    return {"type": kind, "index": False}


_COMMON: dict[str, Any] = {
    "task": _SEARCHED,
    "metric": _SEARCHED,
    "variant": _SEARCHED,
    "iter": _NUMBER,
    # 1 where there is no iteration: such events come last in both directions.
    "noiter": _values("byte"),
    "timestamp": _NUMBER,
    "seq": _values("long"),
    "worker": _values("keyword"),
    "size": _values("integer"),
    "model_event": _values("boolean"),
}
_POINT = _COMMON | {
    "value": _values("double"),
    # Values that a double field cannot hold: 1 NaN, 2 +infinity, 3 -infinity.
    "special": _values("byte"),
    "timestamp": _values("long"),
    "key": _values("keyword"),
    # The fields beyond these, as JSON.
    "extra": {"type": "binary", "store": True},
    # 1 where a point with an iteration has such fields, so that the few of these are found.
    "more": {"type": "byte"},
}
_EVENT = _COMMON | {"key": _values("keyword"), "body": _KEPT, "packed": {"type": "binary"}}
_LOG = _COMMON | {
    "level": _SEARCHED,
    "msg": {"type": "text", "analyzer": "message", "norms": False, "index_options": "docs"},
    "long": {"type": "boolean"},
    "body": _KEPT,
}
_FORMS: dict[Form, dict[str, Any]] = {"points": _POINT, "event": _EVENT, "line": _LOG}
_STATISTICS: dict[str, Any] = {
    "kind": _SEARCHED,
    "task": _SEARCHED,
    "type": _SEARCHED,
    "metric": _SEARCHED,
    "variant": _SEARCHED,
    "metric_hash": _SEARCHED,
    "variant_hash": _SEARCHED,
    "generation": {"type": "integer"},
    "stale": {"type": "boolean"},
    "at": _NUMBER,
    "epoch": _values("long"),
    "series": _KEPT,
    "batches": _KEPT,
    "x_axis_label": _KEPT,
    "last": _KEPT,
    "max_timestamp": _NUMBER,
    **{
        name: _values("long")
        for name in [
            "last_written",
            "count",
            "bytes",
            "min_iter",
            "max_iter",
            "min_timestamp",
            "chart_count",
            "chart_min_iter",
            "chart_max_iter",
            "chart_min_timestamp",
            "chart_max_timestamp",
            "points",
            "value_iter",
            "value_timestamp",
            "min_value_iter",
            "max_value_iter",
            "first_value_iter",
            "finite",
        ]
    },
    **{name: _values("double") for name in ("value", "min_value", "max_value", "first_value", "mean_value", "sum")},
}
SORTED_NUMBERS = ("last_iteration", "last_update", "last_change")
SORTED_FIELDS = (
    "name",
    "status",
    "type",
    "project",
    "user",
    "parent",
    "created",
    "started",
    "completed",
    "status_changed",
    "framework",
    "ready",
    "active_duration",
)
"""Fields of registry documents that tables are sorted by: each has a place for texts and one for numbers."""
TALLIED_FIELDS = ("status", "type", "project", "user", "parent", "framework")
"""Those that only ever hold texts: documents are counted by them without being read."""
_REGISTRY: dict[str, Any] = {
    "kind": _SEARCHED,
    "company": _SEARCHED,
    "id": _SEARCHED,
    "revision": _values("long"),
    "body": _KEPT,
    "bulk": _KEPT,
    # "path=value" of every leaf, and "path" of everything that is there: exact conditions on any field without a mapping for it.
    "tokens": {"type": "keyword", "doc_values": False},
    "texts": {"dynamic": "strict", "properties": {name: {"type": "keyword", "ignore_above": 1000} for name in SORTED_FIELDS}},
    "numbers": {"dynamic": "strict", "properties": {name: {"type": "double"} for name in SORTED_FIELDS}},
    **dict.fromkeys(SORTED_NUMBERS, _NUMBER),
}


class Layout:
    """Names, settings and mappings under one prefix."""

    def __init__(self, client: ElasticClient, settings: ElasticSettings) -> None:
        self._client = client
        self._settings = settings
        self.prefix = client.prefix
        self.lost = False
        """A write found no index: it was removed externally. `Installation.look_after` recreates it and resets this flag."""
        self.entities, self.objects = self.prefix + ENTITIES, self.prefix + OBJECTS
        self._templates = self._make_templates()

    # --- names

    def events(self, type: str, company: str, generation: int) -> str:
        """The index of one type in one generation."""
        return f"{self.prefix}events-{type}-{slug(company)}-{generation:06d}"

    def reading(self, type: str, company: str) -> str:
        """The alias over all generations, as the reference calls its index."""
        return f"{self.prefix}events-{type}-{slug(company)}"

    @staticmethod
    def writing(index: str) -> str:
        """The write alias of an index. Writes use it and require an alias, so that a late write can't recreate a dropped index."""
        return f"{index}-write"

    def lease(self, which: str) -> str:
        """The alias that an index has while it is shrunk."""
        return f"{self.prefix}events-shrinking-{which}"

    def statistics(self, company: str) -> str:
        """Series with their statistics, the tasks' generations, batches under way."""
        return f"{self.prefix}statistics-{slug(company)}"

    def registry(self, kind: str) -> str:
        """The registry's index for a kind. Tasks and models change with every batch; other kinds have their own index, so that a login does not wait for
        refreshes."""
        return self.entities if kind in ("task", "model") else self.objects

    # --- templates

    def templates(self) -> dict[str, dict[str, Any]]:
        """Name -> pattern, settings and mapping of every kind of index."""
        return self._templates

    def _make_templates(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for name, type in TYPES.items():
            properties = _FORMS[type.form] | ({"url": _SEARCHED} if type.has_url else {})
            order = ["task", "timestamp", "seq"] if type.is_lines else ["task", "metric", "variant", "iter"]
            settings: dict[str, Any] = {"sort.field": order, "codec": "best_compression"}
            if type.is_lines:
                settings["analysis"] = {"analyzer": {"message": {"type": "standard", "max_token_length": MAX_TOKEN}}}
            template = found[f"events-{name}"] = self._template(f"events-{name}-*", properties, settings)
            if type.is_points:
                template["template"]["mappings"]["_source"] = {"enabled": False}
        found["statistics"] = self._template("statistics-*", _STATISTICS, {})
        found["registry"] = self._template("registry-*", _REGISTRY, {})
        for template in found.values():
            template["_meta"]["digest"] = hashlib.sha256(orjson.dumps(template, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
        return found

    def _template(self, pattern: str, properties: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "number_of_shards": self._settings.shards,
            "number_of_replicas": self._settings.replicas,
            # Readers refresh what they need; this bounds how long a mark has to be remembered.
            "refresh_interval": "30s",
        }
        if self._settings.tiers:
            settings["index.routing.allocation.include._tier_preference"] = self._settings.tiers[0]
        mappings = {"dynamic": "strict", "_meta": {"tidemark_layout": LAYOUT}, "properties": dict(properties)}
        return {
            "index_patterns": [self.prefix + pattern],
            "priority": 500,
            "_meta": {"tidemark_layout": LAYOUT},
            "template": {"settings": settings | dict(more), "mappings": mappings},
        }

    def create(self, index: str, aliases: Mapping[str, Any] | None = None) -> None:
        """Create an index with its own settings and mapping, independent of templates; an existing index gets its missing aliases."""
        template = next(found for found in self._templates.values() if fnmatch.fnmatchcase(index, found["index_patterns"][0]))["template"]
        try:
            self._client.call("PUT", f"/{index}", {**template, "aliases": aliases or {}})
        except ApiError as error:
            if "already exists as alias" in str(error.body):  # it was shrunk: the name, and its aliases, are the smaller one's
                return
            if "resource_already_exists" not in str(error.body):
                raise StoreDamaged(f"Elasticsearch refuses to create the index {index}: {reason(error.body)}") from error
            self.add_aliases([(index, alias) for alias in aliases or {}])

    def add_aliases(self, wanted: Sequence[tuple[str, str]]) -> None:
        """Give indices (index, alias) the aliases that they lack."""
        there = self._client.call("GET", f"/{','.join(index for index, _ in wanted)}/_alias") if wanted else {}
        missing = [(index, alias) for index, alias in wanted if alias not in there.get(index, {}).get("aliases", {})]
        if missing:
            self._client.call("POST", "/_aliases", {"actions": [{"add": {"index": index, "alias": alias}} for index, alias in missing]})

    def create_statistics(self, company: str) -> str:
        """Make the statistics of a company, with the alias that writes need."""
        index = self.statistics(company)
        self.create(index, {self.writing(index): {}})
        return index

    def create_registry(self) -> None:
        """Make the indices of the registry, or give them the alias that writes need."""
        for index in (self.entities, self.objects):
            self.create(index, {self.writing(index): {}})

    def create_events(self, type: str, company: str, generation: int) -> str:
        """Make the index of a type in a generation, with its aliases."""
        index = self.events(type, company, generation)
        self.create(index, {self.reading(type, company): {}, self.writing(index): {}})
        return index


def slug(company: str) -> str:
    """A company's id as part of an index name; one that index names can't hold is hashed."""
    if re.fullmatch(r"[a-z0-9][a-z0-9_]{0,63}", company):
        return company
    return "x-" + hashlib.sha256(company.encode()).hexdigest()[:32]
