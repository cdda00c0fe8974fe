"""The request sequences of the unmodified web application, as they were recorded, and the fields that its screens cannot do without."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.client import Client, image, log, plot, scalar

TABLE_FIELDS = [
    "id",
    "name",
    "status",
    "type",
    "tags",
    "system_tags",
    "project.name",
    "company",
    "user.name",
    "started",
    "last_update",
    "last_change",
    "last_iteration",
    "parent.name",
    "runtime.progress",
]
HIDDEN = ["__$not", "archived", "__$not", "pipeline", "__$not", "dataset", "__$not", "reports"]


class Web:
    """The browser's side: everything is a POST to /v999.0/ with a JSON body."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def __call__(self, endpoint: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.client.raw(f"/v999.0/{endpoint}", json.dumps(body).encode(), headers={"Content-Type": "application/json"})
        assert answer.codes == (200, 0), answer.body
        return answer.data


@pytest.fixture
def web(server: Client) -> Web:
    return Web(server)


@pytest.fixture
def project(server: Client, task: str) -> str:
    """A project of its own with three tasks and a sub-project; its name holds the unique `task`."""
    id: str = server.call("projects.create", name=f"web {task}/inner", description="d")["id"]
    for i in range(3):
        run = server.call("tasks.create", name=f"run {i}", type="training", project=id, tags=["t"])["id"]
        server.call("tasks.started", task=run)
        server.add_batch(
            [
                *(scalar(run, "loss", variant, iter=k, value=float(k + i)) for k in range(60) for variant in ("train", "test")),
                scalar(run, "Summary", "acc", iter=-(2**31), value=0.5 + i),
                *(
                    image(run, metric, variant, iter=k, url=f"http://f/{metric}{variant}{k}.png")
                    for metric in "ab"
                    for variant in "xy"
                    for k in range(10)
                ),
                *(plot(run, "roc", "x", iter=k, plot_str=json.dumps({"data": [], "layout": {"title": "roc"}})) for k in range(2)),
                *(log(run, f"line {k}", timestamp=1_700_000_000_000 + k) for k in range(2401)),
            ]
        )
    return id


def tasks_of(web: Web, project: str) -> list[str]:
    found = web("tasks.get_all_ex", {"project": [project], "only_fields": ["name"], "order_by": ["name"]})
    return [task["id"] for task in found["tasks"]]


def test_every_page_begins_with_these(web: Web) -> None:
    assert web("login.supported_modes", {})["authenticated"] is True
    assert web("server.report_stats_option", {})["enabled"] is False
    me = web("users.get_current_user", {"get_supported_features": True})
    assert me["user"]["name"] and me["user"]["company"]["id"] and me["settings"]["max_download_items"]
    assert web("users.get_preferences", {})["preferences"]["version"]  # else it greets a first-time user
    for entity in ("task", "model"):
        users = web("projects.get_user_names", {"entity": entity, "include_subprojects": True})["users"]
        assert all(user["id"] and user["name"] for user in users)
    assert web("server.info", {})["version"]
    web("users.set_preferences", {"preferences": {"version": 1}, "return_updated": False})
    assert web("users.get_preferences", {})["preferences"]["version"] == 1


def test_the_dashboard(web: Web, project: str) -> None:
    body = {
        "page": 0,
        "page_size": 6,
        "order_by": ["featured", "-last_update"],
        "include_stats": True,
        "stats_for_state": "active",
        "check_own_contents": True,
        "include_stats_filter": {"system_tags": ["-pipeline"]},
        "only_fields": ["name", "basename", "company", "user", "created", "default_output_destination"],
    }
    projects = web("projects.get_all_ex", body)["projects"]
    mine = next(found for found in projects if found["id"] == project)
    assert mine["basename"] == "inner" and mine["name"].endswith("/inner")
    assert mine["stats"]["active"]["status_count"]["in_progress"] == 3
    statuses = ["published", "closed", "failed", "stopped", "in_progress", "completed"]
    recent = {
        "page": 0,
        "page_size": 5,
        "status": statuses,
        "type": ["__$not", "annotation_manual", "__$not", "annotation", "__$not", "dataset_import"],
        "system_tags": ["-archived", "-pipeline"],
        "user": None,
        "order_by": ["-last_update"],
        "only_fields": ["type", "status", "created", "name", "id", "last_update", "started", "project.name"],
    }
    tasks = web("tasks.get_all_ex", recent)["tasks"]
    assert len(tasks) >= 3 and all(found["name"] and found["status"] and found["project"]["name"] for found in tasks[:3])


