"""Clients of old API versions: parameters inside `execution` (before 2.9), system tags among the tags (before 2.3)."""

from __future__ import annotations

import uuid

import pytest

from tests.client import Client

OLD = {"lr": "0.1", "net.width": "5", "TF_DEFINE/steps": "100"}
NEW = {
    "Args": {
        "lr": {"section": "Args", "name": "lr", "type": "legacy", "value": "0.1"},
        "net.width": {"section": "Args", "name": "net.width", "type": "legacy", "value": "5"},
    },
    "TF_DEFINE": {"steps": {"section": "TF_DEFINE", "name": "steps", "type": "legacy", "value": "100"}},
}


def test_parameters_of_an_old_client_are_todays_parameters_and_come_back_in_the_old_form(server: Client) -> None:
    task = server.new_task(execution={"parameters": OLD, "queue": "q"})
    found = server.task(task)
    assert found["hyperparams"] == NEW and "parameters" not in found["execution"] and found["execution"]["queue"] == "q"
    old = server.call("tasks.get_by_id", task=task, version="2.8")["task"]
    assert old["execution"]["parameters"] == OLD and old["execution"]["queue"] == "q"
    for listing in ("tasks.get_all", "tasks.get_all_ex"):
        (row,) = server.call(listing, id=[task], version="2.8", only_fields=["execution.parameters"])["tasks"]
        assert row["execution"]["parameters"] == OLD


def test_todays_arguments_are_shown_to_an_old_client(server: Client) -> None:
    task = server.new_task(hyperparams={"Args": {"a": {"value": "1", "type": "int"}}, "General": {"b": {"value": "2"}}})
    assert server.call("tasks.get_by_id", task=task, version="2.8")["task"]["execution"]["parameters"] == {"a": "1"}
    assert "parameters" not in server.task(task)["execution"]


def test_an_edit_of_an_old_client_replaces_what_old_clients_wrote_and_nothing_else(server: Client) -> None:
    task = server.new_task(hyperparams={"General": {"b": {"value": "2"}}}, execution={"parameters": OLD})
    server.call("tasks.edit", task=task, execution={"parameters": {"only": 1}}, version="2.8")
    params = server.task(task)["hyperparams"]
    assert {section: {name: item["value"] for name, item in items.items()} for section, items in params.items()} == {
        "General": {"b": "2"},
        "Args": {"only": "1"},
    }


def test_a_model_description_of_an_old_client_is_a_configuration_object(server: Client) -> None:
    task = server.new_task(execution={"model_desc": {"design": "layers = 3"}}, configuration={"other": {"value": "x"}})
    found = server.task(task)
    assert found["configuration"]["design"] == {"name": "design", "type": "legacy", "value": "layers = 3"}
    assert set(found["configuration"]) == {"design", "other"} and "model_desc" not in found["execution"]
    old = server.call("tasks.get_by_id", task=task, version="2.8")["task"]
    assert old["execution"]["model_desc"] == {"design": "layers = 3"}


def test_old_names_of_parameters_filter_and_order(server: Client) -> None:
    project = server.call("projects.create", name=f"p-{uuid.uuid4().hex}")["id"]
    ids = [server.new_task(str(value), project=project, execution={"parameters": {"lr": str(value)}}) for value in (10, 9, 100)]
    query = {"project": [project], "order_by": ["-execution.parameters.lr"]}
    names = [task["name"] for task in server.call("tasks.get_all", query, version="2.8")["tasks"]]
    assert names == ["100", "10", "9"]
    (found,) = server.call("tasks.get_all", {"project": [project], "execution.parameters.lr": ["9"]}, version="2.8")["tasks"]
    assert found["id"] == ids[1]
    searches = [{name: {"pattern": "^9$", "fields": ["execution.parameters.lr"]}} for name in ("_any_", "_all_")]
    for search in (*searches, {"filters": {"execution.parameters.lr": {"any": {"include": ["9"]}}}}):
        for listing in ("tasks.get_all", "tasks.get_all_ex"):
            assert [task["id"] for task in server.call(listing, {"project": [project], **search}, version="2.8")["tasks"]] == [ids[1]]


def test_system_tags_are_among_the_tags_of_old_clients(server: Client) -> None:
    task = server.call("tasks.create", name="old", type="training", tags=["mine", "development"], version="2.2")["id"]
    found = server.task(task)
    assert (found["tags"], found["system_tags"]) == (["mine"], ["development"])
    assert server.call("tasks.get_by_id", task=task, version="2.2")["task"]["tags"] == ["mine", "development"]
    server.call("tasks.edit", task=task, tags=["other", "archived"], version="2.2")
    found = server.task(task)
    assert (found["tags"], found["system_tags"]) == (["other"], ["archived"])
    assert server.call("tasks.get_all", id=[task], tags=["-archived"], version="2.2")["tasks"] == []
    assert server.call("tasks.get_all", id=[task], tags=["archived"], version="2.2")["tasks"][0]["tags"] == ["other", "archived"]
    assert server.call("tasks.get_by_id", task=task, version="2.3")["task"]["tags"] == ["other"]


def test_an_old_client_takes_system_tags_away_by_leaving_them_out(server: Client) -> None:
    task = server.new_task(tags=["mine"], system_tags=["archived"])
    server.call("tasks.edit", task=task, tags=["mine"], version="2.2")
    found = server.task(task)
    assert (found["tags"], found["system_tags"]) == (["mine"], [])


@pytest.mark.parametrize("kind", ["model", "project"])
def test_models_and_projects_of_old_clients_have_system_tags_among_their_tags(server: Client, kind: str) -> None:
    service = f"{kind}s"
    name = f"old-{uuid.uuid4().hex}"
    more = {"uri": "file:///m"} if kind == "model" else {}
    id = server.call(f"{service}.create", name=name, tags=["mine", "archived"], version="2.2", **more)["id"]

    def read(version: str | None = None) -> tuple[list[str], list[str]]:
        found = server.call(f"{service}.get_by_id", {kind: id}, version=version)[kind]
        return found["tags"], found["system_tags"]

    assert read() == (["mine"], ["archived"]) and read("2.3") == read()
    assert read("2.2")[0] == ["mine", "archived"]
    for listing in ("get_all", "get_all_ex"):
        rows = server.call(f"{service}.{listing}", id=[id], tags=["archived"], version="2.2")[service]
        assert [row["tags"] for row in rows] == [["mine", "archived"]]
        assert server.call(f"{service}.{listing}", id=[id], tags=["-archived"], version="2.2")[service] == []
        assert server.call(f"{service}.{listing}", id=[id], tags=["archived"])[service] == []
    server.call(f"{service}.update", {kind: id, "tags": ["other"]}, version="2.2")
    assert read() == (["other"], [])
    if kind == "model":
        server.call("models.edit", model=id, tags=["dataset"], version="2.2")
        assert read() == ([], ["dataset"])
        assert server.call("models.get_by_id_ex", id=[id], version="2.20")["models"][0]["tags"] == []
