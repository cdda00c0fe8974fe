"""The bulk requests of a batch: how lines are distributed over them, and how Elasticsearch's answer is read line by line."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from apiserver.common.fairness import paced
from apiserver.stores.batch import EventBatch, Refusal
from apiserver.stores.elastic.bulk_actions import action
from apiserver.stores.elastic.client import IndexGone, busy_reason
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.series.row import PENDING
from apiserver.stores.elastic.write.bulk_lines import EncodedLines, chunked, event_line, log_line, point_chunks
from apiserver.stores.elastic.write.parts import SERIES, Part
from apiserver.stores.errors import StoreBusy


class BulkLimits(NamedTuple):
    """Most `bytes` of a request; `compress_from`: events of at least so many bytes are compressed (0: never)."""

    bytes: int
    compress_from: int


class PartSlice(NamedTuple):
    """Lines lo..hi (exclusive) of a part."""

    part: Part
    lo: int
    hi: int


@dataclass(slots=True)
class BulkRequest:
    """A bulk request in pieces. `target`: the index of lines that name none. `head`: the number of documents before the lines of the parts."""

    target: str
    head: int
    pieces: list[bytes]
    slices: list[PartSlice] = field(default_factory=list)
    is_last: bool = False

    @property
    def count(self) -> int:
        """The number of documents in the request."""
        return self.head + sum(hi - lo for _, lo, hi in self.slices)

    def read(self, items: Sequence[dict[str, Any]]) -> list[Refusal]:
        """Record each line's result in its part. Returns the lines that Elasticsearch refused for good; raises StoreBusy when a line must be retried."""
        refusals: list[Refusal] = []
        busy: StoreBusy | None = None
        for item in items[: self.head]:
            busy = busy or _busy(item)
        position = self.head
        for part, lo, hi in self.slices:
            part.created = part.created or [True] * len(part.arrivals)
            for line in range(lo, hi):
                item = items[position]
                position += 1
                status = item["status"]
                if status == 201:
                    continue
                part.created[line] = False
                if status in (200, 409):
                    part.repeated = True
                elif (passing := _busy(item)) is not None:
                    busy = busy or passing
                else:
                    error = item.get("error", {})
                    cause = error.get("caused_by", {}).get("reason")
                    refusals.append(Refusal(part.arrivals[line], None, cause or error.get("reason") or f"status {status}"))
        if busy is not None:
            raise busy
        return refusals

    def incomplete_parts(self) -> list[Part]:
        """Parts with a line in this request that created no document."""
        return list({part.id: part for part, lo, hi in self.slices if part.created and not all(part.created[lo:hi])}.values())


def bulk_requests(
    layout: Layout, company: str, batch: EventBatch, parts: Sequence[Part], seq: int, log_ids: str, record: bytes, limits: BulkLimits
) -> Iterator[BulkRequest]:
    """Requests of at most `limits.bytes` (a longer line gets a request of its own). `record`: the lines of a document that precede those of the first
    request, or nothing.

    A generator, so that only one request exists at a time: a batch of many megabytes is not held in memory twice.
    """
    default = _most_used(parts)
    target = layout.writing(default)
    request, size = BulkRequest(target, 1 if record else 0, [record]), len(record)
    for part in paced(parts, SERIES):
        address = "" if part.index == default else f'"_index":"{layout.writing(part.index)}",'
        done = 0
        for count, data in _chunks(address, company, batch, part, seq, log_ids, limits):
            if request.slices and size + len(data) > limits.bytes:
                yield request
                request, size = BulkRequest(target, 0, []), 0
            request.pieces.append(data)
            size += len(data)
            request.slices.append(PartSlice(part, done, done + count))
            done += count
    request.is_last = True
    yield request


def pending_batch_record(batch: EventBatch, parts: Sequence[Part], statistics: str, id: str) -> bytes:
    """The lines of the document that records a pending batch and its series."""
    series = [list(part.key) for part in parts]
    return action("index", statistics, id, {"kind": PENDING, "task": list(batch.touches), "at": int(time.time() * 1000), "series": series})


def _chunks(
    address: str, company: str, batch: EventBatch, part: Part, seq: int, log_ids: str, limits: BulkLimits
) -> Iterator[EncodedLines]:
    """The encoded lines of a part; `address`: see `event_line`."""
    if part.points is not None:
        return point_chunks(address, company, part.key, part.points, batch.worker, seq, part.positions, limits.bytes)
    if part.logs:
        return chunked((log_line(address, line, log_ids, seq) for line in part.logs), limits.bytes)
    hashes: dict[str, str] = {}
    return chunked((event_line(address, company, event, seq, hashes, limits.compress_from) for event in part.events), limits.bytes)


def _most_used(parts: Sequence[Part]) -> str:
    if len({part.index for part in parts}) == 1:
        return parts[0].index
    lines: Counter[str] = Counter()
    for part in parts:
        lines[part.index] += len(part.arrivals)
    return lines.most_common(1)[0][0]


def _busy(item: dict[str, Any]) -> StoreBusy | None:
    """The exception for an item that must be retried, else None."""
    if item["status"] == 404:
        return IndexGone("the index of this task was dropped or removed", 1.0)
    return busy_reason(item["status"], item)
