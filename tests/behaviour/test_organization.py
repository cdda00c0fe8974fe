"""Numbers of a search over everything, runs of pipelines, and what the web application asks of parts that are not here."""

from __future__ import annotations

import uuid

from tests.client import Client


def test_a_search_counts_every_kind(server: Client) -> None:
    name = f"e-{uuid.uuid4().hex}"

    def project(suffix: str, *tags: str) -> str:
        return server.call("projects.create", name=f"{name}{suffix}", system_tags=list(tags))["id"]  # type: ignore[no-any-return]

    top = project("")
    data, pipe = project("/.datasets/d", "hidden", "dataset"), project("/.pipelines/p", "hidden", "pipeline")
    server.new_task(f"{name} 1", project=top)
    server.new_task(f"{name} 2", project=top, tags=["x"])
    server.new_task(f"{name} version", project=data, system_tags=["hidden", "dataset"], type="data_processing")
    server.new_task(f"{name} run", project=pipe, system_tags=["hidden", "pipeline"], type="controller")
    server.new_task(f"{name} report", project=top, system_tags=["hidden", "reports"], type="report")
    server.call("models.create", name=f"{name} model", uri="u")
    kinds = ("projects", "tasks", "models", "datasets", "dataset_versions", "pipelines", "pipeline_runs", "reports")
    search = {"_any_": {"pattern": name.upper(), "fields": ["name"]}}
    found = server.call("organization.get_entities_count", dict.fromkeys(kinds, search))
    expected = {
        "projects": 1,
        "tasks": 2,
        "models": 1,
        "datasets": 1,
        "dataset_versions": 1,
        "pipelines": 1,
        "pipeline_runs": 1,
        "reports": 1,
    }
    assert found == {**expected, "errors": {}}
    assert server.call("organization.get_entities_count", tasks={**search, "tags": ["x"]}) == {"tasks": 1, "errors": {}}
    everything = server.call("organization.get_entities_count", projects=search, tasks=search, search_hidden=True)
    assert (everything["projects"], everything["tasks"]) == (5, 5)
    (user,) = server.call("models.get_all", name=name, only_fields=["user"])["models"]
    users = {"active_users": [user["user"]]}
    assert server.call("organization.get_entities_count", users, models=search)["models"] == 1
    assert server.call("organization.get_entities_count", {"active_users": ["nobody"]}, models=search)["models"] == 0


def test_a_count_that_fails_costs_the_others_nothing(server: Client) -> None:
    found = server.call("organization.get_entities_count", tasks={"name": "("}, models={"id": ["nope"]})
    assert found["models"] == 0 and "tasks" not in found
    assert found["errors"]["tasks"]["codes"] == [400, 21]
    assert server.refused("organization.get_entities_count", tasks={"parent": {}}).codes == (400, 12)


def test_a_pipeline_keeps_one_run(server: Client) -> None:
    project = server.call("projects.create", name=f"pipe-{uuid.uuid4().hex}", system_tags=["pipeline"])["id"]
    first, second = (server.new_task(project=project, type="controller") for _ in range(2))
    step = server.new_task(project=project)
    assert server.refused("pipelines.delete_runs", project=project, ids=[first, second]).codes == (400, 160)
    assert server.refused("pipelines.delete_runs", ids=[first, second, step]).codes == (400, 160)
    assert server.call("pipelines.delete_runs", project=project, ids=[first])["succeeded"] == [{"id": first, "deleted": True}]
    assert server.refused("pipelines.delete_runs", project=project, ids=[second]).codes == (400, 160)
    assert server.task(second)["id"] == second


def test_the_steps_of_a_pipeline_go_with_their_run_on_request(server: Client) -> None:
    run = server.new_task(type="controller", system_tags=["pipeline"])
    steps = [server.new_task(parent=run, type="data_processing") for _ in range(2)]
    for task in (run, steps[0]):
        server.call("tasks.started", task=task)
    server.call("tasks.stop", task=run, include_pipeline_steps=True)
    assert [server.task(task)["status"] for task in (run, *steps)] == ["stopped", "stopped", "created"]
    assert server.call("tasks.archive", tasks=[run])["archived"] == 1
    assert server.task(steps[0])["system_tags"] == []
    server.call("tasks.archive_many", ids=[run], include_pipeline_steps=True)
    assert [server.task(step)["system_tags"] for step in steps] == [["archived"], ["archived"]]
    server.call("tasks.unarchive_many", ids=[run], include_pipeline_steps=True)
    assert [server.task(step)["system_tags"] for step in steps] == [[], []]
    assert server.refused("tasks.delete", task=run).codes == (400, 123)
    assert server.call("tasks.delete", task=run, include_pipeline_steps=True)["deleted"] is True
    for task in (run, *steps):
        assert server.refused("tasks.get_by_id", task=task).codes == (400, 101)


def test_steps_that_went_with_their_run_keep_nothing_else_of_the_same_call(server: Client) -> None:
    parent = server.new_task()
    run = server.new_task(type="controller", system_tags=["pipeline"], parent=parent)
    step = server.new_task(parent=run, type="data_processing")
    model = server.call("models.create", name="m", uri="x", task=parent, ready=False)["id"]
    server.call("tasks.add_or_update_model", task=parent, name="m", model=model, type="output")
    server.call("tasks.add_or_update_model", task=step, name="m", model=model, type="input")
    answer = server.call("tasks.delete_many", ids=[run, parent], include_pipeline_steps=True)
    assert ([one["id"] for one in answer["succeeded"]], answer["failed"]) == ([run, parent], [])
    assert server.refused("models.get_by_id", model=model).codes == (400, 201)


def test_children_of_a_plain_task_are_no_steps(server: Client) -> None:
    parent = server.new_task()
    child = server.new_task(parent=parent)
    assert server.refused("tasks.delete", task=parent, include_pipeline_steps=True).codes == (400, 123)
    server.call("tasks.delete_many", ids=[parent], force=True, include_pipeline_steps=True)
    assert server.task(child)["id"] == child


def test_parts_that_are_not_here_have_nothing(server: Client) -> None:
    assert server.call("serving.get_endpoints") == {"endpoints": []}
    assert server.call("serving.get_loading_instances") == {"instances": []}
    assert server.call("storage.get_settings") == {}


def test_a_view_is_stored_once_and_read_by_its_id(server: Client) -> None:
    query = "sel=" + ",".join(uuid.uuid4().hex for _ in range(3000))
    view = server.call("organization.save_view", query=query)["view"]
    assert server.call("organization.save_view", query=query)["view"] == view
    assert server.call("organization.save_view", query=f"{query},x")["view"] != view
    assert server.call("organization.get_view", view=view) == {"query": query}
    assert server.refused("organization.get_view", view="0" * 20).codes == (400, 1204)
    assert server.refused("organization.save_view", query="").codes == (400, 12)
    assert "query" in server.refused("organization.save_view", query="x" * 500_001).msg
