"""`get_task_events`: pages in a total order, stable while others write."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.client import IMAGE, LOG, PLOT, SCALAR, SINGLE_VALUE_ITER, Client, image, log, plot, scalar
from tests.properties import prove


def walk(client: Client, task: str, **request: Any) -> list[list[dict[str, Any]]]:
    """All pages, the empty one at the end left out."""
    pages: list[list[dict[str, Any]]] = []
    asked: dict[str, Any] = {"task": task, **request}
    while True:
        data = client.call("events.get_task_events", asked)
        assert data["returned"] == len(data["events"])
        if not data["events"]:
            return pages
        pages.append(data["events"])
        asked["scroll_id"] = data["scroll_id"]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_paging_ends_although_the_smallest_iteration_is_zero(server: Client, task: str, order: str) -> None:
    server.add_batch([scalar(task, iter=iter, value=float(iter)) for iter in range(5)])
    pages = walk(server, task, batch_size=1, order=order, event_type=SCALAR)
    iters = [event["iter"] for page in pages for event in page]
    assert iters == (list(range(5)) if order == "asc" else [4, 3, 2, 1, 0])


def test_every_page_but_the_last_has_exactly_batch_size_events(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", f"v{v}", iter=iter) for v in range(7) for iter in range(5)])
    assert [len(page) for page in walk(server, task, batch_size=8)] == [8, 8, 8, 8, 3]


def test_the_total_is_exact_and_carried_along(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", f"v{v}", iter=iter) for v in range(6) for iter in range(2001)])
    first = server.call("events.get_task_events", task=task, batch_size=100)
    assert first["total"] == 12_006
    server.add_batch([scalar(task, "m", "new", iter=1)])
    second = server.call("events.get_task_events", task=task, batch_size=100, scroll_id=first["scroll_id"])
    assert second["total"] == 12_006
    assert server.call("events.get_task_events", task=task, count_total=False)["total"] is None


def test_events_come_by_iteration_then_time_then_arrival_and_those_without_iteration_last(server: Client, task: str) -> None:
    server.add_batch(
        [
            log(task, "no iteration", timestamp=1),
            scalar(task, "m", "b", iter=2, timestamp=5),
            scalar(task, "m", "a", iter=2, timestamp=5),
            plot(task, iter=2, timestamp=4),
            image(task, iter=-3, timestamp=9),
            scalar(task, "Summary", "x", iter=SINGLE_VALUE_ITER, timestamp=3),
        ]
    )
    order = [(event["type"], event["variant"]) for event in server.events(task, batch_size=2)]
    assert order == [(SCALAR, "x"), (IMAGE, "v"), (PLOT, "x"), (SCALAR, "b"), (SCALAR, "a"), (LOG, "")]


def test_metrics_and_type_filter_events_and_are_kept_by_the_scroll(server: Client, task: str) -> None:
    server.add_batch([scalar(task, metric, "v", iter=iter) for metric in "ab" for iter in range(5)] + [log(task, "x")])
    pages = walk(server, task, batch_size=2, event_type=SCALAR, metrics=[{"metric": "b"}])
    assert [(event["metric"], event["iter"]) for page in pages for event in page] == [("b", iter) for iter in range(5)]


def test_a_scroll_id_of_another_task_another_query_or_unknown_is_refused(server: Client, task: str) -> None:
    other = uuid.uuid4().hex
    server.add_batch([scalar(owner, iter=iter) for owner in (task, other) for iter in range(5)])
    scroll = server.call("events.get_task_events", task=task, batch_size=2)["scroll_id"]
    assert server.refused("events.get_task_events", task=other, scroll_id=scroll).codes == (400, 1104)
    for bad in ("zz", "0" * 32, "a" * 5000):
        assert server.refused("events.get_task_events", task=task, scroll_id=bad).codes == (400, 1104)


def test_an_empty_scroll_id_counts_as_absent(server: Client, task: str) -> None:
    server.add_batch([scalar(task)])
    assert server.call("events.get_task_events", task=task, scroll_id="")["returned"] == 1


def test_the_same_scroll_id_read_twice_gives_the_same_page(server: Client, task: str) -> None:
    server.add_batch([scalar(task, iter=iter) for iter in range(9)])
    scroll = server.call("events.get_task_events", task=task, batch_size=3)["scroll_id"]
    pages = [server.call("events.get_task_events", task=task, batch_size=3, scroll_id=scroll) for _ in range(2)]
    assert [[event["iter"] for event in page["events"]] for page in pages] == [[3, 4, 5], [3, 4, 5]]


def test_one_page_past_the_end_is_empty(server: Client, task: str) -> None:
    server.add_batch([scalar(task, iter=iter) for iter in range(4)])
    second = server.call("events.get_task_events", task=task, batch_size=4)
    third = server.call("events.get_task_events", task=task, batch_size=4, scroll_id=second["scroll_id"])
    assert (third["events"], third["returned"], third["total"]) == ([], 0, 4)


def test_twelve_thousand_events_of_one_iteration_page_through_without_loss(server: Client, task: str) -> None:
    server.add_batch([scalar(task, f"m{m:03d}", f"v{v:03d}", iter=1) for m in range(120) for v in range(100)])
    pages = walk(server, task, batch_size=5000)
    assert [len(page) for page in pages] == [5000, 5000, 2000]
    assert len({(event["metric"], event["variant"]) for page in pages for event in page}) == 12_000


points = st.lists(st.tuples(st.sampled_from("abc"), st.integers(-3, 8), st.integers(0, 3)), min_size=1, max_size=40)


def test_a_walk_sees_everything_once_although_others_write_meanwhile(server: Client, engine: str) -> None:
    @prove(engine, points, points, st.integers(1, 7), st.sampled_from(["asc", "desc"]))
    def holds(before: list[tuple[str, int, int]], during: list[tuple[str, int, int]], size: int, order: str) -> None:
        task = uuid.uuid4().hex
        server.add_batch([scalar(task, "m", variant, iter=iter, timestamp=time) for variant, iter, time in before])
        stored: dict[tuple[str, int], tuple[int, int]] = {}
        for arrival, (variant, iter, time) in enumerate(before):
            stored[variant, iter] = (time, arrival)
        untouched = {key for key in stored if key not in {(variant, iter) for variant, iter, _ in during}}
        expected = [
            key for key, (time, arrival) in sorted(stored.items(), key=lambda item: (item[0][1], *item[1]), reverse=order == "desc")
        ]
        seen: list[tuple[str, int]] = []
        request: dict[str, Any] = {"task": task, "batch_size": size, "order": order}
        writes = iter_chunks(during, 5)
        while True:
            data = server.call("events.get_task_events", request)
            if not data["events"]:
                break
            seen += [(event["variant"], event["iter"]) for event in data["events"]]
            request["scroll_id"] = data["scroll_id"]
            chunk = next(writes, None)
            if chunk:
                server.add_batch([scalar(task, "m", variant, iter=iter, timestamp=time) for variant, iter, time in chunk])
        assert len(seen) == len(set(seen)), "an event was seen twice"
        assert untouched <= set(seen), "an event that nobody touched was missed"
        assert [key for key in seen if key in untouched] == [key for key in expected if key in untouched]
        assert set(seen) <= set(stored), "an event that arrived after the scroll began was seen"


def iter_chunks(items: list[tuple[str, int, int]], size: int) -> Any:
    return (items[start : start + size] for start in range(0, len(items), size))
