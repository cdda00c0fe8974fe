"""What every state promises."""

from __future__ import annotations

import base64
import os
import threading
import time
import uuid

import pytest

from apiserver.stores.errors import StateTooLarge
from apiserver.stores.options import StateLimits
from apiserver.stores.state import State

SMALL = StateLimits(total=100_000, company=40_000)


def ten_kilobytes() -> dict[str, str]:
    """A value that takes 8,000 to 11,000 bytes, however it is compressed."""
    return {"noise": base64.b85encode(os.urandom(8_500)).decode()}


class StateContract:
    """All of a state. A suite defines the fixtures `state` and `small_state` (with the limits SMALL, and empty)."""

    def test_a_state_lives_until_its_time_is_up(self, state: State) -> None:
        id = state.create("scroll", {"position": [1, None, "ä"], "big": 2**53 + 1}, ttl=30, company="a")
        assert len(id) == 32 and state.get("scroll", id) == {"position": [1, None, "ä"], "big": 2**53 + 1}
        assert state.get("other", id) is None and state.get("scroll", "f" * 32) is None
        short = state.create("scroll", {}, ttl=0.05, company="a")
        deadline = time.monotonic() + 5
        while state.get("scroll", short) is not None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        state.delete("scroll", id)
        assert state.get("scroll", id) is None

    def test_updates_are_atomic(self, state: State) -> None:
        id = state.create("count", {"n": 0}, ttl=60, company="a")

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
        id = state.create("s", {"list": [1]}, ttl=60, company="a")
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

    def test_a_state_is_renewed_without_being_read(self, state: State) -> None:
        other, id = (state.create("s", {"a": 1}, ttl=0.3, company="a") for _ in range(2))
        assert state.renew("s", id, ttl=60)
        deadline = time.monotonic() + 5
        while state.get("s", other) is not None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert state.get("s", id) == {"a": 1}
        assert not state.renew("s", "0" * 32, ttl=60) and not state.renew("other", id, ttl=60)

    def test_equal_shared_states_of_a_company_are_one(self, small_state: State) -> None:
        value = ten_kilobytes()
        first = small_state.create("s", value, ttl=60, company="a", shared=True)
        assert {small_state.create("s", value, ttl=60, company="a", shared=True) for _ in range(20)} == {first}
        assert small_state.get("s", first) == value
        other = small_state.create("s", value, ttl=60, company="b", shared=True)
        assert other != first
        assert small_state.create("s", value, ttl=60, company="a") not in (first, other)

    def test_large_states_are_kept_compressed(self, small_state: State) -> None:
        names = {f"metric {number}": {f"variant {other}": other for other in range(20)} for number in range(500)}  # 200 kB of JSON
        assert small_state.get("s", small_state.create("s", names, ttl=60, company="a")) == names

    def test_a_company_fills_its_own_space_only_and_the_least_recently_used_goes_first(self, small_state: State) -> None:
        others = small_state.create("s", ten_kilobytes(), ttl=60, company="b")
        ids = []
        for _ in range(12):
            ids.append(small_state.create("s", ten_kilobytes(), ttl=60, company="a"))
            assert small_state.renew("s", ids[0], ttl=60)
        alive = [number for number, id in enumerate(ids) if small_state.get("s", id) is not None]
        assert 2 < len(alive) <= 5 and alive == [0, *range(13 - len(alive), 12)]
        assert small_state.get("s", others) is not None

    def test_all_companies_together_are_bounded_and_the_largest_pays(self, small_state: State) -> None:
        large = [small_state.create("s", ten_kilobytes(), ttl=60, company="large") for _ in range(3)]
        small = [small_state.create("s", ten_kilobytes(), ttl=60, company=f"c{number}") for number in range(9)]
        assert small_state.get("s", large[0]) is None
        assert all(small_state.get("s", id) is not None for id in small)
        more = [small_state.create("s", ten_kilobytes(), ttl=60, company=f"d{number}") for number in range(30)]
        alive = sum(small_state.get("s", id) is not None for id in large + small + more)
        assert 8 <= alive <= 12 and small_state.get("s", more[-1]) is not None

    def test_deleted_and_changed_states_are_counted_as_they_are(self, small_state: State) -> None:
        for _ in range(20):
            id = small_state.create("s", ten_kilobytes(), ttl=60, company="a")
            assert small_state.update("s", id, lambda _: {}, ttl=60) == {}
            small_state.delete("s", small_state.create("s", ten_kilobytes(), ttl=60, company="a"))
        assert small_state.get("s", id) == {}
        kept = [small_state.create("s", ten_kilobytes(), ttl=60, company="a") for _ in range(2)]
        assert small_state.get("s", id) == {} and all(small_state.get("s", one) for one in kept)

    def test_expired_states_take_no_space(self, small_state: State) -> None:
        short = [small_state.create("s", ten_kilobytes(), ttl=0.05, company="a") for _ in range(3)]
        deadline = time.monotonic() + 5
        while any(small_state.get("s", id) is not None for id in short):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        kept = [small_state.create("s", ten_kilobytes(), ttl=60, company="a") for _ in range(3)]
        assert all(small_state.get("s", id) is not None for id in kept)

    def test_a_state_larger_than_a_companys_space_is_refused(self, small_state: State) -> None:
        kept = small_state.create("s", {"a": 1}, ttl=60, company="a")
        with pytest.raises(StateTooLarge):
            small_state.create("s", {"noise": [ten_kilobytes() for _ in range(5)]}, ttl=60, company="a")
        assert small_state.get("s", kept) == {"a": 1}
