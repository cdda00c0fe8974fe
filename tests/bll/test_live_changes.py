"""Live readers hear which tasks got events: at once, and of many batches together."""

from __future__ import annotations

import gevent

from apiserver.bll.events.live_changes import Change, LiveChanges
from apiserver.stores.batch import Appended, Event, EventBatch, LogLine, Points
from apiserver.stores.memory.bus import MemoryBus
from apiserver.stores.records import IMAGE, LOG, SCALAR, SeriesKey


class Counted(MemoryBus):
    messages = 0

    def publish(self, channel: str, message: bytes) -> None:
        self.messages += 1
        super().publish(channel, message)


def scalars(task: str) -> EventBatch:
    return EventBatch(now=1, worker="w", lines=5, points={SeriesKey(task, SCALAR, "loss", "train"): Points()})


def logs(task: str) -> EventBatch:
    return EventBatch(now=1, worker="w", lines=5, logs=[LogLine(task, 1, "info", "w", "hello", "", "", None, 0, 10)])


def test_a_batch_is_told_at_once() -> None:
    changes = LiveChanges(MemoryBus())
    with changes.subscribe("c", 100) as reader:
        changes.publish("c", scalars("t"), Appended(100, []))
        gevent.sleep(0)
        assert reader.get(0) == [Change("t", [SCALAR], 105)]


def test_batches_of_a_moment_are_one_message() -> None:
    bus = Counted()
    changes = LiveChanges(bus)
    heard: dict[str, tuple[set[str], int]] = {}
    with changes.subscribe("c", 100) as reader, changes.subscribe("other", 100) as other:
        for number in range(50):
            changes.publish("c", scalars(f"t{number % 3}") if number % 2 else logs(f"t{number % 3}"), Appended(100 * number, []))
            if not number:
                gevent.sleep(0)
        changes.publish("other", scalars("theirs"), Appended(7, []))
        with gevent.Timeout(10):
            while heard.get("t1", (set(), 0))[1] < 4_905:
                for change in reader.get(0):
                    types, seq = heard.get(change.task, (set(), 0))
                    heard[change.task] = types | set(change.types), max(seq, change.seq)
                gevent.sleep(0.001)
        assert heard == {"t0": ({LOG, SCALAR}, 4805), "t1": ({LOG, SCALAR}, 4905), "t2": ({LOG, SCALAR}, 4705)}
        assert other.get(0) == [Change("theirs", [SCALAR], 12)]
    assert bus.messages == 3


def test_a_batch_after_a_pause_is_told_too() -> None:
    changes = LiveChanges(MemoryBus())
    event = Event(IMAGE, "t", "img", "v", 1, None, 1, "w", 0, 10, {})
    with changes.subscribe("c", 100) as reader:
        for number in range(3):
            changes.publish("c", EventBatch(now=1, worker="w", lines=1, events=[event]), Appended(number, []))
            found: list[Change] = []
            with gevent.Timeout(10):
                while not found:
                    gevent.sleep(0.001)
                    found = reader.get(0)
            assert found == [Change("t", [IMAGE], number + 1)]
