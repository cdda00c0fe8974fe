"""Tasks: making, reading, editing, cloning, moving."""

from __future__ import annotations

import hashlib
import threading
import uuid
from datetime import datetime
from typing import Any

import pytest

from tests.client import SINGLE_VALUE_ITER, Client, scalar


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_a_new_task_has_what_was_given_and_empty_objects_for_the_rest(server: Client) -> None:
    project = server.call("projects.create", name=f"p-{uuid.uuid4().hex}")["id"]
    id = server.call(
        "tasks.create", name="full", type="testing", project=project, comment="by hand", tags=["x"], system_tags=["development"]
    )["id"]
    task = server.task(id)
    assert task["name"] == "full" and task["type"] == "testing" and task["project"] == project
    assert task["status"] == "created" and task["comment"] == "by hand"
    assert task["tags"] == ["x"] and task["system_tags"] == ["development"]
    assert task["last_iteration"] == 0 and task["last_metrics"] == {}
    for name in ("runtime", "hyperparams", "configuration", "container"):
        assert task[name] == {}
    assert task["models"] == {"input": [], "output": []}
    assert task["created"] == task["last_update"] == task["last_change"] == task["status_changed"]


def test_every_new_task_has_an_id_of_its_own(server: Client) -> None:
    assert server.new_task("same") != server.new_task("same")


@pytest.mark.parametrize(
    "fields", [{"type": "training"}, {"name": "x"}, {"name": "x", "type": "nonsense"}, {"name": " ", "type": "training"}]
)
def test_a_task_needs_a_name_and_a_known_type(server: Client, fields: dict[str, Any]) -> None:
    assert server.refused("tasks.create", fields).codes == (400, 12)


def test_a_task_in_an_unknown_project_or_below_an_unknown_parent_is_refused(server: Client) -> None:
    assert server.refused("tasks.create", name="x", type="training", project="nope").codes == (400, 401)
    assert server.refused("tasks.create", name="x", type="training", parent="nope").codes == (400, 101)


def test_an_unknown_task_is_an_error_that_names_it(server: Client) -> None:
    error = server.refused("tasks.get_by_id", task="nope")
    assert error.codes == (400, 101)
    assert "nope" in error.msg


def test_last_metrics_are_in_the_order_of_the_names_hashes(server: Client) -> None:
    task = server.new_task()
    names = [f"Metric{number}" for number in range(5)]
    server.add_batch([scalar(task, metric, f"Variant{number}", iter=1, value=1.0) for metric in names for number in range(5)])
    metrics = server.task(task)["last_metrics"]
    assert list(metrics) == sorted(md5(name) for name in names)
    for variants in metrics.values():
        assert list(variants) == sorted(md5(f"Variant{number}") for number in range(5))


def test_last_metrics_tell_of_every_series(server: Client) -> None:
    task = server.new_task()
    server.add_batch([scalar(task, "loss", "train", iter=i, value=v) for i, v in enumerate([1.0, 0.5, 0.25, -1.0])])
    server.add(scalar(task, "Summary", "acc", iter=SINGLE_VALUE_ITER, value=0.75))
    found = server.task(task)
    loss = found["last_metrics"][md5("loss")][md5("train")]
    assert found["last_iteration"] == 3
    assert (loss["metric"], loss["variant"], loss["value"], loss["count"]) == ("loss", "train", -1.0, 4)
    assert (loss["min_value"], loss["min_value_iteration"]) == (-1.0, 3)
    assert (loss["max_value"], loss["max_value_iteration"]) == (1.0, 0)
    assert (loss["first_value"], loss["first_value_iteration"]) == (1.0, 0)
    assert loss["mean_value"] == 0.1875  # not rounded (ClearML rounds to two decimals)
    summary = found["last_metrics"][md5("Summary")][md5("acc")]
    assert summary["value"] == 0.75 and summary["min_value_iteration"] == SINGLE_VALUE_ITER


def test_reporting_moves_last_change(server: Client) -> None:
    task = server.new_task()
    before = server.task(task)
    server.add(scalar(task, iter=1))
    after = server.task(task)
    assert moment(after["last_change"]) > moment(before["last_change"])
    assert moment(after["last_update"]) > moment(before["last_update"])


def test_editing_moves_last_change_and_a_ping_only_last_update(server: Client) -> None:
    task = server.new_task()
    first = server.task(task)
    server.call("tasks.edit", task=task, force=True, comment="changed")
    second = server.task(task)
    assert moment(second["last_change"]) > moment(first["last_change"])
    assert server.call("tasks.ping", task=task) == {}
    third = server.task(task)
    assert third["last_change"] == second["last_change"]
    assert moment(third["last_update"]) > moment(second["last_update"])


