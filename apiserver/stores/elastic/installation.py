"""Templates, indices and aliases of one installation: checked at start, repaired while the server runs, reported in its health.

A start reads, and writes only what is missing. What can't be written then, because a disk is full, is written later: until then reads work.
"""

from __future__ import annotations

import fnmatch
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from elasticsearch import ApiError

from apiserver.stores.base import Health, StoreUsage
from apiserver.stores.elastic.client import ElasticClient, reason
from apiserver.stores.elastic.layout import LAYOUT, Layout
from apiserver.stores.elastic.names import is_unfinished, plain
from apiserver.stores.elastic.shrinking import Shrinking
from apiserver.stores.errors import StoreBusy, StoreDamaged, StoreUnavailable
from apiserver.stores.event_types import TYPES

log = logging.getLogger("tidemark")

LOOK_SECONDS = 30.0
"""Seconds between checks that templates, indices and aliases exist."""
CONDITIONS_SECONDS = 5.0
"""Seconds for which the answer of `conditions` is reused."""
OWN_BLOCK = "8"
"""Elasticsearch's number of the block that retention sets before it drops a generation (`index.blocks.write`)."""
FULL_DISK = 0.95
"""Part of a disk that is used when Elasticsearch makes its indices read-only, unless it is told otherwise."""


