"""Roles: which one may call what, on every face. docs/api/roles.md is the same table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from apiserver import hocon
from apiserver.bll.registry.identity import ROLES, WRITERS
from apiserver.service_repo.schema import SchemaSet
from apiserver.settings import SCHEMA
from tests.answers import check_data
from tests.client import Client, scalar
from tests.process import Server

USERS = "\n".join(
    f'{role} {{ name = "The {role}", role = "{role}", keys = [{{ access_key = "{role}", secret_key = "s" }}] }}' for role in ROLES
)
CONFIG = f'auth.companies {{ one {{ id = "company-one", users {{ {USERS} }} }} }}'
SCHEMAS = SchemaSet(SCHEMA, hocon.cache_folder())  # compiled once for all processes of a run
READS = ("get_", "next_", "validate_", "scalar_", "multi_task_", "vector_", "download_")
"""What the name of an endpoint begins with that only reads."""


@pytest.fixture(scope="module")
def required(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one user of each role."""
    config = tmp_path_factory.mktemp("roles") / "own.conf"
    config.write_text(CONFIG)
    server = Server(config.parent, {**engine_env, "TIDEMARK_AUTH": "required", "TIDEMARK_CONFIG": str(config)}, check=check_data)
    yield server.start()
    server.stop()


def of(server: Server, role: str) -> Client:
    return server.client(role, "s")


@pytest.mark.parametrize("role", ROLES)
def test_every_endpoint_takes_the_roles_of_its_schema_and_no_other(required: Server, role: str) -> None:
    client, wrong = of(required, role), []
    for name, endpoint in SCHEMAS.endpoints.items():
        if endpoint.attributes.authorize is not True or name == "users.get_vaults":
            continue
        refused = client.raw(f"/{name}", {}).codes == (403, 20)
        if refused == endpoint.attributes.allows(role):
            wrong.append(name)
    assert not wrong


def test_what_an_endpoint_says_of_itself_fits_its_name() -> None:
    """A new endpoint that forgets `changes: false` is refused to guests; one that says so wrongly lets them write."""
    wrong = [
        name
        for name, endpoint in SCHEMAS.endpoints.items()
        if name.partition(".")[2].startswith(READS) == endpoint.attributes.changes and not name.startswith(("login.", "server.", "debug."))
        if name not in ("auth.login", "events.debug_images", "events.plots", "events.search_log")
    ]
    assert not wrong


@pytest.mark.parametrize("role", ["guest", "annotator"])
def test_a_guest_changes_nothing_of_others(required: Server, task: str, role: str) -> None:
    user, reader = of(required, "user"), of(required, role)
    id = user.new_task("mine")
    user.add(scalar(task, value=1.0))
    calls: dict[str, dict[str, Any]] = {
        "tasks.delete": {"task": id, "force": True},
        "tasks.publish": {"task": id},
        "tasks.edit": {"task": id, "name": "yours"},
        "tasks.update": {"task": id, "name": "yours", "comment": "x"},
        "tasks.make_public": {"ids": [id]},
        "events.delete_for_task": {"task": task},
        "projects.create": {"name": f"{role} of {id}"},
    }
    for name, fields in calls.items():
        assert reader.refused(name, fields).codes == (403, 20), name
    assert reader.refused("events.add", scalar(task, value=2.0)).codes == (403, 20)
    assert reader.call("tasks.get_by_id", task=id)["task"]["name"] == "mine"


def test_an_annotator_comments_and_a_guest_does_not(required: Server) -> None:
    id = of(required, "user").new_task("talked about")
    for name in ("tasks.update", "tasks.edit"):
        assert of(required, "annotator").call(name, task=id, comment=f"by {name}")["updated"] == 1
        assert of(required, "guest").refused(name, task=id, comment="x").codes == (403, 20)
    assert of(required, "guest").call("tasks.get_by_id", task=id)["task"]["comment"] == "by tasks.edit"


@pytest.mark.parametrize("role", ROLES)
def test_runs_and_files_are_written_by_writers_only(required: Server, role: str, task: str) -> None:
    client = of(required, role)
    written = {
        client.send("POST", f"/api/runs/{task}/events", b'{"ts": 1, "type": "metrics", "data": {"global_step": 1, "loss": 1}}').status,
        client.send("PUT", f"/api/runs/{task}/meta", b"{}").status,
        client.send("POST", "/files", b"x", {"Content-Type": "application/octet-stream"}).status,
        client.send("DELETE", f"/files/{task}/none.txt").status,
    }
    assert (403 in written) == (role not in WRITERS) and (written == {403}) == (role not in WRITERS)
    of(required, "user").send("POST", f"/api/runs/{task}/events", b'{"ts": 1, "type": "metrics", "data": {"global_step": 1, "loss": 1}}')
    assert client.send("GET", f"/api/runs/{task}/metrics_step").status == 200


@pytest.mark.parametrize(
    ("caller", "user", "role", "done"),
    [
        ("admin", "root", "guest", False),
        ("admin", "system", "guest", False),
        ("admin", "guest", "root", False),
        ("superuser", "admin", "user", False),
        ("superuser", "guest", "admin", False),
        ("superuser", "guest", "guest", True),
        ("admin", "superuser", "superuser", True),
        ("root", "admin", "admin", True),
        ("user", "guest", "guest", False),
    ],
)
def test_nobody_gives_or_changes_a_role_above_their_own(required: Server, caller: str, user: str, role: str, done: bool) -> None:
    answer = of(required, caller).raw("/auth.edit_user", {"user": user, "role": role})
    assert answer.codes == ((200, 0) if done else (403, 20))
    assert of(required, "guest").call("users.get_by_id", user=user)["user"]["role"] == user


@pytest.mark.parametrize(
    ("caller", "user", "done"),
    [("admin", "root", False), ("admin", "user", True), ("root", "admin", True), ("superuser", "user", False), ("user", "guest", False)],
)
def test_nobody_acts_for_a_role_above_their_own(required: Server, caller: str, user: str, done: bool) -> None:
    answer = of(required, caller).raw("/users.get_current_user", headers={"X-Clearml-Impersonate-As": user})
    assert answer.codes == ((200, 0) if done else (400, 6))
