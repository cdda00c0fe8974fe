"""A call that is refused changes nothing: no run is known, no project is made, nothing is moved by it."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.client import Answer, Client

TOO_LONG = "x" * 17_000_000


@pytest.fixture
def project() -> str:
    """The name of a project that there is not."""
    return f"refused-{uuid.uuid4().hex}"


def known(server: Client, project: str) -> list[str]:
    """The projects of this name, and below it."""
    return [found["name"] for found in server.call("projects.get_all", name=project)["projects"]]


def put_meta(server: Client, run: str, facts: dict[str, Any]) -> Answer:
    return server.send("PUT", f"/api/runs/{run}/meta", json.dumps(facts).encode(), {"Content-Type": "application/json"})


@pytest.mark.parametrize("facts", [{"summary": {"note": TOO_LONG}}, {"path": "a/" * 200}], ids=["too long", "too many levels"])
def test_refused_facts_make_neither_a_run_nor_its_project_known(server: Client, task: str, project: str, facts: dict[str, Any]) -> None:
    assert put_meta(server, task, {"path": f"{project}/run", **facts}).status == 400
    assert server.send("GET", f"/api/runs/{task}").status == 404
    assert known(server, project) == []
    assert put_meta(server, task, {"path": f"{project}/run"}).status == 200
    assert f"{project}/run" in known(server, project)


def test_refused_facts_leave_a_known_run_as_it_is(server: Client, task: str, project: str) -> None:
    assert put_meta(server, task, {"alias": "first"}).status == 200
    before = server.task(task)
    assert put_meta(server, task, {"alias": "second", "path": project, "summary": {"note": TOO_LONG}}).status == 400
    assert server.task(task) == before and known(server, project) == []


def test_lines_with_a_refused_parameter_are_not_stored(server: Client, task: str) -> None:
    line = b'{"type": "metrics", "data": {"step": 1, "loss": 0.5}}'
    assert server.send("POST", f"/api/runs/{task}/events?error_lines=-1", line).status == 422
    assert server.send("GET", f"/api/runs/{task}").status == 404


@pytest.mark.parametrize("kind", ["tasks", "models"])
def test_nothing_is_moved_when_one_id_is_unknown_or_read_only(server: Client, project: str, kind: str) -> None:
    made = [_new(server, kind) for _ in range(2)]
    server.call(f"{kind}.make_public", ids=made[1:])
    for other in ("nope", made[1]):
        assert server.refused(f"{kind}.move", ids=[made[0], other], project_name=project).status in (400, 403)
        assert known(server, project) == []
        assert server.call(f"{kind}.get_all", id=[made[0]], only_fields=["project"])[kind][0].get("project") is None
        if kind == "tasks":
            assert server.refused("tasks.update_tags", ids=[made[0], other], add_tags=["moved"]).status in (400, 403)
            assert "moved" not in (server.task(made[0])["tags"] or [])


def _new(server: Client, kind: str) -> str:
    if kind == "tasks":
        return server.new_task()
    return str(server.call("models.create", name="a model", uri="http://files/model")["id"])


@pytest.mark.parametrize(
    "wrong", [{"new_task_parent": "nope"}, {"new_task_name": " "}, {"new_task_comment": TOO_LONG}], ids=["parent", "name", "comment"]
)
def test_a_refused_clone_makes_no_project(server: Client, project: str, wrong: dict[str, Any]) -> None:
    source = server.new_task()
    assert server.refused("tasks.clone", task=source, new_project_name=project, **wrong).code == 400
    assert known(server, project) == []


def test_a_refused_project_makes_none_above_it(server: Client, project: str) -> None:
    assert server.refused("projects.create", name=f"{project}/a/b", description=TOO_LONG).codes == (400, 12)
    assert known(server, project) == []
