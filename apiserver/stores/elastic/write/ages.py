"""The age of each task's events: retention and compaction choose generations by it."""

from __future__ import annotations

from typing import Any, NamedTuple

from apiserver.stores.base import AgeOf
from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.records import SEQ_SHIFT


class TaskAge(NamedTuple):
    """A task's generation, the time of its newest event (epoch ms; that of its pin when it has no events), and its number of events."""

    generation: int
    newest: int
    events: int


def task_ages(client: ElasticClient, layout: Layout, visibility: Visibility, company: str, by: AgeOf) -> dict[str, TaskAge]:
    """Every task of a company that has a generation. `by`: see `StoreUpkeep.retire`."""
    index = layout.statistics(company)
    visibility.make_all_visible([index])
    found: dict[str, TaskAge] = {}
    query: dict[str, Any] = {"query": {"term": {"kind": "pin"}}, "sort": ["task"]}
    for hits in client.scan(index, query):
        for hit in hits:
            source = hit["_source"]
            found[source["task"]] = TaskAge(source["generation"], source["at"], 0)
    seen: set[str] = set()
    query = {"query": {"term": {"kind": "series"}}, "sort": ["task", "metric", "variant", "type"]}
    for hits in client.scan(index, query | {"_source": ["task", "max_timestamp", "last_written", "count"]}):
        for hit in hits:
            source = hit["_source"]
            known = found.get(source["task"])
            if known is not None and source.get("count"):
                written = source.get("last_written", 0) >> SEQ_SHIFT
                newest = written if by == "arrival" and written else source["max_timestamp"]
                if source["task"] in seen:
                    newest = max(known.newest, newest)
                found[source["task"]] = TaskAge(known.generation, newest, known.events + source["count"])
                seen.add(source["task"])
    return found
