"""Tells live readers which tasks got events. The only module that knows the channel and its encoding. The first batch is announced at once;
those that follow within `GATHER_SECONDS` share one message, so small batches of many clients do not cost a message each, and no batch waits
for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import gevent
import msgspec

from apiserver.stores.state import Bus, Subscription

GATHER_SECONDS = 0.02


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
        """The changes of the next moment; none after `timeout` seconds. Raises BusLost when messages may have been missed."""
        message = self._subscription.get(timeout)
        return [] if message is None else _decoder.decode(message)


class LiveChanges:
    """Tells live readers on any worker which tasks changed. Publishing never waits for a reader."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._pending: dict[str, dict[str, tuple[set[str], int]]] = {}
        self._sending = False

    def publish(self, company: str, stored: Iterable[tuple[str, str]], seq: int) -> None:
        """Announce the (task, type) pairs of a batch that was just stored; all its events arrived before `seq`."""
        tasks = self._pending.setdefault(company, {}) if stored else {}
        for task, type in stored:
            of_task, before = tasks.get(task) or (set(), 0)
            of_task.add(type)
            tasks[task] = of_task, max(before, seq)
        if tasks and not self._sending:
            self._sending = True
            gevent.spawn(self._send)

    def _send(self) -> None:
        try:
            while self._pending:
                pending, self._pending = self._pending, {}
                for company, tasks in pending.items():
                    changes = [Change(task, sorted(types), seq) for task, (types, seq) in tasks.items()]
                    self._bus.publish(_channel(company), _encoder.encode(changes))
                gevent.sleep(GATHER_SECONDS)
        finally:
            self._sending = False

    @contextmanager
    def subscribe(self, company: str, capacity: int) -> Iterator[ChangeReader]:
        """From entering on, messages are kept for this reader, at most `capacity` of them."""
        with self._bus.subscribe(_channel(company), capacity) as subscription:
            yield ChangeReader(subscription)


def _channel(company: str) -> str:
    return f"changes:{company}"
