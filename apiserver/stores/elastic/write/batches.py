"""Storing a batch: events in bulk requests, the last one together with the statistics; then the marks for readers.

The statistics say what would be true if every line of the last request were new. Where one was not, its series is marked as stale.
The first request also writes a mark that names the series of the batch, a later request of anybody removes it. A batch that died in between
leaves its mark, and the next reader of those series after `MARK_SECONDS` counts them anew.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import lt
from typing import Any, NamedTuple

import orjson

from apiserver.settings import ElasticSettings
from apiserver.stores.base import StoreBusy
from apiserver.stores.elastic.client import ElasticClient, busy_reason
from apiserver.stores.elastic.generations import Generations, IndexGone
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.registry.documents import document_id
from apiserver.stores.elastic.series.changes import ActivityChange, Change, SeriesChange
from apiserver.stores.elastic.series.group_commit import BatchLines, GroupCommit
from apiserver.stores.elastic.series.row import PENDING, LastPoints, Row, series_id
from apiserver.stores.elastic.visibility import PendingBatch, Visibility
from apiserver.stores.elastic.write.bulk_lines import Chunk, chunked, event_line, log_line, log_prefix, point_chunks
from apiserver.stores.records import (
    LOG,
    SCALAR,
    SEQ_SHIFT,
    SINGLE_VALUE_ITER,
    Appended,
    Event,
    EventBatch,
    LogLine,
    Points,
    Refusal,
    SeriesKey,
)

LOG_RETRY_MS = 3_600_000
LISTED = 200
"""Series of a batch up to which readers are told their names, and need no refresh for their statistics."""


@dataclass(slots=True)
class _Part:
    """The events of one series in a batch (points, or events, or log lines), and what became of each."""

    key: SeriesKey
    index: str
    id: str
    """The document of the series."""
    epoch: int | None = None
    arrivals: list[int] = field(default_factory=list)
    points: Points | None = None
    positions: range | list[int] = range(0)
    events: list[Event] = field(default_factory=list)
    logs: list[LogLine] = field(default_factory=list)
    fresh: list[bool] = field(default_factory=list)
    """Per line whether it made a new document; empty when all did."""
    repeated: bool = False
    """Whether some were there before: what is known of the series has to be counted anew."""


class _Slice(NamedTuple):
    """Lines lo..hi (exclusive) of a part."""

    part: _Part
    lo: int
    hi: int


class _Request(NamedTuple):
    """A bulk request to be sent to the index `target`, in pieces: the lines that are in it, and whether it is the last one."""

    target: str
    pieces: list[bytes]
    slices: list[_Slice]
    last: bool

    @property
    def lines(self) -> int:
        return sum(hi - lo for _, lo, hi in self.slices)


class BatchWriter:
    """`append` for one store; safe for any number of greenlets."""

    def __init__(
        self,
        client: ElasticClient,
        layout: Layout,
        generations: Generations,
        visibility: Visibility,
        group_commit: GroupCommit,
        settings: ElasticSettings,
    ) -> None:
        self._client, self._layout, self._generations = client, layout, generations
        self._visibility, self._group_commit, self._settings = visibility, group_commit, settings

    def append(self, company: str, batch: EventBatch) -> Appended:
        tasks = list(batch.touches)
        begun = self._visibility.begin_batch(company, batch.now, batch.lines, tasks)
        try:
            return self._append(company, batch, tasks, begun)
        except StoreBusy as error:
            # Part of it may be stored: readers must look, and the list of batches under way must not keep it.
            touched = {task: (self._layout.statistics(company),) for task in tasks}
            self._finish_quietly(company, begun, touched)
            if isinstance(error, IndexGone):
                self._generations.forget(company, tasks)
            raise

    def _finish_quietly(self, company: str, begun: PendingBatch, touched: Mapping[str, Sequence[str]]) -> None:
        try:
            self._visibility.record_writes(company, touched, token=begun.token)
        except StoreBusy:
            return

    def _append(self, company: str, batch: EventBatch, tasks: list[str], begun: PendingBatch) -> Appended:
        generations = self._generations.for_writing(company, tasks, begun.generations)
        parts = self._parts(company, batch, generations)
        self._generations.ensure_statistics(company)
        statistics = self._layout.statistics(company)
        ids = [part.id for part in parts]
        for part, epoch in zip(parts, self._group_commit.epochs(statistics, ids), strict=True):
            part.epoch = epoch
        activity: list[Change] = []
        for task, touch in batch.touches.items():
            kind = "model" if touch.is_model else "task"
            activity.append(ActivityChange(self._layout.entities, document_id(kind, company, task), batch.now, touch.max_iter))
        refusals = self._send(company, batch, parts, begun.seq, statistics, activity)
        touched: dict[str, set[str]] = {task: {statistics} for task in tasks}
        for part in parts:
            touched[part.key.task].add(part.index)
        documents: dict[str, list[str]] = {}
        if len(ids) <= LISTED:
            documents = {task: [] for task in tasks}
            for part in parts:
                documents[part.key.task].append(part.id)
        self._visibility.record_writes(company, touched, (self._layout.entities,), documents, token=begun.token)
        logs = [part for part in parts if part.key.type == LOG]
        stored_before = bool(logs) and all(part.fresh and not any(part.fresh) for part in logs)
        return Appended(begun.seq, sorted(refusals), stored_before)

    # --- the lines

    def _parts(self, company: str, batch: EventBatch, generations: dict[str, int]) -> list[_Part]:
        parts: dict[SeriesKey, _Part] = {}

        def part_of(key: SeriesKey) -> _Part:
            part = parts.get(key)
            if part is None:
                index = self._generations.ensure(key.type, company, generations[key.task])
                part = parts[key] = _Part(key, index, series_id(company, key))
            return part

        for key, points in batch.points.items():
            part = part_of(key)
            part.points, part.positions = points, _last_of_each(points.iters)
            part.arrivals = points.lines if len(part.positions) == len(points.lines) else [points.lines[p] for p in part.positions]
        latest = {(event.series, event.iter, event.key or ""): event for event in batch.events}
        extra: list[_Part] = []
        for event in latest.values():
            part = part_of(event.series)
            if part.points is not None:  # a scalar series with points and an event without iteration: at most one such event
                part = _Part(part.key, part.index, part.id)
                extra.append(part)
            part.arrivals.append(event.line)
            part.events.append(event)
        for line in batch.logs:
            part = part_of(SeriesKey(line.task, LOG, line.metric, line.variant))
            part.arrivals.append(line.line)
            part.logs.append(line)
        return [*parts.values(), *extra]

    def _chunks(self, company: str, batch: EventBatch, part: _Part, seq: int, default: str, prefix: str) -> Iterator[Chunk]:
        """The lines of a part; each names its index if that is another one than `default`."""
        address = "" if part.index == default else f'"_index":"{self._layout.writing(part.index)}",'
        limit = self._settings.bulk_bytes
        if part.points is not None:
            return point_chunks(address, company, part.key, part.points, batch.worker, seq, part.positions, limit)
        if part.logs:
            return chunked((log_line(address, line, prefix, seq) for line in part.logs), limit)
        hashes: dict[str, str] = {}
        return chunked((event_line(address, company, event, seq, hashes) for event in part.events), limit)

    def _requests(self, company: str, batch: EventBatch, parts: list[_Part], seq: int, prefix: str, first: bytes) -> Iterator[_Request]:
        """Requests of at most `bulk_bytes` (a greater line travels alone), the lines `first` at the head of the first. Only one exists at a time."""
        default, limit = _most_used(parts), self._settings.bulk_bytes
        index = self._layout.writing(default)
        pieces, size, slices = [first], len(first), list[_Slice]()
        for part in parts:
            done = 0
            for count, data in self._chunks(company, batch, part, seq, default, prefix):
                if slices and size + len(data) > limit:
                    yield _Request(index, pieces, slices, False)
                    pieces, size, slices = [], 0, []
                pieces.append(data)
                size += len(data)
                slices.append(_Slice(part, done, done + count))
                done += count
        yield _Request(index, pieces, slices, True)

    # --- sending

    def _send(
        self,
        company: str,
        batch: EventBatch,
        parts: list[_Part],
        seq: int,
        statistics: str,
        activity: Sequence[Change],
    ) -> list[Refusal]:
        """Write the mark, the lines and what they change; raises StoreBusy when any line has to come again."""
        refusals: list[Refusal] = []
        mark = f"{PENDING}-{seq:x}"
        prefix = log_prefix(company, batch.digest) if batch.logs else ""
        marks = 1
        for request in self._requests(company, batch, parts, seq, prefix, _mark(batch, parts, statistics, mark)):
            if request.last:
                lines = BatchLines(request.pieces, request.target, marks + request.lines)
                self._group_commit.commit([*_series_changes(statistics, parts, seq), *activity], lines)
                if lines.items is not None:
                    self._mend(lines.items, marks, request.slices, refusals, statistics)
            else:
                self._write(request, marks, refusals)
            marks = 0
        self._again_after_an_hour(company, batch, parts, seq)
        self._group_commit.remove_later(statistics, mark)
        return refusals

    def _write(self, request: _Request, marks: int, refusals: list[Refusal]) -> None:
        answer = self._client.bulk(b"".join(request.pieces), request.target)
        if answer.created() != marks + request.lines:
            self._judge(answer.items, marks, request.slices, refusals)

    def _mend(self, items: list[dict[str, Any]], marks: int, slices: list[_Slice], refusals: list[Refusal], statistics: str) -> None:
        """Not every line of the request with the statistics made a new document: series of which that is true are to be counted anew."""
        try:
            self._judge(items, marks, slices, refusals)
        finally:
            wrong = {part.id: part for part, lo, hi in slices if part.fresh and not all(part.fresh[lo:hi])}
            self._group_commit.commit([SeriesChange(statistics, part.id, part.key, Row(stale=True), part.epoch) for part in wrong.values()])

    def _judge(self, items: list[dict[str, Any]], marks: int, slices: list[_Slice], refusals: list[Refusal]) -> None:
        """Note what became of each line."""
        busy: StoreBusy | None = _busy(items[0]) if marks else None
        place = marks
        for part, lo, hi in slices:
            part.fresh = part.fresh or [True] * len(part.arrivals)
            for line in range(lo, hi):
                item = items[place]
                place += 1
                status = item["status"]
                if status == 201:
                    continue
                part.fresh[line] = False
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

    def _again_after_an_hour(self, company: str, batch: EventBatch, parts: list[_Part], seq: int) -> None:
        """The same log lines once more, long after the first time, are no retry: store them under other ids."""
        repeated = [part for part in parts if part.logs and part.repeated]
        if not repeated:
            return
        part = repeated[0]
        line = part.fresh.index(False)
        index = self._layout.writing(part.index)
        id = f"{log_prefix(company, batch.digest)}{part.arrivals[line]}"
        stored = self._client.get(index, id)
        if stored is None or batch.now - (stored["_source"]["seq"] >> SEQ_SHIFT) <= LOG_RETRY_MS:
            return
        copies = []
        for part in repeated:
            lines = [line for line, fresh in zip(part.logs, part.fresh, strict=True) if not fresh]
            copies.append(_Part(part.key, part.index, part.id, arrivals=[line.line for line in lines], logs=lines))
            part.fresh, part.repeated = [], False
        for request in self._requests(company, batch, copies, seq, log_prefix(company, None), b""):
            self._write(request, 0, [])


def _mark(batch: EventBatch, parts: list[_Part], statistics: str, mark: str) -> bytes:
    """The lines that say which series a batch under way belongs to."""
    action = {"index": {"_index": statistics, "_id": mark, "require_alias": False}}
    source = {"kind": PENDING, "task": list(batch.touches), "at": int(time.time() * 1000), "series": [list(part.key) for part in parts]}
    return b"\n".join([orjson.dumps(action), orjson.dumps(source), b""])


def _series_changes(statistics: str, parts: list[_Part], seq: int) -> list[Change]:
    """What the parts did to their series."""
    changes: list[Change] = []
    for part in parts:
        row = _row_of(part, seq)
        if row is not None:
            changes.append(SeriesChange(statistics, part.id, part.key, row, part.epoch))
    return changes


def _busy(item: dict[str, Any]) -> StoreBusy | None:
    """The exception for an item that has to come again."""
    if item["status"] == 404:
        return IndexGone("the index of this task was dropped meanwhile", 1.0)
    return busy_reason(item["status"], item)


def _most_used(parts: list[_Part]) -> str:
    lines: Counter[str] = Counter()
    for part in parts:
        lines[part.index] += len(part.arrivals)
    return lines.most_common(1)[0][0]


def _last_of_each(iters: list[int]) -> range | list[int]:
    """The positions of the points to be stored: of equal iterations in a batch only the last."""
    if len(set(iters)) == len(iters):
        return range(len(iters))
    return sorted({iteration: position for position, iteration in enumerate(iters)}.values())


def _row_of(part: _Part, seq: int) -> Row | None:
    """What the part brought to its series; None when all of it was refused."""
    if part.fresh and not any(part.fresh) and not part.repeated:
        return None
    row = Row(stale=part.repeated, last_written=seq + max(part.arrivals))
    if part.points is not None:
        points = part.points
        row.x_axis_label = points.x_axis_label
        chosen = part.positions
        if part.fresh:
            chosen = [position for position, new in zip(part.positions, part.fresh, strict=True) if new]
        if chosen:
            columns: tuple[list[int], list[float], list[int], list[int]] = (points.iters, points.values, points.timestamps, points.sizes)
            if len(chosen) < len(points.iters):
                columns = tuple([column[p] for p in chosen] for column in columns)  # type: ignore[assignment]
            iters, values, timestamps, sizes = columns
            if not all(map(lt, iters, iters[1:])):
                order = sorted(range(len(iters)), key=iters.__getitem__)
                iters, values, timestamps = [iters[p] for p in order], [values[p] for p in order], [timestamps[p] for p in order]
            row.add_points(iters, values, timestamps)
            if part.key.type == SCALAR:
                row.last = LastPoints.of(iters, values)
            row.bytes = sum(sizes)
        return row
    fresh = part.fresh or [True] * len(part.arrivals)
    events: list[Event | LogLine] = [*part.events, *part.logs]
    for event, new in zip(events, fresh, strict=True):
        if new:
            times = (event.timestamp, event.timestamp)
            row.extend(1, None if event.iter is None else (event.iter, event.iter), times)
            if event.iter is not None and event.iter != SINGLE_VALUE_ITER and not part.logs:
                row.extend_chart(1, (event.iter, event.iter), times)
            row.bytes += event.size
    return row
