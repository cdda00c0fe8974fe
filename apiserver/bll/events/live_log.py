"""Sends log lines to live readers over the bus. The only module that knows the channels and their encoding."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import attrgetter

import msgspec

from apiserver.bll.registry.directory import Owner
from apiserver.common.metrics import LIVE_LAG
from apiserver.stores.batch import Appended, LogLine
from apiserver.stores.records import SEQ_SHIFT, PagedEvent
from apiserver.stores.state import Bus, Subscription


class LiveLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A stored log line as live readers see it. `seq`: its arrival; `timestamp`: ms since the epoch."""

    seq: int
    timestamp: int
    level: str | None
    worker: str | None
    msg: str | None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[LiveLine])
_by_time = attrgetter("timestamp", "seq")


class LiveLogReader:
    """Receives the lines of one log."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    def get(self, timeout: float) -> list[LiveLine]:
        """The lines of the next message, by time, then by arrival; none after `timeout` seconds. Raises BusLost when messages may have been
        missed: the reader then reads the store again."""
        message = self._subscription.get(timeout)
        lines = [] if message is None else _decoder.decode(message)
        if lines:
            LIVE_LAG.set(max(0.0, time.time() - (lines[-1].seq >> SEQ_SHIFT) / 1000))
        return lines


class LiveLog:
    """Hands stored log lines to live readers on any worker. Publishing never waits for a reader."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def publish(self, company: str, lines: Iterable[LogLine], appended: Appended) -> None:
        """Send the lines of a batch that was just stored, without those that the store refused: one message for each task.

        Nothing is sent when the batch had been stored before: its first report was published then.
        """
        if appended.logs_were_stored_before:
            return
        refused = {refusal.line for refusal in appended.refusals}
        by_task: dict[str, list[LiveLine]] = {}
        for line in lines:
            if line.line not in refused:
                live = LiveLine(appended.seq + line.line, line.timestamp, line.level, line.worker, line.msg)
                by_task.setdefault(line.task, []).append(live)
        for task, of_task in by_task.items():
            of_task.sort(key=_by_time)
            self._bus.publish(_channel(company, task), _encoder.encode(of_task))

    @contextmanager
    def subscribe(self, owner: Owner, capacity: int) -> Iterator[LiveLogReader]:
        """From entering on, messages are kept for this reader, at most `capacity` of them."""
        with self._bus.subscribe(_channel(owner.company, owner.id), capacity) as subscription:
            yield LiveLogReader(subscription)


def live_line(found: PagedEvent) -> LiveLine:
    """A line read from the store, in the form in which live readers get lines."""
    event, cursor = found
    return LiveLine(cursor.seq, cursor.timestamp, event.get("level"), event.get("worker"), event.get("msg"))


def _channel(company: str, task: str) -> str:
    return f"logs:{len(company)}:{company}:{task}"  # with the length, (a, b:c) and (a:b, c) are two channels
