"""What every bus promises."""

from __future__ import annotations

import threading
import uuid

import pytest

from apiserver.stores.errors import BusLost
from apiserver.stores.state import Bus


class BusContract:
    """All of a bus. A suite defines the fixture `bus`."""

    def test_messages_reach_every_reader_of_their_channel_in_order(self, bus: Bus) -> None:
        channel = uuid.uuid4().hex
        bus.publish(channel, b"before anybody listens")
        with bus.subscribe(channel) as first, bus.subscribe(channel) as second, bus.subscribe(channel + "x") as other:
            for number in range(100):
                bus.publish(channel, b"%d" % number)
            assert [first.get(5) for _ in range(100)] == [second.get(5) for _ in range(100)] == [b"%d" % n for n in range(100)]
            assert other.get(0.05) is None and first.get(0) is None
        with bus.subscribe(channel) as again:
            bus.publish(channel, b"again")
            assert again.get(5) == b"again"

    def test_a_reader_that_is_too_slow_is_told(self, bus: Bus) -> None:
        channel = uuid.uuid4().hex
        with bus.subscribe(channel, capacity=10) as slow, bus.subscribe(channel) as fast:
            for number in range(50):
                bus.publish(channel, b"%d" % number)
            assert [fast.get(5) for _ in range(50)] == [b"%d" % n for n in range(50)]
            with pytest.raises(BusLost):
                for _ in range(50):
                    slow.get(5)
            bus.publish(channel, b"after")
            received = slow.get(5)
            while received != b"after":
                received = slow.get(5)
                assert received is not None

    def test_a_waiting_reader_wakes_up_for_a_message(self, bus: Bus) -> None:
        channel = uuid.uuid4().hex
        with bus.subscribe(channel) as reader:
            threading.Timer(0.1, bus.publish, (channel, b"hello")).start()
            assert reader.get(10) == b"hello"
