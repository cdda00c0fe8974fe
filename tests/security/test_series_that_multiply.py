"""Choices of series that are small to write down and large to draw: groups times tasks times metrics, and names that repeat."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from apiserver.bll.runs import run_lines
from apiserver.bll.runs.run_lines import RunLines
from tests.client import Client, scalar
from tests.process import Server
from tests.security.test_bodies_that_explode import cost

JSON = {"Content-Type": "application/json"}


def test_groups_of_many_tasks_and_metrics_are_refused_before_their_pairs_are_made(shared_server: Server) -> None:
    """Ten million pairs, each a dictionary."""
    groups = [{"name": str(group), "tasks": [f"{group}-{task}" for task in range(1000)]} for group in range(100)]
    body = {"groups": groups, "metrics": [{"metric": str(metric)} for metric in range(100)]}
    before = shared_server.cpu_seconds()
    refused = shared_server.client().refused("events.get_group_series", body)
    assert shared_server.cpu_seconds() - before < 2
    assert refused.codes == (400, 12) and '"groups"' in str(refused) and "10,000,000" in str(refused)


def test_variants_count_as_the_metrics_that_they_are(server: Client) -> None:
    groups = [{"name": "g", "tasks": [str(task) for task in range(1000)]}]
    metrics = [{"metric": "m", "variants": [str(variant) for variant in range(51)]}]
    assert server.refused("events.get_group_series", groups=groups, metrics=metrics).codes == (400, 12)
    metrics[0]["variants"].pop()
    assert server.refused("events.get_group_series", groups=groups, metrics=metrics).codes == (400, 101)  # such tasks don't exist


def groups_of(task: str, count: int) -> list[dict[str, Any]]:
    return [{"name": str(group), "tasks": [task]} for group in range(count)]


def test_the_buckets_of_a_task_count_in_each_of_its_groups(server: Client, task: str) -> None:
    """A hundred groups of one task multiplied its answer by a hundred."""
    server.add_batch([scalar(task, "m", iter=iter) for iter in range(10_000)] + [scalar(task, "n", iter=iter) for iter in range(500)])
    body = {"metrics": [{"metric": "m"}, {"metric": "n"}], "buckets": 10_000}
    refused = server.refused("events.get_group_series", {**body, "groups": groups_of(task, 100)})
    assert refused.codes == (400, 12) and '"buckets"' in str(refused) and "1,050,000" in str(refused)
    lines = server.call("events.get_group_series", {**body, "groups": groups_of(task, 2)})["groups"]
    assert [(line["group"], line["metric"], len(line["x"])) for line in lines] == [
        *(("0", "m", 10_000), ("0", "n", 500)),
        *(("1", "m", 10_000), ("1", "n", 500)),
    ]


def test_the_series_of_a_task_count_in_each_of_its_groups(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "many", str(variant), iter=1) for variant in range(510)])
    refused = server.refused("events.get_group_series", groups=groups_of(task, 100), metrics=[{"metric": "many"}])
    assert refused.codes == (400, 12) and '"groups"' in str(refused) and "51,000" in str(refused)
    assert len(server.call("events.get_group_series", groups=groups_of(task, 2), metrics=[{"metric": "many"}])["groups"]) == 1020


def test_entries_for_one_metric_are_joined_in_linear_time(shared_server: Server) -> None:
    """200,000 variants in 5,000 entries took 53 s on a busy machine."""
    series = [{"task": "none", "metric": "m", "variants": [f"{entry}.{number}" for number in range(40)]} for entry in range(5_000)]
    before = shared_server.cpu_seconds()
    assert shared_server.client().refused("events.get_series", series=series).codes == (400, 101)
    assert shared_server.cpu_seconds() - before < 2


def test_an_entry_without_variants_means_all_of_them(server: Client, task: str) -> None:
    server.add_batch([scalar(task, "m", variant, iter=0) for variant in "abc"])

    def found(*chosen: list[str] | None) -> list[str]:
        series = [{"task": task, "metric": "m", **({} if variants is None else {"variants": variants})} for variants in chosen]
        return [line["variant"] for line in server.call("events.get_series", series=series)["series"]]

    assert found(["a"], ["b"], ["a"]) == ["a", "b"]
    assert found(["a"], []) == found(None, ["a"]) == found(None) == ["a", "b", "c"]


def test_a_line_of_the_runs_api_is_measured_before_it_is_parsed(shared_server: Server) -> None:
    """4 million lists: seconds in which nobody else was answered, and hundreds of megabytes."""
    body = b"[NaN," + b"[]," * 4_000_000 + b"[]]"
    answer, seconds = cost(shared_server, f"/api/runs/{uuid.uuid4().hex}/events", body, JSON)
    assert answer.status == 400
    assert "too many objects and lists" in answer.json["error_lines"][0]["reason"]
    assert seconds < 1


def test_a_figure_of_many_lists_is_taken() -> None:
    lines = RunLines("r", 0)
    rows = ",".join(["[1,2]"] * 100_000)
    lines.add(1, f'{{"type": "plot", "data": {{"key": "k", "step": 1, "plot": {{"data": [{{"z": [{rows}]}}]}}}}}}'.encode())
    assert (lines.added, lines.errors) == (1, [])


def test_names_that_are_too_long_are_refused_in_linear_time() -> None:
    """20,000 of them were compared with each other."""
    lines = RunLines("r", 0)
    row = ",".join(f'"{number:05}{"x" * 1020}":1' for number in range(20_000))
    body = f'{{"type": "metrics", "data": {{"step": 1, "kept": 2, {row}}}}}'.encode()
    started = time.process_time()
    lines.add(1, body)
    assert time.process_time() - started < 1
    assert len(lines.errors) == 20_000 and [key.metric for key in lines.batch.points] == ["kept"]


def test_the_series_of_a_batch_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lines, "MAX_SERIES", 10)
    lines = RunLines("r", 0)

    def add(number: int, *names: str) -> None:
        row = "".join(f', "{name}": 1' for name in names)
        lines.add(number, f'{{"type": "metrics", "data": {{"step": 1{row}}}}}'.encode())

    add(1, *"abcdefg")
    add(2, *"abcdefg")
    add(3, "g", "h", "i", "j", "k")
    add(4, "f", "g", "h")
    assert [error.line for error in lines.errors] == [3] and lines.added == 3
