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
    return server.call("models.create", {"name": name, "uri": "file:///m", "ready": False, **fields})["id"]  # type: ignore[no-any-return]


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
    assert server.refused("models.set_ready", model=model).codes == (400, 203)
    assert server.call("models.publish_many", ids=[model])["failed"][0]["error"]["codes"] == [400, 203]
    assert server.refused("models.edit", model=model, uri="other").codes == (400, 203)
    assert server.call("models.edit", model=model, name="renamed", tags=["t"])["updated"] == 1
    assert server.send_batch([scalar(model, model_event=True)]).codes == (400, 131)


def test_a_model_is_published_when_nothing_else_is_said(server: Client) -> None:
    model = server.call("models.create", name="m", uri="file:///m")["id"]
    assert get(server, model)["ready"] is True


def test_publishing_a_model_publishes_its_task(server: Client) -> None:
    task = server.new_task()
    server.call("tasks.started", task=task)
    model = new_model(server, task=task)
    assert server.refused("models.set_ready", model=model).codes == (400, 110)
    assert get(server, model)["ready"] is False
    server.call("tasks.completed", task=task)
    answer = server.call("models.set_ready", model=model)
    assert answer["published_task"]["id"] == task and answer["published_task"]["data"]["fields"]["status"] == "published"
    assert server.task(task)["status"] == "published" and get(server, model)["ready"] is True


def test_the_task_of_a_model_is_left_alone_or_forced_on_request(server: Client) -> None:
    task = server.new_task()
    server.call("tasks.started", task=task)
    alone, forced = new_model(server, task=task), new_model(server, task=task)
    assert server.call("models.set_ready", model=alone, publish_task=False) == {"updated": 1}
    assert server.task(task)["status"] == "in_progress"
    answer = server.call("models.publish_many", ids=[forced], force_publish_task=True)
    assert answer["succeeded"][0]["published_task"]["id"] == task
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
    task = server.new_task()
    server.call("tasks.add_or_update_model", task=task, name="in", model=model, type="input")
    assert server.refused("models.delete", model=model).codes == (400, 205)
    assert server.call("models.delete", model=model, force=True) == {"deleted": True, "url": "file:///m"}
    assert server.task(task)["models"]["input"] == [{"name": "in", "model": f"__DELETED__{model}"}]
    assert server.refused("models.get_by_id", model=model).codes == (400, 201)
    assert server.send_batch([scalar(model, model_event=True)]).codes == (400, 131)


def test_a_deleted_output_model_leaves_the_list_of_its_task(server: Client) -> None:
    task = server.new_task()
    first, second = (new_model(server, task=task, ready=ready) for ready in (False, True))
    for model in (first, second):
        server.call("tasks.add_or_update_model", task=task, name=model, model=model, type="output")
    assert server.call("models.delete", model=first) == {"deleted": True, "url": "file:///m"}
    assert [item["model"] for item in server.task(task)["models"]["output"]] == [second]
    assert server.call("models.delete_many", ids=[second])["succeeded"] == [{"id": second, "deleted": True, "url": "file:///m"}]
    assert server.task(task)["models"]["output"] == []


def test_a_model_of_a_published_task_is_deleted_by_force_only(server: Client) -> None:
    task = server.new_task()
    model = new_model(server, task=task)
    server.call("tasks.add_or_update_model", task=task, name="out", model=model, type="output")
    server.call("tasks.started", task=task)
    server.call("tasks.completed", task=task, publish=True)
    assert server.refused("models.delete", model=model).codes == (400, 206)
    assert server.call("models.delete", model=model, force=True)["deleted"] is True
    assert server.task(task)["models"]["output"] == [{"name": "out", "model": f"__DELETED__{model}"}]


def test_a_task_may_name_a_model_that_the_server_does_not_know(server: Client) -> None:
    task = server.new_task()
    server.call("tasks.add_or_update_model", task=task, name="far", model="elsewhere", type="input")
    assert server.task(task)["models"]["input"] == [{"name": "far", "model": "elsewhere"}]


def test_an_iteration_raises_the_last_iteration_of_the_task(server: Client) -> None:
    task = server.new_task()
    model = new_model(server, task=task)
    for endpoint, fields, iteration, expected in [
        ("models.update", {"model": model}, 1000, 1000),
        ("models.update", {"model": model}, 10, 1000),
        ("models.update_for_task", {"task": task, "uri": "u"}, 1200, 1200),
        ("models.update_for_task", {"task": task, "uri": "u"}, 1100, 1200),
    ]:
        server.call(endpoint, fields, iteration=iteration)
        assert server.task(task)["last_iteration"] == expected
    server.call("models.update", model=new_model(server), iteration=3)  # no task: nothing to raise
    assert server.refused("models.update", model=model, iteration=2**63).codes == (400, 12)


