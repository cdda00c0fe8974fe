"""Two companies on one server: nobody sees, changes or deletes tasks, models and projects of the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.answers import check_data
from tests.behaviour.test_companies import COMPANIES
from tests.client import Client, log, scalar
from tests.conftest import own_store
from tests.process import Server


class World:
    """What the first company has, and a client of each."""

    def __init__(self, mine: Client, theirs: Client) -> None:
        self.mine, self.theirs = mine, theirs
        self.project = mine.call("projects.create", name="secret/project")["id"]
        self.task = mine.new_task("secret task", project=self.project, tags=["secret"], hyperparams={"S": {"x": {"value": "1"}}})
        fields = {"project": self.project, "task": self.task, "tags": ["secret"], "ready": False}
        self.model = mine.call("models.create", fields, name="secret model", uri="secret")["id"]
        mine.add_batch([scalar(self.task, "secret", "v"), log(self.task, "mine")])

    def put(self, body: dict[str, Any]) -> dict[str, Any]:
        names = {"T": self.task, "M": self.model, "P": self.project}
        return {
            key: [names.get(item, item) if isinstance(item, str) else item for item in value]
            if isinstance(value, list)
            else names.get(value, value)
            if isinstance(value, str)
            else value
            for key, value in body.items()
        }

    def check_untouched(self) -> None:
        task = self.mine.task(self.task)
        assert (task["name"], task["status"], task["project"], task["tags"]) == ("secret task", "created", self.project, ["secret"])
        assert task["hyperparams"]["S"]["x"]["value"] == "1" and task["last_metrics"] and task["system_tags"] == []
        assert self.mine.log(self.task) == ["mine"]
        model = self.mine.call("models.get_by_id", model=self.model)["model"]
        assert (model["name"], model["ready"], model["uri"], model["task"]) == ("secret model", False, "secret", self.task)
        assert self.mine.call("projects.get_by_id", project=self.project)["project"]["name"] == "secret/project"


@pytest.fixture(scope="module")
def world(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    env = {**own_store(engine_env), "TIDEMARK_AUTH": "required", "TIDEMARK__auth__companies": COMPANIES}
    server = Server(tmp_path_factory.mktemp("companies"), env, check=check_data)
    try:
        server.start()
        yield World(server.client("KEYONE", "secret-one"), server.client("KEYTWO", "secret-two"))
    finally:
        server.stop()


UNKNOWN_TASK, UNKNOWN_MODEL, UNKNOWN_PROJECT = (400, 101), (400, 201), (400, 401)
REFUSED: list[tuple[str, dict[str, Any], tuple[int, int]]] = [
    *[
        (f"tasks.{action}", {"task": "T", **more}, UNKNOWN_TASK)
        for action, more in [
            ("get_by_id", {}),
            ("clone", {}),
            ("edit", {"name": "x", "force": True}),
            ("update", {"name": "x"}),
            ("edit_hyper_params", {"hyperparams": [{"section": "S", "name": "x", "value": "2"}]}),
            ("delete_hyper_params", {"hyperparams": [{"section": "S"}]}),
            ("edit_configuration", {"configuration": [{"name": "x"}]}),
            ("delete_configuration", {"configuration": ["x"]}),
            ("add_or_update_artifacts", {"artifacts": [{"key": "x"}]}),
            ("delete_artifacts", {"artifacts": [{"key": "x"}]}),
            ("delete_models", {"models": [{"name": "x", "type": "input"}]}),
            ("set_requirements", {"requirements": {}}),
            ("ping", {}),
            ("started", {"force": True}),
            ("stopped", {"force": True}),
            ("stop", {"force": True}),
            ("failed", {"force": True}),
            ("close", {"force": True}),
            ("completed", {"force": True}),
            ("publish", {"force": True}),
            ("reset", {"force": True}),
            ("delete", {"force": True}),
        ]
    ],
    *[
        (f"tasks.{action}", {"tasks": ["T"]}, UNKNOWN_TASK)
        for action in ("get_hyper_params", "get_configurations", "get_configuration_names")
    ],
    *[(f"tasks.{action}", {"tasks": ["T"]}, UNKNOWN_TASK) for action in ("archive", "unarchive")],
    *[(f"tasks.{action}", {"ids": ["T"]}, UNKNOWN_TASK) for action in ("make_public", "make_private", "move")],
    ("tasks.create", {"name": "x", "type": "training", "project": "P"}, UNKNOWN_PROJECT),
    ("tasks.create", {"name": "x", "type": "training", "parent": "T"}, UNKNOWN_TASK),
    *[
        (f"models.{action}", {"model": "M", **more}, UNKNOWN_MODEL)
        for action, more in [
            ("get_by_id", {}),
            ("edit", {"name": "x"}),
            ("update", {"name": "x"}),
            ("add_or_update_metadata", {"metadata": [{"key": "x"}]}),
            ("delete_metadata", {"keys": ["x"]}),
            ("set_ready", {}),
            ("publish", {}),
            ("delete", {"force": True}),
        ]
    ],
    *[(f"models.{action}", {"ids": ["M"]}, UNKNOWN_MODEL) for action in ("make_public", "make_private", "move")],
    ("models.create", {"name": "x", "uri": "u", "task": "T"}, UNKNOWN_TASK),
    ("models.update_for_task", {"task": "T", "uri": "u"}, UNKNOWN_TASK),
    ("models.get_by_task_id", {"task": "T"}, UNKNOWN_TASK),
    *[
        (f"projects.{action}", {"project": "P", **more}, UNKNOWN_PROJECT)
        for action, more in [
            ("get_by_id", {}),
            ("update", {"name": "x"}),
            ("move", {}),
            ("merge", {"destination_project": "P"}),
            ("validate_delete", {}),
            ("delete", {"force": True, "delete_contents": True}),
        ]
    ],
]


@pytest.mark.parametrize(("endpoint", "body", "codes"), REFUSED, ids=[f"{name}-{number}" for number, (name, _, _) in enumerate(REFUSED)])
def test_what_belongs_to_another_company_is_unknown(world: World, endpoint: str, body: dict[str, Any], codes: tuple[int, int]) -> None:
    assert world.theirs.refused(endpoint, world.put(body)).codes == codes
    world.check_untouched()


@pytest.mark.parametrize("action", ["archive_many", "unarchive_many", "stop_many", "publish_many", "reset_many", "delete_many"])
def test_many_of_another_company_fail_one_by_one(world: World, action: str) -> None:
    answer = world.theirs.call(f"tasks.{action}", ids=[world.task], **({} if "archive" in action else {"force": True}))
    assert answer["succeeded"] == [] and answer["failed"][0]["error"]["codes"] == [400, 101]
    world.check_untouched()


@pytest.mark.parametrize(
    ("endpoint", "body", "answer"),
    [
        ("tasks.get_all", {"id": ["T"]}, {"tasks": []}),
        ("tasks.get_all_ex", {"project": ["P"], "include_subprojects": True}, {"tasks": []}),
        ("tasks.get_by_id_ex", {"id": ["T"]}, {"tasks": []}),
        ("tasks.get_all", {"name": "secret"}, {"tasks": []}),
        ("models.get_all", {"id": ["M"]}, {"models": []}),
        ("models.get_by_id_ex", {"id": ["M"]}, {"models": []}),
        ("models.get_all_ex", {"task": ["T"]}, {"models": []}),
        ("projects.get_all", {"id": ["P"]}, {"projects": []}),
        ("projects.get_all_ex", {"name": "secret", "include_stats": True}, {"projects": []}),
        ("projects.get_task_tags", {"projects": ["P"]}, {"tags": []}),
        ("projects.get_model_tags", {}, {"tags": []}),
        ("projects.get_user_names", {"projects": ["P"]}, {"users": []}),
        ("projects.get_task_parents", {"projects": ["P"]}, {"parents": []}),
        ("projects.get_unique_metric_variants", {"project": "P"}, {"metrics": []}),
        ("projects.get_unique_metric_variants", {"ids": ["T"]}, {"metrics": []}),
        ("projects.get_hyperparam_values", {"section": "S", "name": "x"}, {"total": 0, "values": []}),
        ("tasks.get_types", {}, {"types": []}),
    ],
)
def test_lists_hold_nothing_of_another_company(world: World, endpoint: str, body: dict[str, Any], answer: dict[str, Any]) -> None:
    assert world.theirs.call(endpoint, world.put(body)) == answer


def test_joined_objects_of_another_company_stay_ids(world: World) -> None:
    task = world.theirs.new_task("theirs")
    world.theirs.call("tasks.edit", task=task, force=True, models={"input": [{"name": "in", "model": world.model}]})
    (found,) = world.theirs.call("tasks.get_all_ex", id=[task], only_fields=["models.input.model.name"])["tasks"]
    assert found["models"]["input"] == [{"model": {"id": world.model}}]
    world.theirs.call("tasks.delete", task=task)


def test_a_public_task_is_in_everybodys_lists_and_stays_its_owners(world: World) -> None:
    task = world.mine.new_task("for everybody", project=world.project)
    world.mine.add(scalar(task, "loss", "train", value=3.0))
    world.mine.call("tasks.make_public", ids=[task])
    (found,) = world.theirs.call("tasks.get_all_ex", name="for everybody")["tasks"]
    assert found["id"] == task and found["company"] == {"id": ""} and found["last_metrics"]
    assert world.theirs.refused("tasks.make_private", ids=[task]).codes == (400, 101)
    for endpoint in ("tasks.reset", "tasks.delete", "tasks.started", "tasks.ping"):
        assert world.theirs.refused(endpoint, task=task).codes == (403, 21)
    clone = world.theirs.call("tasks.clone", task=task)["id"]
    assert "project" not in world.theirs.task(clone)
    world.theirs.call("tasks.delete", task=clone)
    world.mine.call("tasks.make_private", ids=[task])
    assert world.theirs.call("tasks.get_all", name="for everybody")["tasks"] == []
