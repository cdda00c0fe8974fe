"""State and bus in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apiserver.stores.memory import MemoryBus, MemoryState
from apiserver.stores.state import Bus, State
from tests.contract.bus import BusContract
from tests.contract.state import SMALL, StateContract


class TestState(StateContract):
    @pytest.fixture
    def state(self) -> Iterator[State]:
        state = MemoryState()
        yield state
        state.close()

    @pytest.fixture
    def small_state(self) -> State:
        return MemoryState(SMALL)


class TestBus(BusContract):
    @pytest.fixture
    def bus(self) -> Iterator[Bus]:
        bus = MemoryBus()
        yield bus
        bus.close()
