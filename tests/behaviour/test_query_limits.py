"""Limits of a store never reach a caller: lists are answered, or refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import Client, image, log, plot, scalar

LISTS = ("tasks.get_all", "tasks.get_all_ex", "models.get_all", "models.get_all_ex", "projects.get_all", "projects.get_all_ex")
HUGE = 10**4000


@pytest.mark.parametrize("endpoint", LISTS)
@pytest.mark.parametrize(
    "request_body",
    [
        {"page": 2**63 - 1, "page_size": 500},
        {"page": 1, "page_size": 2**63 - 1},
        {"page": HUGE},
        {"size": 2**63 - 1},
        {"order_by": [f"hyperparams.a.b{n}.value" for n in range(2000)]},
        {"_any_": {"pattern": "x", "fields": [f"hyperparams.a.b{n}.value" for n in range(20_000)]}},
        {"_all_": {"pattern": "x", "fields": ["name"] * 501}},
        {f"hyperparams.a.b{n}.value": ["1"] for n in range(5000)},
        {"filters": {"tags": {"any": {"include": [f"t{n}" for n in range(3000)], "exclude": [f"u{n}" for n in range(3000)]}}}},
        {"system_tags": ["__$all", *(f"t{n}" for n in range(5000))]},
        {"hyperparams." + "a." * 5000 + "b": ["1"]},
        {"last_metrics.a.b.value": [HUGE, None]},
        {"order_by": ["a." * 5000 + "b"]},
    ],
    ids=lambda body: f"{next(iter(body))}"[:30],
)
def test_what_no_store_can_do_is_refused_with_a_reason(server: Client, endpoint: str, request_body: dict[str, Any]) -> None:
    error = server.refused(endpoint, request_body)
    assert error.code == 400 and error.msg


@pytest.mark.parametrize("endpoint", ["tasks.get_all", "models.get_all", "projects.get_all"])
def test_what_is_just_inside_of_the_limits_is_answered(server: Client, endpoint: str) -> None:
    wide: list[dict[str, Any]] = [
        {"page": 1_000_000_000, "page_size": 1_000_000_000},
        {"order_by": [f"hyperparams.a.b{n}.value" for n in range(100)], "page_size": 10},
        {"_any_": {"pattern": "x", "fields": [f"hyperparams.a.b{n}.value" for n in range(500)]}},
        {f"hyperparams.a.b{n}.value": ["1"] for n in range(400)},
        {"filters": {"tags": {"any": {"include": [f"t{n}" for n in range(450)]}}}},
        {"id": [f"{n:032x}" for n in range(20_000)], "only_fields": ["id"]},
        {"tags": [f"t{n}" for n in range(20_000)], "only_fields": ["id"], "page_size": 10},
    ]
    for body in wide:
        assert server.raw(f"/{endpoint}", body).status == 200, str(body)[:100]


MANY = [f"{number:x}" for number in range(70_000)]
"""More values than a clause of Elasticsearch takes (65,536)."""


@pytest.mark.parametrize("endpoint", ["tasks.get_all", "models.get_all", "projects.get_all"])
def test_a_list_of_any_length_is_a_filter(server: Client, endpoint: str) -> None:
    rows = endpoint.partition(".")[0]
    for body in ({"id": MANY}, {"user": MANY, "only_fields": ["id"]}, {"tags": MANY, "id": MANY}, {"parent": MANY}):
        assert server.call(endpoint, body, page_size=1, page=0)[rows] in ([], None)


def test_events_of_any_number_of_names_are_found_and_deleted(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "5", "6"), log(task, "stays", metric="x"), log(task, "goes", metric="7")])
    every = [{"metric": metric} for metric in MANY]
    assert list(server.histogram(task, metrics=every)) == ["5"]
    assert list(server.histogram(task, metrics=[{"metric": "5", "variants": MANY}])["5"]) == ["6"]
    assert len(server.events(task, metrics=[*every, {"metric": "5", "variants": MANY}])) == 2
    assert server.call("events.clear_task_log", task=task, include_metrics=MANY)["deleted"] == 1
    assert server.call("events.clear_task_log", task=task, exclude_metrics=MANY)["deleted"] == 1


def test_any_number_of_levels_is_a_filter(server: Client, task: str) -> None:
    server.add_batch([log(task, f"line {level}", level=level, timestamp=number) for number, level in enumerate(("5", "x", "ff", "7"))])
    levels = [*MANY, *(f"{number} more" for number in range(170_000)), "l" * 40_000]
    assert server.log(task, levels=levels) == ["line 5", "line ff", "line 7"]
    assert server.call("events.get_task_log", task=task, levels=levels, search="line")["total"] == 3


def test_any_number_of_pairs_of_names_is_a_filter(server: Client, task: str) -> None:
    """Every pair is a clause of its own."""
    pairs = [{"metric": f"m{number}", "variants": [f"v{number}"]} for number in range(20_000)]
    chosen = [3, 7_000, 19_999]
    lines = [kind(task, f"m{number}", f"v{number}", iter=number) for number in chosen for kind in (scalar, plot, image)]
    lines += [log(task, f"line {number}", metric=f"m{number}", variant=f"v{number}", timestamp=number) for number in chosen]
    lines += [kind(task, "m3", "v4", iter=50) for kind in (scalar, plot, image)]
    lines += [log(task, "line of others", metric="m3", variant="v4", timestamp=5)]
    server.add_batch(lines)
    assert sorted(server.histogram(task, metrics=pairs)) == ["m19999", "m3", "m7000"]
    assert len(server.events(task, metrics=pairs, batch_size=4)) == 12
    assert server.log(task, metrics=pairs) == [f"line {number}" for number in chosen]
    assert server.log(task, metrics=pairs, batch_size=2, navigate_earlier=True) == ["line 7000", "line 19999"]
    found = server.call("events.get_task_log", task=task, metrics=pairs, search="line", batch_size=2)
    assert ([event["msg"] for event in found["events"]], found["total"]) == (["line 19999", "line 7000"], 3)
    plots = server.call("events.get_multi_task_plots", tasks=[task], metrics=pairs, iters=2, no_scroll=True)["plots"]
    assert sorted(plots) == ["m19999", "m3", "m7000"] and list(plots["m3"]) == ["v3"]


@pytest.mark.parametrize("endpoint", LISTS)
def test_a_path_of_odd_names_is_as_long_as_any_other(server: Client, endpoint: str) -> None:
    """SQLite joins a table for each name that its paths can't hold."""
    for count in (2, 59, 60):
        path = ".".join(['a"b'] * count)
        for body in ({"filters": {path: {"any": {"include": ["x"]}}}}, {"order_by": [path]}, {path: ["x"]}):
            assert server.raw(f"/{endpoint}", {**body, "page_size": 1, "page": 0}).status == 200, (count, list(body))
        for search in ({"pattern": "x"}, {"datetime": [">=2026-01-01"]}):
            assert server.raw(f"/{endpoint}", {"_any_": {**search, "fields": [path]}, "page_size": 1, "page": 0}).status == 200
    path = ".".join(['a"b'] * 61)
    for body in ({"filters": {path: {"any": {"include": ["x"]}}}}, {"order_by": [path]}, {path: ["x"]}, {"only_fields": [path]}):
        assert server.refused(endpoint, body).codes == (400, 12)


def test_a_project_name_of_too_many_levels_is_refused(server: Client) -> None:
    for name in ("/".join("a" * 500), "/".join(["deep"] * 101)):
        assert server.refused("projects.create", name=name).code == 400
        assert server.refused("tasks.move", ids=[server.new_task()], project_name=name).code == 400
