"""Raw reads page by page: `scalar_metrics_iter_raw`, `get_scalar_metric_data`, `clear_scroll`."""

from __future__ import annotations

import uuid
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.client import SINGLE_VALUE_ITER, Client, scalar, vector
from tests.properties import prove

RAW = "events.scalar_metrics_iter_raw"


def walk(client: Client, task: str, **request: Any) -> list[dict[str, Any]]:
    """All pages up to the first empty one, which is left out."""
    asked: dict[str, Any] = {"task": task, "metric": {"metric": "m"}, **request}
    pages = []
    while True:
        page = client.call(RAW, asked)
        assert page["returned"] == sum(len(variant["y"]) for variant in page["variants"].values())
        if not page["returned"]:
            return pages
        pages.append(page)
        asked["scroll_id"] = page["scroll_id"]


def joined(pages: list[dict[str, Any]], key: str = "iter") -> dict[str, list[tuple[int, Any]]]:
    found: dict[str, list[tuple[int, Any]]] = {}
    for page in pages:
        for variant, columns in page["variants"].items():
            found.setdefault(variant, []).extend(zip(columns[key], columns["y"], strict=True))
    return found


points = st.lists(st.tuples(st.sampled_from("abc"), st.integers(-5, 40), st.integers(0, 6)), min_size=1, max_size=60)


def test_pages_hold_every_point_once_in_the_order_of_the_key(server: Client, engine: str) -> None:
    @prove(engine, points, st.integers(1, 9), st.sampled_from(["iter", "timestamp", "iso_time"]))
    def holds(sent: list[tuple[str, int, int]], size: int, key: str) -> None:
        task = uuid.uuid4().hex
        server.add_batch(
            [scalar(task, "m", variant, iter=iter, value=float(n), timestamp=time) for n, (variant, iter, time) in enumerate(sent)]
        )
        stored = {(variant, iter): (time, n) for n, (variant, iter, time) in enumerate(sent)}
        pages = walk(server, task, batch_size=size, key=key, count_total=True)
        assert [page["returned"] for page in pages[:-1]] == [size] * (len(pages) - 1)
        assert {page["total"] for page in pages} == {len(stored)}
        expected: dict[str, list[tuple[int, float]]] = {}
        order = sorted(stored.items(), key=lambda item: (item[0][1], *item[1]) if key == "iter" else item[1])
        for (variant, iter), (time, n) in order:
            expected.setdefault(variant, []).append((iter if key == "iter" else time, float(n)))
        assert joined(pages, key) == expected
        # over all variants together the key never goes back from one page to the next
        ends = [(min(x), max(x)) for page in pages if (x := [at for columns in page["variants"].values() for at in columns[key]])]
        assert all(earlier[1] <= later[0] for earlier, later in pairwise(ends))


def test_single_values_are_raw_points_and_other_metrics_are_not(server: Client, task: str) -> None:
    server.add_batch(
        [scalar(task, "m", "v", iter=SINGLE_VALUE_ITER, value=0.5), scalar(task, "m", "v", iter=7), scalar(task, "other", iter=1)]
    )
    [page] = walk(server, task)
    assert page["variants"] == {"v": {"y": [0.5, 1.0], "iter": [SINGLE_VALUE_ITER, 7]}}