def test_the_project_list_and_the_selected_project(web: Web, project: str, task: str) -> None:
    body = {
        "size": 16,
        "scroll_id": None,
        "shallow_search": True,
        "permission_roots_only": True,
        "include_stats": True,
        "stats_for_state": "active",
        "order_by": ["-last_update"],
        "only_fields": ["name", "basename", "company"],
    }
    first = web("projects.get_all_ex", body)
    top = next(found for found in first["projects"] if found["name"] == f"web {task}")
    assert top["basename"] == f"web {task}" and top["company"]["id"]
    assert top["stats"]["active"]["total_tasks"] == 3
    [selected] = web("projects.get_all_ex", {"id": [project], "include_stats": True, "include_stats_filter": {}})["projects"]
    assert selected["id"] == project


def test_the_task_table_scrolls_and_refreshes_with_one_scroll_id(web: Web, project: str) -> None:
    body: dict[str, Any] = {
        "id": [],
        "project": [project],
        "scroll_id": None,
        "refresh_scroll": True,
        "size": 2,
        "order_by": ["-last_update"],
        "type": [],
        "user": [],
        "system_tags": HIDDEN,
        "include_subprojects": False,
        "search_hidden": False,
        "only_fields": TABLE_FIELDS,
    }
    first = web("tasks.get_all_ex", body)
    assert len(first["tasks"]) == 2 and first["scroll_id"]
    row = first["tasks"][0]
    assert row["name"] and row["status"] == "in_progress" and row["project"] == {"id": project, "name": row["project"]["name"]}
    assert row["user"]["name"] and row["company"]["id"] and isinstance(row["runtime"], dict)
    next_page = {**body, "scroll_id": first["scroll_id"], "refresh_scroll": False}
    second = web("tasks.get_all_ex", next_page)
    assert len(second["tasks"]) == 1 and second["scroll_id"] == first["scroll_id"]
    assert web("tasks.get_all_ex", next_page)["tasks"] == []
    again = web("tasks.get_all_ex", {**body, "scroll_id": first["scroll_id"]})
    assert [found["id"] for found in again["tasks"]] == [found["id"] for found in first["tasks"] + second["tasks"]]
    assert again["scroll_id"] == first["scroll_id"]


def test_table_filters(web: Web, project: str) -> None:
    def names(**filters: Any) -> list[str]:
        body = {"project": [project], "order_by": ["name"], "only_fields": ["name"], **filters}
        return [found["name"] for found in web("tasks.get_all_ex", body)["tasks"]]

    every = ["run 0", "run 1", "run 2"]
    assert names() == names(id=None) == names(id=[]) == names(status=[]) == every
    assert names(_any_={"pattern": "N 1", "fields": ["name", "id"]}) == ["run 1"]
    assert names(filters={"tags": {"any": {"include": ["t"], "exclude": None}}}) == every
    assert names(filters={"tags": {"any": {"exclude": ["t"]}}}) == []
    assert names(tags=["__$and", "t"]) == every and names(tags=["__$not", "t"]) == [] and names(tags=["-t"]) == []
    assert names(status=["completed"]) == [] and names(status=["in_progress", "failed"]) == every


def test_the_task_panel(web: Web, project: str) -> None:
    task = tasks_of(web, project)[0]
    fields = [*TABLE_FIELDS, "script", "execution", "hyperparams", "configuration", "models.input.model.name", "output", "comment"]
    [found] = web("tasks.get_by_id_ex", {"id": [task], "only_fields": fields})["tasks"]
    assert found["id"] == task and isinstance(found["script"], dict) and isinstance(found["runtime"], dict)
    web("tasks.get_by_id_ex", {"id": [task], "only_fields": ["script.diff"]})
    for endpoint, body, field in [
        ("projects.get_task_tags", {"projects": [project]}, "tags"),
        ("projects.get_model_tags", {"projects": [project]}, "tags"),
        ("projects.get_project_tags", {"filter": {"system_tags": ["__$all", "__$not", "hidden"]}}, "tags"),
        ("tasks.get_types", {"projects": [project]}, "types"),
        ("projects.get_task_parents", {"projects": [project], "tasks_state": "active"}, "parents"),
        ("tasks.get_configuration_names", {"tasks": [task], "skip_empty": False}, "configurations"),
    ]:
        assert isinstance(web(endpoint, body)[field], list), endpoint


