"""Rewinds a task to an iteration: events of later iterations become void.

A training that resumes from a checkpoint repeats iterations that it reported before it was killed. Void events are taken out of charts and
statistics; they are kept as events of a hidden owner and returned on request (`rewound`).
"""

from __future__ import annotations

from typing import Protocol

from apiserver.bll.events.copying import Part, batch_of, events_of_part
from apiserver.bll.events.pages import last_arrival
from apiserver.bll.registry.directory import Owner, TaskDirectory
from apiserver.common.fairness import KeyedLocks
from apiserver.errors import RewindRefused
from apiserver.stores.base import EventReader, EventWriter
from apiserver.stores.event_types import TYPES
from apiserver.stores.records import rewound

TRIES = 5
"""Attempts to set the progress of an owner while events arrive."""


class RewindEvents(EventReader, EventWriter, Protocol):
    """The stores that rewinding reads and writes."""


class Rewinding:
    """Voids what was reported after an iteration."""

    def __init__(self, events: RewindEvents, directory: TaskDirectory) -> None:
        self._events, self._directory = events, directory
        self._one_at_a_time = KeyedLocks()

    def rewind(self, owner: Owner, iteration: int) -> int:
        """Void scalars, vectors, plots and images with a greater iteration; returns their number. Log lines and single values stay, as do events that
        arrive during the call. Repeating an interrupted call completes it. Raises RewindRefused if there are too many series to keep.

        Calls for one owner run one after the other within a worker process. Between processes no event is lost, because each copies events to the
        hidden owner before it removes them.
        """
        with self._one_at_a_time.hold((owner.company, owner.id)):
            return self._rewind(owner, iteration)

    def _rewind(self, owner: Owner, iteration: int) -> int:
        types = [type.name for type in TYPES.values() if not type.is_lines]
        series = self._events.series(owner.company, [owner.id], types)
        later = [one for one in series if one.max_iter is not None and one.max_iter > iteration]
        if not later:
            return 0
        until = last_arrival(later)
        self._keep(owner, Part(later, iteration + 1, until))
        removed = self._events.cut(owner.company, owner.id, after=iteration, until_seq=until)
        self._set_progress(owner, types)
        return removed

    def _set_progress(self, owner: Owner, types: list[str]) -> None:
        """Set the owner's progress from its series. Repeated until both agree: events may arrive, or another worker rewind, between read and write."""
        progress = None
        for _ in range(TRIES):
            left = self._events.series(owner.company, [owner.id], types)
            found = max((one.chart_max_iter or 0 for one in left), default=0)
            if found == progress:
                return
            progress = found
            self._directory.set_progress(owner, progress)

    def _keep(self, owner: Owner, part: Part) -> None:
        """Copy the events that will be void to the hidden owner."""
        hidden = rewound(owner.id)
        for events in events_of_part(self._events, owner.company, owner.id, part):
            refusals = self._events.append(owner.company, batch_of(events, hidden, is_model=owner.kind == "model")).refusals
            if refusals:
                raise RewindRefused(refusals[0].reason, id=owner.id)
