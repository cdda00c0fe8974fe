"""Models: making, reading, editing, publishing, deleting, and their events."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.client import Client, scalar


@pytest.fixture
def model(server: Client) -> str:
    return new_model(server)


def new_model(server: Client, name: str = "a model", **fields: Any) -> str:
    return server.call("models.create", {"name": name, "uri": "file:///m", **fields})["id"]  # type: ignore[no-any-return]


def get(server: Client, id: str) -> dict[str, Any]:
    return server.call("models.get_by_id", model=id)["model"]  # type: ignore[no-any-return]


def test_a_new_model_has_what_was_given(server: Client) -> None:
    task = server.new_task()
    id = new_model(server, "m", uri="s3://b/m", labels={"cat": 1}, framework="PyTorch", task=task, design={"layers": 2}, comment="c")
    model = get(server, id)
    assert (model["name"], model["uri"], model["framework"], model["comment"]) == ("m", "s3://b/m", "PyTorch", "c")
    assert model["labels"] == {"cat": 1} and model["design"] == {"layers": 2} and model["task"] == task
    assert model["ready"] is False and model["last_metrics"] == {}


def test_unknown_models_are_errors(server: Client) -> None:
    assert server.refused("models.get_by_id", model="nope").codes == (400, 201)
    assert server.refused("models.edit", model="nope", name="x").codes == (400, 201)
    assert server.refused("models.create", name="x", uri="u", task="nope").codes == (400, 101)
    assert server.refused("models.create", name="x", uri="u", project="nope").codes == (400, 401)


def test_model_events_make_last_metrics(server: Client, model: str) -> None:
    assert server.add_batch([scalar(model, "loss", "train", iter=3, value=2.0, model_event=True)])["added"] == 1
    (found,) = server.call("models.get_all_ex", id=[model])["models"]
    (variants,) = found["last_metrics"].values()
    (entry,) = variants.values()
    assert (entry["metric"], entry["variant"], entry["value"], found["last_iteration"]) == ("loss", "train", 2.0, 3)


def test_an_edit_replaces_fields(server: Client, model: str) -> None:
    answer = server.call("models.edit", model=model, uri="file:///uploading_file", name="mod", framework="pytorch", design={"design": ""})
    assert answer["updated"] == 1 and answer["fields"]["name"] == "mod"
    assert get(server, model)["design"] == {"design": ""}


def test_a_published_model_keeps_its_file(server: Client, model: str) -> None:
    assert server.call("models.set_ready", model=model)["updated"] == 1
    assert server.call("models.set_ready", model=model)["updated"] == 0
    assert server.refused("models.edit", model=model, uri="other").codes == (400, 203)
    assert server.call("models.edit", model=model, name="renamed", tags=["t"])["updated"] == 1
    assert server.send_batch([scalar(model, model_event=True)]).codes == (400, 131)


def test_publishing_can_publish_the_task(server: Client) -> None:
    task = server.new_task()
    server.call("tasks.started", task=task)
    server.call("tasks.completed", task=task)
    answer = server.call("models.set_ready", model=new_model(server, task=task), publish_task=True)
    assert answer["published_task"]["id"] == task
    assert server.task(task)["status"] == "published"


def test_models_are_found_by_what_they_belong_to(server: Client) -> None:
    task = server.new_task()
    mine = new_model(server, f"m-{uuid.uuid4().hex}", task=task, tags=["x"])
    assert server.call("models.get_all", task=[task], only_fields=["id", "uri"])["models"] == [{"id": mine, "uri": "file:///m"}]
    assert [model["id"] for model in server.call("models.get_all", id=[mine], ready=False)["models"]] == [mine]
    assert server.call("models.get_all", id=[mine], ready=True)["models"] == []
    assert server.call("models.get_all", id=[mine], tags=["-x"])["models"] == []
    (found,) = server.call("models.get_all_ex", id=[mine], only_fields=["task.name", "user.name"])["models"]
    assert found["task"] == {"id": task, "name": "a task"}


def test_the_model_of_a_task_is_made_and_changed(server: Client) -> None:
    task = server.new_task("the task")
    assert server.refused("models.update_for_task", task=task).codes == (400, 12)
    first = server.call("models.update_for_task", task=task, uri="u1")
    assert first["created"] is True
    second = server.call("models.update_for_task", task=task, uri="u2")
    assert second["id"] == first["id"] and second["created"] is False
    model = server.call("models.get_by_task_id", task=task)["model"]
    assert model["id"] == first["id"] and model["uri"] == "u2" and model["name"] == "the task"
    assert server.refused("models.get_by_task_id", task=server.new_task()).codes == (400, 201)


def test_metadata_is_set_and_removed_by_key(server: Client, model: str) -> None:
    server.call(
        "models.add_or_update_metadata", model=model, metadata=[{"key": "a", "type": "str", "value": "1"}, {"key": "b", "value": "2"}]
    )
    assert get(server, model)["metadata"] == {"a": {"key": "a", "type": "str", "value": "1"}, "b": {"key": "b", "value": "2"}}
    assert server.call("models.delete_metadata", model=model, keys=["a", "zz"]) == {"updated": 1}
    assert list(get(server, model)["metadata"]) == ["b"]


def test_a_model_in_use_is_deleted_by_force_only(server: Client, model: str) -> None:
    server.call("tasks.add_or_update_model", task=server.new_task(), name="in", model=model, type="input")
    assert server.refused("models.delete", model=model).codes == (400, 205)
    assert server.call("models.delete", model=model, force=True, return_file_url=True) == {"deleted": True, "url": "file:///m"}
    assert server.refused("models.get_by_id", model=model).codes == (400, 201)
    assert server.send_batch([scalar(model, model_event=True)]).codes == (400, 131)


def test_many_models_are_archived_published_and_deleted(server: Client, model: str) -> None:
    assert server.call("models.archive_many", ids=[model])["succeeded"] == [{"id": model, "archived": True}]
    assert server.call("models.unarchive_many", ids=[model])["succeeded"] == [{"id": model, "unarchived": True}]
    assert server.call("models.publish_many", ids=[model])["succeeded"] == [{"id": model, "updated": 1}]
    answer = server.call("models.delete_many", ids=[model, "nope"], force=True)
    assert answer["succeeded"] == [{"id": model, "deleted": True}] and answer["failed"][0]["error"]["codes"] == [400, 201]


def test_a_public_model_can_be_read_and_not_changed(server: Client) -> None:
    model = new_model(server, public=True)
    assert get(server, model)["company"] == ""
    assert server.refused("models.edit", model=model, name="x").codes == (403, 21)
    assert server.call("models.make_private", ids=[model]) == {"updated": 1}
    assert server.call("models.edit", model=model, name="x")["updated"] == 1


def test_models_move_between_projects(server: Client, model: str) -> None:
    project = server.call("models.move", ids=[model], project_name=f"p-{uuid.uuid4().hex}")["project_id"]
    assert get(server, model)["project"] == project
