"""What every state and every bus promises."""

from __future__ import annotations

import socket
import threading
import time
import uuid

import pytest

from apiserver.stores.base import Bus, BusLost, State, StateUnavailable
from apiserver.stores.redis.client import RedisClient
from tests.servers import redis_url
from tests.stores.conftest import REDIS


def test_a_state_lives_until_its_time_is_up(state: State) -> None:
    id = state.create("scroll", {"position": [1, None, "ä"], "big": 2**53 + 1}, ttl=30)
    assert len(id) == 32 and state.get("scroll", id) == {"position": [1, None, "ä"], "big": 2**53 + 1}
    assert state.get("other", id) is None and state.get("scroll", "f" * 32) is None
    short = state.create("scroll", {}, ttl=0.05)
    deadline = time.monotonic() + 5
    while state.get("scroll", short) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    state.delete("scroll", id)
    assert state.get("scroll", id) is None


def test_updates_are_atomic(state: State) -> None:
    id = state.create("count", {"n": 0}, ttl=60)

    def add() -> None:
        for _ in range(50):
            state.update("count", id, lambda value: {"n": value["n"] + 1}, ttl=60)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state.get("count", id) == {"n": 200}
    assert state.update("count", id, lambda value: None, ttl=60) == {"n": 200}
    assert state.update("count", "0" * 32, lambda value: {"n": 1}, ttl=60) is None


def test_what_a_caller_does_with_a_state_changes_nothing(state: State) -> None:
    id = state.create("s", {"list": [1]}, ttl=60)
    read = state.get("s", id)
    assert read is not None
    read["list"].append(2)
    assert state.get("s", id) == {"list": [1]}


def test_a_rate_is_limited_and_recovers(state: State) -> None:
    key = uuid.uuid4().hex
    hits = [state.hit(key, 3, 1.0) for _ in range(5)]
    assert [hit.allowed for hit in hits] == [True, True, True, False, False]
    assert [hit.remaining for hit in hits] == [2, 1, 0, 0, 0]
    assert all(0 < hit.reset_after <= 1.02 for hit in hits)
    assert state.hit(uuid.uuid4().hex, 3, 1.0).allowed
    deadline = time.monotonic() + 10
    while not state.hit(key, 3, 1.0).allowed:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not state.hit(uuid.uuid4().hex, 3, 1.0, weight=4).allowed


def test_messages_reach_every_reader_of_their_channel_in_order(bus: Bus) -> None:
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


def test_a_reader_that_is_too_slow_is_told(bus: Bus) -> None:
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


def test_a_waiting_reader_wakes_up_for_a_message(bus: Bus) -> None:
    channel = uuid.uuid4().hex
    with bus.subscribe(channel) as reader:
        threading.Timer(0.1, bus.publish, (channel, b"hello")).start()
        assert reader.get(10) == b"hello"


def test_scripts_outlive_any_number_of_lost_connections() -> None:
    client = RedisClient(redis_url(), REDIS)
    echo = client.script("return ARGV[1]")
    for number in range(120):  # more than a pool of the library would ever make
        assert echo(number) == str(number).encode()
        for connection in client._idle:
            connection._sock.shutdown(socket.SHUT_RDWR)  # as a server that closes idle connections, or was restarted
    many = [client.connection() for _ in range(120)]
    for connection in many:
        connection.connect()
        connection.disconnect()
    assert client.redis.ping()
    client.close()


def test_a_script_that_redis_forgot_runs_again() -> None:
    client = RedisClient(redis_url(), REDIS)
    echo = client.script("return {ARGV[1], 'again'}")
    assert echo(1) == [b"1", b"again"]
    client.redis.script_flush()
    assert echo(2) == [b"2", b"again"]
    with pytest.raises(StateUnavailable):
        client.script("return redis.call('NO SUCH COMMAND')")()
    assert echo(3) == [b"3", b"again"]
    client.close()
