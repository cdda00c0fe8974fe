"""Training programs with the unmodified ClearML SDK: what they report is read back with the SDK, on every engine."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.client import Client
from tests.clients.conftest import MakeSdk
from tests.clients.scripts import Mode, Sdk, finish
from tests.process import ROOT, Server, wait_until

READ_BACK = """
from clearml import Task

def tidy(value):
    return json.loads(json.dumps(value, default=str))

task = Task.get_task(task_id=sys.argv[1])
artifact = task.artifacts["mistakes"].get() if "mistakes" in task.artifacts else None
model = task.models["output"][0] if task.models["output"] else None
result(tidy({
    "status": task.get_status(),
    "parameters": task.get_parameters(),
    "scalars": task.get_reported_scalars(),
    "all": {m: {v: len(d["x"]) for v, d in vs.items()} for m, vs in task.get_all_reported_scalars().items()},
    "last": task.get_last_scalar_metrics(),
    "last_iteration": task.get_last_iteration(),
    "single": task.get_reported_single_values(),
    "plots": [[p["metric"], p["variant"], p["iter"]] for p in task.get_reported_plots()],
    "console": task.get_reported_console_output(1000),
    "images": task.get_debug_samples("mistakes", "test", 3) if artifact is not None else [],
    "artifact": artifact,
    "model": {"name": model.name, "size": len(open(model.get_local_copy(), "rb").read()), "url": model.url} if model else None,
    "tags": task.get_tags(),
}))
"""


def read_back(sdk: Sdk, task: str) -> dict[str, Any]:
    return sdk.run(READ_BACK, task).result  # type: ignore[no-any-return]


@pytest.mark.one_engine
def test_the_example_trains_and_everything_comes_back(make_sdk: MakeSdk) -> None:
    """The SDK's default mode; the reader is another machine."""
    trained = make_sdk("child").run(str(ROOT / "examples" / "train_digits.py"), "--epochs", "12", timeout=300)
    task = trained.output.split()[-1]
    found = read_back(make_sdk(), task)
    assert found["status"] == "completed"
    assert found["parameters"]["Args/epochs"] == "12"
    assert {metric: set(variants) for metric, variants in found["scalars"].items() if not metric.startswith(":")} == {
        "loss": {"train", "test"},
        "accuracy": {"train", "test"},
    }
    accuracy = found["scalars"]["accuracy"]["test"]
    assert accuracy["x"] == list(range(12)) and accuracy["y"][-1] > 0.9
    assert found["all"]["loss"] == {"train": 12, "test": 12}
    assert found["last"]["accuracy"]["test"]["last"] == accuracy["y"][-1]
    assert found["last_iteration"] == 11
    assert found["single"]["test accuracy"] == pytest.approx(accuracy["y"][-1]) and found["single"]["parameters"] == 2410
    assert {("confusion", "test", 11), ("weights", "hidden layer", 11)} <= {tuple(plot) for plot in found["plots"]}
    console = "\n".join(found["console"])
    assert "digits to learn from" in console and "epoch 11:" in console
    [events] = [found["images"]]
    assert len(events) == 3 and "mistakes" in str(events)
    assert set(found["artifact"]) == {"is", "guessed"}
    assert found["model"]["name"].endswith("digits classifier") and found["model"]["size"] > 10_000


@pytest.mark.parametrize("mode", ["child", "threads"])
def test_init_report_close(make_sdk: MakeSdk, server: Client, mode: Mode) -> None:
    run = make_sdk(mode).run("""
        from clearml import Task
        task = Task.init("p/run", "first", auto_connect_frameworks=False)
        for i in range(250):
            task.get_logger().report_scalar("loss", "train", 1 / (i + 1), i)
        print("a line to remember")
        task.close()
        result(task.id)
    """)
    assert server.task(run.result)["status"] == "completed"
    curve = server.histogram(run.result)["loss"]["train"]
    assert curve["x"] == list(range(250)) and curve["y"] == [pytest.approx(1 / (i + 1)) for i in range(250)]
    assert "a line to remember" in "\n".join(server.log(run.result))


REUSE = """
from clearml import Task
task = Task.init("p/reuse", "again", auto_connect_frameworks=False, continue_last_task=(sys.argv[1] == "continue"),
                 reuse_last_task_id=(sys.argv[1] != "new"))
start = task.get_last_iteration() + 1 if sys.argv[1] == "continue" else 0
for i in range(int(sys.argv[2])):
    task.get_logger().report_scalar("loss", "train", float(i), i)
task.close()
result(task.id)
"""


@pytest.mark.one_engine
def test_a_task_is_reused_with_its_old_events_gone_then_continued_and_then_not(sdk: Sdk, server: Client) -> None:
    first = sdk.run(REUSE, "reuse", "30").result
    again = sdk.run(REUSE, "reuse", "10").result
    assert again == first
    assert server.histogram(first)["loss"]["train"]["x"] == list(range(10))
    assert sdk.run(REUSE, "continue", "5").result == first
    assert server.histogram(first)["loss"]["train"]["x"] == list(range(15))
    assert sdk.run(REUSE, "new", "1").result != first