def test_the_poll_sees_that_events_came(web: Web, server: Client, project: str) -> None:
    task = tasks_of(web, project)[0]
    poll = {"id": [task], "only_fields": ["last_change"]}
    before = web("tasks.get_by_id_ex", poll)["tasks"][0]["last_change"]
    assert web("tasks.get_by_id_ex", poll)["tasks"][0]["last_change"] == before
    server.add(log(task, "news"))
    assert web("tasks.get_by_id_ex", poll)["tasks"][0]["last_change"] > before


def test_the_scalars_tab(web: Web, project: str) -> None:
    task = tasks_of(web, project)[0]
    curves = web("events.scalar_metrics_iter_histogram", {"task": task, "key": "iter"})
    assert curves["loss"]["train"]["x"] == list(range(60)) and "Summary" not in curves
    times = web("events.scalar_metrics_iter_histogram", {"task": task, "key": "timestamp"})
    assert times["loss"]["train"]["x"][0] > 1.6e12
    [single] = web("events.get_task_single_value_metrics", {"tasks": [task]})["tasks"]
    assert single["values"][0]["variant"] == "acc" and single["values"][0]["value"] == 0.5
    [last] = web("tasks.get_all_ex", {"id": [task], "only_fields": ["last_metrics"]})["tasks"]
    values = [variant for metric in last["last_metrics"].values() for variant in metric.values()]
    train = next(value for value in values if (value["metric"], value["variant"]) == ("loss", "train"))
    assert (train["value"], train["min_value"], train["max_value"]) == (59.0, 0.0, 59.0)
    body: dict[str, Any] = {"task": task, "metric": {"metric": "loss"}, "key": "iso_time", "count_total": True, "batch_size": 50}
    received, total = 0, None
    while total is None or received < total:
        page = web("events.scalar_metrics_iter_raw", body)
        received, total = received + page["returned"], page["total"]
        assert all(variant["iso_time"] for variant in page["variants"].values())
        body["scroll_id"] = page["scroll_id"]
    assert received == total == 120


def test_the_plots_tab(web: Web, project: str) -> None:
    task = tasks_of(web, project)[0]
    body: dict[str, Any] = {"task": task, "iters": 1}
    page = web("events.get_task_plots", body)
    assert page["total"] == page["returned"] == 1 and page["plots"][0]["metric"] == "roc" and page["plots"][0]["plot_str"]
    assert len(page["plots"]) >= page["total"]  # else it asks for more
    sample = {"task": task, "metric": "roc", "iteration": 1, "scroll_id": None, "navigate_current_metric": False}
    first = web("events.get_plot_sample", sample)
    assert len(first["events"]) == 1 and (first["min_iteration"], first["max_iteration"]) == (0, 1)
    earlier = web(
        "events.next_plot_sample", {"task": task, "scroll_id": first["scroll_id"], "navigate_earlier": True, "next_iteration": True}
    )
    assert earlier["events"][0]["iter"] == 0
    end = web(
        "events.next_plot_sample", {"task": task, "scroll_id": earlier["scroll_id"], "navigate_earlier": True, "next_iteration": True}
    )
    assert end["events"] == []


def test_the_debug_samples_tab(web: Web, project: str) -> None:
    task = tasks_of(web, project)[0]
    [metrics] = web("events.get_task_metrics", {"tasks": [task], "event_type": "training_debug_image"})["metrics"]
    assert metrics == {"task": task, "metrics": ["a", "b"]}

    def page(scroll_id: str | None, earlier: bool, refresh: bool) -> tuple[str, list[int]]:
        body = {
            "metrics": [{"task": task, "metric": "a"}],
            "iters": 3,
            "scroll_id": scroll_id,
            "navigate_earlier": earlier,
            "refresh": refresh,
        }
        answer = web("events.debug_images", body)
        [found] = answer["metrics"]
        assert found["task"] == task
        assert all(event["url"] and event["variant"] for iteration in found["iterations"] for event in iteration["events"])
        return answer["scroll_id"], [iteration["iter"] for iteration in found["iterations"]]

    scroll, seen = page(None, True, True)
    assert seen == [9, 8, 7]
    scroll, seen = page(scroll, True, False)
    assert seen == [6, 5, 4]
    scroll, seen = page(scroll, False, False)
    assert seen == [9, 8, 7]
    scroll, seen = page(scroll, False, False)
    assert seen == []
    _, seen = page(scroll, True, True)
    assert seen == [9, 8, 7]


