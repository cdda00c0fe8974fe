"""`events.get_image_index` and `get_debug_image_samples`: the stops of a slider, and images of many runs side by side."""

from __future__ import annotations

import uuid

import pytest

from apiserver.bll.events.image_index import runs_of
from tests.client import Client, image


@pytest.mark.parametrize(
    ("numbers", "runs"),
    [
        ([], []),
        ([5], [[5, 5, 0]]),
        ([0, 10, 20, 30], [[0, 30, 10]]),
        ([0, 1, 2, 10, 20], [[0, 2, 1], [10, 20, 10]]),
        ([-3, 7], [[-3, 7, 10]]),
    ],
)
def test_evenly_spaced_iterations_are_one_run(numbers: list[int], runs: list[list[int]]) -> None:
    assert runs_of(numbers) == runs


def test_the_index_lists_existing_iterations_of_every_variant(server: Client) -> None:
    one, two = uuid.uuid4().hex, uuid.uuid4().hex
    server.add_batch([image(one, "m", "a", iter=iter, url=f"http://f/{one}/{iter}") for iter in (0, 100, 200, 500)])
    server.add_batch(
        [image(one, "m", "b", iter=7, url="http://f/b"), image(two, "m", "a", iter=3, url="http://f/2"), image(two, "n", iter=1)]
    )
    found = server.call("events.get_image_index", tasks=[two, one], metrics=[{"metric": "m"}])["variants"]
    assert found == [
        {"task": two, "metric": "m", "variant": "a", "count": 1, "runs": [[3, 3, 0]]},
        {"task": one, "metric": "m", "variant": "a", "count": 4, "runs": [[0, 200, 100], [500, 500, 0]]},
        {"task": one, "metric": "m", "variant": "b", "count": 1, "runs": [[7, 7, 0]]},
    ]
    server.add_batch([image(one, "m", "b", iter=8, url="http://f/c")])
    found = server.call("events.get_image_index", tasks=[one], metrics=[{"metric": "m", "variants": ["b"]}])["variants"]
    assert [variant["runs"] for variant in found] == [[[7, 8, 1]]]


def test_overwritten_files_are_no_stops_and_no_samples(server: Client, task: str) -> None:
    server.add_batch([image(task, "m", "a", iter=iter, url=f"http://f/{iter % 3}") for iter in range(10)])
    [variant] = server.call("events.get_image_index", tasks=[task])["variants"]
    assert variant["runs"] == [[7, 9, 1]]
    [sample] = server.call("events.get_debug_image_samples", tasks=[task], iteration=5)["samples"]
    assert sample["event"] is None


def test_samples_of_many_tasks_are_the_newest_up_to_an_iteration(server: Client) -> None:
    one, two = uuid.uuid4().hex, uuid.uuid4().hex
    server.add_batch([image(one, "m", "a", iter=iter, url=f"http://f/{one}/{iter}") for iter in (0, 10, 20)])
    server.add_batch([image(one, "m", "b", iter=15, url="http://f/b"), image(two, "m", "a", iter=3, url="http://f/2")])
    found = server.call("events.get_debug_image_samples", tasks=[one, two], iteration=14)["samples"]
    shown = [(sample["task"], sample["variant"], sample["event"] and sample["event"]["iter"]) for sample in found]
    assert shown == [(one, "a", 10), (one, "b", None), (two, "a", 3)]
    newest = server.call("events.get_debug_image_samples", tasks=[one])["samples"]
    assert [sample["event"]["iter"] for sample in newest] == [20, 15]


def test_tasks_without_images_have_no_entries_and_unknown_ones_are_refused(server: Client) -> None:
    assert server.call("events.get_image_index", tasks=[server.new_task("no images")])["variants"] == []
    assert server.refused("events.get_image_index", tasks=["nope"]).codes == (400, 101)
    assert server.refused("events.get_debug_image_samples", tasks=["nope"]).codes == (400, 101)
