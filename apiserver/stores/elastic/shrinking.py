"""Shrinking: replaces an index of a closed generation by a copy with fewer shards (Elasticsearch's `_shrink`), whose alias is the index's name.

The index is write-blocked in the meantime (writers get 503 and retry), so no event is lost between copy and exchange. The process that shrinks holds a
lease: an alias whose name has its expiry. Elasticsearch changes aliases by compare-and-set, and removes the index in the same step that gives its names
to the copy. When a lease has expired because its process was killed, a server takes it over. It deletes the copy first, so that the old process can't
exchange anything if it is still alive, and then lifts the block.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import ApiError

from apiserver.stores.elastic.client import ElasticClient, reason
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.names import all_shrunk, is_unfinished, plain, shrunk
from apiserver.stores.errors import StoreBusy

SHARD_DOCUMENTS, SHARD_BYTES = 200_000_000, 50_000_000_000
"""Recommended most of a shard: documents, bytes."""
LEASE_MS = 300_000
RELEASE_SECONDS = 10.0
"""The time in which a release must finish, far below LEASE_MS: otherwise the next holder could have begun."""
POLL_SECONDS = 0.2
LONGEST_POLL = 5.0
STANDSTILL = 60.0
"""Seconds without a moving shard after which we conclude that no node has room for all of them."""
LONGEST_COPY = 3600.0
ON_NODE = "index.routing.allocation.require._name"
BLOCK = "index.blocks.write"


@dataclass(slots=True)
class _Lease:
    """The right to shrink an index until the time in its alias' name."""

    index: str
    alias: str

    @property
    def until(self) -> int:
        """The expiry in ms since the epoch."""
        return int(self.alias.rsplit("-", 2)[1])


