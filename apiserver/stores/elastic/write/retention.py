"""Retention: drops generations in which every task is old, and deletes old tasks elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from apiserver.stores.base import AgeOf, Retired
from apiserver.stores.elastic.bulk_actions import deletes
from apiserver.stores.elastic.client import ElasticClient, SnapshotRunning, busy_reason
from apiserver.stores.elastic.generations import Generations, pin_id
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.elastic.write.ages import TaskAge, task_ages
from apiserver.stores.elastic.write.deletes import Deleter
from apiserver.stores.errors import StoreReadOnly
from apiserver.stores.event_types import TYPES
from apiserver.stores.records import shown_owner

SLICE = 5_000
LIFTS = 5
"""Attempts to lift the read-only block of a full disk from the few documents that a drop changes."""
LONGEST_SNAPSHOT = 600.0
"""Seconds to wait for snapshots of indices that are to be deleted; after that the next call deletes them."""
POLL_SECONDS = 1.0


class Retention:
    """See `EventStore.retire`."""

    def __init__(self, client: ElasticClient, layout: Layout, generations: Generations, visibility: Visibility, deleter: Deleter) -> None:
        self._client, self._layout, self._generations = client, layout, generations
        self._visibility, self._deleter = visibility, deleter

    def retire(self, company: str, before: int, by: AgeOf, dry_run: bool) -> Iterator[Retired]:
        """Drop generations first: that frees disk space at once, even if the indices are read-only because the disk is full."""
        by_generation: dict[int, dict[str, TaskAge]] = {}
        for task, known in task_ages(self._client, self._layout, self._visibility, company, by).items():
            by_generation.setdefault(known.generation, {})[task] = known
        listed = self._generations.listed(company)
        newest = max(listed, default=0)
        for number, body in listed.items():
            if body["state"] == "dropped" and "removed" not in body and not dry_run:
                self._remove_indices(company, number)  # an earlier call was killed, or a snapshot held it back
        single: dict[str, TaskAge] = {}
        for number, inside in sorted(by_generation.items()):
            old = {task: known for task, known in inside.items() if known.newest < before}
            if len(old) == len(inside) and number < newest:  # new tasks may be pinned to the newest at any moment
                events = sum(known.events for known in old.values())
                if dry_run or self._drop(company, number, list(old), before, by):
                    yield Retired(
                        f"generation {number:06d} with all its indices", [task for task in sorted(old) if task == shown_owner(task)], events
                    )
            else:
                single |= {task: known for task, known in old.items() if known.events}
        left = 0
        for task, known in sorted(single.items(), key=lambda item: item[1].newest):
            try:
                removed = known.events if dry_run else self._deleter.delete(company, [task])[task]
            except StoreReadOnly:
                left += 1
                continue
            yield (
                Retired(f"task {task}", [task], removed)
                if task == shown_owner(task)
                else Retired(f"what was rewound of task {shown_owner(task)}", [], removed)
            )
        if left:
            raise StoreReadOnly(
                f"{left} old tasks are in indices that are read-only because the disk is full: single tasks can't be removed from them."
                " Free some space or add a disk, and run this again when Elasticsearch has lifted the block"
            )

    def _drop(self, company: str, number: int, tasks: Sequence[str], before: int, by: AgeOf) -> bool:
        """Drop a generation. Its indices are write-blocked first (writers get 503 and retry), so no new event is lost. False, with the block lifted,
        when a new event arrived before."""
        indices = [self._layout.events(type, company, number) for type in TYPES]
        names = ",".join(indices)
        statistics = self._layout.statistics(company)
        with suppress(StoreReadOnly):  # on a full disk they take no writes anyway
            self._block(names, True)
        self._visibility.make_all_visible([*indices, statistics])
        if any(
            known.newest >= before
            for known in task_ages(self._client, self._layout, self._visibility, company, by).values()
            if known.generation == number
        ):
            self._block(names, False)
            return False
        books = [self._layout.objects, statistics]
        self._writable(books, lambda: self._generations.note(company, number, state="dropped"))
        self._writable(books, lambda: self._remove_documents(company, tasks))
        self._visibility.remember_generations(company, dict.fromkeys(tasks))
        self._record_writes(company, tasks)
        self._remove_indices(company, number)
        self._record_writes(company, tasks)  # readers may have cached their events meanwhile
        return True

    def _record_writes(self, company: str, tasks: Sequence[str]) -> None:
        """Record a write for each task, so that readers refresh and don't find deleted events."""
        for start in range(0, len(tasks), SLICE):
            self._visibility.record_writes(company, dict.fromkeys(tasks[start : start + SLICE], (self._layout.statistics(company),)))

    def _remove_indices(self, company: str, number: int) -> None:
        """Delete the indices of a generation noted as dropped. Raises StoreBusy if a snapshot of them takes longer than LONGEST_SNAPSHOT."""
        names = ",".join(self._layout.events(type, company, number) for type in TYPES)
        waiting_until = time.monotonic() + LONGEST_SNAPSHOT
        while True:
            there = self._client.call("GET", f"/{names}/_alias?ignore_unavailable=true&allow_no_indices=true")
            if not there:
                break
            try:  # by their own names: the usual name of a shrunk index is an alias, which can't be deleted
                self._client.call("DELETE", f"/{','.join(there)}?ignore_unavailable=true")
            except SnapshotRunning:
                if time.monotonic() > waiting_until:
                    raise
                time.sleep(POLL_SECONDS)
        books = [self._layout.objects]
        self._writable(books, lambda: self._generations.note(company, number, removed=int(time.time() * 1000)))

    def _writable(self, indices: Sequence[str], write: Callable[[], None]) -> None:
        """Run `write`, a few documents about a drop, although the disk is full: lifts the block from these indices, which Elasticsearch sets again
        within half a minute if there is still no space. Raises StoreReadOnly after LIFTS attempts."""
        for _ in range(LIFTS):
            try:
                return write()
            except StoreReadOnly:
                self._client.call("PUT", f"/{','.join(indices)}/_settings", {"index.blocks.read_only_allow_delete": None})
        return write()

    def _block(self, names: str, blocked: bool) -> None:
        """Set the write block (returns when no write is under way), or remove it."""
        unless = "ignore_unavailable=true&allow_no_indices=true"
        if blocked:
            self._client.call("PUT", f"/{names}/_block/write?{unless}")
        else:
            self._client.call("PUT", f"/{names}/_settings?{unless}", {"index.blocks.write": None})

    def _remove_documents(self, company: str, tasks: Sequence[str]) -> None:
        """Remove the tasks' statistics, then their pins: later events pin the tasks again."""
        index = self._layout.statistics(company)
        ids: list[str] = []
        for start in range(0, len(tasks), 1000):
            terms = {"bool": {"filter": [{"terms": {"task": list(tasks[start : start + 1000])}}, {"term": {"kind": "series"}}]}}
            for hits in self._client.scan(index, {"query": terms, "sort": ["task", "metric", "variant", "type"], "_source": False}):
                ids += [hit["_id"] for hit in hits]
        ids += [pin_id(task) for task in tasks]
        for start in range(0, len(ids), SLICE):
            for item in self._client.bulk(deletes(index, ids[start : start + SLICE])).items:
                if (busy := busy_reason(item["status"], item)) is not None:
                    raise busy
