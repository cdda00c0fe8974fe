"""Ingest: decode lines, group them into columns, append once, publish to live readers. No store request and no temporary object per event.
Work is done in slices, so that a batch of tens of thousands of lines delays no other request. Checks on a task or series run once for each,
after grouping.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from apiserver.bll.events.batch_builder import BatchBuilder, Refused
from apiserver.bll.events.counting import count_stored, stored_events
from apiserver.bll.events.event_decoder import EventDecoder, LineError
from apiserver.bll.events.live_changes import LiveChanges
from apiserver.bll.events.live_log import LiveLog
from apiserver.bll.events.retries import digest_of
from apiserver.bll.registry.directory import OwnerKind, TaskDirectory
from apiserver.common.fairness import give_way
from apiserver.common.metrics import EVENT_BYTES, count_refused
from apiserver.errors import EmptyBatch, EventsNotAdded, ValidationFailed
from apiserver.settings_types import EventsSettings
from apiserver.stores.base import EventWriter
from apiserver.stores.state import Bus

SLICE = 1 << 16
"""Bytes processed before yielding to other requests: 1 ms, or 10 ms if every line has its own series."""
SLICE_LINES = 2_000
"""Most lines of a slice: blank and invalid lines are short, but take longest per byte."""
COUNTED = 1 << 21
"""Bytes whose lines are counted before yielding."""
MAX_ERROR_LINES = 100


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """`reject_unknown`: the first event of a task does not make it known. `ignored_metrics` never move last_iteration. `validate_plots`:
    store with every plot whether it is JSON."""

    reject_unknown: bool = False
    ignored_metrics: tuple[str, ...] = (":monitor:machine", ":monitor:gpu")
    validate_plots: bool = False
    max_batch_tasks: int = 1_000
    max_batch_series: int = 20_000
    max_batch_lines: int = 500_000
    """Limits of one batch: tasks, series of scalars, and lines, blank ones too."""

    @classmethod
    def of(cls, events: EventsSettings) -> IngestSettings:
        """The part of the server's settings that ingest uses."""
        return cls(
            reject_unknown=events.unknown_tasks == "reject",
            ignored_metrics=events.ignore_iteration_metrics,
            validate_plots=events.validate_plot_str,
            max_batch_tasks=events.max_batch_tasks,
            max_batch_series=events.max_batch_series,
            max_batch_lines=events.max_batch_lines,
        )


