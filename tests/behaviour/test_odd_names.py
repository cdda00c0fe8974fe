"""Names and values that no storage likes: every place that takes one answers with a result or a reason, never with a 500."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.client import Client, scalar

LONG = "x" * 33_000
"""Longer than a term of Lucene can be (32,766 bytes)."""
NAMES = ['a"b', "a\0b\\", "$.[0]%", LONG, "." * 300]


def deep(levels: int, name: str = "d") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {name: found}
    return found


def calls(name: str, task: str, model: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every place of the API in which a name of the caller's choice can stand."""
    for service in ("tasks", "models", "projects"):
        for action in ("get_all", "get_all_ex"):
            call = f"{service}.{action}"
            yield call, {"filters": {name: {"any": {"include": ["x", None]}, "all": {"exclude": ["y"]}}}}
            yield call, {"filters": {"tags": {"any": {"include": [name]}}}}
            yield call, {"order_by": [name, f"-{name}"]}
            yield call, {"only_fields": [name, f"x.{name}"]}
            yield call, {"_any_": {"pattern": "x", "fields": [name, f"x.{name}"]}}
            yield call, {"_all_": {"pattern": "x", "fields": [name]}}
            yield call, {f"hyperparams.{name}.x.value": ["1"], f"metadata.{name}.value": [name]}
            yield call, {"id": [name], "tags": [name], "system_tags": [name], "user": [name]}
            yield call, {"name": "^never$", "id": [name, "-" + name]}
    yield "tasks.get_all", {"status": [name], "type": [name], "parent": [name], "project": [name], "execution.queue": [name]}
    yield "tasks.get_all_ex", {"order_by": [f"last_metrics.{name}.{name}.value", f"hyperparams.{name}.{name}.value"]}
    item = {"section": name, "name": name, "value": name}
    yield "tasks.edit_hyper_params", {"task": task, "hyperparams": [item]}
    yield "tasks.delete_hyper_params", {"task": task, "hyperparams": [item]}
    yield "tasks.edit_configuration", {"task": task, "configuration": [{"name": name, "value": name}]}
    yield "tasks.delete_configuration", {"task": task, "configuration": [name]}
    yield "tasks.add_or_update_artifacts", {"task": task, "artifacts": [{"key": name, "type": "x", "uri": name}]}
    yield "tasks.delete_artifacts", {"task": task, "artifacts": [{"key": name}]}
    yield "tasks.edit", {"task": task, "runtime": {name: name}, "tags": [name], "execution": {"parameters": {name: name}}}
    yield "tasks.update", {"task": task, "comment": name, "system_tags": [name]}
    yield "tasks.create", {"name": name[:200], "type": "training", "tags": [name], "script": {"repository": name}}
    yield "tasks.get_by_id", {"task": name}
    yield "tasks.get_hyper_params", {"tasks": [name]}
    yield "tasks.get_configurations", {"tasks": [task], "names": [name]}
    yield "tasks.delete_many", {"ids": [name]}
    yield "models.add_or_update_metadata", {"model": model, "metadata": [{"key": name, "value": name, "type": name}]}
    yield "models.delete_metadata", {"model": model, "keys": [name]}
    yield "models.edit", {"model": model, "metadata": {name: {"key": name, "value": "1"}}, "labels": {name: 1}, "design": {name: deep(30)}}
    yield "models.update", {"model": model, "tags": [name], "comment": name}
    yield "projects.create", {"name": name[:200], "description": name, "tags": [name]}
    yield "projects.get_hyperparam_values", {"section": name, "name": name}
    yield "projects.get_unique_metric_variants", {"project": name}
    yield "projects.get_task_tags", {"projects": [name], "filter": {"system_tags": [name]}}
    yield "users.set_preferences", {"preferences": {name: {"x": name}}}
    yield "users.get_by_id", {"user": name}
    yield "events.get_task_log", {"task": task, "metrics": [{"metric": name}]}
    yield "events.get_task_events", {"task": task, "metrics": [{"metric": name, "variants": [name]}]}
    yield "events.debug_images", {"metrics": [{"task": task, "metric": name, "variants": [name]}]}
    yield "events.scalar_metrics_iter_histogram", {"task": task, "metrics": [{"metric": name, "variants": [name]}]}
    yield "events.get_scalar_metric_data", {"task": task, "metric": name}
    yield "events.get_vector_metrics_and_variants", {"task": name}
    yield "events.add", scalar(task, name, name)
    yield "events.add", scalar(name, "loss", "train")


@pytest.mark.parametrize("name", NAMES, ids=[repr(name)[:12] for name in NAMES])
def test_no_name_is_a_fault_of_the_server(server: Client, name: str) -> None:
    task, model = server.new_task("odd names"), server.call("models.create", uri="http://x/m", name="odd names")["id"]
    faults = []
    for endpoint, fields in calls(name, task, model):
        answer = server.raw(f"/{endpoint}", fields)
        if answer.status >= 500:
            faults.append((endpoint, list(fields), answer.meta["result_msg"]))
    server.raw("/tasks.get_all", {"id": [task]})
    server.call("tasks.delete", task=task, force=True)
    assert not faults


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\0b"])
@pytest.mark.parametrize("place", ["filters", "order_by", "_any_", "_all_"])
def test_a_field_name_that_no_field_can_have_is_refused(server: Client, name: str, place: str) -> None:
    value: Any = {"filters": {name: {"any": {"include": ["x"]}}}, "order_by": [name]}.get(place, {"pattern": "x", "fields": [name]})
    assert server.refused("tasks.get_all", {place: value}).codes == (400, 12)


@pytest.mark.parametrize(
    ("endpoint", "fields"),
    [
        ("users.set_preferences", {"preferences": {"p": deep(120)}}),
        ("users.set_preferences", {"preferences": {".".join("d" * 260): 1}}),
        ("users.set_preferences", {"preferences": {".".join("d" * 60): deep(60)}}),
        ("users.set_preferences", {"preferences": {"." * 100_000: 1}}),
    ],
)
def test_endless_nesting_is_refused(server: Client, endpoint: str, fields: dict[str, Any]) -> None:
    assert server.refused(endpoint, fields).status == 400
    server.call("users.get_preferences")
