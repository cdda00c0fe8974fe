"""Calls of the unmodified ClearML SDK that index parts of fresh tasks: deleting, requirements, pipelines of functions, offline sessions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client import Client
from tests.clients.scripts import Sdk

pytestmark = pytest.mark.one_engine


def test_a_task_that_never_ran_is_deleted_and_says_its_requirements(sdk: Sdk, server: Client) -> None:
    found = sdk.run("""
        from clearml import Task
        kept = Task.create(project_name="p/fresh", task_name="kept")
        gone = Task.create(project_name="p/fresh", task_name="gone")
        result([kept.get_requirements(), bool(gone.delete(raise_on_error=True)), kept.id, gone.id])
    """).result
    assert found[:2] == [{}, True]
    assert [task["id"] for task in server.call("tasks.get_all", id=found[2:])["tasks"]] == [found[2]]


def test_a_pipeline_of_decorated_functions_runs_locally(sdk: Sdk, server: Client) -> None:
    found = sdk.run("""
        from clearml import PipelineDecorator, Task

        @PipelineDecorator.component(return_values=["doubled"], cache=False)
        def double(number):
            return 2 * number

        @PipelineDecorator.component(return_values=["total"], cache=False)
        def add(one, other):
            return one + other

        @PipelineDecorator.pipeline(name="sums", project="p/pipelines", version="1.0")
        def sums(number=4):
            doubled = double(number)
            return add(doubled, number)

        if __name__ == "__main__":
            PipelineDecorator.run_locally()
            result(int(sums(4)))
    """).result
    assert found == 12
    project = server.call("projects.get_all", name="^p/pipelines/.pipelines/sums$", search_hidden=True)["projects"][0]["id"]
    tasks = server.call("tasks.get_all", project=[project], search_hidden=True, only_fields=["type", "status", "name"])["tasks"]
    assert sorted((task["name"].split(" ")[0], task["status"]) for task in tasks) == [
        ("add", "completed"),
        ("double", "completed"),
        ("sums", "completed"),
    ]
    assert [task["type"] for task in tasks].count("controller") == 1


def test_an_offline_session_of_a_project_with_a_name_that_is_not_ascii_is_imported(sdk: Sdk, server: Client) -> None:
    folder = sdk.run("""
        from clearml import Task
        Task.set_offline(True)
        task = Task.init("offline ü/模型", "Übung é", auto_connect_frameworks=False)
        task.get_logger().report_scalar("loss", "train", 1.5, 3)
        task.upload_artifact("größe", {"a": 1}, wait_on_upload=True)
        task.connect({"schlüssel": "wert"})
        task.close()
        result(str(task.get_offline_mode_folder()))
    """).result
    found = sdk.run(
        """
        from clearml import Task
        id = Task.import_offline_session(sys.argv[1])
        task = Task.get_task(task_id=id)
        result([id, task.name, task.get_project_name(), task.get_parameters(), task.artifacts["größe"].get()])
        """,
        str(Path(f"{folder}.zip")),
    ).result
    assert found[1:] == ["Übung é", "offline ü/模型", {"General/schlüssel": "wert"}, {"a": 1}]
    assert server.histogram(found[0])["loss"]["train"]["x"] == [3]
