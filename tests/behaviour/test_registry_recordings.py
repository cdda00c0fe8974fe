"""What the real SDK sent to tasks, projects and models is sent again, with ids of objects that exist; it must do what the SDK wanted.

The recorded answers are a stub's; what is expected here follows from the SDK's needs (`clearml-sdk.md`).
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.client import Client, scalar

FOLDER = Path(__file__).resolve().parent.parent / "goldens" / "clearml-sdk"
STRICT_STRINGS = [
    "id",
    "name",
    "type",
    "status",
    "comment",
    "project",
    "parent",
    "user",
    "company",
    "status_reason",
    "status_message",
    "last_worker",
]
TIMES = ["created", "started", "completed", "last_update", "last_change", "status_changed", "last_worker_report", "published"]


def send(server: Client, recording: str, /, **ids: Any) -> dict[str, Any]:
    """Send a recording as it was, but for the fields in `ids`; the `data` of the answer."""
    recorded = json.loads((FOLDER / f"{recording}.json").read_text())["request"]
    body = {**recorded["body"]["json"], **ids}
    headers = {key: value for key, value in recorded["headers"] if key.lower().startswith(("x-", "content-type"))}
    answer = server.raw(recorded["path"], json.dumps(body).encode(), method=recorded["method"], headers=headers)
    assert answer.status == 200, (recording, answer.body[:500])
    meta = answer.meta
    assert isinstance(meta["endpoint"]["requested_version"], str) and isinstance(meta["endpoint"]["actual_version"], (str, float))
    return answer.data


def check_types(task: dict[str, Any]) -> None:
    """The types without which the SDK throws the whole answer away."""
    for name in STRICT_STRINGS:
        assert isinstance(task.get(name), (str, type(None))), (name, task[name])
    for name in TIMES:
        assert isinstance(task.get(name), (str, type(None))), (name, task[name])
    for name in ("last_iteration", "active_duration"):
        assert type(task.get(name)) in (int, type(None)), (name, task[name])
    for name in ("tags", "system_tags"):
        assert all(isinstance(tag, str) for tag in task[name])
    for name in ("script", "execution", "output", "container", "models", "hyperparams", "configuration", "runtime", "last_metrics"):
        assert isinstance(task[name], dict), (name, task[name])


@pytest.fixture
def project(server: Client) -> str:
    return server.call("projects.create", name=f"p-{uuid.uuid4().hex}")["id"]  # type: ignore[no-any-return]


@pytest.fixture
def sdk_task(server: Client, project: str) -> str:
    """A task made and started as Task.init does."""
    id = send(server, "tasks.create", project=project)["id"]
    assert send(server, "tasks.started", task=id)["started"] == 1
    return id  # type: ignore[no-any-return]


def test_task_init_makes_and_starts_a_task(server: Client, project: str) -> None:
    id = send(server, "tasks.create", project=project)["id"]
    fresh = send(server, "tasks.get_by_id.fresh", task=id)["task"]
    check_types(fresh)
    assert (fresh["id"], fresh["status"], fresh["project"], fresh["last_metrics"]) == (id, "created", project, {})
    send(server, "tasks.started", task=id)
    assert send(server, "tasks.get_all.status_poll", id=[id])["tasks"] == [
        {"id": id, "status": "in_progress", "status_message": "", "runtime": {}}
    ]


def test_a_project_is_looked_up_and_made(server: Client) -> None:
    name = f"proj-{uuid.uuid4().hex}/sub"
    query = {"name": f"^{name}$".replace("-", r"\-")}
    assert send(server, "projects.get_all.by_exact_name", **query) == {"projects": []}
    id = send(server, "projects.create", name=name)["id"]
    assert send(server, "projects.get_all.by_exact_name", **query)["projects"] == [{"id": id}]
    (found,) = send(server, "projects.get_all.found", **query)["projects"]
    assert (found["id"], found["name"], found["basename"]) == (id, name, "sub")
    assert send(server, "projects.get_by_id", project=id)["project"]["name"] == name
    assert id in [project["id"] for project in send(server, "projects.get_all.paged")["projects"]]


def test_names_with_special_characters(server: Client) -> None:
    found = send(server, "projects.get_all.by_exact_name_special_chars")["projects"]
    if not found:
        send(server, "projects.create", name="we ird/(x)-1 é#&~.a")
        found = send(server, "projects.get_all.by_exact_name_special_chars")["projects"]
    assert len(found) == 1


@pytest.mark.parametrize(
    "name",
    [
        "tasks.edit.comment",
        "tasks.edit.configuration",
        "tasks.edit.hyperparams",
        "tasks.edit.runtime",
        "tasks.edit.script",
        "tasks.edit.tags",
        "tasks.edit.clear_on_reuse",
    ],
)
def test_an_edit_reads_back_as_it_was_sent(server: Client, sdk_task: str, name: str) -> None:
    sent = json.loads((FOLDER / f"{name}.json").read_text())["request"]["body"]["json"]
    assert send(server, name, task=sdk_task)["updated"] == 1
    task = send(server, "tasks.get_by_id.full", task=sdk_task)["task"]
    check_types(task)
    for field in set(sent) - {"task", "force", "method", "output_dest"}:
        shown = {name: task[field][name] for name in sent[field]} if field == "script" else task[field]  # a script is completed
        assert shown == sent[field], field
    if "output_dest" in sent:
        assert task["output"]["destination"] == sent["output_dest"]


def test_output_uri(server: Client, sdk_task: str) -> None:
    send(server, "tasks.edit.output_dest", task=sdk_task)
    assert server.task(sdk_task)["output"]["destination"] == "http://127.0.0.1:18081"


def test_the_rest_of_a_run(server: Client, sdk_task: str) -> None:
    send(server, "tasks.set_requirements", task=sdk_task)
    send(server, "tasks.ping", task=sdk_task)
    send(server, "tasks.edit_hyper_params", task=sdk_task)
    params = send(server, "tasks.get_hyper_params", tasks=[sdk_task])["params"]
    assert params == [{"task": sdk_task, "hyperparams": [{"section": "properties", "name": "up1", "value": "1"}]}]
    assert send(server, "tasks.add_or_update_artifacts", task=sdk_task) == {"updated": 1}
    server.add(scalar(sdk_task, iter=12))
    (found,) = send(server, "tasks.get_all.last_iteration", id=[sdk_task])["tasks"]
    assert found["last_iteration"] == 12
    assert send(server, "tasks.completed", task=sdk_task)["fields"]["status"] == "completed"
    task = server.task(sdk_task)
    check_types(task)
    assert task["script"]["requirements"]["pip"] and task["execution"]["artifacts"][0]["type_data"]["preview"]
    send(server, "tasks.started.force_continue", task=sdk_task)
    assert server.task(sdk_task)["status"] == "in_progress"


@pytest.mark.parametrize(("name", "status"), [("tasks.stopped", "stopped"), ("tasks.failed", "failed")])
def test_other_ends_of_a_run(server: Client, sdk_task: str, name: str, status: str) -> None:
    fields = send(server, name, task=sdk_task)["fields"]
    assert fields["status"] == status and fields["status_reason"] and fields["status_message"]


def test_a_reused_task_is_reset_and_cleared(server: Client, sdk_task: str, project: str) -> None:
    server.add(scalar(sdk_task, iter=3))
    server.call("tasks.completed", task=sdk_task)
    (found,) = send(server, "tasks.get_all.reuse_check", id=[sdk_task])["tasks"]
    assert (found["id"], found["project"], found["type"]) == (sdk_task, project, "training")
    assert send(server, "tasks.reset", task=sdk_task)["fields"]["status"] == "created"
    send(server, "tasks.edit.clear_on_reuse", task=sdk_task)
    send(server, "tasks.started", task=sdk_task)
    task = server.task(sdk_task)
    assert task["last_iteration"] == 0 and task["last_metrics"] == {} and task["system_tags"] == ["development"]


def test_publishing_cloning_and_deleting(server: Client, sdk_task: str) -> None:
    send(server, "tasks.completed", task=sdk_task)
    clone = send(server, "tasks.clone", task=sdk_task, new_task_parent=sdk_task)["id"]
    assert server.task(clone)["name"] == "cl" and server.task(clone)["parent"] == sdk_task
    assert send(server, "tasks.publish", task=sdk_task)["fields"]["status"] == "published"
    assert send(server, "tasks.delete", task=clone)["deleted"] is True


def test_queries_of_the_sdk(server: Client, sdk_task: str, project: str) -> None:
    server.call("tasks.edit", task=sdk_task, force=True, name="created")
    (found,) = send(server, "tasks.get_all.by_name_and_project", project=[project])["tasks"]
    assert found["id"] == sdk_task and isinstance(found["last_update"], str) and found["system_tags"] == ["development"]
    (found,) = send(server, "tasks.get_all.query_paged", project=[project])["tasks"]
    assert found["id"] == sdk_task and found["last_metrics"] == {}
    assert send(server, "tasks.get_all.query_paged", project=[project], page=1)["tasks"] == []
    assert send(server, "tasks.get_all.filters", project=[project])["tasks"] == []
    server.call("tasks.edit", task=sdk_task, force=True, name="my foo task")
    assert [task["id"] for task in send(server, "tasks.get_all.filters", project=[project])["tasks"]] == [sdk_task]


def test_an_output_model(server: Client, sdk_task: str, project: str) -> None:
    created = send(server, "models.create", project=project)
    model = created["id"]
    assert created["created"] is True
    assert send(server, "models.get_by_id", model=model)["model"]["uri"] == "file:///uploading_file"
    assert send(server, "models.edit", model=model, project=project, task=sdk_task)["updated"] == 1
    assert send(server, "tasks.add_or_update_model", task=sdk_task, model=model) == {"updated": 1}
    assert [item["id"] for item in send(server, "models.get_all", task=[sdk_task])["models"]] == [model]
    assert server.task(sdk_task)["models"]["output"] == [{"name": "w", "model": model}]
