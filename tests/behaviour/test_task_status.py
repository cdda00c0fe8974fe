"""The status of a task: which step may follow which; resetting, deleting, publishing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.client import Client, image, log, scalar
from tests.conftest import StartServer

STEPS = {"in_progress": "tasks.started", "stopped": "tasks.stopped", "failed": "tasks.failed", "completed": "tasks.completed"}


def reach(server: Client, status: str) -> str:
    """A task in this status."""
    task = server.new_task()
    if status == "created":
        return task
    server.call("tasks.started", task=task)
    if status == "published":
        server.call("tasks.completed", task=task)
        server.call("tasks.publish", task=task)
    elif status != "in_progress":
        server.call(STEPS[status], task=task)
    assert server.task(task)["status"] == status
    return task


ALLOWED = [
    ("created", "in_progress"),
    ("in_progress", "stopped"),
    ("in_progress", "failed"),
    ("in_progress", "completed"),
    ("stopped", "in_progress"),
    ("stopped", "completed"),
    ("failed", "in_progress"),
    ("completed", "in_progress"),
]
REFUSED = [
    ("created", "stopped"),
    ("created", "completed"),
    ("created", "failed"),
    ("completed", "failed"),
    ("completed", "stopped"),
    ("published", "in_progress"),
    ("published", "failed"),
]


@pytest.mark.parametrize(("old", "new"), ALLOWED)
def test_a_task_takes_the_steps_of_its_life(server: Client, old: str, new: str) -> None:
    task = reach(server, old)
    fields = server.call(STEPS[new], task=task, status_reason="r", status_message="m")["fields"]
    assert (fields["status"], fields["status_reason"], fields["status_message"]) == (new, "r", "m")
    found = server.task(task)
    assert (found["status"], found["status_reason"], found["status_message"]) == (new, "r", "m")
    assert found["last_update"] == found["last_change"] == fields["last_update"]


@pytest.mark.parametrize(("old", "new"), REFUSED)
def test_other_steps_are_refused_unless_forced(server: Client, old: str, new: str) -> None:
    task = reach(server, old)
    error = server.refused(STEPS[new], task=task)
    assert error.codes == (400, 110)
    assert old in error.msg and new in error.msg
    assert server.task(task)["status"] == old
    server.call(STEPS[new], task=task, force=True)
    assert server.task(task)["status"] == new


def test_the_same_step_twice_is_no_error(server: Client) -> None:
    task = reach(server, "in_progress")
    assert server.call("tasks.started", task=task)["started"] == 0
    assert server.call("tasks.started", task=server.new_task())["started"] == 1


def test_a_task_that_goes_on_has_no_end(server: Client) -> None:
    task = reach(server, "completed")
    assert server.task(task)["completed"]
    server.call("tasks.started", task=task, force=True)
    found = server.task(task)
    assert "completed" not in found and found["started"] and found["status"] == "in_progress"


def test_editing_needs_force_after_the_end(server: Client) -> None:
    task = reach(server, "completed")
    assert server.refused("tasks.edit", task=task, comment="x").codes == (400, 110)
    server.call("tasks.edit", task=task, comment="x", force=True)
    assert server.call("tasks.update", task=task, name="new name")["updated"] == 1


def test_completing_can_publish_at_once(server: Client) -> None:
    task = reach(server, "in_progress")
    answer = server.call("tasks.completed", task=task, publish=True)
    assert answer["published"] == 1
    assert server.call("tasks.completed", task=reach(server, "in_progress"))["published"] == 0
    assert server.task(task)["status"] == "published" and server.task(task)["published"]


def test_publishing_publishes_the_output_models(server: Client) -> None:
    task = reach(server, "completed")
    model = server.call("models.create", name="m", uri="file:///m", task=task, ready=False)["id"]
    server.call("tasks.add_or_update_model", task=task, name="m", model=model, type="output")
    server.call("tasks.publish", task=task)
    assert server.call("models.get_by_id", model=model)["model"]["ready"] is True


def test_a_task_that_never_ran_is_not_published(server: Client) -> None:
    assert server.refused("tasks.publish", task=server.new_task()).codes == (400, 110)


def test_a_published_task_takes_no_events_until_it_is_allowed(server: Client) -> None:
    task = reach(server, "published")
    assert server.send_batch([scalar(task)]).codes == (400, 131)
    assert server.add_batch([scalar(task, allow_locked=True)])["added"] == 1


def test_a_reset_removes_what_the_run_left_and_keeps_what_the_user_gave(server: Client) -> None:
    task = server.new_task(hyperparams={"General": {"lr": {"value": "1"}}}, tags=["t"])
    server.call("tasks.started", task=task)
    server.add_batch([scalar(task, iter=7), log(task, "line"), image(task, url="http://f/1.png")])
    server.call("tasks.add_or_update_artifacts", task=task, artifacts=[{"key": "a", "uri": "http://f/a"}], force=True)
    model = server.call("models.create", name="m", uri="http://f/m", task=task, ready=False)["id"]
    answer = server.call("tasks.reset", task=task, return_file_urls=True)
    assert answer["updated"] == 1 and answer["deleted_models"] == 1 and answer["events"]["deleted"] == 3
    assert answer["urls"] == {"event_urls": [], "artifact_urls": ["http://f/a"], "model_urls": ["http://f/m"]}
    found = server.task(task)
    assert found["status"] == "created" and found["last_iteration"] == 0 and found["last_metrics"] == {}
    assert found["hyperparams"]["General"]["lr"]["value"] == "1" and found["tags"] == ["t"]
    assert found["execution"]["artifacts"] == [] and "started" not in found
    assert server.log(task) == []
    assert server.refused("models.get_by_id", model=model).codes == (400, 201)


def test_a_reset_can_clear_everything(server: Client) -> None:
    task = server.new_task(hyperparams={"General": {"lr": {"value": "1"}}}, script={"diff": "x"})
    server.call("tasks.reset", task=task, clear_all=True)
    found = server.task(task)
    assert found["hyperparams"] == {} and "script" not in found


def test_a_published_task_is_reset_by_force_only(server: Client) -> None:
    task = reach(server, "published")
    assert server.refused("tasks.reset", task=task).codes == (400, 110)
    server.call("tasks.reset", task=task, force=True)
    assert server.task(task)["status"] == "created"


def test_a_deleted_task_is_gone_with_its_events_and_its_id_is_refused(server: Client) -> None:
    task = server.new_task()
    server.add_batch([scalar(task), log(task, "x")])
    answer = server.call("tasks.delete", task=task)
    assert answer["deleted"] is True and answer["events"]["deleted"] == 2
    assert server.refused("tasks.get_by_id", task=task).codes == (400, 101)
    assert server.refused("events.get_task_log", task=task).codes == (400, 101)
    assert server.send_batch([scalar(task)]).codes == (400, 131)
    assert server.refused("tasks.get_by_id", task=task).codes == (400, 101)


def test_a_running_or_published_task_is_deleted_by_force_only(server: Client) -> None:
    for status in ("in_progress", "published"):
        task = reach(server, status)
        assert server.refused("tasks.delete", task=task).codes == (400, 123)
        assert server.call("tasks.delete", task=task, force=True)["deleted"] is True


def test_deleting_a_parent_leaves_its_children_without_one(server: Client) -> None:
    parent = server.new_task()
    child = server.new_task(parent=parent)
    assert server.refused("tasks.delete", task=parent).codes == (400, 123)
    assert server.call("tasks.delete", task=parent, force=True)["updated_children"] == 1
    assert "parent" not in server.task(child)


def test_deleting_keeps_models_that_are_published_or_in_use(server: Client) -> None:
    task, other = server.new_task(), server.new_task()
    kept, used, gone = (
        server.call("models.create", name=name, uri=f"u/{name}", task=task, ready=False)["id"] for name in ("kept", "used", "gone")
    )
    server.call("models.set_ready", model=kept, publish_task=False)
    server.call("tasks.add_or_update_model", task=other, name="in", model=used, type="input")
    assert server.refused("tasks.delete", task=task).codes == (400, 123)  # for the published one
    answer = server.call("tasks.delete", task=task, force=True)
    assert (answer["deleted_models"], answer["updated_models"]) == (1, 2)
    assert "task" not in server.call("models.get_by_id", model=kept)["model"]
    assert server.refused("models.get_by_id", model=gone).codes == (400, 201)


def models_of(server: Client, task: str) -> dict[str, str]:
    """A model that goes with its task, and each kind of those that stay."""
    made = {
        name: server.call("models.create", name=name, uri=f"s3://{task}/{name}", task=task, ready=False)["id"]
        for name in ("goes", "published", "used", "public")
    }
    server.call("models.set_ready", model=made["published"], publish_task=False)
    server.call("tasks.add_or_update_model", task=server.new_task(), name="in", model=made["used"], type="input")
    server.call("models.make_public", ids=[made["public"]])
    for name in ("mine", "another"):  # one file registered twice: the other model needs it
        server.call("models.create", name=name, uri=f"s3://{task}/twice", ready=False, **({"task": task} if name == "mine" else {}))
    server.call("tasks.add_or_update_artifacts", task=task, artifacts=[{"key": "a", "uri": "s3://a", "type": "x"}])
    return made


@pytest.mark.parametrize("way", ["tasks.reset", "tasks.delete", "tasks.delete_many"])
def test_only_files_of_models_that_go_are_named(server: Client, way: str) -> None:
    for delete in (True, False):
        task = server.new_task()
        made = models_of(server, task)
        body: dict[str, Any] = {"force": True, "return_file_urls": True, "delete_output_models": delete}
        answer = server.call(way, {"ids": [task]} if way.endswith("many") else {"task": task}, **body)
        urls = answer["succeeded"][0]["urls"] if way.endswith("many") else answer["urls"]
        assert urls == {"model_urls": [f"s3://{task}/goes"] if delete else [], "artifact_urls": ["s3://a"], "event_urls": []}
        left = {model["name"] for model in server.call("models.get_all", id=list(made.values()))["models"]}
        assert left == {"published", "used", "public"} | (set() if delete else {"goes"})


def test_a_published_model_that_a_task_only_names_makes_deleting_need_force(server: Client) -> None:
    task = server.new_task()
    model = server.call("models.create", name="m", uri="s3://m")["id"]
    draft = server.call("models.create", name="d", uri="s3://d", ready=False)["id"]
    server.call("tasks.add_or_update_model", task=task, name="d", model=draft, type="output")
    server.call("tasks.add_or_update_model", task=task, name="in", model=model, type="input")
    other = server.call("tasks.clone", task=task)["id"]
    assert server.call("tasks.delete", task=other)["deleted"] is True  # a published input is no obstacle
    server.call("tasks.add_or_update_model", task=task, name="m", model=model, type="output")
    assert server.refused("tasks.delete", task=task).codes == (400, 123)
    answer = server.call("tasks.delete", task=task, force=True, return_file_urls=True)
    assert (answer["deleted_models"], answer["urls"]["model_urls"]) == (0, [])
    assert len(server.call("models.get_all", id=[model, draft])["models"]) == 2


def test_many_tasks_are_stopped_reset_and_deleted_each_by_itself(server: Client) -> None:
    running, fresh = reach(server, "in_progress"), server.new_task()
    answer = server.call("tasks.stop_many", ids=[running, fresh])
    assert [item["id"] for item in answer["succeeded"]] == [running]
    assert answer["failed"][0]["error"]["codes"] == [400, 110]
    assert [item["id"] for item in server.call("tasks.reset_many", ids=[running])["succeeded"]] == [running]
    answer = server.call("tasks.delete_many", ids=[running, fresh, "nope"])
    assert [item["id"] for item in answer["succeeded"]] == [running, fresh]
    assert [item["id"] for item in answer["failed"]] == ["nope"]


def test_tasks_that_belong_together_go_in_one_call(server: Client) -> None:
    """What depends on them is looked up before any is deleted."""
    parent = server.new_task()
    child, stays = (server.new_task(parent=parent) for _ in range(2))
    answer = server.call("tasks.delete_many", ids=[parent, child])
    assert [item["id"] for item in answer["failed"]] == [parent] and [item["id"] for item in answer["succeeded"]] == [child]
    user = server.new_task()
    model = server.call("models.create", name="m", uri=f"s3://{parent}", ready=False, task=parent)["id"]
    server.call("tasks.add_or_update_model", task=user, name="in", model=model, type="input")
    answer = server.call("tasks.delete_many", ids=[stays, user, parent], return_file_urls=True)
    assert answer["failed"] == [] and [item["deleted_models"] for item in answer["succeeded"]] == [0, 0, 1]
    assert answer["succeeded"][2]["urls"]["model_urls"] == [f"s3://{parent}"]
    assert answer["succeeded"][2]["updated_children"] == 0


def test_one_call_leaves_what_single_calls_leave(server: Client) -> None:
    """Models and files that the tasks share, parents and children, events, and one that is refused."""

    def fill() -> dict[str, str]:
        made = {"a": server.new_task("a")}
        made |= {name: server.new_task(name, parent=made["a"]) for name in ("b", "c", "published")}
        place = f"s3://{made['a']}"
        published = server.call("models.create", name="p", uri=f"{place}/p", task=made["published"])["id"]
        shared = server.call("models.create", name="shared", uri=f"{place}/shared", ready=False, task=made["b"])["id"]
        own = server.call("models.create", name="own", uri=f"{place}/own", ready=False, task=made["c"])["id"]
        server.call("tasks.add_or_update_model", task=made["c"], name="in", model=shared, type="input")
        for name, events in (("a", 2), ("b", 3)):
            server.add_batch([scalar(made[name], iter=iter) for iter in range(events)] + [log(made[name], "x")])
        return {**made, "model p": published, "model shared": shared, "model own": own}

    def outcome(made: dict[str, str], succeeded: list[dict[str, Any]], failed: list[tuple[str, list[int]]]) -> dict[str, Any]:
        names = {id: name for name, id in made.items()}
        kept = ("deleted_models", "updated_models", "updated_children", "events", "urls")
        told = [(names[item["id"]], {name: item[name] for name in kept}) for item in succeeded]
        return {
            "succeeded": json.loads(json.dumps(told).replace(made["a"], "A")),
            "failed": [(names[id], codes) for id, codes in failed],
            "models": sorted(names[model["id"]] for model in server.call("models.get_all", id=list(made.values()))["models"]),
            "tasks": sorted(names[task["id"]] for task in server.call("tasks.get_all", id=list(made.values()))["tasks"]),
        }

    order = ("b", "a", "published", "c")
    many, single = fill(), fill()
    answer = server.call("tasks.delete_many", ids=[many[name] for name in order], return_file_urls=True)
    found = outcome(many, answer["succeeded"], [(item["id"], item["error"]["codes"]) for item in answer["failed"]])
    succeeded, failed = [], []
    for name in order:
        one = server.raw("/tasks.delete", {"task": single[name], "return_file_urls": True})
        if one.status == 200:
            succeeded.append({"id": single[name], **one.data})
        else:
            failed.append((single[name], list(one.codes)))
    assert found == outcome(single, succeeded, failed)
    assert [name for name, _ in found["failed"]] == ["a", "published"] and found["models"] == ["model p", "model shared"]


def test_the_running_time_is_told(server: Client) -> None:
    task = reach(server, "completed")
    assert server.task(task)["active_duration"] >= 0


def test_how_long_a_deleted_id_stays_refused_is_a_setting(start_server: StartServer, task: str) -> None:
    client = start_server(TIDEMARK__events__tombstone_expiration="0").client()
    client.add(scalar(task))
    client.call("tasks.delete", task=task, force=True)
    assert client.send_batch([scalar(task, iter=5)]).codes == (200, 0)
    assert client.task(task)["last_iteration"] == 5


def test_what_a_task_runs_with_is_changed_before_it_starts_or_by_force(server: Client) -> None:
    task = reach(server, "in_progress")
    item = {"section": "Args", "name": "lr", "value": "1"}
    calls = [
        ("tasks.edit_hyper_params", {"hyperparams": [item]}),
        ("tasks.delete_hyper_params", {"hyperparams": [{"section": "Args"}]}),
        ("tasks.edit_configuration", {"configuration": [{"name": "c", "value": "x"}]}),
        ("tasks.delete_configuration", {"configuration": ["c"]}),
    ]
    for endpoint, request in calls:
        assert server.refused(endpoint, request, task=task).codes == (400, 110)
        server.call(endpoint, request, task=task, force=True)
        server.call(endpoint, request, task=server.new_task())


def test_an_edit_changes_what_a_started_task_runs_with_by_force_only(server: Client) -> None:
    task = reach(server, "in_progress")
    kept = {"Args": {"lr": {"section": "Args", "name": "lr", "value": "1", "type": "float"}}}
    server.call("tasks.edit", task=task, force=True, hyperparams=kept, configuration={"c": {"name": "c", "value": "x"}})
    for change in (
        {"hyperparams": {"Args": {"lr": {"value": "2"}}}},
        {"hyperparams": {}},
        {"configuration": {"c": {"value": "y"}}},
        {"execution": {"parameters": {"new": "1"}}},
        {"comment": "no", "configuration": {}},
    ):
        assert server.refused("tasks.edit", change, task=task).codes == (400, 110)
    found = server.task(task)
    assert found["hyperparams"] == kept and found["configuration"]["c"]["value"] == "x" and found.get("comment") != "no"
    # What stays as it is may be sent along, and user properties may change.
    own = {"properties": {"note": {"section": "properties", "name": "note", "value": "1"}}}
    server.call("tasks.edit", task=task, comment="yes", hyperparams=kept | own, configuration={"c": {"name": "c", "value": "x"}})
    found = server.task(task)
    assert found["hyperparams"]["properties"]["note"]["value"] == "1" and found["comment"] == "yes"
    server.call("tasks.edit", task=task, force=True, hyperparams={})
    server.call("tasks.edit", task=server.new_task(), hyperparams=kept)


def test_user_properties_change_at_any_time(server: Client) -> None:
    own = {"section": "properties", "name": "note", "value": "1"}
    for status in ("in_progress", "completed", "published"):
        task = reach(server, status)
        server.call("tasks.edit_hyper_params", task=task, hyperparams=[own], replace_hyperparams="section")
        assert server.task(task)["hyperparams"]["properties"]["note"]["value"] == "1"
        refused = {"hyperparams": [own], "replace_hyperparams": "all"}  # other sections would go
        assert server.refused("tasks.edit_hyper_params", refused, task=task).codes == (400, 110)
        assert server.call("tasks.delete_hyper_params", task=task, hyperparams=[{"section": "properties"}]) == {"deleted": 1}


def test_an_edit_can_take_a_task_to_another_status(server: Client) -> None:
    task = server.new_task()
    fields = server.call("tasks.edit", task=task, status="queued")["fields"]
    assert fields["status"] == server.task(task)["status"] == "queued" and isinstance(fields["status_changed"], str)
    assert server.refused("tasks.edit", task=task, status="completed").codes == (400, 110)
    server.call("tasks.edit", task=task, status="completed", force=True)
    found = server.task(task)
    assert found["status"] == "completed" and found["completed"]
    assert server.refused("tasks.edit", task=task, status="nonsense", force=True).codes == (400, 12)


def test_a_reset_keeps_models_that_other_tasks_use(server: Client) -> None:
    task = server.new_task()
    listed, named, output, gone = (
        server.call("models.create", name=name, uri=f"u/{name}", task=task, ready=False)["id"] for name in "abcd"
    )
    server.new_task(models={"output": [{"name": "m", "model": output}]})
    server.new_task(models={"input": [{"name": "m", "model": listed}]})
    server.new_task(execution={"model": named})
    assert server.call("tasks.reset", task=task)["deleted_models"] == 1
    for model in (listed, named, output):
        assert "task" not in server.call("models.get_by_id", model=model)["model"]
    assert server.refused("models.get_by_id", model=gone).codes == (400, 201)
