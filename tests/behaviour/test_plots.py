"""Plots: the last ones of a task, side by side, pages of iterations, samples."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.client import Client, plot, scalar
from tests.conftest import StartServer

Shown = list[tuple[str, str, int | None]]


def fill(server: Client, task: str) -> None:
    """roc/x at 0..4, roc/y at 0..2, pr/x at 3."""
    events = [plot(task, "roc", "x", iter=i, plot_str=json.dumps({"roc x": i})) for i in range(5)]
    events += [plot(task, "roc", "y", iter=i, plot_str=json.dumps({"roc y": i})) for i in range(3)]
    server.add_batch([*events, plot(task, "pr", "x", iter=3)])


def names(plots: list[dict[str, Any]]) -> Shown:
    return [(event["metric"], event["variant"], event.get("iter")) for event in plots]


# --- of one task


def test_the_last_plots_of_every_series_come_by_name_newest_first(server: Client, task: str) -> None:
    fill(server, task)
    data = server.call("events.get_task_plots", task=task, iters=2)
    assert names(data["plots"]) == [("pr", "x", 3), ("roc", "x", 4), ("roc", "x", 3), ("roc", "y", 2), ("roc", "y", 1)]
    assert (data["returned"], data["total"], data["scroll_id"]) == (5, 5, None)
    assert names(server.call("events.get_task_plots", task=task)["plots"]) == [("pr", "x", 3), ("roc", "x", 4), ("roc", "y", 2)]


def test_plots_come_back_as_they_were_sent(server: Client, task: str) -> None:
    text = '{"data": [{"y": [0.10, 1, "ü\\u00fc"]}],  "layout": {"title": "t"}}'
    server.add_batch([plot(task, plot_str=text, iter=1)])
    (event,) = server.call("events.get_task_plots", task=task)["plots"]
    assert event["plot_str"] == text
    assert event["plot_len"] == len(text)


def test_a_plot_of_ten_megabytes_comes_back_whole_everywhere(server: Client, task: str) -> None:
    text = json.dumps({"data": [{"y": list(range(1_400_000))}]})
    assert len(text) > 10_000_000
    server.add_batch([plot(task, plot_str=text, iter=1)])
    answers = [
        server.call("events.get_task_plots", task=task)["plots"],
        server.call("events.get_plot_sample", task=task, metric="roc")["events"],
        server.call("events.plots", metrics=[{"task": task}])["metrics"][0]["iterations"][0]["events"],
        server.call("events.get_multi_task_plots", tasks=[task])["plots"]["roc"]["x"][task]["1"]["plots"],
        server.events(task, "plot"),
    ]
    for (event,) in answers:
        assert event["plot_str"] == text
        assert "plot_data" not in event


def test_a_filter_chooses_metrics_and_variants(server: Client, task: str) -> None:
    fill(server, task)
    for metrics, shown in (
        ([{"metric": "roc"}], [("roc", "x", 4), ("roc", "y", 2)]),
        ([{"metric": "roc", "variants": ["y"]}], [("roc", "y", 2)]),
        ([{"metric": "none"}], []),
        ([], [("pr", "x", 3), ("roc", "x", 4), ("roc", "y", 2)]),
    ):
        assert names(server.call("events.get_task_plots", task=task, metrics=metrics)["plots"]) == shown


def test_plots_without_iteration_are_listed_behind_the_others(server: Client, task: str) -> None:
    bare = plot(task, "roc", "x")
    del bare["iter"]
    server.add_batch([bare, plot(task, "roc", "x", iter=1), bare | {"variant": "only"}])
    data = server.call("events.get_task_plots", task=task, iters=5)
    assert names(data["plots"]) == [("roc", "only", None), ("roc", "x", 1), ("roc", "x", None)]
    old = server.call("events.get_task_plots", task=task, iters=5, version="1.7")
    assert names(old["plots"])[0] == ("roc", "x", 1) and old["returned"] == 3


def test_a_hundred_and_fifty_variants_are_all_listed(server: Client, task: str) -> None:
    server.add_batch([plot(task, "m", f"v{i:03}", iter=i % 7) for i in range(150)])
    assert server.call("events.get_task_plots", task=task)["returned"] == 150
    server.add_batch([plot(task, "n", f"v{i:03}", iter=1) for i in range(150)])
    assert len(server.call("events.get_plot_sample", task=task, metric="n")["events"]) == 150


def test_names_that_look_alike_when_joined_are_kept_apart(server: Client, task: str) -> None:
    server.add_batch([plot(task, "ab", "c", iter=1), plot(task, "a", "bc", iter=2)])
    assert names(server.call("events.get_task_plots", task=task, version="1.7")["plots"]) == [("a", "bc", 2), ("ab", "c", 1)]


def test_version_1_7_lists_by_iteration_and_scrolls_to_an_end(server: Client, task: str) -> None:
    fill(server, task)
    data = server.call("events.get_task_plots", task=task, iters=2, version="1.7")
    assert [event["iter"] for event in data["plots"]] == [4, 3, 3, 2, 1]
    assert (data["returned"], data["total"]) == (5, 9)
    end = server.call("events.get_task_plots", task=task, scroll_id=data["scroll_id"], version="1.7")
    assert (end["plots"], end["returned"], end["scroll_id"]) == ([], 0, "FFFF")
    assert server.call("events.get_task_plots", task=task, scroll_id="FFFF", version="1.7")["scroll_id"] is None
    assert server.refused("events.get_task_plots", task=task, scroll_id="bad", version="1.7").codes == (400, 1104)


@pytest.mark.parametrize("version", [None, "1.7"])
def test_a_task_without_plots_gives_empty_answers(server: Client, task: str, version: str | None) -> None:
    server.add_batch([scalar(task)])
    data = server.call("events.get_task_plots", task=task, version=version)
    assert (data["plots"], data["returned"], data["total"]) == ([], 0, 0)
    multi = server.call("events.get_multi_task_plots", tasks=[task], version=version)
    assert (multi["plots"], multi["returned"], multi["total"]) == ({}, 0, 0)


# --- side by side


def side_by_side(server: Client, tasks: list[str], **request: Any) -> tuple[set[tuple[str, str, str, str]], dict[str, Any]]:
    data = server.call("events.get_multi_task_plots", tasks=tasks, **request)
    assert data["returned"] == len(data["plots"])
    found = set()
    assert list(data["plots"]) == sorted(data["plots"], reverse=True)
    for metric, variants in data["plots"].items():
        assert list(variants) == sorted(variants, reverse=True)
        for variant, of_tasks in variants.items():
            assert list(of_tasks) == sorted(of_tasks, reverse=True)
            for task, iterations in of_tasks.items():
                assert list(map(int, iterations)) == sorted(map(int, iterations), reverse=True)
                for iteration, leaf in iterations.items():
                    for event in leaf["plots"]:
                        assert names([event]) == [(metric, variant, int(iteration))] and event["task"] == task
                        found.add((metric, variant, task, iteration))
    return found, data


def test_the_last_iterations_of_every_metric_are_compared(server: Client, task: str) -> None:
    other = uuid.uuid4().hex
    fill(server, task)
    server.add_batch([plot(other, "roc", "x", iter=i) for i in (1, 9)])
    found, data = side_by_side(server, [task, other])
    assert found == {("roc", "x", task, "4"), ("pr", "x", task, "3"), ("roc", "x", other, "9")}
    assert (data["returned"], data["total"]) == (2, 3)
    found, _ = side_by_side(server, [task, other], iters=3)
    assert found == {
        *(("roc", "x", task, i) for i in "234"),
        ("roc", "y", task, "2"),
        ("pr", "x", task, "3"),
        ("roc", "x", other, "1"),
        ("roc", "x", other, "9"),
    }


def test_the_last_iterations_of_the_whole_task_are_compared_on_demand(server: Client, task: str) -> None:
    fill(server, task)
    found, _ = side_by_side(server, [task], last_iters_per_task_metric=False)
    assert found == {("roc", "x", task, "4")}
    found, _ = side_by_side(server, [task], last_iters_per_task_metric=False, iters=2)
    assert found == {("roc", "x", task, "4"), ("roc", "x", task, "3"), ("pr", "x", task, "3")}


def test_filters_choose_what_is_compared(server: Client, task: str) -> None:
    fill(server, task)
    found, _ = side_by_side(server, [task], metrics=[{"metric": "roc", "variants": ["y"]}])
    assert found == {("roc", "y", task, "2")}


def test_comparing_goes_on_until_nothing_is_returned(server: Client, task: str) -> None:
    fill(server, task)
    _, data = side_by_side(server, [task])
    end = server.call("events.get_multi_task_plots", tasks=[task], scroll_id=data["scroll_id"])
    assert (end["plots"], end["returned"], end["total"], end["scroll_id"]) == ({}, 0, 2, "FFFF")
    assert server.call("events.get_multi_task_plots", tasks=[task], scroll_id="FFFF")["scroll_id"] is None
    assert side_by_side(server, [task], no_scroll=True)[1]["scroll_id"] is None


def test_many_plots_are_compared_page_by_page_without_loss(server: Client, task: str) -> None:
    other = uuid.uuid4().hex
    expected = set()
    for one in (task, other):
        server.add_batch([plot(one, f"m{i % 20:02}", f"v{i // 20:02}", iter=i % 20 // 7) for i in range(1300)])
        expected |= {(f"m{i % 20:02}", f"v{i // 20:02}", one, str(i % 20 // 7)) for i in range(1300)}
    request: dict[str, Any] = {}
    seen: set[tuple[str, str, str, str]] = set()
    pages = 0
    while True:
        found, data = side_by_side(server, [task, other], **request)
        assert found == side_by_side(server, [task, other], **request)[0]
        assert data["total"] == 2600
        if not data["returned"]:
            break
        assert not seen & found
        seen |= found
        pages += 1
        request["scroll_id"] = data["scroll_id"]
    assert seen == expected
    assert pages == 3
    assert side_by_side(server, [task, other], no_scroll=True)[0] == expected


def test_scroll_ids_of_comparisons_are_bound_to_their_tasks(server: Client, task: str) -> None:
    other = uuid.uuid4().hex
    fill(server, task)
    fill(server, other)
    for version in ("1.7", "2.26"):
        scroll_id = server.call("events.get_multi_task_plots", tasks=[task], version=version)["scroll_id"]
        for tasks in ([other], [task, other]):
            assert server.refused("events.get_multi_task_plots", tasks=tasks, scroll_id=scroll_id, version=version).codes == (400, 1104)
        assert server.refused("events.get_multi_task_plots", tasks=[task], scroll_id="bad", version=version).codes == (400, 1104)


def test_version_1_7_compares_the_last_plots_of_every_series(server: Client, task: str) -> None:
    fill(server, task)
    found, data = side_by_side(server, [task], iters=2, version="1.7")
    assert found == {("pr", "x", task, "3"), *(("roc", "x", task, i) for i in "34"), *(("roc", "y", task, i) for i in "12")}
    assert data["total"] == 9
    assert side_by_side(server, [task], scroll_id=data["scroll_id"], version="1.7")[1]["scroll_id"] == "FFFF"


# --- samples


class Samples:
    """A walk from group to group of plots."""

    def __init__(self, server: Client, task: str, scroll_id: str) -> None:
        self.server, self.task, self.scroll_id = server, task, scroll_id

    def step(self, **request: Any) -> Shown:
        data = self.server.call("events.next_plot_sample", task=self.task, scroll_id=self.scroll_id, **request)
        if not data["events"]:
            assert (data["min_iteration"], data["max_iteration"]) == (None, None)
        self.scroll_id = data["scroll_id"]
        return names(data["events"])


def test_a_sample_holds_all_variants_of_the_iteration(server: Client, task: str) -> None:
    fill(server, task)
    newest = server.call("events.get_plot_sample", task=task, metric="roc")
    assert names(newest["events"]) == [("roc", "x", 4)]
    assert (newest["min_iteration"], newest["max_iteration"]) == (0, 4)
    older = server.call("events.get_plot_sample", task=task, metric="roc", iteration=2, scroll_id=newest["scroll_id"])
    assert names(older["events"]) == [("roc", "x", 2), ("roc", "y", 2)]
    walk = Samples(server, task, older["scroll_id"])
    assert walk.step() == [("roc", "x", 1), ("roc", "y", 1)]
    assert walk.step(navigate_earlier=False) == [("roc", "x", 2), ("roc", "y", 2)]


def test_a_walk_through_all_metrics_visits_groups(server: Client, task: str) -> None:
    fill(server, task)
    first = server.call("events.get_plot_sample", task=task, metric="roc", navigate_current_metric=False)
    walk = Samples(server, task, first["scroll_id"])
    assert walk.step() == [("roc", "x", 3)]
    assert walk.step() == [("pr", "x", 3)]
    assert walk.step() == [("roc", "x", 2), ("roc", "y", 2)]
    assert walk.step(navigate_earlier=False) == [("pr", "x", 3)]
    assert walk.step(navigate_earlier=False, next_iteration=True) == [("roc", "x", 4)]
    assert walk.step(navigate_earlier=False) == []
    assert walk.step(next_iteration=True) == [("roc", "x", 3)]


def test_a_sample_of_an_unknown_metric_or_of_plots_without_iteration_is_empty(server: Client, task: str) -> None:
    bare = plot(task, "bare", "x")
    del bare["iter"]
    server.add_batch([bare, plot(task, "roc", "x", iter=1)])
    for metric in ("none", "bare"):
        data = server.call("events.get_plot_sample", task=task, metric=metric)
        assert (data["events"], data["min_iteration"], data["max_iteration"]) == ([], None, None)
        assert Samples(server, task, data["scroll_id"]).step() == []


def test_a_sample_below_the_oldest_plot_is_empty_but_names_the_bounds(server: Client, task: str) -> None:
    server.add_batch([plot(task, "roc", "x", iter=i) for i in (5, 6)])
    data = server.call("events.get_plot_sample", task=task, metric="roc", iteration=4)
    assert (data["events"], data["min_iteration"], data["max_iteration"]) == ([], 5, 6)


def test_a_walk_goes_on_only_as_it_began(server: Client, task: str) -> None:
    other = uuid.uuid4().hex
    fill(server, task)
    fill(server, other)
    get = {"task": task, "metric": "roc"}
    inside = server.call("events.get_plot_sample", get)["scroll_id"]
    for change in ({"metric": "pr"}, {"navigate_current_metric": False}, {"task": other}):
        assert server.refused("events.get_plot_sample", get | change, scroll_id=inside).codes == (400, 1104)
    assert server.refused("events.next_plot_sample", task=other, scroll_id=inside).codes == (400, 1104)
    for scroll_id in (None, "", "f" * 32):
        assert server.refused("events.next_plot_sample", task=task, scroll_id=scroll_id).codes == (400, 1104)


def test_pages_of_plots_have_no_borders_and_show_the_last_report(server: Client, task: str) -> None:
    server.add_batch([plot(task, "m", "v", iter=i, plot_str="[0]") for i in (1, 2)])
    server.add_batch([plot(task, "m", "v", iter=2, plot_str="[1]")])
    first = server.call("events.plots", metrics=[{"task": task}])
    (iteration,) = first["metrics"][0]["iterations"]
    assert (iteration["iter"], [event["plot_str"] for event in iteration["events"]]) == (2, ["[1]"])
    second = server.call("events.plots", metrics=[{"task": task}], scroll_id=first["scroll_id"], version="1.0")
    assert second["metrics"][0]["iterations"][0]["iter"] == 1


def test_plots_that_are_no_json_are_hidden_where_the_server_is_set_to_check_them(start_server: StartServer, task: str) -> None:
    server = start_server(TIDEMARK__events__validate_plot_str="true").client()
    good, bad = '{"data": []}', '{"data": ['
    server.add_batch([plot(task, "m", "a", iter=1, plot_str=good), plot(task, "m", "a", iter=2, plot_str=bad)])
    server.add_batch([plot(task, "m", "b", iter=1, plot_str=bad), plot(task, "m", "c", iter=1, plot_str=bad, skip_validation=True)])
    data = server.call("events.get_task_plots", task=task)
    assert names(data["plots"]) == [("m", "a", 1), ("m", "c", 1)]
    assert data["total"] == 2
    assert names(server.call("events.get_task_plots", task=task, iters=5)["plots"]) == [("m", "a", 1), ("m", "c", 1)]
    found, _ = side_by_side(server, [task])
    assert ("m", "a", task, "2") in found