def test_tasks_that_are_created_and_cloned(sdk: Sdk) -> None:
    found = sdk.run("""
        from clearml import Task
        made = Task.create("p/made", "made", script="none.py", repo="https://example.org/x.git", branch="main")
        made.set_parameters({"General/lr": 0.5})
        twin = Task.clone(made, name="twin")
        task = Task.get_task(task_id=twin.id)
        result([made.status, task.status, task.name, task.get_parameters(), task.parent == made.id, task.get_project_name()])
    """).result
    assert found == ["created", "created", "twin", {"General/lr": "0.5"}, True, "p/made"]


@pytest.mark.one_engine
def test_tags_parameters_configuration_and_properties(sdk: Sdk) -> None:
    found = sdk.run("""
        from clearml import Task
        task = Task.init("p/params", "params", auto_connect_frameworks=False, tags=["one"])
        options = task.connect({"lr": 0.1, "nested": {"a.b": "x", "é": 1}, "none": None})
        task.connect({"depth": 3}, name="Model")
        task.connect_configuration({"layers": [1, 2, {"deep": True}]}, name="network")
        task.set_user_properties(owner="me", cost={"value": 3, "type": "int", "description": "in euro"})
        task.add_tags(["two", "three"])
        task.set_comment("what it is about")
        task.set_progress(40)
        task.rename("renamed")
        task.close()
        again = Task.get_task(task_id=task.id)
        properties = again.get_user_properties()
        result({
            "parameters": again.get_parameters(), "cast": again.get_parameters_as_dict(cast=True),
            "configuration": again.get_configuration_object_as_dict("network"),
            "properties": {name: value["value"] for name, value in properties.items()},
            "tags": sorted(again.get_tags()), "comment": again.comment, "name": again.name,
        })
    """).result
    assert found["parameters"]["General/lr"] == "0.1" and found["parameters"]["General/nested/a.b"] == "x"
    assert found["cast"]["General"]["nested"]["é"] == 1 and found["parameters"]["Model/depth"] == "3"
    assert found["configuration"] == {"layers": [1, 2, {"deep": True}]}
    assert found["properties"] == {"owner": "me", "cost": "3"}
    assert (found["tags"], found["name"]) == (["one", "three", "two"], "renamed") and "what it is about" in found["comment"]


def test_tasks_are_found_by_filters_page_after_page(sdk: Sdk, server: Client) -> None:
    project = server.call("projects.create", name="p/many", description="")["id"]
    for i in range(612):
        server.call("tasks.create", name=f"run {i}", type="training", project=project, tags=["even" if i % 2 == 0 else "odd"])
    found = sdk.run("""
        from clearml import Task
        every = Task.query_tasks(project_name="p/many")
        even = Task.query_tasks(project_name="p/many", tags=["even"])
        not_even = Task.query_tasks(project_name="p/many", tags=["-even"])
        named = Task.get_tasks(project_name="p/many", task_name="run 1[0-9]$")
        ordered = Task.query_tasks(project_name="p/many", task_filter={"order_by": ["name"], "page_size": 10, "page": 1})
        status = Task.query_tasks(project_name="p/many", task_filter={"status": ["completed"]})
        fields = Task.query_tasks(project_name="p/many", task_name="run 7$", additional_return_fields=["name", "tags"])
        result([len(every), len(set(every)), len(even), len(not_even), sorted(task.name for task in named), len(status), fields[0]["name"]])
    """).result
    assert found[:4] == [612, 612, 306, 306]
    assert found[4] == [f"run 1{i}" for i in range(10)]
    assert found[5:] == [0, "run 7"]


@pytest.mark.one_engine
def test_an_offline_session_is_imported(sdk: Sdk, server: Client) -> None:
    run = sdk.run("""
        from clearml import Task
        Task.set_offline(True)
        task = Task.init("p/offline", "offline", auto_connect_frameworks=False)
        for i in range(20):
            task.get_logger().report_scalar("loss", "train", float(i), i)
        task.get_logger().report_single_value("answer", 42)
        task.connect({"lr": 0.1})
        print("said offline")
        task.close()
        result(str(task.get_offline_mode_folder()))
    """)
    folder = Path(run.result)
    imported = sdk.run(
        """
        from clearml import Task
        result(Task.import_offline_session(sys.argv[1]))
    """,
        str(folder.with_suffix(".zip") if folder.with_suffix(".zip").exists() else Path(f"{folder}.zip")),
    ).result
    assert server.histogram(imported)["loss"]["train"]["x"] == list(range(20))
    assert any("said offline" in line for line in server.log(imported))
    assert server.task(imported)["hyperparams"]["General"]["lr"]["value"] == "0.1"


