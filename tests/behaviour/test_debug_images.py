"""Debug images: pages of iterations, samples, and the answers of older versions. Random walks are in test_navigation_model.py."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.client import Client, image, plot, scalar

Page = list[tuple[int, list[str]]]


def fill(server: Client, task: str, iterations: int = 6, ring: int = 3, metric: str = "M1") -> None:
    """Variant a reports into a ring of files, variant b into a file of its own each time."""
    events = []
    for i in range(iterations):
        events.append(image(task, metric, "a", iter=i, url=f"http://f/{metric}/a{i % ring}"))
        events.append(image(task, metric, "b", iter=i, url=f"http://f/{metric}/b{i}"))
    server.add_batch(events)


def page_of(entry: dict[str, Any]) -> Page:
    return [(one["iter"], [event["variant"] for event in one["events"]]) for one in entry["iterations"]]


class Walk:
    """Pages of one scroll."""

    def __init__(self, server: Client, metrics: list[dict[str, Any]], endpoint: str = "events.debug_images", **request: Any) -> None:
        self.server, self.endpoint = server, endpoint
        self.request: dict[str, Any] = {"metrics": metrics, **request}
        self.scroll_id: str | None = None

    def __call__(self, **more: Any) -> Page:
        request = self.request | more | ({"scroll_id": self.scroll_id} if self.scroll_id else {})
        data = self.server.call(self.endpoint, request)
        self.scroll_id = data["scroll_id"]
        assert len(data["metrics"]) == 1
        return page_of(data["metrics"][0])


def test_pages_walk_to_both_ends_and_back(server: Client, task: str) -> None:
    fill(server, task)
    walk = Walk(server, [{"task": task}], iters=2)
    assert walk() == [(5, ["a", "b"]), (4, ["a", "b"])]
    assert walk() == [(3, ["a", "b"]), (2, ["b"])]
    assert walk() == [(1, ["b"]), (0, ["b"])]
    assert walk() == walk() == []
    assert walk(navigate_earlier=False) == [(3, ["a", "b"]), (2, ["b"])]
    assert walk(navigate_earlier=False) == [(5, ["a", "b"]), (4, ["a", "b"])]
    assert walk(navigate_earlier=False) == []


def test_the_first_page_is_the_newest_whatever_the_direction(server: Client, task: str) -> None:
    fill(server, task)
    assert Walk(server, [{"task": task}])(navigate_earlier=False) == [(5, ["a", "b"])]


def test_an_id_that_is_read_twice_gives_the_same_page_twice(server: Client, task: str) -> None:
    fill(server, task)
    request: dict[str, Any] = {"metrics": [{"task": task}]}
    first = server.call("events.debug_images", request)
    with ThreadPoolExecutor(4) as pool:
        retries = list(pool.map(lambda _: server.call("events.debug_images", request, scroll_id=first["scroll_id"]), range(8)))
    for data in retries:
        assert page_of(data["metrics"][0]) == [(4, ["a", "b"])]
        after = server.call("events.debug_images", request, scroll_id=data["scroll_id"])
        assert page_of(after["metrics"][0]) == [(3, ["a", "b"])]


def test_naming_a_variant_is_no_dead_end(server: Client, task: str) -> None:
    server.add_batch([image(task, "m", "a", iter=i, url=f"http://f/a{i}") for i in range(3)])
    server.add_batch([image(task, "m", "b", iter=i, url=f"http://f/b{i}") for i in range(10, 40)])
    walk = Walk(server, [{"task": task, "metric": "m", "variants": ["a"]}], iters=2)
    assert [walk(), walk(), walk()] == [[(2, ["a"]), (1, ["a"])], [(0, ["a"])], []]


def test_files_that_were_overwritten_are_not_shown_even_behind_the_newest_url(server: Client, task: str) -> None:
    urls = ["a", "b", "c", "a", "b", "x"]
    server.add_batch([image(task, "m", "v", iter=i, url=f"http://f/{url}") for i, url in enumerate(urls)])
    assert Walk(server, [{"task": task}], iters=10)() == [(i, ["v"]) for i in (5, 4, 3, 2)]
    sample = server.call("events.get_debug_image_sample", task=task, metric="m", variant="v")
    assert (sample["min_iteration"], sample["max_iteration"]) == (2, 5)


def test_images_before_a_stretch_of_overwritten_files_are_found(server: Client, task: str) -> None:
    server.add_batch([image(task, "m", "old", iter=i, url=f"http://f/{i}") for i in (0, 1)])
    server.add_batch([image(task, "m", "ring", iter=i, url=f"http://f/ring{i % 2}") for i in range(200)])
    walk = Walk(server, [{"task": task}], iters=2)
    assert [walk(), walk(), walk()] == [[(199, ["ring"]), (198, ["ring"])], [(1, ["old"]), (0, ["old"])], []]
    assert walk(navigate_earlier=False) == [(199, ["ring"]), (198, ["ring"])]


def test_of_several_images_with_own_keys_the_greatest_url_is_shown(server: Client, task: str) -> None:
    server.add_batch([image(task, iter=1, url=f"http://f/{name}", key=name) for name in ("b", "c", "a")])
    data = server.call("events.debug_images", metrics=[{"task": task}])
    assert [event["url"] for event in data["metrics"][0]["iterations"][0]["events"]] == ["http://f/c"]


def test_images_without_url_are_not_shown(server: Client, task: str) -> None:
    event = image(task, iter=5)
    del event["url"]
    server.add_batch([event, image(task, "m", "v", iter=3)])
    assert Walk(server, [{"task": task}], iters=5)() == [(3, ["v"])]


def test_a_refresh_shows_new_metrics_and_starts_at_the_newest(server: Client, task: str) -> None:
    fill(server, task)
    walk = Walk(server, [{"task": task}])
    assert [walk(), walk()] == [[(5, ["a", "b"])], [(4, ["a", "b"])]]
    server.add_batch([image(task, "M2", "c", iter=9, url="http://f/c")])
    server.add_batch([scalar(task, iter=9)])
    assert walk(navigate_earlier=False) == [(5, ["a", "b"])]
    assert walk(navigate_earlier=False) == []
    assert walk(refresh=True) == [(9, ["c"])]
    assert walk() == [(5, ["a", "b"])]


def test_new_iterations_of_known_metrics_are_found_without_refresh(server: Client, task: str) -> None:
    fill(server, task, 2)
    walk = Walk(server, [{"task": task}])
    assert walk() == [(1, ["a", "b"])]
    server.add_batch([image(task, "M1", "b", iter=7, url="http://f/b7")])
    assert walk(navigate_earlier=False) == [(7, ["b"])]


def test_other_metrics_under_the_same_id_start_anew(server: Client, task: str) -> None:
    fill(server, task)
    fill(server, task, 3, metric="M2")
    walk = Walk(server, [{"task": task, "metric": "M1"}])
    assert walk() == [(5, ["a", "b"])]
    walk.request["metrics"] = [{"task": task, "metric": "M2"}]
    assert [walk(), walk()] == [[(2, ["a", "b"])], [(1, ["a", "b"])]]


def test_every_task_has_its_own_position_and_entry(server: Client, task: str) -> None:
    other, empty = uuid.uuid4().hex, uuid.uuid4().hex
    fill(server, task)
    fill(server, other, 2)
    server.add_batch([scalar(empty)])
    wanted = [{"task": other}, {"task": empty}, {"task": task, "metric": "M1"}]
    first = server.call("events.debug_images", metrics=wanted)
    assert [entry["task"] for entry in first["metrics"]] == [other, empty, task]
    assert [page_of(entry) for entry in first["metrics"]] == [[(1, ["a", "b"])], [], [(5, ["a", "b"])]]
    second = server.call("events.debug_images", metrics=wanted, scroll_id=first["scroll_id"])
    assert [page_of(entry) for entry in second["metrics"]] == [[(0, ["a", "b"])], [], [(4, ["a", "b"])]]


def test_an_entry_without_metric_means_all_metrics_of_its_task(server: Client, task: str) -> None:
    fill(server, task, 1)
    fill(server, task, 1, metric="M2")
    wanted = [{"task": task, "metric": "M2", "variants": ["a"]}, {"task": task, "metric": None}]
    data = server.call("events.debug_images", metrics=wanted)
    shown = data["metrics"][0]["iterations"][0]["events"]
    assert [(event["metric"], event["variant"]) for event in shown] == [("M1", "a"), ("M1", "b"), ("M2", "a"), ("M2", "b")]


def test_a_task_without_images_has_an_entry_without_iterations(server: Client, task: str) -> None:
    server.add_batch([scalar(task)])
    data = server.call("events.debug_images", metrics=[{"task": task}])
    assert data["metrics"] == [{"task": task, "iterations": []}]
    assert isinstance(data["scroll_id"], str)


def test_an_unknown_scroll_id_starts_a_new_walk(server: Client, task: str) -> None:
    fill(server, task)
    data = server.call("events.debug_images", metrics=[{"task": task}], scroll_id="zzz")
    assert page_of(data["metrics"][0]) == [(5, ["a", "b"])]
    assert len(data["scroll_id"]) == 32


def test_a_scroll_id_belongs_to_its_tasks(server: Client, task: str) -> None:
    other = uuid.uuid4().hex
    fill(server, task)
    fill(server, other)
    scroll_id = server.call("events.debug_images", metrics=[{"task": task}])["scroll_id"]
    for metrics in ([{"task": other}], [{"task": task}, {"task": other}]):
        for refresh in (False, True):
            error = server.refused("events.debug_images", metrics=metrics, scroll_id=scroll_id, refresh=refresh)
            assert error.codes == (400, 1104)


def test_a_scroll_id_of_plots_shows_no_images_and_keeps_its_place(server: Client, task: str) -> None:
    fill(server, task)
    server.add_batch([plot(task, "M1", iter=i) for i in range(3)])
    plots = Walk(server, [{"task": task}], "events.plots")
    assert plots() == [(2, ["x"])]
    data = server.call("events.debug_images", metrics=[{"task": task}], scroll_id=plots.scroll_id)
    assert data["metrics"] == [{"task": task, "iterations": []}]
    assert data["scroll_id"] == plots.scroll_id
    assert plots() == [(1, ["x"])]


def test_an_unknown_task_is_refused(server: Client, task: str) -> None:
    fill(server, task)
    assert server.refused("events.debug_images", metrics=[{"task": task}, {"task": "nobody"}]).codes == (400, 101)
    assert server.refused("events.debug_images", metrics=[{"task": "nobody"}], model_events=True).codes == (400, 201)


# --- one image at a time


class Samples:
    """A walk from image to image: `step` names the next one ("a5": variant and iteration; "2a5": of metric M2), None at an end."""

    def __init__(self, server: Client, task: str, scroll_id: str) -> None:
        self.server, self.task, self.scroll_id = server, task, scroll_id

    def step(self, **request: Any) -> str | None:
        data = self.server.call("events.next_debug_image_sample", task=self.task, scroll_id=self.scroll_id, **request)
        event = data["event"]
        if event is None:
            assert (data["min_iteration"], data["max_iteration"]) == (None, None)
            assert data["scroll_id"] == self.scroll_id
            return None
        self.scroll_id = data["scroll_id"]
        assert data["min_iteration"] <= event["iter"] <= data["max_iteration"]
        return f"{event['metric'][1:] if event['metric'] != 'M1' else ''}{event['variant']}{event['iter']}"


def test_a_walk_inside_a_metric_visits_valid_images_by_iteration_and_variant(server: Client, task: str) -> None:
    fill(server, task)
    fill(server, task, 1, metric="M2")
    first = server.call("events.get_debug_image_sample", task=task, metric="M1", variant="a")
    assert (first["event"]["iter"], first["min_iteration"], first["max_iteration"]) == (5, 3, 5)
    walk = Samples(server, task, first["scroll_id"])
    assert [walk.step(navigate_earlier=False) for _ in range(2)] == ["b5", None]
    expected = ["a5", "b4", "a4", "b3", "a3", "b2", "b1", "b0", None, None]
    assert [walk.step() for _ in expected] == expected
    assert walk.step(navigate_earlier=False) == "b1"
    assert walk.step(navigate_earlier=False, next_iteration=True) == "b2"
    assert walk.step(navigate_earlier=False, next_iteration=True) == "a3"
    assert walk.step(next_iteration=True) == "b2"


def test_a_walk_through_all_metrics_goes_by_metric_inside_an_iteration(server: Client, task: str) -> None:
    fill(server, task, 2, ring=10)
    fill(server, task, 2, ring=10, metric="M2")
    first = server.call("events.get_debug_image_sample", task=task, metric="M2", variant="a", navigate_current_metric=False)
    walk = Samples(server, task, first["scroll_id"])
    expected = ["b1", "a1", "2b0", "2a0", "b0", "a0", None]
    assert [walk.step() for _ in expected] == expected


def test_a_step_that_is_taken_twice_leads_to_the_same_image(server: Client, task: str) -> None:
    fill(server, task)
    first = server.call("events.get_debug_image_sample", task=task, metric="M1", variant="b")
    one, two = (Samples(server, task, first["scroll_id"]) for _ in range(2))
    assert [one.step(), one.step(), two.step(), two.step()] == ["a5", "b4", "a5", "b4"]


@pytest.mark.parametrize(("iteration", "shown"), [(None, 5), (100, 5), (2**63 - 1, 5), (4, 4), (3, 3), (2, None), (-5, None)])
def test_a_sample_is_the_newest_valid_image_up_to_an_iteration(server: Client, task: str, iteration: int | None, shown: int | None) -> None:
    fill(server, task)
    data = server.call("events.get_debug_image_sample", task=task, metric="M1", variant="a", iteration=iteration)
    assert (data["event"] and data["event"]["iter"]) == shown
    assert (data["min_iteration"], data["max_iteration"]) == (3, 5)


def test_a_sample_of_an_unknown_variant_is_null(server: Client, task: str) -> None:
    fill(server, task)
    data = server.call("events.get_debug_image_sample", task=task, metric="M1", variant="z")
    assert (data["event"], data["min_iteration"], data["max_iteration"]) == (None, None, None)
    assert Samples(server, task, data["scroll_id"]).step() is None


def test_a_walk_goes_on_only_as_it_began(server: Client, task: str) -> None:
    other = uuid.uuid4().hex
    fill(server, task)
    fill(server, task, metric="M2")
    fill(server, other)
    get = {"task": task, "metric": "M1", "variant": "a"}
    inside = server.call("events.get_debug_image_sample", get)["scroll_id"]
    for change in ({"metric": "M2"}, {"navigate_current_metric": False}, {"task": other}):
        assert server.refused("events.get_debug_image_sample", get | change, scroll_id=inside).codes == (400, 1104)
    assert server.refused("events.next_debug_image_sample", task=other, scroll_id=inside).codes == (400, 1104)
    for scroll_id in (None, "", "f" * 32):
        assert server.refused("events.next_debug_image_sample", task=task, scroll_id=scroll_id).codes == (400, 1104)
    other_variant = server.call("events.get_debug_image_sample", get | {"variant": "b"}, scroll_id=inside)
    assert other_variant["event"]["variant"] == "b"
    new = server.call("events.get_debug_image_sample", get, scroll_id="f" * 32)
    assert new["scroll_id"] not in (inside, "f" * 32)


def test_a_plot_walk_is_no_image_walk(server: Client, task: str) -> None:
    fill(server, task)
    server.add_batch([plot(task, "M1", iter=1)])
    scroll_id = server.call("events.get_plot_sample", task=task, metric="M1")["scroll_id"]
    assert server.refused("events.next_debug_image_sample", task=task, scroll_id=scroll_id).codes == (400, 1104)


def test_new_images_of_known_variants_are_found_and_bounds_move_on_refresh(server: Client, task: str) -> None:
    fill(server, task, 6, ring=100)
    get = {"task": task, "metric": "M1", "variant": "b"}
    first = server.call("events.get_debug_image_sample", get)
    server.add_batch([image(task, "M1", name, iter=9, url=f"http://f/{name}9") for name in "bc"])
    seen = server.call("events.get_debug_image_sample", get, scroll_id=first["scroll_id"])
    assert (seen["event"]["iter"], seen["max_iteration"]) == (9, 5)
    assert Samples(server, task, seen["scroll_id"]).step(navigate_earlier=False) is None
    fresh = server.call("events.get_debug_image_sample", get, scroll_id=seen["scroll_id"], refresh=True)
    assert (fresh["event"]["iter"], fresh["max_iteration"]) == (9, 9)
    assert Samples(server, task, fresh["scroll_id"]).step(navigate_earlier=False) == "c9"


def test_samples_exist_from_2_12_on(server: Client, task: str) -> None:
    fill(server, task)
    get = {"task": task, "metric": "M1", "variant": "a"}
    assert server.call("events.get_debug_image_sample", get, version="2.12")["event"]["iter"] == 5
    for name in ("get", "next"):
        assert server.refused(f"events.{name}_debug_image_sample", get, version="2.11").codes == (404, 0)


# --- older versions


def test_version_2_6_lists_the_images_of_the_last_iterations(server: Client, task: str) -> None:
    fill(server, task, 4, ring=1)
    server.add_batch([image(task, "M2", "c", iter=3, url="http://f/c")])
    data = server.call("events.debug_images", task=task, iters=2, version="2.6")
    shown = [(event["iter"], event["metric"], event["variant"]) for event in data["images"]]
    assert shown == [(3, "M1", "a"), (3, "M1", "b"), (3, "M2", "c"), (2, "M1", "a"), (2, "M1", "b")]
    assert (data["task"], data["returned"], data["total"]) == (task, 5, 5)
    end = server.call("events.debug_images", task=task, iters=2, scroll_id=data["scroll_id"], version="2.6")
    assert (end["images"], end["returned"], end["total"], end["scroll_id"]) == ([], 0, 5, "FFFF")
    last = server.call("events.debug_images", task=task, scroll_id="FFFF", version="2.6")
    assert (last["images"], last["scroll_id"]) == ([], None)


def test_version_2_6_pages_through_many_images_without_loss(server: Client, task: str) -> None:
    server.add_batch([image(task, "m", f"v{i:04}", iter=7, url=f"http://f/{i}") for i in range(1200)])
    request: dict[str, Any] = {"task": task}
    seen: list[str] = []
    sizes = []
    while request.get("scroll_id") != "FFFF":
        data = server.call("events.debug_images", request, version="2.1")
        assert server.call("events.debug_images", request, version="2.1")["images"] == data["images"]
        assert data["total"] == 1200
        sizes.append(data["returned"])
        seen += [event["variant"] for event in data["images"]]
        request["scroll_id"] = data["scroll_id"]
        server.add_batch([image(task, "m", "later", iter=8, url="http://f/x")])
    assert sizes == [500, 500, 200, 0]
    assert sorted(seen) == [f"v{i:04}" for i in range(1200)]


def test_version_1_7_lists_the_last_images_of_every_variant(server: Client, task: str) -> None:
    fill(server, task, 4)
    server.add_batch([image(task, "M2", "c", iter=1, url="http://f/c")])
    data = server.call("events.debug_images", task=task, iters=2, version="1.7")
    shown = [(event["iter"], event["metric"], event["variant"]) for event in data["images"]]
    assert shown == [(3, "M1", "a"), (3, "M1", "b"), (2, "M1", "a"), (2, "M1", "b"), (1, "M2", "c")]
    assert (data["returned"], data["total"]) == (5, 9)
    end = server.call("events.debug_images", task=task, scroll_id=data["scroll_id"], version="1.7")
    assert (end["images"], end["scroll_id"]) == ([], "FFFF")


def test_old_scroll_ids_are_bound_too(server: Client, task: str) -> None:
    other = uuid.uuid4().hex
    fill(server, task)
    fill(server, other)
    for version in ("1.7", "2.6"):
        scroll_id = server.call("events.debug_images", task=task, version=version)["scroll_id"]
        assert server.refused("events.debug_images", task=other, scroll_id=scroll_id, version=version).codes == (400, 1104)
        assert server.refused("events.debug_images", task=task, scroll_id="bad", version=version).codes == (400, 1104)


def test_images_of_models_are_shown_with_model_events(server: Client) -> None:
    model = uuid.uuid4().hex
    server.add_batch([image(model, "m", "v", iter=1, model_event=True)])
    assert Walk(server, [{"task": model}], model_events=True)() == [(1, ["v"])]
    sample = server.call("events.get_debug_image_sample", task=model, metric="m", variant="v", model_events=True)
    assert sample["event"]["iter"] == 1
    assert server.call("events.debug_images", task=model, model_events=True, version="2.6")["returned"] == 1
    assert server.refused("events.debug_images", metrics=[{"task": model}]).codes == (400, 101)
