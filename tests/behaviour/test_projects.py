"""Projects: the tree of names, statistics, moving, merging, deleting; what is in use inside them."""

from __future__ import annotations

import re
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.client import ApiError, Client, scalar


@pytest.fixture
def name() -> str:
    """A project name that no other test uses."""
    return f"p-{uuid.uuid4().hex}"


def create(server: Client, name: str, **fields: Any) -> str:
    return server.call("projects.create", name=name, **fields)["id"]  # type: ignore[no-any-return]


def get(server: Client, id: str) -> dict[str, Any]:
    return server.call("projects.get_by_id", project=id)["project"]  # type: ignore[no-any-return]


def named(server: Client, name: str, **query: Any) -> list[str]:
    """The names of the projects with this text in their names, in order."""
    found = server.call("projects.get_all", name=re.escape(name), order_by=["name"], **query)["projects"]
    return [project["name"] for project in found]


def test_a_project_comes_with_the_projects_above_it(server: Client, name: str) -> None:
    id = create(server, f"{name}/sub/leaf", description="d", tags=["t"])
    leaf = get(server, id)
    assert leaf["name"] == f"{name}/sub/leaf" and leaf["basename"] == "leaf" and leaf["description"] == "d" and leaf["tags"] == ["t"]
    assert named(server, name) == [name, f"{name}/sub", f"{name}/sub/leaf"]
    assert get(server, leaf["parent"])["name"] == f"{name}/sub"
    assert [get(server, above)["name"] for above in leaf["path"]] == [name, f"{name}/sub"]


def test_views_of_a_project_are_shared_kept_by_name_and_dropped(server: Client, name: str) -> None:
    id = create(server, name)
    assert "views" not in get(server, id)
    server.call("projects.save_view", project=id, name="mine", query="q=status:running")
    server.call("projects.save_view", project=id, name="a", query="sort=name")
    saved = server.call("projects.save_view", project=id, name="mine", query="q=tag:x")["views"]
    assert [(view["name"], view["query"]) for view in saved] == [("a", "sort=name"), ("mine", "q=tag:x")]
    assert get(server, id)["views"] == saved
    assert server.call("projects.delete_view", project=id, name="a")["views"] == saved[1:]
    assert server.call("projects.delete_view", project=id, name="never there")["views"] == saved[1:]
    assert server.refused("projects.save_view", project="nope", name="a", query="").codes == (400, 401)
    assert server.refused("projects.save_view", project=id, name="", query="").codes == (400, 12)


def test_views_that_are_saved_at_once_are_all_kept_and_a_hundred_are_enough(server: Client, name: str) -> None:
    id = create(server, name)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: server.call("projects.save_view", project=id, name=f"v{number:03}", query=""), range(100)))
    assert [view["name"] for view in get(server, id)["views"]] == [f"v{number:03}" for number in range(100)]
    assert "name" in server.refused("projects.save_view", project=id, name="one more", query="").msg
    assert len(server.call("projects.save_view", project=id, name="v000", query="q=x")["views"]) == 100


def test_a_name_is_taken_once(server: Client, name: str) -> None:
    create(server, name)
    assert server.refused("projects.create", name=name).codes == (400, 801)
    assert server.refused("projects.create", name=f" {name} / ").codes == (400, 801)
    assert server.refused("projects.create", name=" / ").codes == (400, 407)
    assert server.refused("projects.create", name="/").codes == (400, 407)


def test_processes_that_make_a_project_at_once_make_one(server: Client, name: str) -> None:
    outcomes: list[str] = []

    def make() -> None:
        try:
            outcomes.append(create(server, f"{name}/sub"))
        except ApiError as error:
            assert error.codes == (400, 801)
            outcomes.append("taken")

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([outcome for outcome in outcomes if outcome != "taken"]) == 1
    assert named(server, name) == [name, f"{name}/sub"]


@pytest.mark.parametrize("odd", ["we ird/(x)-1 é#&~.a", "a+b*c?", "[x]{2}|^$", "back\\slash", "dots...", "100%"])
def test_a_project_is_found_by_its_exact_name_as_the_sdk_escapes_it(server: Client, name: str, odd: str) -> None:
    full = f"{name} {odd}"
    id = create(server, full)
    create(server, f"{full}x")
    query = {"name": f"^{re.escape(full)}$", "only_fields": ["id"], "shallow_search": False, "search_hidden": True}
    assert [project["id"] for project in server.call("projects.get_all", query)["projects"]] == [id]