def test_named_variants_only(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", variant, iter=1) for variant in "abc"])
    data = server.call(RAW, task=task, metric={"metric": "m", "variants": ["c", "a", "nothing"]}, count_total=True)
    assert (list(data["variants"]), data["total"]) == (["a", "c"], 2)


def test_nan_and_infinities_are_null(server: Client, task: str) -> None:
    lines = [
        f'{{"type":"training_stats_scalar","task":"{task}","metric":"m","variant":"v","iter":{i},"value":{v}}}'
        for i, v in enumerate(["NaN", "-Infinity", "1"])
    ]
    server.add_batch(lines)
    assert joined(walk(server, task)) == {"v": [(0, None), (1, None), (2, 1.0)]}


def test_iterations_keep_all_their_64_bits(server: Client, task: str) -> None:
    iters = [-(2**63), -(2**53) - 1, -1, 0, 2**53 + 1, 2**63 - 1]
    server.add_batch([scalar(task, "m", "v", iter=iter, value=float(n)) for n, iter in enumerate(iters)])
    assert joined(walk(server, task, batch_size=1)) == {"v": [(iter, float(n)) for n, iter in enumerate(iters)]}


def test_batch_size_zero_keeps_the_size_of_the_page_before(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", "v", iter=iter) for iter in range(10)])
    first = server.call(RAW, task=task, metric={"metric": "m"}, batch_size=4)
    second = server.call(RAW, task=task, metric={"metric": "m"}, scroll_id=first["scroll_id"])
    assert (first["returned"], second["returned"]) == (4, 4)


def test_points_that_are_written_during_the_walk_are_not_shown(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", "v", iter=iter, value=1.0) for iter in range(10)])
    first = server.call(RAW, task=task, metric={"metric": "m"}, batch_size=4, count_total=True)
    server.add_batch([scalar(task, "m", "v", iter=iter, value=2.0) for iter in range(10, 20)] + [scalar(task, "m", "new", iter=5)])
    rest = walk(server, task, batch_size=4, scroll_id=first["scroll_id"])
    assert joined([first, *rest]) == {"v": [(iter, 1.0) for iter in range(10)]}


def test_a_scroll_of_another_metric_or_task_is_refused(server: Client, task: str) -> None:
    other = uuid.uuid4().hex
    server.add_batch([scalar(owner, metric, "v", iter=iter) for owner in (task, other) for metric in "mn" for iter in range(3)])
    scroll = server.call(RAW, task=task, metric={"metric": "m"}, batch_size=1)["scroll_id"]
    assert server.refused(RAW, task=task, metric={"metric": "n"}, scroll_id=scroll).codes == (400, 1104)
    assert server.refused(RAW, task=other, metric={"metric": "m"}, scroll_id=scroll).codes == (400, 1104)
    assert server.refused("events.get_task_events", task=task, scroll_id=scroll).codes == (400, 1104)


def test_a_cleared_scroll_is_gone(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", "v", iter=iter) for iter in range(3)])
    scroll = server.call(RAW, task=task, metric={"metric": "m"}, batch_size=1)["scroll_id"]
    assert server.call("events.clear_scroll", scroll_id=scroll) == {}
    assert server.refused(RAW, task=task, metric={"metric": "m"}, scroll_id=scroll).codes == (400, 1104)


@pytest.mark.parametrize("endpoint", [RAW, "events.get_task_events", "events.get_scalar_metric_data"])
def test_the_end_mark_gives_an_empty_page(server: Client, task: str, endpoint: str) -> None:
    server.add_batch([scalar(task, "m", "v")])
    metric: Any = {"metric": "m"} if endpoint == RAW else "m"
    data = server.call(endpoint, task=task, metric=metric, scroll_id="FFFF")
    assert (data["returned"], data["total"]) == (0, 0)


def test_metric_data_comes_newest_iteration_first_in_pages_of_five_hundred(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", variant, iter=iter, timestamp=1000 + iter) for iter in range(-300, 300) for variant in "ab"])
    server.add_batch([scalar(task, "m", "a", iter=SINGLE_VALUE_ITER), scalar(task, "other", iter=1)])
    asked: dict[str, Any] = {"task": task, "metric": "m"}
    seen, sizes = [], []
    while True:
        page = server.call("events.get_scalar_metric_data", asked)
        assert (page["total"], page["returned"]) == (1201, len(page["events"]))
        if not page["events"]:
            break
        sizes.append(page["returned"])
        seen += [event["iter"] for event in page["events"]]
        asked["scroll_id"] = page["scroll_id"]
    assert page["scroll_id"] == "FFFF"
    assert sizes == [500, 500, 201]
    assert seen == sorted(seen, reverse=True) and seen[-1] == SINGLE_VALUE_ITER


def test_vectors_without_numbers_in_places_are_null_there(server: Client, task: str) -> None:
    server.add_batch([vector(task, [1.5, float("nan"), float("inf")], iter=2), vector(task, [], iter=1)])
    data = server.call("events.vector_metrics_iter_histogram", task=task, metric="vec", variant="v")
    assert (data["iterations"], data["vectors"]) == ([1, 2], [[], [1.5, None, None]])