def test_a_deleted_task_takes_its_files_along(sdk: Sdk, shared_server: Server) -> None:
    found = sdk.run("""
        import numpy
        from clearml import Task, OutputModel
        task = Task.init("p/delete", "delete", auto_connect_frameworks=False, output_uri=True)
        for i in range(3):
            task.get_logger().report_image("img", "noise", i, image=numpy.random.randint(0, 255, (16, 16, 3), dtype=numpy.uint8))
        task.upload_artifact("data", {"a": 1}, wait_on_upload=True)
        open("model.bin", "wb").write(b"weights")
        OutputModel(task=task, name="m").update_weights("model.bin", auto_delete_file=False)
        task.flush(wait_for_uploads=True)
        task.close()
        result(task.id)
    """)
    task = found.result
    files = shared_server.data / "files"
    assert [path for path in files.rglob("*") if path.is_file() and task in str(path)]
    gone = sdk.run(
        """
        from clearml import Task
        result(bool(Task.get_task(task_id=sys.argv[1]).delete(raise_on_error=True)))
    """,
        task,
    )
    assert gone.result
    assert not [path for path in files.rglob("*") if path.is_file() and task in str(path)]


@pytest.mark.one_engine
def test_tensorboard_is_picked_up(sdk: Sdk, server: Client) -> None:
    task = sdk.run("""
        import numpy
        from clearml import Task
        task = Task.init("p/tb", "tb")
        from tensorboardX import SummaryWriter
        writer = SummaryWriter("logs")
        for i in range(10):
            writer.add_scalar("loss/train", 1 / (i + 1), i)
            writer.add_histogram("weights", numpy.random.randn(100), i)
        writer.add_image("picture", numpy.random.rand(3, 8, 8), 1)
        writer.add_text("note", "some text", 2)
        writer.close()
        task.flush(wait_for_uploads=True)
        task.close()
        result(task.id)
    """).result
    assert server.histogram(task)["loss"]["train"]["x"] == list(range(10))
    metrics = server.call("events.get_task_metrics", tasks=[task], event_type="training_debug_image")["metrics"][0]["metrics"]
    assert metrics
    assert server.call("events.get_task_plots", task=task, iters=1)["plots"]


@pytest.mark.one_engine
def test_another_process_reads_while_the_first_still_writes(make_sdk: MakeSdk, server: Client) -> None:
    writer = make_sdk().start("""
        from clearml import Task
        task = Task.init("p/live", "live", auto_connect_frameworks=False)
        print("TASK", task.id, flush=True)
        i = 0
        while not __import__("os").path.exists("stop"):
            task.get_logger().report_scalar("loss", "train", float(i), i)
            task.flush()
            i += 1
            time.sleep(0.01)
        task.close()
        result(i)
    """)
    assert writer.stdout is not None
    line = next(line for line in writer.stdout if line.startswith("TASK"))
    reader = make_sdk()
    program = """
        from clearml import Task
        task = Task.get_task(task_id=sys.argv[1])
        seen = []
        while len(seen) < 3 or seen[-1] <= seen[0]:
            found = task.get_reported_scalars()
            seen.append(len(found.get("loss", {}).get("train", {}).get("x", [])))
            time.sleep(0.5)
        result([seen, task.get_status()])
    """
    seen, status = reader.run(program, line.split()[1]).result
    assert status == "in_progress" and seen == sorted(seen)
    (reader.home.parent / "home0" / "stop").touch()
    count = finish(writer).result
    assert server.histogram(line.split()[1], samples=0)["loss"]["train"]["x"] == list(range(count))


@pytest.mark.one_engine
@pytest.mark.parametrize("how", ["tasks.stopped", "tasks.stop"])
def test_a_task_that_is_stopped_from_outside_ends_its_process(sdk: Sdk, server: Client, how: str) -> None:
    process = sdk.start("""
        from clearml import Task
        task = Task.init("p/abort", "abort", auto_connect_frameworks=False)
        print("TASK", task.id, flush=True)
        while True:
            time.sleep(0.1)
    """)
    assert process.stdout is not None
    task = next(line for line in process.stdout if line.startswith("TASK")).split()[1]
    server.call(how, task=task, force=True, status_reason="a test wants it")
    run = finish(process, timeout=60, expect=None)
    assert run.code in (-signal.SIGKILL, -signal.SIGTERM, 1, 0), run.output
    assert wait_until(lambda: server.task(task)["status"] == "stopped", 30, "the task is not stopped")


@pytest.mark.one_engine
def test_a_program_that_fails_leaves_a_failed_task(sdk: Sdk, server: Client) -> None:
    run = sdk.run(
        """
        from clearml import Task
        task = Task.init("p/fail", "fail", auto_connect_frameworks=False)
        print("TASK", task.id, flush=True)
        raise RuntimeError("a reason to fail")
    """,
        expect=1,
    )
    task = next(line for line in run.output.splitlines() if line.startswith("TASK")).split()[1]
    assert server.task(task)["status"] == "failed"