@dataclass(slots=True)
class Differences:
    """Deviations from the layout."""

    problems: list[str] = field(default_factory=list)
    """Problems that only an operator can fix, as sentences."""
    templates: list[str] = field(default_factory=list)
    """Names of templates that are missing or of another version."""
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By index, fields that its mapping lacks."""
    aliases: list[tuple[str, str]] = field(default_factory=list)
    """(index, alias) that writes need."""
    registry: bool = False
    """Whether an index of the registry is missing."""
    other_data: bool = False
    """With `registry`: whether there are events or statistics all the same."""
    with_source: list[str] = field(default_factory=list)
    """Indices of points that keep a `_source`, as layout 1 did. Nothing has to be done about them."""


class Blocks(NamedTuple):
    """Indices that take no writes; `whole`: why the cluster takes none."""

    indices: list[str]
    whole: str


class Installation:
    """Maintenance of the installation by one server process."""

    def __init__(self, client: ElasticClient, layout: Layout) -> None:
        self._client, self._layout = client, layout
        self.shrinking = Shrinking(client, layout)
        self._unwritten = ""
        self._looked = float("-inf")
        self._lock = threading.Lock()
        self._conditions: tuple[float, dict[str, Health]] = (float("-inf"), {})

    def prepare(self) -> None:
        """Check what is there, then write what is missing. Raises StoreDamaged for what only an operator can put right, StoreUnavailable when
        Elasticsearch does not answer."""
        found = self.differences()
        for problem in found.problems:
            raise StoreDamaged(problem)
        try:
            self._write(found)
            self._unwritten = ""
        except StoreUnavailable:
            raise
        except StoreBusy as error:
            self._unwritten = str(error)
            log.warning("Elasticsearch takes no writes now, reads work; what is missing is written as soon as it can be: %s", error)

    def look_after(self) -> bool:
        """See `StoreUpkeep.look_after`."""
        lost, self._layout.lost = self._layout.lost, False
        if not lost and time.monotonic() - self._looked < LOOK_SECONDS:
            return False
        self._looked = time.monotonic()
        try:
            remade = self._find_lost()
        except StoreBusy:
            self._layout.lost = lost
            raise
        if self._unwritten:
            self.prepare()
        self.shrinking.release_abandoned()
        return remade

    def _find_lost(self) -> bool:
        there = self._digests()
        for full, template in self._named_templates():
            if full not in there:  # another version's is left alone: two versions would overwrite each other's again and again
                log.warning("the template %s was removed from Elasticsearch: it is being recreated", full)
                self._put_template(full, template)
        names = (self._layout.entities, self._layout.objects)
        aliases = self._client.call("GET", f"/{','.join(names)}/_alias?ignore_unavailable=true&allow_no_indices=true")
        if all(self._layout.writing(name) in aliases.get(name, {}).get("aliases", {}) for name in names):
            return False
        log.error("the registry was removed from Elasticsearch: it is recreated, without tasks and keys; restore a backup if there is one")
        self._layout.create_registry()
        return True

    # --- health

    def conditions(self) -> dict[str, Health]:
        """See `StoreUpkeep.conditions`; empty while Elasticsearch does not answer."""
        looked, found = self._conditions
        if time.monotonic() - looked < CONDITIONS_SECONDS or not self._lock.acquire(blocking=False):
            return found
        try:
            found = {"templates": self._templates_health(), "disk": self._disk_health()}
        except StoreBusy:
            found = {}
        finally:
            self._conditions = (time.monotonic(), found)
            self._lock.release()
        return found

    def _templates_health(self) -> Health:
        if self._unwritten:
            return Health(False, f"something is missing and can't be written now: {self._unwritten}", degraded=True)
        there = self._digests()
        missing = [full for full, _ in self._named_templates() if full not in there]
        if missing:
            return Health(False, f"missing: {', '.join(missing)}; recreated within {LOOK_SECONDS:.0f} s", degraded=True)
        return Health(True, "the templates are there")

    def _disk_health(self) -> Health:
        blocks = self.blocks()
        if blocks.whole or blocks.indices:
            what = blocks.whole or f"{len(blocks.indices)} indices are read-only, {blocks.indices[0]} for one"
            return Health(False, f"{what}: free space with `tidemark retention`", degraded=True)
        used = max(self.disks().values(), default=0.0)
        if used >= FULL_DISK:
            return Health(False, f"{used:.0%} of a disk is used: writes stop soon", degraded=True)
        return Health(True, f"{used:.0%} of the fullest disk is used")

    def usage(self) -> StoreUsage:
        """See `StoreUpkeep.usage`."""
        start = f"{self._layout.prefix}events-"
        indices = self._client.call("GET", f"/{start}*/_alias?allow_no_indices=true&filter_path=*.aliases")
        types = sorted(TYPES, key=len, reverse=True)
        names = (plain(index).removeprefix(start) for index in indices)
        generations = {next((name.removeprefix(f"{type}-") for type in types if name.startswith(f"{type}-")), name) for name in names}
        return StoreUsage(self.disks(), len(self.blocks().indices), len(generations))

    def blocks(self) -> Blocks:
        """What takes no writes now."""
        found = self._client.call("GET", "/_cluster/state/blocks?filter_path=blocks").get("blocks", {})
        whole = next((block["description"] for block in found.get("global", {}).values() if "write" in block.get("levels", ())), "")
        patterns = [template["index_patterns"][0] for template in self._layout.templates().values()]
        blocked = [
            index
            for index, blocks in found.get("indices", {}).items()
            if any("write" in block.get("levels", ()) for id, block in blocks.items() if id != OWN_BLOCK)
            and any(fnmatch.fnmatchcase(index, pattern) for pattern in patterns)
        ]
        return Blocks(sorted(blocked), f"the cluster is read-only ({whole})" if whole else "")

    def disks(self) -> dict[str, float]:
        """By node, which part of its disk is used."""
        nodes = self._client.call("GET", "/_nodes/stats/fs?filter_path=nodes.*.name,nodes.*.fs.total").get("nodes", {})
        totals = {node["name"]: node["fs"]["total"] for node in nodes.values() if node.get("fs", {}).get("total")}
        return {name: 1 - total["available_in_bytes"] / max(total["total_in_bytes"], 1) for name, total in totals.items()}

    # --- what is there, what is missing

    def differences(self) -> Differences:
        """Two requests: many workers start at once."""
        found = Differences()
        there = self._digests()
        found.templates = [full for full, template in self._named_templates() if there.get(full) != template["_meta"]["digest"]]
        indices = self._indices()
        for template in self._layout.templates().values():
            for index in sorted(fnmatch.filter(indices, template["index_patterns"][0])):
                self._compare(index, indices[index]["mappings"], template["template"]["mappings"], found)
        written = [index for index in indices if index.startswith((f"{self._layout.prefix}statistics-", f"{self._layout.prefix}registry-"))]
        found.aliases = [
            (index, alias) for index in written if (alias := self._layout.writing(index)) not in indices[index].get("aliases", {})
        ]
        found.registry = not {self._layout.entities, self._layout.objects} <= set(indices)
        found.other_data = found.registry and any(not index.startswith(f"{self._layout.prefix}registry-") for index in indices)
        return found

    def _write(self, found: Differences) -> None:
        for full, template in self._named_templates():
            if full in found.templates:
                self._put_template(full, template)
        for index, fields in found.fields.items():
            self._client.call("PUT", f"/{index}/_mapping", {"properties": fields})
        self._layout.add_aliases(found.aliases)
        if found.registry:
            self._layout.create_registry()

    def _put_template(self, full: str, template: Mapping[str, Any]) -> None:
        try:
            self._client.call("PUT", f"/_index_template/{full}", template)
        except ApiError as error:
            raise StoreDamaged(f"Elasticsearch refuses the template {full}: {reason(error.body)}") from error

    def _named_templates(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, template in self._layout.templates().items():
            yield f"{self._layout.prefix}tidemark-{name}", template

    def _digests(self) -> dict[str, str]:
        """What is said of themselves by the templates that are there."""
        wanted = "filter_path=index_templates.name,index_templates.index_template._meta"
        try:
            found = self._client.call("GET", f"/_index_template/{self._layout.prefix}tidemark-*?{wanted}")
        except ApiError as error:
            if error.meta.status == 404:
                return {}
            raise StoreDamaged(f"Elasticsearch refuses to show its templates: {reason(error.body)}") from error
        return {
            item["name"]: item.get("index_template", {}).get("_meta", {}).get("digest", "") for item in found.get("index_templates", [])
        }

    def template_versions(self) -> dict[str, int]:
        """Of each template that is there, the version of the layout that it was made for."""
        wanted = "filter_path=index_templates.name,index_templates.index_template._meta"
        try:
            found = self._client.call("GET", f"/_index_template/{self._layout.prefix}tidemark-*?{wanted}")
        except ApiError:
            return {}
        items = found.get("index_templates", [])
        return {item["name"]: int(item.get("index_template", {}).get("_meta", {}).get("tidemark_layout", 0)) for item in items}

    def _indices(self) -> dict[str, dict[str, Any]]:
        """Mappings and aliases of all indices that have names of ours."""
        names = ",".join(template["index_patterns"][0] for template in self._layout.templates().values())
        wanted = "ignore_unavailable=true&allow_no_indices=true&filter_path=*.mappings,*.aliases"
        found: dict[str, dict[str, Any]] = self._client.call("GET", f"/{names}?{wanted}")
        return {
            index: {"mappings": {}, **content} for index, content in found.items() if not is_unfinished(index, content.get("aliases", {}))
        }

    def _compare(self, index: str, mapping: Mapping[str, Any], wanted: Mapping[str, Any], found: Differences) -> None:
        properties = wanted["properties"]
        layout = mapping.get("_meta", {}).get("tidemark_layout", 0)
        if layout > LAYOUT:
            found.problems.append(
                f"the index {index} was written by a newer version of tidemark (layout {layout}, we know {LAYOUT}): upgrade this host"
            )
            return
        there = mapping.get("properties", {})
        problems = [
            f'the index {index} maps "{field}" as {_brief(there[field])}, tidemark needs {_brief(properties[field])}:'
            " reindex it under another name, or delete it, then start again"
            for field in properties
            if field in there and not _same(there[field], properties[field])
        ]
        if mapping.get("dynamic") != "strict":
            problems.append(
                f"the index {index} is not tidemark's (its mapping is not strict): reindex it under another name, or set elastic.prefix"
            )
        found.problems += problems
        missing = {field: properties[field] for field in properties if field not in there}
        if missing and not problems:
            found.fields[index] = missing
        if _keeps_source(mapping) and not _keeps_source(wanted):
            found.with_source.append(index)


def _keeps_source(mapping: Mapping[str, Any]) -> bool:
    return bool(mapping.get("_source", {}).get("enabled", True))


def _same(there: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """Elasticsearch leaves defaults out when it shows a mapping."""
    if there.get("type", "object") != ours.get("type", "object"):
        return False
    return all(
        there.get(name, default) == ours.get(name, default) for name, default in (("index", True), ("enabled", True), ("doc_values", True))
    )


def _brief(field: Mapping[str, Any]) -> str:
    kind = str(field.get("type", "object"))
    return kind + ("" if field.get("index", True) else ", not indexed") + ("" if field.get("enabled", True) else ", not looked into")
