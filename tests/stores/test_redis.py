"""Redis as state and bus, and what its client does by itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from apiserver.stores.base import Bus, State, StateUnavailable
from apiserver.stores.redis import open_redis
from apiserver.stores.redis.client import RedisClient
from tests.contract.bus import BusContract
from tests.contract.state import StateContract
from tests.servers import redis_url
from tests.stores.settings import REDIS


@pytest.fixture(scope="module")
def opened() -> Iterator[tuple[State, Bus]]:
    state, bus, _ = open_redis(redis_url(), REDIS)
    yield state, bus
    bus.close()
    state.close()


@pytest.fixture
def state(opened: tuple[State, Bus]) -> State:
    return opened[0]


@pytest.fixture
def bus(opened: tuple[State, Bus]) -> Bus:
    return opened[1]


class TestState(StateContract):
    pass


class TestBus(BusContract):
    pass


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
