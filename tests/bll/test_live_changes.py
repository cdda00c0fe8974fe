"""Live readers hear which tasks got events: at once, and of many batches together."""

from __future__ import annotations

import gevent

from apiserver.bll.events.live_changes import Change, LiveChanges
from apiserver.stores.memory.bus import MemoryBus
from apiserver.stores.records import IMAGE, LOG, SCALAR


class Counted(MemoryBus):
    messages = 0

    def publish(self, channel: str, message: bytes) -> None:
        self.messages += 1
        super().publish(channel, message)


def test_a_batch_is_told_at_once() -> None:
    changes = LiveChanges(MemoryBus())
    with changes.subscribe("c", 100) as reader:
        changes.publish("c", [("t", SCALAR)], 105)
        gevent.sleep(0)
        assert reader.get(0) == [Change("t", [SCALAR], 105)]


def test_batches_of_a_moment_are_one_message() -> None:
    bus = Counted()
    changes = LiveChanges(bus)
    heard: dict[str, tuple[set[str], int]] = {}
    with changes.subscribe("c", 100) as reader, changes.subscribe("other", 100) as other:
        for number in range(50):
            changes.publish("c", [(f"t{number % 3}", SCALAR if number % 2 else LOG)], 100 * number + 5)
            if not number:
                gevent.sleep(0)
        changes.publish("other", [("theirs", SCALAR)], 12)
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
    with changes.subscribe("c", 100) as reader:
        for number in range(3):
            changes.publish("c", [("t", IMAGE)], number + 1)
            found: list[Change] = []
            with gevent.Timeout(10):
                while not found:
                    gevent.sleep(0.001)
                    found = reader.get(0)
            assert found == [Change("t", [IMAGE], number + 1)]
