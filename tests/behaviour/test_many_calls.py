"""Calls that name many tasks or models: their answers, and what they leave, are those of single calls one after the other."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.client import Client, log, scalar

STATUSES = ("created", "in_progress", "stopped", "completed", "published")
TASK_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("stop", {}),
    ("stop", {"force": True, "status_reason": "r"}),
    ("publish", {}),
    ("publish", {"force": True, "publish_model": False}),
    ("reset", {}),
    ("reset", {"force": True, "return_file_urls": True, "clear_all": True}),
    ("delete", {}),
    ("delete", {"force": True, "return_file_urls": True, "delete_output_models": False}),
]
MODEL_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("publish", {}),
    ("publish", {"publish_task": False}),
    ("publish", {"force_publish_task": True}),
    ("delete", {}),
    ("delete", {"force": True}),
]
ONLY_OF_MANY = ("id", "stopped", "published", "reset")


def tasks_of_each_status(server: Client) -> list[str]:
    """Two of each: a bare one, and one with events and two models, of which one is the input of another task. Then one that is public, and one
    that is unknown."""
    made = []
    for status in STATUSES:
        bare, full = server.new_task(), server.new_task()
        server.add_batch([scalar(full), scalar(full, iter=2), log(full, "x")])
        for number in range(2):
            model = server.call("models.create", name="m", uri=f"s3://{full}/{number}", task=full, ready=False)["id"]
            server.call("tasks.add_or_update_model", task=full, name=f"m{number}", model=model, type="output")
        server.call("tasks.add_or_update_model", task=server.new_task(), name="in", model=model, type="input")
        for task in (bare, full):
            if status != "created":
                server.call("tasks.started", task=task)
            if status in ("stopped", "completed"):
                server.call(f"tasks.{status}", task=task)
            if status == "published":
                server.call("tasks.publish", task=task, force=True, publish_model=False)
        made += [bare, full]
    public = server.new_task()
    server.call("tasks.make_public", ids=[public])
    return [*made, public, "never-made"]


def models_of_tasks(server: Client) -> list[str]:
    """Two of a task of each status; one that is ready, one that a task uses, one that is public, and one that is unknown."""
    made = []
    for status in STATUSES[1:]:
        task = server.new_task()
        server.call("tasks.started", task=task)
        for _ in range(2):
            model = server.call("models.create", name="m", uri=f"s3://{task}", task=task, ready=False)["id"]
            server.call("tasks.add_or_update_model", task=task, name=model, model=model, type="output")
            made.append(model)
        if status in ("stopped", "completed"):
            server.call(f"tasks.{status}", task=task)
        if status == "published":
            server.call("tasks.publish", task=task, force=True, publish_model=False)
    ready, used, public = (server.call("models.create", name="m", uri="s3://m", ready=number == 0)["id"] for number in range(3))
    server.call("tasks.add_or_update_model", task=server.new_task(), name="in", model=used, type="input")
    server.call("models.make_public", ids=[public])
    return [*made, ready, used, public, "never-made"]


def plain(answer: Any, id: str) -> Any:
    """An answer without times, and without ids but the names of models' tasks."""
    if isinstance(answer, list):
        return answer
    text = json.dumps({name: value for name, value in answer.items() if name not in ONLY_OF_MANY}).replace(id, "ID")
    return re.sub(r"[0-9a-f]{32}", "id", re.sub(r'"20\d\d-[^"]*"|(?<="active_duration": )\d+', '"time"', text))


def left(server: Client, kind: str, ids: list[str]) -> list[Any]:
    """What there is of documents: status, and the lists of models."""
    fields = ["status", "ready", "models.output.name", "system_tags", "last_iteration"]
    found = {one["id"]: one for one in server.call(f"{kind}s.get_all", id=ids, only_fields=["id", *fields])[f"{kind}s"]}
    models = server.call("models.get_all", task=ids, only_fields=["task", "ready"])["models"] if kind == "task" else []
    return [(plain(found.get(id, {}), id), sorted(bool(model.get("ready")) for model in models if model.get("task") == id)) for id in ids]