def test_unknown_projects_are_errors(server: Client) -> None:
    assert server.refused("projects.get_by_id", project="nope").codes == (400, 401)
    assert server.refused("projects.update", project="nope", name="x").codes == (400, 401)
    assert server.refused("projects.delete", project="nope").codes == (400, 401)


def test_shallow_search_shows_one_level(server: Client, name: str) -> None:
    top = create(server, name)
    create(server, f"{name}/a/b")
    assert named(server, name, shallow_search=True) == [name]
    assert named(server, name, shallow_search=True, parent=[top]) == [f"{name}/a"]
    assert named(server, name, parent=[top]) == [f"{name}/a", f"{name}/a/b"]


def test_hidden_projects_are_found_on_request(server: Client, name: str) -> None:
    create(server, f"{name}/.pipelines", system_tags=["hidden"])
    assert named(server, name) == [name]
    assert named(server, name, search_hidden=True) == [name, f"{name}/.pipelines"]


def test_statistics_count_tasks_by_status_with_those_below(server: Client, name: str) -> None:
    top, below = create(server, name), create(server, f"{name}/sub")
    server.new_task(project=top)
    running = server.new_task(project=below)
    server.call("tasks.started", task=running)
    done = server.new_task(project=below)
    server.call("tasks.started", task=done)
    server.call("tasks.completed", task=done)
    server.call("tasks.archive", tasks=[server.new_task(project=below)])
    server.new_task(project=below, system_tags=["pipeline"])
    query = {"id": [top], "include_stats": True, "check_own_contents": True, "include_stats_filter": {"system_tags": ["-pipeline"]}}
    (project,) = server.call("projects.get_all_ex", query)["projects"]
    active, archived = project["stats"]["active"], project["stats"]["archived"]
    counts = {status: number for status, number in active["status_count"].items() if number}
    assert counts == {"created": 1, "in_progress": 1, "completed": 1}
    assert active["total_tasks"] == 3 and active["completed_tasks_24h"] == 1 and archived["total_tasks"] == 1
    assert project["sub_projects"] == [{"id": below, "name": f"{name}/sub"}]
    assert (project["own_tasks"], project["own_models"], project["own_datasets"]) == (1, 0, 0)
    (project,) = server.call("projects.get_all_ex", query, stats_for_state="active", stats_with_children=False)["projects"]
    assert list(project["stats"]) == ["active"] and project["stats"]["active"]["total_tasks"] == 1


def test_renaming_renames_the_projects_below_along(server: Client, name: str) -> None:
    top, leaf = create(server, name), create(server, f"{name}/a/b")
    server.call("projects.update", project=top, name=f"{name}-new", description="x")
    assert get(server, leaf)["name"] == f"{name}-new/a/b"
    assert [get(server, id)["name"] for id in get(server, leaf)["path"]] == [f"{name}-new", f"{name}-new/a"]
    server.call("projects.update", project=leaf, name=f"{name}-new/a/c")
    assert get(server, leaf)["basename"] == "c"
    assert create(server, name) != top


def test_an_update_does_not_move_a_project(server: Client, name: str) -> None:
    top, leaf = create(server, name), create(server, f"{name}/a/b")
    for project, new in [(top, f"{name}-new/up"), (leaf, "b"), (leaf, f"{name}/b")]:
        assert server.refused("projects.update", project=project, name=new).codes == (400, 408)
    assert server.refused("projects.update", project=leaf, name="//").codes == (400, 407)
    assert get(server, leaf)["name"] == f"{name}/a/b"
    assert server.refused("projects.move", project=top, new_location=f"{name}/a").codes == (400, 15)


def test_a_project_moves_under_another_one(server: Client, name: str) -> None:
    top, target = create(server, f"{name}/x"), create(server, f"{name}-target")
    assert server.call("projects.move", project=top, new_location=f"{name}-target")["moved"] == 1
    assert get(server, top)["name"] == f"{name}-target/x" and get(server, top)["parent"] == target