def test_the_image_viewer(web: Web, project: str) -> None:
    task = tasks_of(web, project)[0]
    body = {"task": task, "metric": "a", "variant": "y", "iteration": 9, "scroll_id": None, "navigate_current_metric": True}
    answer = web("events.get_debug_image_sample", body)
    assert answer["event"]["url"].endswith("ay9.png") and (answer["min_iteration"], answer["max_iteration"]) == (0, 9)
    seen = 1
    while True:
        answer = web("events.next_debug_image_sample", {"task": task, "scroll_id": answer["scroll_id"], "navigate_earlier": True})
        if answer["event"] is None:
            break
        assert answer["event"]["task"] == task and answer["event"]["metric"] == "a"
        seen += 1
    assert seen == 20
    jump = web("events.get_debug_image_sample", {**body, "iteration": 4, "scroll_id": answer["scroll_id"]})
    assert jump["event"]["iter"] == 4


def test_the_console(web: Web, server: Client, project: str) -> None:
    task = tasks_of(web, project)[0]
    body: dict[str, Any] = {"task": task, "batch_size": 1000, "navigate_earlier": True}
    newest = web("events.get_task_log", body)
    assert newest["total"] == 2401 and [newest["events"][i]["msg"] for i in (0, -1)] == ["line 2400", "line 1401"]
    older = web("events.get_task_log", {**body, "from_timestamp": newest["events"][-1]["timestamp"]})
    assert [older["events"][i]["msg"] for i in (0, -1)] == ["line 1400", "line 401"]
    down = web("events.get_task_log", {**body, "navigate_earlier": False, "from_timestamp": older["events"][0]["timestamp"]})
    assert sorted(event["timestamp"] for event in down["events"])[0] == older["events"][0]["timestamp"] + 1
    download = server.raw(f"/v999.0/events.download_task_log?line_type=text&task={task}", method="GET")
    assert download.status == 200 and b"line 2400" in download.body


def test_comparing_tasks(web: Web, project: str) -> None:
    tasks = tasks_of(web, project)
    metrics = web("events.get_multi_task_metrics", {"tasks": tasks, "event_type": "training_stats_scalar", "model_events": False})[
        "metrics"
    ]
    assert {"metric": "loss", "variants": ["test", "train"]} in metrics and {"metric": "Summary", "variants": ["acc"]} in metrics
    body = {"tasks": tasks, "metrics": metrics, "model_events": False, "key": "iter"}
    curves = web("events.multi_task_scalar_metrics_iter_histogram", body)["metrics"]["loss"]["train"]
    assert {curve["name"] for curve in curves.values()} == {"run 0", "run 1", "run 2"} and set(curves) == set(tasks)
    single = web("events.get_task_single_value_metrics", {"tasks": tasks, "metrics": metrics, "model_events": False})["tasks"]
    assert len(single) == 3
    kinds = web("events.get_multi_task_metrics", {"tasks": tasks, "event_type": "plot", "model_events": False})["metrics"]
    more: dict[str, Any] = {"tasks": tasks, "metrics": kinds, "model_events": False, "iters": 1, "last_iters_per_task_metric": True}
    page = web("events.get_multi_task_plots", more)
    assert page["plots"]["roc"]["x"][tasks[0]]["1"]["plots"][0]["plot_str"] and set(page["plots"]["roc"]["x"]) == set(tasks)
    assert web("events.get_multi_task_plots", {**more, "scroll_id": page["scroll_id"]})["returned"] == 0
    details = web("tasks.get_all_ex", {"id": tasks, "only_fields": ["name", "hyperparams", "script", "last_metrics"]})["tasks"]
    assert len(details) == 3


def test_calls_that_are_made_without_needing_an_answer(web: Web) -> None:
    assert isinstance(web("reports.get_all_ex", {"page": 0, "page_size": 4, "only_fields": ["name"]})["tasks"], list)
    assert isinstance(web("queues.get_all_ex", {})["queues"], list)
    assert isinstance(web("workers.get_all", {})["workers"], list)
