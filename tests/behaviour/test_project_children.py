"""Projects with datasets, pipelines and reports below them: what lists, counts and deletes make of these."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.client import Client


@pytest.fixture
def name() -> str:
    """A project name that no other test uses."""
    return f"c-{uuid.uuid4().hex}"


def create(server: Client, name: str, **fields: Any) -> str:
    return server.call("projects.create", name=name, **fields)["id"]  # type: ignore[no-any-return]


def dataset(server: Client, project: str, name: str, **fields: Any) -> str:
    return create(server, f"{project}/.datasets/{name}", system_tags=["hidden", "dataset"], **fields)


def pipeline(server: Client, project: str, name: str, **fields: Any) -> str:
    return create(server, f"{project}/.pipelines/{name}", system_tags=["hidden", "pipeline"], **fields)


def version(server: Client, dataset: str, **runtime: Any) -> str:
    return server.new_task(type="data_processing", project=dataset, system_tags=["dataset"], runtime=runtime)


def run(server: Client, pipeline: str) -> str:
    return server.new_task(type="controller", project=pipeline, system_tags=["pipeline"])


def listed(server: Client, id: str, **query: Any) -> dict[str, Any]:
    """A project as `get_all_ex` answers it."""
    (project,) = server.call("projects.get_all_ex", {"id": [id], **query})["projects"]
    return project  # type: ignore[no-any-return]


def test_hidden_children_are_in_no_list_and_no_count(server: Client, name: str) -> None:
    top = create(server, name)
    sub = create(server, f"{name}/sub")
    server.new_task(project=sub)
    version(server, dataset(server, name, "data"))
    run(server, pipeline(server, name, "pipe"))
    server.new_task(project=sub, system_tags=["hidden"])
    query = {"include_stats": True, "check_own_contents": True}
    project = listed(server, top, **query)
    assert project["sub_projects"] == [{"id": sub, "name": f"{name}/sub"}]
    assert project["stats"]["active"]["total_tasks"] == 1
    assert listed(server, sub, **query)["own_tasks"] == 1
    everything = listed(server, top, **query, search_hidden=True)
    assert everything["stats"]["active"]["total_tasks"] == 4 and len(everything["sub_projects"]) == 5
    below = server.call("projects.get_all", parent=[top], order_by=["name"])["projects"]
    assert [project["id"] for project in below] == [sub]


def test_statistics_say_when_a_task_was_started_last(server: Client, name: str) -> None:
    top, below = create(server, name), create(server, f"{name}/sub")
    assert listed(server, top, include_stats=True)["stats"]["active"]["last_task_run"] is None
    for project in (top, below):
        task = server.new_task(project=project)
        server.call("tasks.started", task=task)
    stats = listed(server, top, include_stats=True)["stats"]
    assert stats["active"]["last_task_run"] == server.task(task)["started"]
    assert stats["archived"]["last_task_run"] is None and set(stats) == {"active", "archived"}


def test_only_completed_tasks_count_as_completed_within_a_day(server: Client, name: str) -> None:
    top = create(server, name)
    for end in ("completed", "failed", "stopped"):
        task = server.new_task(project=top)
        server.call("tasks.started", task=task)
        server.call(f"tasks.{end}", task=task)
    assert listed(server, top, include_stats=True)["stats"]["active"]["completed_tasks_24h"] == 1


def test_projects_are_found_by_what_is_below_them(server: Client, name: str) -> None:
    data, pipes, reports, plain = (create(server, f"{name}/{kind}") for kind in ("data", "pipes", "reports", "plain"))
    dataset(server, f"{name}/data", "d", tags=["x", "y"])
    pipeline(server, f"{name}/pipes", "p", tags=["x"])
    server.new_task(type="report", project=reports, tags=["z"])
    (above,) = server.call("projects.get_all", name=f"^{name}$")["projects"]

    def found(**query: Any) -> set[str]:
        return {project["id"] for project in server.call("projects.get_all_ex", query, name=f"^{name}(/|$)")["projects"]}

    assert found(children_type="dataset") == {above["id"], data}
    assert found(children_type="pipeline") == {above["id"], pipes}
    assert found(children_type="report") == {above["id"], reports}
    assert found(children_type="dataset", children_tags=["y"]) == {above["id"], data}
    assert found(children_type="pipeline", children_tags=["y"]) == set()
    assert found(children_type="dataset", children_tags_filter={"any": {"include": ["y"]}}) == {above["id"], data}
    assert found(children_type="dataset", children_tags_filter={"all": {"exclude": ["x"]}}) == set()
    assert found(children_type="report", children_tags=["z"]) == {above["id"], reports}
    assert found(children_type="dataset", shallow_search=True, parent=[above["id"]]) == {data}
    assert plain in found() and server.refused("projects.get_all_ex", children_type="x").codes == (400, 12)


def test_datasets_are_counted_and_measured(server: Client, name: str) -> None:
    top = create(server, name)
    first = dataset(server, name, "one", tags=["b", "a"])
    dataset(server, f"{name}/sub", "two", tags=["c"])
    project = listed(server, top, include_stats=True, check_own_contents=True, children_type="dataset")
    assert project["stats"]["datasets"] == {"count": 2, "tags": ["a", "b", "c"]} and project["own_datasets"] == 1
    assert "dataset_stats" not in listed(server, first, include_dataset_stats=True)
    version(server, first, ds_file_count=1, ds_total_size=100)
    version(server, first, ds_file_count=3, ds_total_size=300)
    assert listed(server, first, include_dataset_stats=True)["dataset_stats"] == {"file_count": 3, "total_size": 300}
    plain = listed(server, create(server, f"{name}-plain"), include_stats=True, children_tags=["x"])
    assert "datasets" not in plain["stats"]


def test_a_project_with_a_dataset_is_deleted_after_its_versions(server: Client, name: str) -> None:
    top, data = create(server, name), dataset(server, name, "data")
    assert server.call("projects.validate_delete", project=top)["datasets"] == 0
    task = version(server, data)
    found = server.call("projects.validate_delete", project=top)
    assert (found["datasets"], found["tasks"]) == (1, 0)
    for project in (top, data):
        assert server.refused("projects.delete", project=project).codes == (400, 406)
    server.call("tasks.delete", task=task, force=True)
    assert server.call("projects.delete", project=top)["deleted"] == 3


def test_a_project_with_a_pipeline_is_deleted_when_its_runs_are_archived(server: Client, name: str) -> None:
    top, pipe = create(server, name), pipeline(server, name, "pipe")
    task = run(server, pipe)
    found = server.call("projects.validate_delete", project=top)
    assert (found["pipelines"], found["tasks"]) == (1, 0)
    assert server.refused("projects.delete", project=top).codes == (400, 413)
    server.call("tasks.archive", tasks=[task])
    assert server.call("projects.validate_delete", project=top)["pipelines"] == 0
    assert server.call("projects.delete", project=top)["deleted"] == 3


def test_reports_are_counted_by_themselves(server: Client, name: str) -> None:
    top = create(server, name)
    report = server.new_task(type="report", project=top)
    server.new_task(project=top)
    server.call("tasks.archive", tasks=[report])
    found = server.call("projects.validate_delete", project=top)
    assert (found["reports"], found["non_archived_reports"], found["tasks"], found["non_archived_tasks"]) == (1, 0, 1, 1)


def test_deleting_contents_says_where_their_files_are(server: Client, name: str) -> None:
    top = create(server, name)
    task = server.new_task(project=top)
    server.call("tasks.add_or_update_artifacts", task=task, artifacts=[{"key": "a", "type": "x", "uri": "s3://a"}])
    server.call("models.create", name="of the task", uri="s3://m1", task=task, ready=False)
    server.call("models.create", name="of the project", uri="s3://m2", project=top)
    answer = server.call("projects.delete", project=top, force=True, delete_contents=True)
    assert (answer["deleted"], answer["deleted_tasks"], answer["deleted_models"]) == (1, 1, 2)
    assert answer["urls"] == {"model_urls": ["s3://m1", "s3://m2"], "artifact_urls": ["s3://a"], "event_urls": []}
    assert "urls" not in server.call("projects.delete", project=create(server, name), force=True)
