"""Stores the reports of a run: batches of lines, imported log lines exactly once; sends log lines to live readers."""

from __future__ import annotations

from collections import Counter

from apiserver.bll.events.counting import count_stored, stored_events
from apiserver.bll.events.live_changes import LiveChanges
from apiserver.bll.events.live_log import LiveLog
from apiserver.bll.registry.directory import Owner
from apiserver.bll.runs.run_lines import LOG_METRIC, ORDINAL, RunLines
from apiserver.common.fairness import KeyedLocks
from apiserver.common.metrics import count_refused
from apiserver.stores.base import EventStore
from apiserver.stores.batch import EventBatch, LogLine, Refusal
from apiserver.stores.records import LOG, EventQuery
from apiserver.stores.state import Bus


class RunWriter:
    """Stores batches. Imported log lines (those with an ordinal) are stored once, however often they are sent."""

    def __init__(self, store: EventStore, bus: Bus) -> None:
        self._store = store
        self._live_log, self._live_changes = LiveLog(bus), LiveChanges(bus)
        self._imports = KeyedLocks()

    def store(self, run: Owner, lines: RunLines) -> list[Refusal]:
        """Store what `lines` collected; on return it is durable. Returns what the store refused. Raises StoreBusy, StoreUnavailable."""
        batch = lines.finish()
        if any(line.metric == LOG_METRIC for line in batch.logs):
            with self._imports.hold((run.company, run.id)):
                batch.logs = self._not_stored_yet(run, batch.logs)
                return self._append(run, batch)
        return self._append(run, batch)

    def last_ordinal(self, run: Owner) -> int:
        """The ordinal of the last log line that was imported into a run; 0 when there is none."""
        query = EventQuery(run.id, (LOG,), metrics={LOG_METRIC: ()})
        for event, _ in self._store.page(run.company, query, "timestamp", descending=True, limit=1):
            return int(event.get(ORDINAL) or 0)
        return 0

    def _append(self, run: Owner, batch: EventBatch) -> list[Refusal]:
        if not (batch.points or batch.events or batch.logs):
            return []
        outcome = self._store.append(run.company, batch)
        stored = stored_events(batch, outcome)
        count_stored(stored, outcome)
        self._live_changes.publish(run.company, stored, outcome.seq + batch.lines)
        self._live_log.publish(run.company, batch.logs, outcome)
        count_refused(Counter(refusal.kind for refusal in outcome.refusals))
        return outcome.refusals

    def _not_stored_yet(self, run: Owner, lines: list[LogLine]) -> list[LogLine]:
        """Drop lines whose ordinal is stored. Ordinals are stored in order; when lines are missing in between (a batch that Elasticsearch stored
        in part, lines that were cleared), all stored ordinals are read."""
        last = self.last_ordinal(run)
        if not last:
            return lines
        query = EventQuery(run.id, (LOG,), metrics={LOG_METRIC: ()})
        if self._store.count(run.company, query) >= last:
            return [line for line in lines if _ordinal(line) == 0 or _ordinal(line) > last]
        known: set[int] = set()
        for stretch in self._store.scan_log(run.company, query):
            known.update(int(event.get(ORDINAL) or 0) for event, _ in stretch.lines)
        return [line for line in lines if _ordinal(line) not in known or _ordinal(line) == 0]


def _ordinal(line: LogLine) -> int:
    return int((line.extra or {}).get(ORDINAL) or 0)
