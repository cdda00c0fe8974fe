"""The task table and queries of the SDK, over many tasks."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.bench.load import ask, data
from tests.bench.measure import Report, in_ms, median, repeated
from tests.client import Client, scalar

TASKS = 10_000
COLUMNS = ["id", "name", "status", "type", "tags", "system_tags", "project.name", "company.id", "user.name", "started", "last_update"]
COLUMNS += ["last_change", "last_iteration", "parent.name", "runtime.progress"]
VISIBLE = ["__$not", "archived", "__$not", "pipeline", "__$not", "dataset", "__$not", "reports"]


def task_table(report: Report, client: Client, tasks: int = TASKS, most: float = 100) -> None:
    """Queries over tasks with 20 parameters, 5 kB of source code and 4 series each; `most`: the target for a query in ms."""
    report.heading(f"The task table: {tasks:,} tasks")
    begun = time.perf_counter()
    projects = fill_table(client, tasks)
    report.add(f"filling: {tasks:,} tasks and {tasks:,} batches through the API", time.perf_counter() - begun, "s")
    table_queries(report, client, projects, tasks, most)


def fill_table(client: Client, tasks: int) -> list[str]:
    """Create the tasks; returns the ids of their projects."""
    projects = [data(client, "projects.create", name=f"bench table/{number}")["id"] for number in range(10)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: _make(client, projects[number % len(projects)], number), range(tasks)))
    return projects


def table_queries(report: Report, client: Client, projects: list[str], tasks: int, most: float) -> dict[str, float]:
    """Milliseconds of each query, without its first call."""
    found: dict[str, float] = {}
    loss = ".".join(hashlib.md5(name.encode()).hexdigest() for name in ("loss", "train"))
    table: dict[str, Any] = {
        "id": [],
        "scroll_id": None,
        "refresh_scroll": True,
        "size": 30,
        "type": [],
        "user": [],
        "system_tags": VISIBLE,
    }
    table |= {"include_subprojects": False, "search_hidden": False, "only_fields": COLUMNS, "project": []}
    queries: list[tuple[str, str, dict[str, Any]]] = [
        ("all tasks, last updated first", "tasks.get_all_ex", {**table, "order_by": ["-last_update"]}),
        ("one project", "tasks.get_all_ex", {**table, "project": projects[:1], "order_by": ["-last_update"]}),
        ("by name", "tasks.get_all_ex", {**table, "order_by": ["name"]}),
        ("by the last value of a metric", "tasks.get_all_ex", {**table, "order_by": [f"-last_metrics.{loss}.value"]}),
        ("a range of a metric", "tasks.get_all_ex", {**table, f"last_metrics.{loss}.value": [0.5, None]}),
        ("by a parameter", "tasks.get_all_ex", {**table, "order_by": ["hyperparams.General.p3.value"]}),
        ("search in id, name and tags", "tasks.get_all_ex", {**table, "_any_": {"pattern": "9.7", "fields": ["id", "name", "tags"]}}),
        ("by status and name pattern", "tasks.get_all", {"status": ["created"], "name": "9+7", "page": 0, "page_size": 30}),
        ("the SDK's status poll", "tasks.get_all", {"name": "^bench\\ 77$", "only_fields": ["status", "status_message", "id"]}),
    ]
    for name, endpoint, query in queries:
        seconds = repeated(lambda endpoint=endpoint, query=query: ask(client, endpoint, **query), 7)  # type: ignore[misc]
        found[name] = median(seconds[1:]) * 1000
        report.spread(name, in_ms(seconds), "ms", most=most, note=f"the first time {seconds[0] * 1000:.0f} ms")
    touched = iter(range(20))

    def change() -> None:
        _make(client, projects[0], tasks + next(touched))

    for name, endpoint, query in (queries[3], queries[5], queries[6]):
        seconds = repeated(lambda endpoint=endpoint, query=query: ask(client, endpoint, **query), 5, change)  # type: ignore[misc]
        name = f"{name}, right after a new task with its batch"
        found[name] = median(seconds) * 1000
        report.spread(name, in_ms(seconds), "ms", most=most)
    page = {"page": 3, "page_size": 500, "only_fields": ["last_metrics", "system_tags", "last_update", "status", "id", "name"]}
    report.spread("a page of 500 with last_metrics", in_ms(repeated(lambda: ask(client, "tasks.get_all", **page), 5)), "ms")
    statistics = {"include_stats": True, "check_own_contents": True, "name": "bench table"}
    report.spread(
        "statistics of 11 projects", in_ms(repeated(lambda: ask(client, "projects.get_all_ex", **statistics), 5)), "ms", most=most
    )
    names = repeated(lambda: ask(client, "projects.get_hyper_parameters", project=projects[0], page=0, page_size=5000), 5)
    report.spread("names of the parameters of a project (1,000 tasks)", in_ms(names), "ms")
    names = repeated(lambda: ask(client, "projects.get_hyper_parameters", page=0, page_size=5000), 3)
    report.spread("names of all parameters", in_ms(names), "ms")
    return found


def _make(client: Client, project: str, number: int) -> None:
    parameters = {f"p{k}": {"value": str(k * number), "type": "int"} for k in range(20)}
    body = {
        "name": f"bench {number}", "type": "training", "project": project, "tags": ["a"] if number % 3 else [],
        "system_tags": ["archived"] if number % 7 == 0 else ["development"], "hyperparams": {"General": parameters},
        "script": {"diff": "x" * 5000},
    }  # fmt: skip
    task = data(client, "tasks.create", **body)["id"]
    client.add_batch([scalar(task, metric, "train", iter=1, value=(number % 997) / 997) for metric in ("loss", "acc", "lr", "time")])
