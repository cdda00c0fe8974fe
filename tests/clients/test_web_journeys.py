"""What people do in the unmodified web application, call by call: each journey as the browser makes it, and what its screens need."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.http import parse_options_header

from tests.client import Client, log
from tests.clients.test_web_app import HIDDEN, Web


@pytest.fixture
def web(server: Client) -> Web:
    return Web(server)


@pytest.fixture
def project(server: Client, task: str) -> str:
    """A project of its own; its name holds the unique `task`."""
    id: str = server.call("projects.create", name=f"journey {task}")["id"]
    return id


def test_comparing_the_details_of_new_tasks(web: Web, server: Client, project: str) -> None:
    server.new_task("fresh", project=project)
    done = server.new_task("done", project=project)
    server.call("tasks.started", task=done)
    server.call("tasks.add_or_update_artifacts", task=done, artifacts=[{"key": "data", "type": "numpy", "uri": "s3://b/data"}])
    server.call("tasks.completed", task=done)
    fields = [
        "id", "name", "project.name", "status", "last_change", "last_iteration", "tags", "type", "user.name", "hyperparams", "configuration",
        "execution.artifacts", "execution.parameters", "script.repository", "script.diff", "script.requirements", "script.entry_point",
        "models.input.model.name", "models.output.model.name", "container", "output", "comment", "parent.name",
    ]  # fmt: skip
    found = web("tasks.get_all_ex", {"project": [project], "only_fields": fields, "order_by": ["name"]})["tasks"]
    assert [task["name"] for task in found] == ["done", "fresh"]
    for task in found:  # the page indexes these without looking
        assert isinstance(task["execution"]["artifacts"], list) and isinstance(task["models"]["output"], list)
        assert all(isinstance(task[name], dict) for name in ("script", "hyperparams", "configuration", "container", "output"))
        assert task["project"]["name"] and task["user"]["name"]
    assert found[0]["execution"]["artifacts"][0]["display_data"] == []


def test_tagging_what_is_selected_in_a_table(web: Web, server: Client, project: str, task: str) -> None:
    tasks = [server.new_task(project=project, tags=["old"]) for _ in range(2)]
    model = server.call("models.create", name="m", uri="u", project=project)["id"]
    assert web("tasks.update_tags", {"ids": tasks, "add_tags": [f"new {task}"], "remove_tags": ["old"]})["updated"] == 2
    assert web("models.update_tags", {"ids": [model], "add_tags": [f"model {task}"]})["updated"] == 1
    assert web("projects.get_task_tags", {"projects": [project]})["tags"] == [f"new {task}"]
    assert web("projects.get_model_tags", {"projects": [project]})["tags"] == [f"model {task}"]
    shown = web("tasks.get_all_ex", {"project": [project], "tags": [f"new {task}"], "only_fields": ["tags"]})["tasks"]
    assert len(shown) == 2


def test_a_cleared_filter_stays_cleared_after_a_reload(web: Web, project: str) -> None:
    key = f"projects.tableFilters.{project}"

    def save(filters: dict[str, Any]) -> None:
        web("users.set_preferences", {"preferences": {key: filters, "version": 1}, "return_updated": False})

    def reload() -> dict[str, Any]:
        return web("users.get_preferences", {})["preferences"]["projects"]["tableFilters"][project]  # type: ignore[no-any-return]

    save({"status": {"value": ["failed"]}, "last_metrics--DOT--loss": {"value": ["1"]}})
    assert reload()["status"] == {"value": ["failed"]}
    save({"last_metrics--DOT--loss": {"value": []}})
    assert reload() == {"last_metrics--DOT--loss": {"value": []}}
    save({})
    assert reload() == {}


def test_deleting_a_project_with_its_contents(web: Web, server: Client, project: str) -> None:
    task = server.new_task(project=project)
    server.call("models.create", name="m", uri="s3://b/m", task=task, project=project)
    found = web("projects.validate_delete", {"project": project})
    assert (found["tasks"], found["non_archived_tasks"], found["models"], found["reports"]) == (1, 1, 1, 0)
    web("tasks.archive_many", {"ids": [task]})
    answer = web("projects.delete", {"project": project, "delete_contents": True, "force": True})
    assert answer["deleted"] == 1 and answer["urls"]["model_urls"] == ["s3://b/m"]
    assert set(answer["urls"]) == {"model_urls", "artifact_urls", "event_urls"}
    assert web("projects.get_all_ex", {"id": [project]})["projects"] == []


def test_searching_everything(web: Web, server: Client, project: str, task: str) -> None:
    server.new_task(f"{task} run", project=project)
    search = {"pattern": task, "fields": ["name", "id", "comment"]}
    body = {
        "projects": {"_any_": {"pattern": task, "fields": ["basename", "id"]}},
        "tasks": {"_any_": search, "type": ["__$not", "annotation_manual"], "system_tags": ["-archived", "-pipeline", "-dataset"]},
        "models": {"_any_": search, "system_tags": ["-archived"]},
        "datasets": {"_any_": search, "system_tags": ["dataset"]},
        "dataset_versions": {"_any_": search},
        "pipelines": {"_any_": search, "system_tags": ["pipeline"]},
        "pipeline_runs": {"_any_": search},
        "reports": {"_any_": search, "system_tags": ["-archived"]},
        "active_users": None,
    }
    found = web("organization.get_entities_count", body)
    nothing = dict.fromkeys(("models", "datasets", "dataset_versions", "pipelines", "pipeline_runs", "reports"), 0)
    assert found == {"projects": 1, "tasks": 1, **nothing, "errors": {}}
    assert web("serving.get_endpoints", {})["endpoints"] == []
    assert web("serving.get_loading_instances", {})["instances"] == []
    web("storage.get_settings", {})


def test_the_card_of_a_project(web: Web, server: Client, project: str, task: str) -> None:
    sub = server.call("projects.create", name=f"journey {task}/sub")["id"]
    server.call("projects.create", name=f"journey {task}/.pipelines/p", system_tags=["hidden", "pipeline"])
    run = server.new_task(project=sub)
    server.call("tasks.started", task=run)
    body = {
        "id": [project],
        "include_stats": True,
        "check_own_contents": True,
        "include_stats_filter": {"system_tags": HIDDEN},
        "only_fields": ["name", "basename", "company", "user.name", "created", "tags", "system_tags", "default_output_destination"],
    }
    [card] = web("projects.get_all_ex", body)["projects"]
    active = card["stats"]["active"]
    assert active["status_count"]["in_progress"] == 1 and active["last_task_run"] and active["completed_tasks_24h"] == 0
    assert [child["id"] for child in card["sub_projects"]] == [sub]
    assert (card["own_tasks"], card["own_models"]) == (0, 0)


def test_the_cards_of_datasets(web: Web, server: Client, project: str, task: str) -> None:
    data = server.call("projects.create", name=f"journey {task}/.datasets/d", system_tags=["hidden", "dataset"], tags=["images"])["id"]
    runtime = {"ds_file_count": 7, "ds_total_size": 700}
    server.new_task(project=data, type="data_processing", system_tags=["dataset"], runtime=runtime)
    folders = {
        "children_type": "dataset",
        "shallow_search": True,
        "include_stats": True,
        "check_own_contents": True,
        "children_tags_filter": {"any": {"include": ["images"]}},
        "name": task,
        "only_fields": ["name", "basename", "tags"],
    }
    [folder] = web("projects.get_all_ex", folders)["projects"]
    assert folder["id"] == project and folder["stats"]["datasets"] == {"count": 1, "tags": ["images"]} and folder["own_datasets"] == 1
    cards = {
        "name": rf"{task}/\.datasets/",
        "system_tags": ["dataset"],
        "search_hidden": True,
        "include_dataset_stats": True,
        "include_stats": True,
        "order_by": ["-last_update"],
        "only_fields": ["name", "basename", "tags"],
    }
    [card] = web("projects.get_all_ex", cards)["projects"]
    assert card["id"] == data and card["dataset_stats"] == {"file_count": 7, "total_size": 700}


def test_downloading_the_log_and_an_artifact(web: Web, server: Client, project: str) -> None:
    """The log is a GET in a new tab; the artifact's button adds `download=` to its URL."""
    run = server.new_task("übung 模型", project=project)
    name = f"/web/übung 模型.{run}/artifacts/größe/größe 模.json"
    form = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n\r\n{{}}\r\n--b--\r\n'.encode()
    assert server.send("POST", "/files", form, {"Content-Type": "multipart/form-data; boundary=b"}).status == 200
    server.add_batch([log(run, "erste Zeile é"), log(run, "second")])
    shown = server.send("GET", f"/v999.0/events.download_task_log?line_type=text&task={run}")
    assert shown.status == 200 and shown.headers["content-disposition"].startswith("attachment")
    assert [line.rpartition(" ")[2] for line in shown.body.decode().splitlines()] == ["é", "second"]
    file = server.send("GET", f"/files{quote(name)}?download=")
    assert (file.status, file.body) == (200, b"{}")
    assert parse_options_header(file.headers["content-disposition"]) == ("attachment", {"filename": "größe 模.json"})
