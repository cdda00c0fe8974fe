"""Compaction of old generations, once each: fewer shards, one segment a shard, moved to another data tier.

A closed generation still receives events of the tasks that began in it, so it is compacted once none has arrived for a while. Later events are still
stored.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from elasticsearch import ApiError

from apiserver.settings import ElasticSettings
from apiserver.stores.base import Compacted
from apiserver.stores.elastic.client import ElasticClient, reason
from apiserver.stores.elastic.generations import Generations
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.shrinking import Shrinking
from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.elastic.write.ages import task_ages
from apiserver.stores.errors import StoreBusy, StoreUnavailable
from apiserver.stores.event_types import TYPES

POLL_SECONDS = 0.2
LONGEST_POLL = 5.0
SKIPPED = "?ignore_unavailable=true&allow_no_indices=true"


class Compaction:
    """See `StoreUpkeep.compact`."""

    def __init__(
        self,
        client: ElasticClient,
        layout: Layout,
        generations: Generations,
        visibility: Visibility,
        shrinking: Shrinking,
        settings: ElasticSettings,
    ) -> None:
        self._client, self._layout, self._generations, self._visibility = client, layout, generations, visibility
        self._shrinking = shrinking
        self._tier = settings.tiers[1] if settings.tiers else ""

    def compact(self, company: str, idle_since: int, dry_run: bool) -> Iterator[Compacted]:
        listed = self._generations.listed(company)
        newest = max(listed, default=0)
        waiting = [number for number, body in listed.items() if number < newest and body["state"] == "open" and "compacted" not in body]
        if not waiting:
            return
        ages = task_ages(self._client, self._layout, self._visibility, company, "arrival").values()
        busy = {age.generation for age in ages if age.newest >= idle_since}
        for number in waiting:
            if number in busy:
                continue
            indices = [self._layout.events(type, company, number) for type in TYPES]
            before = after = self._bytes(indices)
            what = f"generation {number:06d}"
            if not dry_run:
                shards = sum(self._shrinking.shards(indices).values())
                problem = self._shrink(indices)
                self._merge(indices)
                if self._tier:  # after the merge: there is less to move, and the merge runs on the faster nodes
                    wanted = {"index.routing.allocation.include._tier_preference": self._tier}
                    self._client.call("PUT", f"/{','.join(indices)}/_settings{SKIPPED}", wanted)
                if not problem:  # otherwise the next call tries again
                    self._generations.note(company, number, compacted=int(time.time() * 1000))
                after = self._bytes(indices)
                fewer = sum(self._shrinking.shards(indices).values())
                what += f" ({shards} -> {fewer} shards)" if fewer < shards else ""
                what += f" (not shrunk: {problem})" if problem else ""
            yield Compacted(what, before, after)

    def _shrink(self, indices: Sequence[str]) -> str:
        """Shrink the indices, before the merge makes one segment of what came from several shards. Returns the reason of a failure, or ""."""
        try:
            for index, count in self._shrinking.shards(indices).items():
                fewest = self._shrinking.fewest(index, count)
                if fewest < count:
                    self._shrinking.shrink(index, fewest)
        except StoreUnavailable:
            raise
        except StoreBusy as error:
            return str(error)
        except ApiError as error:  # the index was dropped meanwhile, or the lease was taken over
            return f"Elasticsearch refuses: {reason(error.body)}"
        return ""

    def _merge(self, indices: Sequence[str]) -> None:
        """Merge to one segment a shard, and wait for the end, which may take hours. Raises StoreBusy when it fails."""
        path = f"/{','.join(indices)}/_forcemerge{SKIPPED}&max_num_segments=1&wait_for_completion=false"
        task = self._client.call("POST", path)["task"]
        pause = POLL_SECONDS
        while not (found := self._client.call("GET", f"/_tasks/{task}"))["completed"]:
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_POLL)
        problem: Any = found.get("error") or found.get("response", {}).get("_shards", {}).get("failures")
        if problem:
            raise StoreBusy(f"Elasticsearch could not merge {', '.join(indices)}: {str(problem)[:300]}")

    def _bytes(self, indices: Sequence[str]) -> int:
        """Bytes of the indices on disk, with replicas."""
        stats = self._client.call("GET", f"/{','.join(indices)}/_stats/store{SKIPPED}&filter_path=_all.total.store.size_in_bytes")
        return int(stats.get("_all", {}).get("total", {}).get("store", {}).get("size_in_bytes", 0))
