"""Redis as state and bus, and what its client does by itself."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from apiserver.stores.coordination import Coordination
from apiserver.stores.errors import StateUnavailable
from apiserver.stores.redis import OpenedRedis, open_redis
from apiserver.stores.redis.client import RedisClient
from apiserver.stores.state import Bus, State
from tests.contract.bus import BusContract
from tests.contract.coordination import CoordinationContract
from tests.contract.state import SMALL, StateContract
from tests.servers import redis_address, redis_url
from tests.stores.settings import REDIS


@pytest.fixture(scope="module")
def opened() -> Iterator[OpenedRedis]:
    opened = open_redis(redis_url(), REDIS)
    yield opened
    opened.bus.close()
    opened.state.close()


@pytest.fixture
def state(opened: OpenedRedis) -> State:
    return opened.state


@pytest.fixture
def bus(opened: OpenedRedis) -> Bus:
    return opened.bus


@pytest.fixture
def coordination(opened: OpenedRedis) -> Coordination:
    return opened.coordination


class TestState(StateContract):
    @pytest.fixture
    def small_state(self) -> Iterator[State]:
        opened = open_redis(f"{redis_address()}?prefix={uuid.uuid4().hex}", REDIS, SMALL)
        yield opened.state
        opened.bus.close()
        opened.state.close()


class TestBus(BusContract):
    pass


class TestCoordination(CoordinationContract):
    pass


def test_scripts_outlive_any_number_of_lost_connections() -> None:
    name = f"scripts-{uuid.uuid4().hex}"
    client, other = RedisClient(f"{redis_url()}&client_name={name}", REDIS), RedisClient(redis_url(), REDIS)
    echo = client.script("return ARGV[1]")
    for number in range(120):  # more than a pool of the library would ever make
        assert echo(number) == str(number).encode()
        mine = [known["id"] for known in other.redis.client_list() if known["name"] == name]
        assert mine, "scripts keep their connection"
        for id in mine:  # Redis closes it, as it does with idle connections, or when it is restarted
            other.redis.client_kill_filter(_id=id)
    many = [client.connection() for _ in range(120)]
    for connection in many:
        connection.connect()
        connection.disconnect()
    assert client.redis.ping()
    client.close()
    other.close()


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