def test_an_edit_replaces_the_given_fields_as_a_whole_and_leaves_the_others(server: Client) -> None:
    task = server.new_task(tags=["a"], hyperparams={"General": {"lr": {"value": "1"}, "bs": {"value": "2"}}})
    answer = server.call(
        "tasks.edit", task=task, force=True, hyperparams={"Args": {"x.y/z": {"section": "Args", "name": "x.y/z", "value": "3"}}}
    )
    assert answer["updated"] == 1 and "last_update" in answer["fields"]
    found = server.task(task)
    assert found["hyperparams"] == {"Args": {"x.y/z": {"section": "Args", "name": "x.y/z", "value": "3"}}}
    assert found["tags"] == ["a"]


def test_values_of_parameters_are_texts(server: Client) -> None:
    task = server.new_task(hyperparams={"General": {"lr": {"value": 0.1, "type": "float"}}})
    assert server.task(task)["hyperparams"]["General"]["lr"] == {"section": "General", "name": "lr", "value": "0.1", "type": "float"}


def test_the_output_destination_is_kept_inside_output(server: Client) -> None:
    task = server.new_task()
    server.call("tasks.edit", task=task, force=True, output_dest="s3://bucket")
    assert server.task(task)["output"]["destination"] == "s3://bucket"


def test_two_writers_of_one_task_lose_nothing(server: Client) -> None:
    task = server.new_task()

    def write(section: str) -> None:
        for number in range(10):
            item = {"section": section, "name": f"n{number}", "value": "1"}
            server.call("tasks.edit_hyper_params", task=task, hyperparams=[item])

    threads = [threading.Thread(target=write, args=(section,)) for section in ("A", "B", "C")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    params = server.task(task)["hyperparams"]
    assert {section: len(params[section]) for section in params} == {"A": 10, "B": 10, "C": 10}


def test_parameters_are_set_replaced_and_removed_one_by_one(server: Client) -> None:
    task = server.new_task()
    item = {"section": "properties", "name": "up1", "value": "1"}
    assert server.call("tasks.edit_hyper_params", task=task, hyperparams=[item], replace_hyperparams="none") == {"updated": 1}
    other = {"section": "other", "name": "x", "value": "2"}
    server.call("tasks.edit_hyper_params", task=task, hyperparams=[other])
    listed = server.call("tasks.get_hyper_params", tasks=[task])["params"]
    assert listed == [{"task": task, "hyperparams": [other, item]}]
    server.call("tasks.edit_hyper_params", task=task, hyperparams=[{**item, "name": "up2"}], replace_hyperparams="section")
    assert list(server.task(task)["hyperparams"]["properties"]) == ["up2"]
    assert server.call("tasks.delete_hyper_params", task=task, hyperparams=[{"section": "properties"}]) == {"deleted": 1}
    assert list(server.task(task)["hyperparams"]) == ["other"]
    server.call("tasks.edit_hyper_params", task=task, hyperparams=[item], replace_hyperparams="all")
    assert list(server.task(task)["hyperparams"]) == ["properties"]


def test_configuration_objects_are_set_listed_and_removed(server: Client) -> None:
    task = server.new_task()
    server.call("tasks.edit_configuration", task=task, configuration=[{"name": "b", "value": "x = 1"}, {"name": "a", "value": ""}])
    assert server.call("tasks.get_configuration_names", tasks=[task])["configurations"] == [{"task": task, "names": ["b"]}]
    everything = server.call("tasks.get_configuration_names", tasks=[task], skip_empty=False)["configurations"]
    assert everything == [{"task": task, "names": ["a", "b"]}]
    found = server.call("tasks.get_configurations", tasks=[task], names=["b"])["configurations"]
    assert found == [{"task": task, "configuration": [{"name": "b", "value": "x = 1"}]}]
    assert server.call("tasks.delete_configuration", task=task, configuration=["b", "zz"]) == {"deleted": 1}


def test_an_artifact_replaces_the_one_with_its_key(server: Client) -> None:
    task = server.new_task()
    server.call("tasks.add_or_update_artifacts", task=task, artifacts=[{"key": "a", "uri": "u1"}, {"key": "b", "uri": "u2"}], force=True)
    server.call("tasks.add_or_update_artifacts", task=task, artifacts=[{"key": "a", "uri": "u3"}], force=True)
    artifacts = server.task(task)["execution"]["artifacts"]
    assert [(item["key"], item["uri"]) for item in artifacts] == [("a", "u3"), ("b", "u2")]
    assert server.call("tasks.delete_artifacts", task=task, artifacts=[{"key": "b"}], force=True) == {"deleted": 1}


def test_models_are_put_into_and_taken_out_of_a_tasks_lists(server: Client) -> None:
    task = server.new_task()
    model = server.call("models.create", name="m", uri="file:///m")["id"]
    server.call("tasks.add_or_update_model", task=task, name="w", model=model, type="output")
    assert server.task(task)["models"] == {"input": [], "output": [{"name": "w", "model": model}]}
    server.call("tasks.add_or_update_model", task=task, name="w", model="later", type="input")
    assert server.task(task)["models"]["input"] == [{"name": "w", "model": "later"}]
    assert server.call("tasks.delete_models", task=task, models=[{"name": "w", "type": "output"}]) == {"updated": 1}


def test_requirements_join_the_script(server: Client) -> None:
    task = server.new_task(script={"entry_point": "train.py"})
    server.call("tasks.set_requirements", task=task, requirements={"pip": "numpy == 1", "conda": ""})
    script = server.task(task)["script"]
    assert script["entry_point"] == "train.py" and script["requirements"] == {"pip": "numpy == 1", "conda": ""}


def test_a_clone_has_the_configuration_and_none_of_the_results(server: Client) -> None:
    task = server.new_task(hyperparams={"General": {"lr": {"value": "1"}}}, script={"diff": "print()"}, tags=["t"])
    server.call("tasks.add_or_update_artifacts", task=task, artifacts=[{"key": "out"}, {"key": "in", "mode": "input"}], force=True)
    server.call("tasks.started", task=task)
    server.add(scalar(task, iter=5))
    clone = server.task(server.call("tasks.clone", task=task, new_task_name="cl", new_task_parent=task)["id"])
    assert clone["name"] == "cl" and clone["parent"] == task and clone["status"] == "created"
    assert clone["hyperparams"]["General"]["lr"]["value"] == "1" and clone["script"]["diff"] == "print()" and clone["tags"] == ["t"]
    assert [item["key"] for item in clone["execution"]["artifacts"]] == ["in"]
    assert clone["last_metrics"] == {} and clone["last_iteration"] == 0


def test_a_clone_can_go_into_a_project_that_is_made_for_it(server: Client) -> None:
    name = f"p-{uuid.uuid4().hex}/sub"
    answer = server.call("tasks.clone", task=server.new_task(), new_project_name=name)
    assert answer["new_project"]["name"] == name
    assert server.task(answer["id"])["project"] == answer["new_project"]["id"]


def test_tasks_move_between_projects(server: Client) -> None:
    name = f"p-{uuid.uuid4().hex}"
    first, second = server.new_task(), server.new_task()
    project = server.call("tasks.move", ids=[first, second], project_name=name)["project_id"]
    assert server.task(second)["project"] == project
    assert server.refused("tasks.move", ids=[first], project="nope").codes == (400, 401)
    assert server.refused("tasks.move", ids=[first, "nope"], project=project).codes == (400, 101)


def test_archiving_is_a_system_tag(server: Client) -> None:
    task = server.new_task(system_tags=["development"])
    assert server.call("tasks.archive", tasks=[task]) == {"archived": 1}
    assert server.task(task)["system_tags"] == ["development", "archived"]
    assert server.call("tasks.archive", tasks=[task]) == {"archived": 0}
    assert server.call("tasks.unarchive", tasks=[task]) == {"unarchived": 1}
    assert server.task(task)["system_tags"] == ["development"]


def test_many_at_once_tells_what_could_not_be_done(server: Client) -> None:
    task = server.new_task()
    answer = server.call("tasks.archive_many", ids=[task, "nope"])
    assert answer["succeeded"] == [{"id": task, "archived": True}]
    assert [(item["id"], item["error"]["codes"]) for item in answer["failed"]] == [("nope", [400, 101])]


def test_a_public_task_can_be_read_and_not_changed(server: Client) -> None:
    task = server.new_task()
    assert server.call("tasks.make_public", ids=[task]) == {"updated": 1}
    assert server.task(task)["company"] == ""
    assert server.refused("tasks.edit", task=task, force=True, name="other").codes == (403, 21)
    assert server.refused("events.delete_for_task", task=task).codes == (403, 21)
    assert server.call("tasks.make_private", ids=[task]) == {"updated": 1}
    server.call("tasks.edit", task=task, force=True, name="other")


@pytest.mark.parametrize(
    "fields",
    [
        {"tags": [1]},
        {"hyperparams": {"S": 5}},
        {"execution": {"artifacts": ["x"]}},
        {"models": {"input": [{"name": "x"}]}},
        {"project": 5},
    ],
)
def test_what_a_task_cannot_hold_is_refused(server: Client, fields: dict[str, Any]) -> None:
    assert server.refused("tasks.edit", task=server.new_task(), force=True, **fields).codes == (400, 12)


def test_names_and_values_are_kept_verbatim(server: Client) -> None:
    odd = 'quote " back\\slash {x} %2E $ \u2028 é 中\n'
    task = server.new_task(odd, hyperparams={odd: {odd: {"value": odd}}}, runtime={"CLEARML VERSION": "1", "a.b": {"c": 1}})
    found = server.task(task)
    assert found["name"] == odd
    assert found["hyperparams"] == {odd: {odd: {"section": odd, "name": odd, "value": odd}}}
    assert found["runtime"] == {"CLEARML VERSION": "1", "a.b": {"c": 1}}
    assert server.call("tasks.get_all", name="^" + "".join("\\" + c if c in '"\\{}%.$' else c for c in odd) + "$")["tasks"][0]["id"] == task


def test_a_clone_leaves_behind_what_says_something_of_the_source_only(server: Client) -> None:
    task = server.new_task(tags=["development"], system_tags=["development", "archived", "pipeline"])
    clone = server.task(server.call("tasks.clone", task=task)["id"])
    assert (clone["tags"], clone["system_tags"]) == (["development"], ["pipeline"])
    given = server.call("tasks.clone", task=task, new_task_system_tags=["development"])["id"]
    assert server.task(given)["system_tags"] == ["development"]


def test_a_clone_with_unknown_models_is_refused(server: Client) -> None:
    task = server.new_task(models={"input": [{"name": "m", "model": "gone"}]})
    clone = server.task(server.call("tasks.clone", task=task)["id"])
    assert clone["models"]["input"] == [{"name": "m", "model": "gone"}]
    refused = [
        {"validate_references": True},
        {"execution_overrides": {"model": "nope"}},
        {"new_task_input_models": [{"name": "m", "model": "nope"}]},
    ]
    for request in refused:
        assert server.refused("tasks.clone", task=task, **request).codes == (400, 201)
    model = server.call("models.create", name="m", uri="file:///m")["id"]
    given = {"new_task_input_models": [{"name": "m", "model": model}], "execution_overrides": {"model": model}}
    clone = server.task(server.call("tasks.clone", task=task, validate_references=True, **given)["id"])
    assert clone["models"]["input"] == [{"name": "m", "model": model}] and clone["execution"]["model"] == model


def test_what_only_a_screen_uses_is_not_kept(server: Client) -> None:
    item = {"section": "S", "name": "p", "value": "1", "type": "int", "description": "d"}
    screen = {"id": 7, "isMaximize": True, "isJson": False}
    task = server.new_task(hyperparams={"S": {"p": {**item, **screen}}})
    assert server.task(task)["hyperparams"] == {"S": {"p": item}}
    server.call("tasks.edit_hyper_params", task=task, hyperparams=[{**item, **screen}], replace_hyperparams="all")
    assert server.task(task)["hyperparams"] == {"S": {"p": item}}
    server.call("tasks.edit_configuration", task=task, configuration=[{"name": "c", "value": "x", **screen}])
    assert server.task(task)["configuration"] == {"c": {"name": "c", "value": "x"}}
    clone = server.call("tasks.clone", task=task, new_task_hyperparams={"S": {"p": {**item, **screen}}})["id"]
    assert server.task(clone)["hyperparams"] == {"S": {"p": item}}


def test_tags_of_many_tasks_are_added_and_removed(server: Client) -> None:
    first, second = server.new_task(tags=["a", "b"]), server.new_task()
    assert server.call("tasks.update_tags", ids=[first, second], add_tags=["c", "b"], remove_tags=["a"]) == {"updated": 2}
    assert server.task(first)["tags"] == ["b", "c"] and server.task(second)["tags"] == ["c", "b"]
    assert server.refused("tasks.update_tags", ids=[first, "nope"], add_tags=["d"]).codes == (400, 101)
    assert server.task(first)["tags"] == ["b", "c"]
    server.call("tasks.update_tags", ids=[second], remove_tags=["c", "b"])
    assert server.task(second)["tags"] == []


def test_nulls_in_a_script_are_answered_as_if_absent(server: Client) -> None:
    task = server.new_task()
    server.call("tasks.edit", task=task, script={"requirements": None, "diff": None, "branch": "main", "working_dir": None})
    script = server.task(task)["script"]
    assert (script["requirements"], script["diff"], script["branch"], script["working_dir"]) == ({}, "", "main", ".")
    assert server.task(server.call("tasks.clone", task=task)["id"])["script"] == script
    (chosen,) = server.call("tasks.get_all", id=[task], only_fields=["script.requirements"])["tasks"]
    assert chosen["script"] == {"requirements": {}}


def test_nulls_in_artifacts_are_answered_as_if_absent(server: Client) -> None:
    task = server.new_task()
    items = [{"key": "a", "mode": None, "display_data": None, "uri": "http://f/a", "type_data": None}]
    server.call("tasks.edit", task=task, execution={"artifacts": items})
    (found,) = server.task(task)["execution"]["artifacts"]
    assert found == {"key": "a", "mode": "output", "display_data": [], "uri": "http://f/a"}