def check_that_many_are_as_single(
    server: Client, kind: str, action: str, options: dict[str, Any], many: list[str], single: list[str]
) -> None:
    answer = server.call(f"{kind}s.{action}_many", ids=many, **options)
    found = {one["id"]: one for one in answer["succeeded"]} | {one["id"]: one["error"]["codes"] for one in answer["failed"]}
    for part in ("succeeded", "failed"):
        assert [one["id"] for one in answer[part]] == [id for id in many if id in {one["id"] for one in answer[part]}]
    answers = [server.raw(f"/{kind}s.{action}", {kind: id, **options}) for id in single]
    ones = [one.data if one.status == 200 else list(one.codes) for one in answers]
    assert [plain(found[id], id) for id in many] == [plain(one, id) for one, id in zip(ones, single, strict=True)]
    assert answer["succeeded"] and answer["failed"]
    assert left(server, kind, many) == left(server, kind, single)


@pytest.mark.parametrize(("action", "options"), TASK_CALLS, ids=[f"{action}-{len(options)}" for action, options in TASK_CALLS])
def test_many_tasks_answer_as_single_ones_do(server: Client, action: str, options: dict[str, Any]) -> None:
    check_that_many_are_as_single(server, "task", action, options, tasks_of_each_status(server), tasks_of_each_status(server))


@pytest.mark.parametrize(("action", "options"), MODEL_CALLS, ids=[f"{action}-{'-'.join(options)}" for action, options in MODEL_CALLS])
def test_many_models_answer_as_single_ones_do(server: Client, action: str, options: dict[str, Any]) -> None:
    check_that_many_are_as_single(server, "model", action, options, models_of_tasks(server), models_of_tasks(server))


def test_changes_of_the_same_tasks_at_once_lose_nothing(server: Client) -> None:
    tasks = [server.new_task() for _ in range(150)]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("tasks.archive_many", {"ids": tasks}),
        ("tasks.publish_many", {"ids": tasks[::-1], "force": True}),
        *[("tasks.update_tags", {"ids": tasks, "add_tags": [f"tag {number}"]}) for number in range(3)],
    ]
    with ThreadPoolExecutor(len(calls)) as pool:
        answers = list(pool.map(lambda call: server.call(call[0], call[1]), calls))
    assert [len(answer["succeeded"]) for answer in answers[:2]] == [150, 150]
    found = server.call("tasks.get_all", id=tasks, only_fields=["status", "tags", "system_tags"], page_size=500, page=0)["tasks"]
    seen = {(task["status"], *task["system_tags"], *sorted(task["tags"])) for task in found}
    assert len(found) == 150 and seen == {("published", "archived", "tag 0", "tag 1", "tag 2")}


def test_a_step_that_is_named_with_its_run_is_told_apart(server: Client) -> None:
    run = server.new_task(type="controller", system_tags=["pipeline"])
    steps = [server.new_task(parent=run) for _ in range(2)]
    answer = server.call("tasks.archive_many", ids=[steps[0], run, steps[1]], include_pipeline_steps=True)
    assert [one["archived"] for one in answer["succeeded"]] == [True, True, False], "the last one went with its run"
    answer = server.call("tasks.delete_many", ids=[steps[0], run, steps[1]], include_pipeline_steps=True)
    assert [one["id"] for one in answer["succeeded"]] == [steps[0], run]
    assert [(one["id"], one["error"]["codes"]) for one in answer["failed"]] == [(steps[1], [400, 101])]


def test_a_run_stays_when_one_of_its_steps_can_not_go(server: Client) -> None:
    run, other = (server.new_task(type="controller", system_tags=["pipeline"]) for _ in range(2))
    steps = [server.new_task(parent=run) for _ in range(2)]
    server.call("tasks.started", task=steps[1])
    answer = server.call("tasks.delete_many", ids=[run, other], include_pipeline_steps=True)
    assert [(one["id"], one["error"]["codes"]) for one in answer["failed"]] == [(run, [400, 123])]
    assert len(server.call("tasks.get_all", id=[run, *steps, other])["tasks"]) == 3


def test_a_public_child_outlives_its_parent(server: Client) -> None:
    parents = [server.new_task() for _ in range(2)]
    children = [server.new_task(parent=parent) for parent in parents]
    server.call("tasks.make_public", ids=children)
    assert server.call("tasks.delete", task=parents[0], force=True)["updated_children"] == 1
    assert len(server.call("tasks.delete_many", ids=parents[1:], force=True)["succeeded"]) == 1
    assert len(server.call("tasks.get_all", id=[*parents, *children])["tasks"]) == 2
