"""Documents that clients get: every field that they index without looking is there, in every state of a document's life.

The fields are those of the recordings of the real SDK (tests/goldens/clearml-sdk).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.client import Client, scalar

FOLDER = Path(__file__).resolve().parent.parent / "goldens" / "clearml-sdk"

Document = dict[str, Any]


def recorded(name: str, field: str) -> Document:
    answer = json.loads((FOLDER / f"{name}.json").read_text())["response"]["body"]["data"][field]
    return answer[0] if isinstance(answer, list) else answer  # type: ignore[no-any-return]


FRESH = recorded("tasks.get_by_id.fresh", "task")


def check_task(task: Document, *, script: bool = True) -> None:
    """All that a fresh task has, with values of the same types, also inside its parts."""
    _check_like(task, {name: value for name, value in FRESH.items() if script or name != "script"}, "task")
    for item in task["execution"]["artifacts"]:
        assert isinstance(item["display_data"], list) and item["mode"] in ("input", "output") and item["key"]


def _check_like(found: Any, golden: Any, where: str) -> None:
    assert type(found) is type(golden), (where, found, golden)
    if isinstance(golden, Mapping):
        for name, value in golden.items():
            assert name in found, f"{where}.{name} is missing"
            _check_like(found[name], value, f"{where}.{name}")


def created(server: Client) -> str:
    project = server.call("projects.create", name=f"p-{uuid.uuid4().hex}")["id"]
    return server.new_task(project=project)


def edited_with_parts(server: Client) -> str:
    task = created(server)
    fields = {"script": {"diff": "x"}, "execution": {"queue": "q"}, "models": {}, "hyperparams": {}, "container": {}, "tags": []}
    server.call("tasks.edit", task=task, force=True, **fields)
    return task


def with_artifacts(server: Client) -> str:
    task = created(server)
    server.call("tasks.add_or_update_artifacts", task=task, artifacts=[{"key": "a", "uri": "http://f/a"}, {"key": "b", "mode": "input"}])
    return task


def cloned(server: Client) -> str:
    return server.call("tasks.clone", task=with_artifacts(server))["id"]  # type: ignore[no-any-return]


def reset(server: Client) -> str:
    task = with_artifacts(server)
    server.call("tasks.started", task=task)
    server.add(scalar(task))
    server.call("tasks.reset", task=task)
    return task


def started(server: Client) -> str:
    task = created(server)
    server.call("tasks.started", task=task)
    return task


def ended(how: str) -> Callable[[Client], str]:
    def end(server: Client) -> str:
        task = started(server)
        server.call(f"tasks.{how}", task=task)
        return task

    end.__name__ = how
    return end


def published(server: Client) -> str:
    task = ended("completed")(server)
    server.call("tasks.publish", task=task)
    return task


def archived(server: Client) -> str:
    task = created(server)
    server.call("tasks.archive", tasks=[task])
    return task


def with_requirements(server: Client) -> str:
    task = created(server)
    server.call("tasks.set_requirements", task=task, requirements={"pip": "numpy"})
    return task


LIVES = [created, edited_with_parts, with_artifacts, cloned, reset, started, published, archived, with_requirements]
LIVES += [ended(how) for how in ("stopped", "failed", "completed")]


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.__name__)
def test_a_task_has_what_clients_index_in_every_state(server: Client, life: Callable[[Client], str]) -> None:
    task = life(server)
    check_task(server.task(task))
    (found,) = server.call("tasks.get_all", id=[task])["tasks"]
    check_task(found)
    fields = ["execution.artifacts.display_data", "script.binary", "script.requirements"]
    (chosen,) = server.call("tasks.get_all_ex", id=[task], only_fields=fields)["tasks"]
    assert chosen["script"] == {"binary": "python", "requirements": server.task(task)["script"]["requirements"]}
    assert all(item == {"display_data": []} for item in chosen["execution"]["artifacts"])


def test_a_task_that_its_first_event_registered_is_complete(server: Client) -> None:
    task = uuid.uuid4().hex
    server.add(scalar(task))
    check_task(server.task(task))


def test_a_fresh_task_says_what_the_recorded_one_says(server: Client) -> None:
    found = server.task(created(server))
    for name in ("script", "execution", "output", "container", "models", "hyperparams", "configuration", "runtime", "last_metrics", "tags"):
        assert found[name] == FRESH[name], name


def test_the_script_is_gone_when_everything_was_cleared_and_back_with_the_next_edit(server: Client) -> None:
    task = server.new_task(script={"diff": "x"})
    server.call("tasks.reset", task=task, clear_all=True)
    found = server.task(task)
    assert "script" not in found
    check_task(found | {"project": ""}, script=False)
    server.call("tasks.edit", task=task, script={"diff": "y"})
    assert server.task(task)["script"]["diff"] == "y" and server.task(task)["script"]["binary"] == "python"


def test_artifacts_come_in_the_order_of_their_keys(server: Client) -> None:
    task = server.new_task()
    items = [{"key": "b"}, {"key": "a", "mode": "output"}, {"key": "a", "mode": "input"}, {"key": "B"}]
    server.call("tasks.add_or_update_artifacts", task=task, artifacts=items)
    found = server.task(task)["execution"]["artifacts"]
    assert [(item["key"], item["mode"]) for item in found] == [("B", "output"), ("a", "input"), ("a", "output"), ("b", "output")]


@pytest.mark.parametrize("how", ["create", "edit", "publish"])
def test_a_model_has_what_clients_index(server: Client, how: str) -> None:
    project = server.call("projects.create", name=f"p-{uuid.uuid4().hex}")["id"]
    model = server.call("models.create", name="m", uri="file:///m", project=project, ready=False)["id"]
    if how == "edit":
        server.call("models.edit", model=model, labels={})
    elif how == "publish":
        server.call("models.set_ready", model=model)
    _check_like(server.call("models.get_by_id", model=model)["model"], recorded("models.get_by_id", "model"), "model")


def test_a_project_has_what_clients_index(server: Client) -> None:
    name = f"p-{uuid.uuid4().hex}"
    project = server.call("projects.create", name=name)["id"]
    for found in (
        server.call("projects.get_by_id", project=project)["project"],
        server.call("projects.get_all", name=f"^{name}$")["projects"][0],
    ):
        _check_like(found, recorded("projects.get_by_id", "project"), "project")