def test_output_models_have_the_framework_of_their_task(server: Client) -> None:
    task = server.new_task(execution={"framework": "PyTorch", "model_labels": {"cat": 1}})
    id = server.call("models.update_for_task", task=task, uri="u")["id"]
    assert get(server, id)["framework"] == "PyTorch" and get(server, id)["labels"] == {"cat": 1}
    assert get(server, new_model(server, task=task))["framework"] == "PyTorch"
    assert get(server, new_model(server, task=task, framework="JAX"))["framework"] == "JAX"


def test_the_number_of_labels_comes_on_request(server: Client) -> None:
    labelled, plain = new_model(server, labels={"cat": 1, "dog": 2}), new_model(server)
    query = {"id": [labelled, plain], "include_stats": True, "only_fields": ["name"], "order_by": ["created"]}
    found = {model["id"]: model for model in server.call("models.get_all_ex", query)["models"]}
    assert (found[labelled]["stats"], found[plain]["stats"]) == ({"labels_count": 2}, {"labels_count": 0})
    assert "labels" not in found[labelled]
    assert "stats" not in server.call("models.get_all_ex", id=[plain])["models"][0]


def test_tags_are_added_and_removed_one_by_one(server: Client) -> None:
    first, second = new_model(server, tags=["a", "b"]), new_model(server)
    assert server.call("models.update_tags", ids=[first, second], add_tags=["b", "c"], remove_tags=["a"]) == {"updated": 2}
    assert get(server, first)["tags"] == ["b", "c"] and get(server, second)["tags"] == ["b", "c"]
    assert server.refused("models.update_tags", ids=[first, "nope"], add_tags=["z"]).codes == (400, 201)
    assert get(server, first)["tags"] == ["b", "c"]


def test_many_models_are_archived_published_and_deleted(server: Client, model: str) -> None:
    assert server.call("models.archive_many", ids=[model])["succeeded"] == [{"id": model, "archived": True}]
    assert server.call("models.unarchive_many", ids=[model])["succeeded"] == [{"id": model, "unarchived": True}]
    assert server.call("models.publish_many", ids=[model])["succeeded"] == [{"id": model, "updated": 1}]
    answer = server.call("models.delete_many", ids=[model, "nope"], force=True)
    assert answer["succeeded"] == [{"id": model, "deleted": True, "url": "file:///m"}] and answer["failed"][0]["error"]["codes"] == [
        400,
        201,
    ]


def test_a_public_model_can_be_read_and_not_changed(server: Client) -> None:
    model = new_model(server, public=True)
    assert get(server, model)["company"] == ""
    assert server.refused("models.edit", model=model, name="x").codes == (403, 21)
    assert server.refused("models.update", model=model, name="x").codes == (400, 201)
    assert server.call("models.make_private", ids=[model]) == {"updated": 1}
    assert server.call("models.edit", model=model, name="x")["updated"] == 1


def test_models_move_between_projects(server: Client, model: str) -> None:
    project = server.call("models.move", ids=[model], project_name=f"p-{uuid.uuid4().hex}")["project_id"]
    assert get(server, model)["project"] == project


def test_what_is_not_public_does_not_become_private(server: Client) -> None:
    task, model = server.new_task(), new_model(server)
    assert server.refused("models.make_private", ids=[model]).codes == (400, 201)
    assert server.refused("tasks.make_private", ids=[task]).codes == (400, 101)
    assert server.call("tasks.make_public", ids=[task]) == {"updated": 1}
    assert server.call("tasks.make_private", ids=[task]) == {"updated": 1}


def test_frameworks_of_a_project_include_those_below_it(server: Client) -> None:
    name = uuid.uuid4().hex
    top, below, beside = (server.call("projects.create", name=path)["id"] for path in (name, f"{name}/a/b", f"{name}-c"))
    for project, framework in ((top, "PyTorch"), (below, "Keras"), (beside, "Caffe")):
        new_model(server, project=project, framework=framework)
    assert server.call("models.get_frameworks", projects=[top])["frameworks"] == ["Keras", "PyTorch"]
    assert server.call("models.get_frameworks", projects=[below])["frameworks"] == ["Keras"]
