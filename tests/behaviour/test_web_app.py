"""The web application's own requests (`clearml-web.md`, parts 2 to 4), as it sends them: POST below /v999.0/, and the fields that its screens
can't do without."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.client import Client, image, log, plot, scalar

TABLE_FIELDS = [
    "id", "name", "status", "type", "tags", "system_tags", "project.name", "company.id", "user.name", "started", "last_update", "last_change",
    "last_iteration", "parent.name", "runtime.progress",
]  # fmt: skip
STATUSES = ["created", "in_progress", "completed", "stopped", "published", "failed"]
HIDDEN = ["__$not", "archived", "__$not", "pipeline", "__$not", "dataset", "__$not", "reports"]


class Web:
    """Calls as the browser makes them."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def __call__(self, endpoint: str, /, **body: Any) -> dict[str, Any]:
        answer = self.client.raw(f"/v999.0/{endpoint}", json.dumps(body).encode(), headers={"Content-Type": "application/json"})
        assert answer.status == 200, (endpoint, answer.body[:500])
        return answer.data


@pytest.fixture
def web(server: Client) -> Web:
    return Web(server)


@pytest.fixture
def project(server: Client) -> str:
    return server.call("projects.create", name=f"web-{uuid.uuid4().hex}/sub")["id"]  # type: ignore[no-any-return]


@pytest.fixture
def shown(server: Client, project: str) -> str:
    """A running task with something in every tab."""
    task = server.new_task("shown", project=project, tags=["t"], script={"diff": "print()"}, hyperparams={"Args": {"lr": {"value": "1"}}})
    server.call("tasks.started", task=task)
    server.call("tasks.edit", task=task, force=True, runtime={"progress": "50"})
    lines = [scalar(task, "loss", "train", iter=i, value=1.0 / (i + 1)) for i in range(20)]
    lines += [scalar(task, "Summary", "acc", iter=-(2**31), value=0.9), plot(task, iter=1, plot_str='{"data": []}')]
    lines += [image(task, "img", variant, iter=i, url=f"http://f/{variant}{i}.png") for i in range(5) for variant in ("l", "r")]
    server.add_batch([*lines, *(log(task, f"line {i}", timestamp=1_700_000_000_000 + i) for i in range(30))])
    return task


def test_the_boot_calls_answer(web: Web) -> None:
    assert web("login.supported_modes")["authenticated"] is True
    web("server.report_stats_option")
    web("server.info")
    user = web("users.get_current_user", get_supported_features=True)["user"]
    assert user["id"] and user["name"] and user["company"]["id"]
    assert isinstance(web("users.get_preferences")["preferences"], dict)
    web("users.set_preferences", preferences={"a--DOT--b": {"c": 1}}, return_updated=False)


def test_the_dashboard(web: Web, project: str, shown: str) -> None:
    answer = web(
        "projects.get_all_ex",
        page=0,
        page_size=6,
        order_by=["featured", "-last_update"],
        include_stats=True,
        stats_for_state="active",
        check_own_contents=True,
        include_stats_filter={"system_tags": ["-pipeline"]},
        only_fields=["name", "company", "user", "created", "default_output_destination", "basename", "system_tags"],
    )
    for item in answer["projects"]:
        assert item["id"] and item["name"] and item["basename"] and item["company"]["id"]
        assert {"status_count", "total_tasks", "total_runtime", "completed_tasks_24h"} <= set(item["stats"]["active"])
    tasks = web(
        "tasks.get_all_ex",
        page=0,
        page_size=5,
        status=STATUSES,
        type=["__$not", "annotation_manual", "__$not", "annotation", "__$not", "dataset_import"],
        system_tags=["-archived", "-pipeline"],
        user=None,
        order_by=["-last_update"],
        only_fields=["type", "status", "created", "name", "id", "last_update", "started", "project.name"],
    )["tasks"]
    assert shown in [task["id"] for task in tasks]
    assert all(task["name"] and task["status"] for task in tasks)


def test_the_project_list(web: Web, server: Client, project: str) -> None:
    top = server.call("projects.get_by_id", project=project)["project"]["parent"]
    listed: list[dict[str, Any]] = []
    scroll = None
    while True:
        answer = web(
            "projects.get_all_ex",
            size=16,
            scroll_id=scroll,
            shallow_search=True,
            permission_roots_only=True,
            include_stats=True,
            stats_for_state="active",
            order_by=["-created"],
            only_fields=["id", "company", "name", "basename"],
        )
        assert scroll in (None, answer["scroll_id"])
        scroll = answer["scroll_id"]
        listed += answer["projects"]
        if top in [item["id"] for item in listed] or not answer["projects"]:
            break
    (found,) = [item for item in listed if item["id"] == top]
    assert found["basename"].startswith("web-") and found["stats"]["active"]["total_tasks"] == 0
    (selected,) = web("projects.get_all_ex", id=[project], include_stats=True, include_stats_filter={"system_tags": ["-archived"]})[
        "projects"
    ]
    assert selected["id"] == project and selected["name"]


def test_the_quiet_screen(web: Web, project: str, shown: str) -> None:
    for entity in ("task", "model"):
        assert isinstance(web("projects.get_user_names", entity=entity, include_subprojects=True, projects=[project])["users"], list)
    assert web("projects.get_task_tags", projects=[project]) == {"tags": ["t"]}
    assert web("projects.get_model_tags", projects=[project]) == {"tags": []}
    assert "tags" in web("projects.get_project_tags", filter={"system_tags": ["__$and", "__$not", "hidden"]})
    assert web("tasks.get_types", projects=[project]) == {"types": ["training"]}
    assert web("projects.get_task_parents", projects=[project], tasks_state="active") == {"parents": []}
    assert web("tasks.get_configuration_names", tasks=[shown], skip_empty=False) == {"configurations": [{"task": shown, "names": []}]}
    assert web("reports.get_all_ex", page=0, page_size=5, only_fields=["name"])["tasks"] == []