class Shrinking:
    """Shrinks single indices."""

    def __init__(self, client: ElasticClient, layout: Layout) -> None:
        self._client, self._layout = client, layout

    def shards(self, indices: Sequence[str]) -> dict[str, int]:
        """The number of primary shards of each of the indices that exist."""
        path = f"/{','.join(indices)}/_settings/index.number_of_shards?flat_settings=true&ignore_unavailable=true&allow_no_indices=true"
        found = self._client.call("GET", path)
        return {index: int(one["settings"]["index.number_of_shards"]) for index, one in found.items()}

    def fewest(self, index: str, count: int) -> int:
        """The fewest shards to which the index (of `count` shards) can be shrunk within SHARD_DOCUMENTS and SHARD_BYTES; `count` if it was shrunk before."""
        if count < 2 or plain(index) != index:
            return count
        stats = self._client.call("GET", f"/{index}/_stats/docs,store?filter_path=_all.primaries")["_all"]["primaries"]
        documents, size = stats["docs"]["count"], stats["store"]["size_in_bytes"]
        divisors = (number for number in range(1, count + 1) if count % number == 0)
        return next((n for n in divisors if documents <= n * SHARD_DOCUMENTS and size <= n * SHARD_BYTES), count)

    def shrink(self, index: str, count: int) -> None:
        """Shrink the index to `count` shards. Raises StoreBusy or ApiError, and then the index is unchanged."""
        lease = self._begin(index)
        try:
            self._gather(lease)
            self._client.call("PUT", f"/{index}/_block/write")  # returns when the writes under way are done
            target = shrunk(index)
            self._copy(lease, target, count)
            self._renew(lease)  # succeeds only if no server took the lease over, so the block is still set
            self._exchange(index, target)
        finally:
            if lease in self._leases():  # not after the exchange, which removed it with the index
                self._release(lease)

    def release_abandoned(self) -> None:
        """Clean up after processes that were killed while shrinking: delete the copy and allow writes again. Raises StoreBusy."""
        for lease in self._leases():
            if lease.until < time.time() * 1000:
                try:
                    self._renew(lease)
                    self._release(lease)
                except ApiError as error:
                    if error.meta.status != 404:  # 404: another server was faster
                        raise StoreBusy(f"Elasticsearch could not release {lease.index}: {reason(error.body)}") from error

    # --- leases

    def _begin(self, index: str) -> _Lease:
        lease = _Lease(index, self._new_alias())
        if not any(other.index == index for other in self._leases()):
            self._alias({"add": {"index": index, "alias": lease.alias}})
            if not any(other.index == index and other != lease for other in self._leases()):
                return lease
            self._alias({"remove": {"index": index, "alias": lease.alias}})
        raise StoreBusy(f"{index} is being shrunk by another process, or was by one that was killed: try again in some minutes")

    def _leases(self) -> list[_Lease]:
        """The leases of all indices."""
        try:
            found = self._client.call("GET", f"/_alias/{self._layout.lease('*')}")
        except ApiError as error:
            if error.meta.status == 404:
                return []
            raise
        return [_Lease(index, alias) for index, content in found.items() for alias in content.get("aliases", {})]

    def _new_alias(self) -> str:
        return self._layout.lease(f"{int(time.time() * 1000) + LEASE_MS}-{secrets.token_hex(4)}")

    def _renew(self, lease: _Lease) -> None:
        """Extend a lease by LEASE_MS from now. Raises ApiError (404) when another process took it over."""
        alias = self._new_alias()
        old = {"index": lease.index, "alias": lease.alias, "must_exist": True}
        self._alias({"remove": old}, {"add": {"index": lease.index, "alias": alias}})
        lease.alias = alias

    def _alias(self, *actions: dict[str, Any]) -> None:
        self._client.call("POST", "/_aliases", {"actions": list(actions)})

    def _release(self, lease: _Lease) -> None:
        """Delete the unfinished copy, lift the block, end the lease."""
        began = time.monotonic()
        aliases = self._client.call("GET", f"/{all_shrunk(lease.index)}/_alias?allow_no_indices=true&ignore_unavailable=true")
        unfinished = [name for name, content in aliases.items() if is_unfinished(name, content.get("aliases", {}))]
        if unfinished:
            self._client.call("DELETE", f"/{','.join(unfinished)}?ignore_unavailable=true")
        if time.monotonic() - began < RELEASE_SECONDS:
            self._client.call("PUT", f"/{lease.index}/_settings", {BLOCK: None, ON_NODE: None})
            self._alias({"remove": {"index": lease.index, "alias": lease.alias}})

    # --- steps

    def _gather(self, lease: _Lease) -> None:
        """Move a copy of every shard to one node, that with most of them already, as `_shrink` requires."""
        index = lease.index
        copies: dict[str, set[str]] = {}
        for row in self._rows(index):
            if row["state"] == "STARTED":
                copies.setdefault(row["node"], set()).add(row["shard"])
        node = max(sorted(copies), key=lambda name: len(copies[name]), default="")
        self._client.call("PUT", f"/{index}/_settings", {ON_NODE: node})
        moved = time.monotonic()

        def gathered() -> bool:
            nonlocal moved
            rows = self._rows(index)
            if any(row["state"] in ("RELOCATING", "INITIALIZING") for row in rows):
                moved = time.monotonic()
            elif time.monotonic() - moved > STANDSTILL:
                raise StoreBusy(f"no node takes all shards of {index}: see GET /_cluster/allocation/explain")
            here = {row["shard"] for row in rows if row["node"] == node and row["state"] == "STARTED"}
            return here == {row["shard"] for row in rows}

        self._wait(gathered, lease)

    def _copy(self, lease: _Lease, target: str, count: int) -> None:
        """Create the smaller index; returns when it has all documents, and replicas if the original has them."""
        index = lease.index
        health = f"/_cluster/health/{index}?filter_path=status"
        enough = {"green"} if self._client.call("GET", health)["status"] == "green" else {"green", "yellow"}
        [settings] = self._client.call("GET", f"/{index}/_settings?flat_settings=true").values()
        wanted = {"index.number_of_shards": count, "index.number_of_replicas": settings["settings"]["index.number_of_replicas"]}
        self._client.call("POST", f"/{index}/_shrink/{target}", {"settings": {**wanted, BLOCK: None, ON_NODE: None}})
        deadline = time.monotonic() + LONGEST_COPY

        def done() -> bool:
            if time.monotonic() > deadline:
                raise StoreBusy(f"Elasticsearch did not finish the copy of {index} in {LONGEST_COPY:.0f} s")
            return self._client.call("GET", f"/_cluster/health/{target}?filter_path=status")["status"] in enough

        self._wait(done, lease)
        self._client.refresh([index, target])
        there, copied = (self._client.call("GET", f"/{name}/_count?filter_path=count")["count"] for name in (index, target))
        if there != copied:
            raise StoreBusy(f"the copy of {index} has {copied:,} of {there:,} documents")

    def _exchange(self, index: str, target: str) -> None:
        """Remove the index and give its names to the copy, in one atomic step."""
        [content] = self._client.call("GET", f"/{index}/_alias").values()
        names = [index, *(name for name in content["aliases"] if not name.startswith(self._layout.lease("")))]
        self._alias({"remove_index": {"index": index}}, *({"add": {"index": target, "alias": name}} for name in names))

    def _rows(self, index: str) -> list[dict[str, str]]:
        """Every shard copy: shard, state, node."""
        return self._client.call("GET", f"/_cat/shards/{index}?format=json&h=shard,state,node")  # type: ignore[no-any-return]

    def _wait(self, done: Callable[[], bool], lease: _Lease) -> None:
        """Poll until `done()`; renews the lease."""
        pause = POLL_SECONDS
        while not done():
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_POLL)
            if lease.until - time.time() * 1000 < LEASE_MS / 2:
                self._renew(lease)
