"""Which tasks got events just now, for live readers: one message a batch, the only module that knows its channel and encoding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from apiserver.stores.batch import Appended, EventBatch
from apiserver.stores.records import LOG
from apiserver.stores.state import Bus, Subscription


class Change(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A task (or model) with the types of events that it got; all of them arrived before `seq`."""

    task: str
    types: list[str]
    seq: int


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[Change])


class ChangeReader:
    """Receives the changes of a company."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    def get(self, timeout: float) -> list[Change]:
        """The changes of the next batch; none after `timeout` seconds. Raises BusLost when messages may have been missed."""
        message = self._subscription.get(timeout)
        return [] if message is None else _decoder.decode(message)


class LiveChanges:
    """Tells live readers on any worker which tasks changed. Publishing never waits for a reader."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def publish(self, company: str, batch: EventBatch, appended: Appended) -> None:
        """Say what a batch that was just stored holds: one message, whatever its size."""
        types: dict[str, set[str]] = {}
        for key in batch.points:
            types.setdefault(key.task, set()).add(key.type)
        for task, type in {(event.task, event.type) for event in batch.events}:
            types.setdefault(task, set()).add(type)
        for task in {line.task for line in batch.logs}:
            types.setdefault(task, set()).add(LOG)
        seq = appended.seq + batch.lines
        self._bus.publish(_channel(company), _encoder.encode([Change(task, sorted(of_task), seq) for task, of_task in types.items()]))

    @contextmanager
    def subscribe(self, company: str, capacity: int) -> Iterator[ChangeReader]:
        """From entering on, messages are kept for this reader, at most `capacity` of them."""
        with self._bus.subscribe(_channel(company), capacity) as subscription:
            yield ChangeReader(subscription)


def _channel(company: str) -> str:
    return f"changes:{company}"
