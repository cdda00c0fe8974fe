"""Storing a batch: events in bulk requests, then statistics, then the marks for readers.

The first bulk also writes a mark that names the series of the batch; the statistics' bulk removes it. A batch that died in between leaves its
mark, and the next reader of those series after `MARK_SECONDS` counts them anew.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import orjson

from apiserver.settings import ElasticSettings
from apiserver.stores.base import StoreBusy
from apiserver.stores.elastic.bodies import event_line, log_line, log_prefix, point_lines
from apiserver.stores.elastic.client import ElasticClient, busy_reason
from apiserver.stores.elastic.committer import ActivityChange, Change, Committer, Removal, Rider, SeriesChange
from apiserver.stores.elastic.freshness import Begun, Freshness
from apiserver.stores.elastic.generations import Generations, IndexGone
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.registry_documents import document_id
from apiserver.stores.elastic.rows import Row, series_id, sorted_points
from apiserver.stores.records import (
    LAST_VALUES,
    LOG,
    SCALAR,
    SEQ_SHIFT,
    SINGLE_VALUE_ITER,
    Appended,
    Event,
    EventBatch,
    LastValues,
    LogLine,
    Points,
    Refusal,
    SeriesKey,
)

LOG_RETRY_MS = 3_600_000
PENDING = "pending"
SMALL, SMALL_TEXT = 1_000, 1_000_000
"""Lines and characters up to which a batch travels in one request with its statistics, together with other small ones."""
LISTED = 200
"""Series of a batch up to which readers are told their names, and need no refresh for their statistics."""
LINES = 1000
"""Lines that are encoded at once."""


@dataclass(slots=True)
class _Part:
    """The events of one series in a batch: its lines of the bulk, and what became of each."""

    key: SeriesKey
    index: str
    texts: list[str]
    arrivals: list[int]
    points: Points | None = None
    positions: Sequence[int] = ()
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


class Writer:
    """`append` for one store; safe for any number of greenlets."""

    def __init__(
        self,
        client: ElasticClient,
        layout: Layout,
        generations: Generations,
        freshness: Freshness,
        committer: Committer,
        settings: ElasticSettings,
    ) -> None:
        self._client, self._layout, self._generations = client, layout, generations
        self._freshness, self._committer, self._settings = freshness, committer, settings

    def append(self, company: str, batch: EventBatch) -> Appended:
        tasks = list(batch.touches)
        begun = self._freshness.begin(company, batch.now, batch.lines, tasks)
        try:
            return self._append(company, batch, tasks, begun)
        except StoreBusy as error:
            # Part of it may be stored: readers must look, and the list of batches under way must not keep it.
            touched = {task: (self._layout.statistics(company),) for task in tasks}
            self._finish_quietly(company, begun, touched)
            if isinstance(error, IndexGone):
                self._generations.forget(company, tasks)
            raise

    def _finish_quietly(self, company: str, begun: Begun, touched: Mapping[str, Sequence[str]]) -> None:
        try:
            self._freshness.finish(company, begun.token, touched, ())
        except StoreBusy:
            return

    def _append(self, company: str, batch: EventBatch, tasks: list[str], begun: Begun) -> Appended:
        generations = self._generations.for_writing(company, tasks, begun.generations)
        parts = self._parts(company, batch, begun.seq, generations)
        self._generations.ensure_statistics(company)
        statistics = self._layout.statistics(company)
        ids = [series_id(company, part.key) for part in parts]
        epochs = self._committer.epochs(statistics, ids) if ids else []
        mark = f"{PENDING}-{begun.seq:x}"
        activity: list[Change] = []
        for task, touch in batch.touches.items():
            kind = "model" if touch.is_model else "task"
            activity.append(ActivityChange(self._layout.entities, document_id(kind, company, task), batch.now, touch.max_iter))
        if batch.lines <= SMALL and sum(len(text) for part in parts for text in part.texts) <= SMALL_TEXT:
            refusals = self._send_at_once(company, batch, parts, ids, epochs, activity, statistics, mark, begun.seq)
        else:
            refusals = self._send(batch, parts, statistics, mark)
            self._again_after_an_hour(company, batch, parts, begun.seq)
            changes = _series_changes(statistics, parts, ids, epochs, begun.seq)
            self._committer.commit([Removal(statistics, mark), *changes, *activity])
        touched: dict[str, set[str]] = {task: {statistics} for task in tasks}
        for part in parts:
            touched[part.key.task].add(part.index)
        documents: dict[str, list[str]] = {}
        if len(ids) <= LISTED:
            documents = {task: [] for task in tasks}
            for part, id in zip(parts, ids, strict=True):
                documents[part.key.task].append(id)
        self._freshness.finish(company, begun.token, touched, (self._layout.entities,), documents)
        logs = [part for part in parts if part.key.type == LOG]
        stored_before = bool(logs) and all(part.fresh and not any(part.fresh) for part in logs)
        return Appended(begun.seq, sorted(refusals), stored_before)

    # --- the lines

    def _parts(self, company: str, batch: EventBatch, seq: int, generations: dict[str, int]) -> list[_Part]:
        parts: dict[SeriesKey, _Part] = {}
        for key, points in batch.points.items():
            positions = _last_of_each(points.iters)
            texts = point_lines(company, key, points, batch.worker, seq, positions)
            arrivals = points.lines if len(positions) == len(points.lines) else [points.lines[p] for p in positions]
            index = self._generations.ensure(key.type, company, generations[key.task])
            parts[key] = _Part(key, index, texts, arrivals, points, positions)
        hashes: dict[tuple[SeriesKey, str], str] = {}
        latest = {(event.series, event.iter, event.key or ""): event for event in batch.events}
        extra: list[_Part] = []
        for event in latest.values():
            part = parts.get(event.series)
            if part is None or part.points is not None:
                index = self._generations.ensure(event.type, company, generations[event.task])
                new = _Part(event.series, index, [], [])
                if part is None:
                    parts[event.series] = new
                else:  # a scalar series with points and an event without iteration: at most one such event
                    extra.append(new)
                part = new
            part.texts.append(event_line(company, event, seq, hashes))
            part.arrivals.append(event.line)
            part.events.append(event)
        prefix = log_prefix(company, batch.digest) if batch.logs else ""
        for line in batch.logs:
            key = SeriesKey(line.task, LOG, line.metric, line.variant)
            part = parts.get(key)
            if part is None:
                index = self._generations.ensure(LOG, company, generations[line.task])
                part = parts[key] = _Part(key, index, [], [])
            part.texts.append(log_line(line, prefix, seq))
            part.arrivals.append(line.line)
            part.logs.append(line)
        return [*parts.values(), *extra]

    # --- sending

    def _send(self, batch: EventBatch, parts: list[_Part], statistics: str, mark: str) -> list[Refusal]:
        """Write the mark and the lines; raises StoreBusy when any line has to come again."""
        refusals: list[Refusal] = []
        first = _mark(batch, parts, statistics, mark)
        default = _most_used(parts)
        for body, slices in _bodies(parts, default, self._layout, first, self._settings.bulk_bytes):
            answer = self._client.bulk(body, self._layout.writing(default))
            marks = 1 if first else 0
            first = b""
            if not answer.all_created(marks + sum(hi - lo for _, lo, hi in slices)):
                self._judge(answer.items, marks, slices, refusals)
        return refusals

    def _send_at_once(
        self,
        company: str,
        batch: EventBatch,
        parts: list[_Part],
        ids: Sequence[str],
        epochs: Sequence[int | None],
        activity: Sequence[Change],
        statistics: str,
        mark: str,
        seq: int,
    ) -> list[Refusal]:
        """A small batch in one request, its statistics as if every event were new. Where one was not, its series is marked as stale."""
        changes = _series_changes(statistics, parts, ids, epochs, seq)
        texts = [_addressed(text, self._layout.writing(part.index)) for part in parts for text in part.texts]
        rider = Rider(_mark(batch, parts, statistics, mark) + "".join(texts).encode(), 1 + len(texts))
        self._committer.commit([*changes, *activity], rider)
        refusals: list[Refusal] = []
        if any(item["status"] != 201 for item in rider.items):
            busy: StoreBusy | None = None
            try:
                self._judge(rider.items, 1, [_Slice(part, 0, len(part.arrivals)) for part in parts], refusals)
            except StoreBusy as error:
                busy = error
            wrong = [place for place, part in enumerate(parts) if part.fresh and not all(part.fresh)]
            stale = Row(stale=True)
            self._committer.commit([SeriesChange(statistics, ids[place], parts[place].key, stale, epochs[place]) for place in wrong])
            if busy is not None:
                raise busy
            self._again_after_an_hour(company, batch, parts, seq)
        self._committer.remove_later(statistics, mark)
        return refusals

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
        prefix = log_prefix(company, None)
        copies = []
        for part in repeated:
            lines = [line for line, fresh in zip(part.logs, part.fresh, strict=True) if not fresh]
            texts = [log_line(line, prefix, seq) for line in lines]
            copies.append(_Part(part.key, part.index, texts, [line.line for line in lines], logs=lines))
            part.fresh, part.repeated = [], False
        default = _most_used(copies)
        for body, slices in _bodies(copies, default, self._layout, b"", self._settings.bulk_bytes):
            answer = self._client.bulk(body, self._layout.writing(default))
            if not answer.all_created(sum(hi - lo for _, lo, hi in slices)):
                self._judge(answer.items, 0, slices, [])


def _mark(batch: EventBatch, parts: list[_Part], statistics: str, mark: str) -> bytes:
    """The lines that say which series a batch under way belongs to."""
    action = {"index": {"_index": statistics, "_id": mark, "require_alias": False}}
    source = {"kind": PENDING, "task": list(batch.touches), "at": int(time.time() * 1000), "series": [list(part.key) for part in parts]}
    return b"\n".join([orjson.dumps(action), orjson.dumps(source), b""])


def _series_changes(statistics: str, parts: list[_Part], ids: Sequence[str], epochs: Sequence[int | None], seq: int) -> list[Change]:
    """What the parts did to their series."""
    changes: list[Change] = []
    for part, id, epoch in zip(parts, ids, epochs, strict=True):
        row = _row_of(part, seq)
        if row is not None:
            changes.append(SeriesChange(statistics, id, part.key, row, epoch))
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


def _bodies(parts: list[_Part], default: str, layout: Layout, first: bytes, limit: int) -> Iterator[tuple[bytes, list[_Slice]]]:
    """Bulk bodies of at most `limit` bytes (a greater line travels alone), each with the lines that are in it. Only one exists at a time."""
    pieces, size, slices = [first], len(first), list[_Slice]()
    for part in parts:
        if part.index != default:
            part.texts = [_addressed(text, layout.writing(part.index)) for text in part.texts]
        todo = [(lo, min(lo + LINES, len(part.texts))) for lo in range(0, len(part.texts), LINES)][::-1]
        while todo:
            lo, hi = todo.pop()
            data = "".join(part.texts[lo:hi]).encode()
            if len(data) > limit and hi - lo > 1:
                middle = (lo + hi) // 2
                todo += [(middle, hi), (lo, middle)]
                continue
            if slices and size + len(data) > limit:
                yield b"".join(pieces), slices
                pieces, size, slices = [], 0, []
            pieces.append(data)
            size += len(data)
            slices.append(_Slice(part, lo, hi))
        part.texts = []
    if slices:
        yield b"".join(pieces), slices


def _addressed(text: str, index: str) -> str:
    """The action of a line with its index named."""
    start = text.index("{", 1) + 1
    return f'{text[:start]}"_index":"{index}",{text[start:]}'


def _last_of_each(iters: list[int]) -> list[int] | range:
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
            whole = len(chosen) == len(points.iters)
            columns = (np.array(points.iters, np.int64), np.array(points.values, np.float64), np.array(points.timestamps, np.int64))
            if not whole:
                take = np.array(chosen, np.int64)
                columns = (columns[0][take], columns[1][take], columns[2][take])
            iters, values, timestamps = sorted_points(*columns)
            row.add_points(iters, values, timestamps)
            if part.key.type == SCALAR:
                row.last = LastValues(iters[-LAST_VALUES:], values[-LAST_VALUES:])
            row.bytes = sum(points.sizes) if whole else sum(points.sizes[position] for position in chosen)
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