class Ingest:
    """Stores reported events. `definitions`: the definitions of the events service (see EventDecoder)."""

    def __init__(
        self,
        events: EventWriter,
        directory: TaskDirectory,
        bus: Bus,
        definitions: Mapping[str, Any],
        settings: IngestSettings = IngestSettings(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._events = events
        self._directory = directory
        self._live_log, self._live_changes = LiveLog(bus), LiveChanges(bus)
        self._decoder = EventDecoder(definitions)
        self._settings = settings
        self._clock = clock

    def add_lines(self, company: str, user: str, body: bytes, worker: str, *, again: bool = False) -> dict[str, Any]:
        """Store a batch of JSON lines. `again`: its log lines are stored even where the same batch was stored within the hour (and removed since).

        Returns {added, errors, errors_info, error_lines}. Raises EmptyBatch, EventsNotAdded (no line was valid), ValidationFailed (events of one task
        contradict each other), and StoreError if the store can't take the batch now.
        """
        _check_lines(body, self._settings.max_batch_lines)
        builder = self._builder(worker)
        number = 0
        for lines in _slices(body):
            if number:
                give_way()
            builder.add_lines(lines, number)
            builder.check_sizes(self._settings.max_batch_tasks, self._settings.max_batch_series)
            number += len(lines)
        return self._store(company, user, builder, body, again=again)

    def add_objects(self, company: str, user: str, objects: list[dict[str, Any]], worker: str) -> dict[str, Any]:
        """The same for events that are parsed already."""
        builder = self._builder(worker)
        bodies = [_stable(value) for value in objects]
        for number, value in enumerate(objects):
            try:
                event, unknown = self._decoder.from_object(value)
            except LineError as error:
                builder.refuse(number, error.kind, error.reason, error.field)
            else:
                builder.add(number, event, unknown, len(bodies[number]))
        return self._store(company, user, builder, b"\n".join(bodies))

    def _builder(self, worker: str) -> BatchBuilder:
        return BatchBuilder(self._decoder, int(self._clock() * 1000), worker, self._settings.ignored_metrics, self._settings.validate_plots)

    def _store(self, company: str, user: str, builder: BatchBuilder, body: bytes, *, again: bool = False) -> dict[str, Any]:
        if not builder.lines:
            raise EmptyBatch()
        builder.check_sizes(self._settings.max_batch_tasks, self._settings.max_batch_series)
        for kind, ids in builder.owners().items():
            self._admit(company, user, kind, ids, builder)
        batch = builder.finish()
        refused = builder.refused
        EVENT_BYTES.inc(len(body))
        if batch.points or batch.events or batch.logs:
            if batch.logs and builder.timed and not again:  # equal bodies without a single timestamp are two reports
                batch.digest = digest_of(company, body)
            outcome = self._events.append(company, batch)
            stored = stored_events(batch, outcome)
            count_stored(stored, outcome)
            refused += [Refused(r.line, r.kind, r.reason, r.field) for r in outcome.refusals]
            self._live_changes.publish(company, stored, outcome.seq + batch.lines)
            if batch.logs:
                self._live_log.publish(company, batch.logs, outcome)
        return _answer(builder.lines, refused)

    def _admit(self, company: str, user: str, kind: OwnerKind, ids: Mapping[str, bool], builder: BatchBuilder) -> None:
        """Drop the events of tasks (or models) that can't be written; make unknown ones known. `ids`: id -> allow_locked."""
        known = self._directory.resolve(company, ids, kind)
        unknown = [id for id in ids if id not in known]
        if unknown and not self._settings.reject_unknown:
            deleted = self._directory.was_deleted(company, unknown, kind)
            for id in deleted:
                builder.drop(id, f"{kind} {id} was deleted", f"the {kind} {id} was deleted within the last hour: its id is refused")
            known.update(self._directory.register(company, [id for id in unknown if id not in deleted], kind, user))
            unknown = [id for id in unknown if id not in known and id not in deleted]
        for id in unknown:
            builder.drop(id, f"invalid {kind} id {id}", f"there is no {kind} with the id {id}")
        for id, entity in known.items():
            if entity.company != company:
                builder.drop(id, f"invalid {kind} id {id}", f"the {kind} {id} belongs to another company: it can be read, not written")
            elif entity.locked and not ids[id]:
                builder.drop(id, f"invalid {kind} id {id}", f"the {kind} {id} is published: only events with allow_locked are taken")


def _check_lines(body: bytes, most: int) -> None:
    """Raise ValidationFailed for a body of too many lines. A blank one costs a byte to send, a broken one two, and a refusal is kept of each."""
    lines = 0
    for start in range(0, len(body), COUNTED):
        if start:
            give_way()
        end = start + COUNTED
        lines += body.count(b"\n", start, end)
        if body.find(b"\r", start, end) >= 0:  # rare: looking for pairs takes longer than all else here
            lines += body.count(b"\r", start, end) - body.count(b"\r\n", start, end)
        if lines > most:
            raise ValidationFailed("", f"at most {most} lines (events.max_batch_lines)", lines)


def _slices(body: bytes) -> Iterator[list[bytes]]:
    """The lines of a body, in slices."""
    start = 0
    while start < len(body):
        end = start + SLICE
        if end < len(body):
            cut = body.rfind(b"\n", start, end)
            end = (cut if cut >= 0 else body.find(b"\n", end)) + 1 or len(body)
        lines = body[start:end].splitlines()
        for first in range(0, len(lines), SLICE_LINES):
            yield lines[first : first + SLICE_LINES]
        start = end


def _answer(lines: int, refused: list[Refused]) -> dict[str, Any]:
    errors_info: dict[str, int] = {}
    for refusal in refused:
        errors_info[refusal.kind] = errors_info.get(refusal.kind, 0) + 1
    count_refused(errors_info)
    refused.sort(key=lambda refusal: refusal.line)
    error_lines = [{"line": r.line + 1, "field": r.field, "reason": r.reason} for r in refused[:MAX_ERROR_LINES]]
    added = lines - len(refused)
    if not added:
        raise EventsNotAdded(0, len(refused), errors_info, error_lines)
    answer: dict[str, Any] = {"added": added, "errors": len(refused), "errors_info": errors_info}
    if error_lines:
        answer["error_lines"] = error_lines
    return answer


def _stable(value: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (OverflowError, UnicodeEncodeError, TypeError):
        return repr(value).encode(errors="replace")
