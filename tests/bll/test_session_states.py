"""States of scrolls and navigation sessions come back as they were kept, and only to requests that they were made for."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.bll.events.log_search import SearchQuery, SearchScroll
from apiserver.bll.events.navigation import IterationCursor, IterationSnapshot
from apiserver.bll.events.navigation_sessions import NavigationSessions
from apiserver.bll.events.pages import EventsScroll, MetricEventsScroll, RawScroll
from apiserver.bll.events.plots import PlotGroup, PlotsScroll
from apiserver.bll.events.scrolls import KIND, Scroll, Scrolls, ScrollState
from apiserver.bll.registry.directory import Owner
from apiserver.errors import InvalidScroll
from apiserver.stores.memory.state import MemoryState
from apiserver.stores.records import MAX_ITER, Cursor

OWNER = Owner("acme", "t1", "task", "t1", "created", False, False)
SAME_MODEL = OWNER._replace(kind="model")
PUBLIC = OWNER._replace(company="other")

STATES: list[ScrollState] = [
    EventsScroll(["log"], {"m": ["v"]}, True, 2**62, None, False, Cursor(None, 5, 2**60)),
    RawScroll("m", ["v"], "iso_time", 10_000, 3, 7, True, Cursor(-MAX_ITER, 5, 6)),
    PlotsScroll([PlotGroup("t1", 3, ["m"])], {"t1": 9}, 1, {"m": ["v"]}, 0, Cursor(3, 4, 5), 12),
    SearchScroll(SearchQuery("a", levels=["error"], metrics={"m": []}, from_timestamp=-1), Cursor(1, 2, 3), 4, 5),
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: type(state).__name__)
def test_a_scroll_comes_back_as_it_was_kept(state: ScrollState) -> None:
    scrolls = Scrolls(MemoryState(), ttl=60)
    id = scrolls.keep(state, [OWNER], Scroll("acme"))
    assert scrolls.resume(type(state), [OWNER], Scroll("acme", id)) == state


@pytest.mark.parametrize(("owner", "caller"), [(OWNER, "other"), (SAME_MODEL, "acme"), (PUBLIC, "acme")])
def test_a_scroll_belongs_to_its_caller_and_its_owner(owner: Owner, caller: str) -> None:
    scrolls = Scrolls(MemoryState(), ttl=60)
    id = scrolls.keep(STATES[0], [OWNER], Scroll("acme"))
    with pytest.raises(InvalidScroll):
        scrolls.resume(EventsScroll, [owner], Scroll(caller, id))


def test_a_scroll_belongs_to_its_endpoint() -> None:
    scrolls = Scrolls(MemoryState(), ttl=60)
    id = scrolls.keep(STATES[0], [OWNER], Scroll("acme"))
    with pytest.raises(InvalidScroll):
        scrolls.resume(MetricEventsScroll, [OWNER], Scroll("acme", id))


@pytest.mark.parametrize("change", [{"until": "3"}, {"until": None}, {"more": 1}, {"cursor": [1]}, {"types": {}}])
def test_a_malformed_scroll_state_is_an_invalid_scroll(change: dict[str, Any]) -> None:
    store = MemoryState()
    scrolls = Scrolls(store, ttl=60)
    id = scrolls.keep(STATES[0], [OWNER], Scroll("acme"))
    store.update(KIND, id, lambda kept: kept | {"state": kept["state"] | change}, 60)
    with pytest.raises(InvalidScroll):
        scrolls.resume(EventsScroll, [OWNER], Scroll("acme", id))


@pytest.mark.parametrize("change", [{"cursor": {"spans": {"t1": [1]}}}, {"cursor": {"place": 1}}, {"owners": "t1"}, {"more": 1}])
def test_a_malformed_navigation_state_is_an_invalid_scroll(change: dict[str, Any]) -> None:
    store = MemoryState()
    sessions = NavigationSessions(store, "kind", IterationSnapshot, IterationCursor, ttl=60)
    snapshot, cursor = IterationSnapshot("plot", {"t1": None}, {"t1": {"m": {"v": 0}}}), IterationCursor({"t1": (1, 2)})
    id = sessions.begin([OWNER], Scroll("acme"), snapshot, cursor)
    found = sessions.find([OWNER], Scroll("acme", id))
    assert found is not None and (found.snapshot, found.cursor) == (snapshot, cursor)
    store.update("kind", id, lambda step: step | change, 60)
    with pytest.raises(InvalidScroll):
        sessions.find([OWNER], Scroll("acme", id))
