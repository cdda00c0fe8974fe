"""What every state promises."""

from __future__ import annotations

import threading
import time
import uuid

from apiserver.stores.base import State


class StateContract:
    """All of a state. A suite defines the fixture `state`."""

    def test_a_state_lives_until_its_time_is_up(self, state: State) -> None:
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

    def test_updates_are_atomic(self, state: State) -> None:
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

    def test_what_a_caller_does_with_a_state_changes_nothing(self, state: State) -> None:
        id = state.create("s", {"list": [1]}, ttl=60)
        read = state.get("s", id)
        assert read is not None
        read["list"].append(2)
        assert state.get("s", id) == {"list": [1]}

    def test_a_rate_is_limited_and_recovers(self, state: State) -> None:
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
