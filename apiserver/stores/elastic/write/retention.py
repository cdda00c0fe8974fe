"""Dropping old data: whole generations where every task in them is old, single tasks elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from apiserver.stores.base import Retired
from apiserver.stores.elastic.bulk_actions import deletes
from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.generations import Generations, pin_id
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.elastic.write.deletes import Deleter
from apiserver.stores.event_types import TYPES

SLICE = 5_000


class _Task(NamedTuple):
    generation: int
    newest: int
    events: int


class Retention:
    """See `EventStore.retire`."""

    def __init__(self, client: ElasticClient, layout: Layout, generations: Generations, visibility: Visibility, deleter: Deleter) -> None:
        self._client, self._layout, self._generations = client, layout, generations
        self._visibility, self._deleter = visibility, deleter

    def retire(self, company: str, before: int, dry_run: bool) -> Iterator[Retired]:
        tasks = self._tasks(company)
        by_generation: dict[int, dict[str, _Task]] = {}
        for task, known in tasks.items():
            by_generation.setdefault(known.generation, {})[task] = known
        newest = max(self._generations.listed(company), default=0)
        for number, inside in sorted(by_generation.items()):
            old = {task: known for task, known in inside.items() if known.newest < before}
            if len(old) == len(inside) and number < newest:  # new tasks may be pinned to the newest at any moment
                events = sum(known.events for known in old.values())
                if dry_run or self._drop(company, number, list(old), before):
                    yield Retired(f"generation {number:06d} with all its indices", sorted(old), events)
                continue
            for task, known in sorted(old.items(), key=lambda item: item[1].newest):
                if known.events:
                    removed = known.events if dry_run else self._deleter.delete(company, task)
                    yield Retired(f"task {task}", [task], removed)

    def _tasks(self, company: str) -> dict[str, _Task]:
        """Every task that has a generation, with its newest event (the time of its pin when it has none)."""
        index = self._layout.statistics(company)
        self._visibility.make_all_visible([index])
        found: dict[str, _Task] = {}
        query: dict[str, Any] = {"query": {"term": {"kind": "pin"}}, "sort": ["task"]}
        for hits in self._client.scan(index, query):
            for hit in hits:
                source = hit["_source"]
                found[source["task"]] = _Task(source["generation"], source["at"], 0)
        seen: set[str] = set()
        query = {"query": {"term": {"kind": "series"}}, "sort": ["task", "metric", "variant", "type"]}
        for hits in self._client.scan(index, query | {"_source": ["task", "max_timestamp", "count"]}):
            for hit in hits:
                source = hit["_source"]
                known = found.get(source["task"])
                if known is not None and source.get("count"):
                    newest = source["max_timestamp"] if source["task"] not in seen else max(known.newest, source["max_timestamp"])
                    found[source["task"]] = _Task(known.generation, newest, known.events + source["count"])
                    seen.add(source["task"])
        return found

    def _drop(self, company: str, number: int, tasks: Sequence[str], before: int) -> bool:
        """Drop a generation. Writers are shut out first (they get 503 and come again), so nothing new can be dropped with it; False when
        something new had come before that."""
        indices = [self._layout.events(type, company, number) for type in TYPES]
        names = ",".join(indices)
        self._block(names, True)
        self._visibility.make_all_visible([*indices, self._layout.statistics(company)])
        if any(known.newest >= before for known in self._tasks(company).values() if known.generation == number):
            self._block(names, False)
            return False
        self._generations.set_state(company, number, "dropped")
        self._remove_documents(company, tasks)
        self._visibility.remember_generations(company, dict.fromkeys(tasks))
        self._client.call("DELETE", f"/{names}?ignore_unavailable=true&allow_no_indices=true")
        self._visibility.record_writes(company, dict.fromkeys(tasks, ()), (self._layout.statistics(company),))
        return True

    def _block(self, names: str, blocked: bool) -> None:
        self._client.call(
            "PUT", f"/{names}/_settings?ignore_unavailable=true&allow_no_indices=true", {"index.blocks.write": blocked if blocked else None}
        )

    def _remove_documents(self, company: str, tasks: Sequence[str]) -> None:
        """The statistics of the tasks, then their pins: a later writer pins the tasks again."""
        index = self._layout.statistics(company)
        ids: list[str] = []
        for start in range(0, len(tasks), 1000):
            terms = {"bool": {"filter": [{"terms": {"task": list(tasks[start : start + 1000])}}, {"term": {"kind": "series"}}]}}
            for hits in self._client.scan(index, {"query": terms, "sort": ["task", "metric", "variant", "type"], "_source": False}):
                ids += [hit["_id"] for hit in hits]
        ids += [pin_id(task) for task in tasks]
        for start in range(0, len(ids), SLICE):
            self._client.bulk(deletes(index, ids[start : start + SLICE]))