def test_the_task_table_scrolls_and_refreshes(web: Web, server: Client, project: str, shown: str) -> None:
    for number in range(32):
        server.new_task(f"t{number}", project=project)
    query = {
        "id": [], "project": [project], "size": 30, "order_by": ["-last_update"], "type": [], "user": [], "system_tags": HIDDEN,
        "include_subprojects": False, "search_hidden": False, "only_fields": TABLE_FIELDS,
    }  # fmt: skip
    first = web("tasks.get_all_ex", scroll_id=None, refresh_scroll=True, **query)
    assert len(first["tasks"]) == 30
    second = web("tasks.get_all_ex", scroll_id=first["scroll_id"], refresh_scroll=False, **query)
    third = web("tasks.get_all_ex", scroll_id=first["scroll_id"], refresh_scroll=False, **query)
    assert second["scroll_id"] == third["scroll_id"] == first["scroll_id"] and third["tasks"] == []
    ids = [task["id"] for task in first["tasks"] + second["tasks"]]
    assert len(ids) == len(set(ids)) == 33 and ids[-1] == shown
    row = second["tasks"][-1]
    assert row["project"]["id"] == project and row["user"]["name"] and row["company"]["id"] and row["runtime"] == {"progress": "50"}
    server.add(scalar(shown, iter=99))
    again = web("tasks.get_all_ex", scroll_id=first["scroll_id"], refresh_scroll=True, **query)
    assert len(again["tasks"]) == 33 and again["tasks"][0]["id"] == shown


def test_the_task_panel(web: Web, shown: str, project: str) -> None:
    fields = [
        "id", "type", "user.name", "company", "name", "comment", "status", "created", "started", "completed", "parent.name", "project.name",
        "output", "hyperparams", "script", "execution", "models.input.model.name", "tags", "runtime", "system_tags", "last_iteration",
        "status_message", "status_reason", "container", "last_change", "last_worker", "active_duration",
    ]  # fmt: skip
    (task,) = web("tasks.get_by_id_ex", id=[shown], only_fields=fields)["tasks"]
    assert task["runtime"] == {"progress": "50"} and task["project"]["id"] == project and task["user"]["name"]
    assert task["hyperparams"]["Args"]["lr"]["value"] == "1"
    (diff,) = web("tasks.get_by_id_ex", id=[shown], only_fields=["script.diff"])["tasks"]
    assert diff["script"] == {"diff": "print()"} and diff["runtime"] == {}
    assert web("tasks.get_by_id_ex", id=["f" * 32], only_fields=["name"]) == {"tasks": []}


def test_the_poll_sees_every_batch(web: Web, server: Client, shown: str) -> None:
    def last_change() -> str:
        (task,) = web("tasks.get_by_id_ex", id=shown, only_fields=["last_change"])["tasks"]
        return task["last_change"]  # type: ignore[no-any-return]

    before = last_change()
    assert last_change() == before
    server.add(log(shown, "one more"))
    after = last_change()
    assert after > before
    server.add(scalar(shown, iter=100))
    assert last_change() > after


def test_the_scalars_tab(web: Web, shown: str) -> None:
    charts = web("events.scalar_metrics_iter_histogram", task=shown, key="iter")
    assert charts["loss"]["train"]["x"] == list(range(20)) and "Summary" not in charts
    (single,) = web("events.get_task_single_value_metrics", tasks=[shown])["tasks"]
    assert [(value["variant"], value["value"]) for value in single["values"]] == [("acc", 0.9)]
    (task,) = web("tasks.get_all_ex", id=[shown], only_fields=["last_metrics"])["tasks"]
    assert {e["metric"] for variants in task["last_metrics"].values() for e in variants.values()} == {"loss", "Summary"}


def test_a_search_with_tags_and_words(web: Web, server: Client, project: str, shown: str) -> None:
    server.new_task("other", project=project)
    query = {"project": [project], "size": 30, "scroll_id": None, "only_fields": ["name"]}
    filters = {"tags": {"any": {"include": ["t"], "exclude": []}}}
    assert [task["id"] for task in web("tasks.get_all_ex", **query, filters=filters)["tasks"]] == [shown]
    words = {"pattern": "SHO", "fields": ["id", "name", "user", "comment", "tags"]}
    assert [task["id"] for task in web("tasks.get_all_ex", **query, _any_=words)["tasks"]] == [shown]
    parameter = {"hyperparams.Args.lr.value": ["1"]}
    assert [task["id"] for task in web("tasks.get_all_ex", **query, **parameter)["tasks"]] == [shown]


def test_comparing_asks_by_ids(web: Web, server: Client, project: str, shown: str) -> None:
    other = server.new_task("other", project=project)
    found = web("tasks.get_all_ex", id=[shown, other], only_fields=["id", "name", "last_metrics", "last_change", "hyperparams"])["tasks"]
    assert {task["id"] for task in found} == {shown, other}


def test_queues_and_workers_are_empty_and_no_errors(web: Web) -> None:
    assert web("queues.get_all_ex", only_fields=["*", "entries.task.name"]) == {"queues": []}
    assert web("workers.get_all") == {"workers": []}
    assert web("workers.get_activity_report", from_date=1, to_date=2, interval=1)["total"] == {"dates": [], "counts": []}