def test_merging_moves_everything_into_another_project(server: Client, name: str) -> None:
    source, target = create(server, name), create(server, f"{name}-t")
    create(server, f"{name}/sub")
    task = server.new_task(project=source)
    answer = server.call("projects.merge", project=source, destination_project=target)
    assert answer == {"moved_entities": 1, "moved_projects": 1}
    assert server.task(task)["project"] == target
    assert named(server, name) == [f"{name}-t", f"{name}-t/sub"]
    assert server.refused("projects.merge", project=target, destination_project=target).codes == (400, 15)


def test_a_project_with_tasks_is_deleted_by_force_only(server: Client, name: str) -> None:
    top, below = create(server, name), create(server, f"{name}/sub")
    task = server.new_task(project=below)
    assert server.call("projects.validate_delete", project=top)["non_archived_tasks"] == 1
    assert server.refused("projects.delete", project=top).codes == (400, 402)
    answer = server.call("projects.delete", project=top, force=True)
    assert answer["deleted"] == 2 and answer["disassociated_tasks"] == 1
    assert "project" not in server.task(task)
    assert named(server, name) == []


def test_the_contents_of_a_project_are_deleted_on_request(server: Client, name: str) -> None:
    top = create(server, name)
    task = server.new_task(project=top)
    server.call("models.create", name="m", uri="u", project=top)
    answer = server.call("projects.delete", project=top, force=True, delete_contents=True)
    assert (answer["deleted_tasks"], answer["deleted_models"]) == (1, 1)
    assert server.refused("tasks.get_by_id", task=task).codes == (400, 101)


def test_menus_show_what_is_in_use_in_a_project_and_below(server: Client, name: str) -> None:
    top, below = create(server, name, tags=[f"tag-{name}"]), create(server, f"{name}/sub")
    parent = server.new_task("parent", project=top, tags=["b"], hyperparams={"S": {"x": {"value": "1"}}})
    child = server.new_task(
        "child", project=below, tags=["a"], parent=parent, hyperparams={"S": {"x": {"value": "2"}, "y": {"value": "3"}}}
    )
    server.call("models.create", name="m", uri="u", project=below, tags=["m"], framework="PyTorch", metadata=[{"key": "k", "value": "v"}])
    server.add_batch([scalar(child, "loss", "train"), scalar(parent, "acc", "test")])
    projects = {"projects": [top]}
    assert server.call("tasks.get_types", projects) == {"types": ["training"]}
    assert server.call("projects.get_task_tags", projects) == {"tags": ["a", "b"]}
    assert server.call("projects.get_model_tags", projects) == {"tags": ["m"]}
    assert f"tag-{name}" in server.call("projects.get_project_tags")["tags"]
    (user,) = server.call("projects.get_user_names", projects, entity="task")["users"]
    assert user["id"] and user["name"]
    assert server.call("projects.get_user_names", projects, entity="model")["users"] == [user]
    assert server.call("projects.get_task_parents", projects)["parents"] == [
        {"id": parent, "name": "parent", "project": {"id": top, "name": name}}
    ]
    server.call("tasks.archive", tasks=[child])
    assert [found["id"] for found in server.call("projects.get_task_parents", projects)["parents"]] == [parent]
    assert server.call("projects.get_task_parents", projects, tasks_state="active")["parents"] == []
    assert server.call("models.get_frameworks", projects=[below]) == {"frameworks": ["PyTorch"]}
    answer = server.call("projects.get_hyper_parameters", project=top)
    assert answer["parameters"] == [{"section": "S", "name": "x"}, {"section": "S", "name": "y"}] and answer["total"] == 2
    values = server.call("projects.get_hyperparam_values", projects, section="S", name="x")
    assert values == {"total": 2, "values": ["1", "2"]}
    metrics = server.call("projects.get_unique_metric_variants", project=top)["metrics"]
    assert [(item["metric"], item["variant"]) for item in metrics] == [("acc", "test"), ("loss", "train")]
    assert server.call("projects.get_model_metadata_keys", project=top)["keys"] == ["k"]
    assert server.call("projects.get_model_metadata_keys", project=top, include_subprojects=False)["keys"] == []
