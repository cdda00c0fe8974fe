"""Reporting through `tidemark_events`: nothing is lost, nothing waits, a run says how it ended."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import pytest

from tests.cable import Cable
from tests.conftest import StartServer
from tests.python_client.conftest import RunScript
from tests.web.runs import png
from tidemark_events import Client, InvalidArgument, LoginRefused, ServerUnavailable, TidemarkError, connect


def test_what_a_run_reports_is_read_back(tm: Client, tmp_path: Path) -> None:
    import numpy as np

    with tm.run("a run", project="front", params={"lr": 0.1}) as r:
        for step in range(300):
            r.log({"loss/train": 1 / (step + 1), "lr": np.float32(0.5)}, step=step)
        r.log({"lr": 1})
        r.print("epoch", 1, "done")
        r.log_image("digits/test", np.zeros((4, 6, 3)), step=2)
        r.log_plot("roc", {"data": [{"type": "bar", "y": [1, 2]}]}, step=2)
        r.log_vector("weights", [1, 2, 3], step=2)
        r.summarize(best=0.25)
        (tmp_path / "net.bin").write_bytes(b"weights")
        for name, content in (
            ("net", tmp_path / "net.bin"),
            ("report", {"right": 3}),
            ("notes.md", "two words"),
            ("raw", b"\0\1"),
            ("raw", b"\2"),
        ):
            assert r.log_artifact(name, content).startswith(tm.url)
    again = tm.get(r.id)
    assert (again.status, again.params, again.last_step) == ("completed", {"lr": "0.1"}, 300)
    assert (r.status, r.last_step) == ("completed", 300), "the object that reported knows it without a call"
    assert list(again.scalars("loss")["train"].value) == [1 / (step + 1) for step in range(300)]
    assert again.scalars("lr")[0].last == 1 and again.summary["Summary/best"] == 0.25
    assert [line.text for line in again.logs()] == ["epoch 1 done"]
    assert again.images()[0].bytes().startswith(b"\x89PNG") and list(again.plots()) == ["roc"]
    assert tm.call("events.vector_metrics_iter_histogram", task=r.id, metric="weights", variant="weights")["vectors"] == [[1, 2, 3]]
    artifacts = tm.call("tasks.get_by_id", task=r.id)["task"]["execution"]["artifacts"]
    assert {one["key"]: (one["type"], one["content_size"]) for one in artifacts} == {
        "net": ("file", 7),
        "report": ("json", 15),
        "notes.md": ("text", 9),
        "raw": ("bytes", 1),
    }
    assert sorted(one["uri"].rpartition("/")[2] for one in artifacts) == ["net.bin", "notes.md", "raw", "report.json"]
    assert [one["type_data"]["preview"] for one in artifacts if one["key"] == "report"] == ['{\n "right": 3\n}']


def test_an_exception_marks_the_run_failed(tm: Client) -> None:
    with pytest.raises(ZeroDivisionError), tm.run("fails") as r:
        r.log({"loss": 1})
        1 / 0  # noqa: B018
    again = tm.get(r.id)
    assert again.status == "failed" and again.scalars("loss")[0].last == 1
    assert tm.call("tasks.get_by_id", task=r.id)["task"]["status_reason"] == "ZeroDivisionError: division by zero"
    with pytest.raises(KeyboardInterrupt), tm.run("stops") as r:
        raise KeyboardInterrupt
    assert tm.get(r.id).status == "stopped"


def test_a_run_that_resumes_from_a_checkpoint_takes_later_points_back(tm: Client) -> None:
    with tm.run("resumes") as r:
        for step in range(10):
            r.log({"loss": step}, step=step)
        assert r.rewind(5) == 4
        r.log({"loss": 60})
    chart = tm.get(r.id).scalars("loss")[0]
    assert (list(chart.step), list(chart.value)) == (list(range(7)), [0, 1, 2, 3, 4, 5, 60])


SCRIPT = """
import os, sys, multiprocessing
import tidemark_events
tm = tidemark_events.connect()
run = tm.run("script")
print(run.id, flush=True)
run.log({"loss": 1.0}, step=0)
"""


def test_the_end_of_a_program_flushes_and_marks_the_run(run_script: RunScript, tm: Client) -> None:
    good = run_script(SCRIPT)
    bad = run_script(SCRIPT + "raise ValueError('diverged')\n")
    assert (good.returncode, bad.returncode) == (0, 1), good.stderr + bad.stderr
    for done, status in ((good, "completed"), (bad, "failed")):
        run = tm.get(done.stdout.strip())
        assert run.status == status and run.scalars("loss")[0].last == 1.0


def test_children_of_a_fork_report_too_and_the_parent_decides_the_end(run_script: RunScript, tm: Client) -> None:
    done = run_script(
        SCRIPT
        + """
def work(number):
    run.log({f"child/{number}": number}, step=number)
children = [multiprocessing.get_context("fork").Process(target=work, args=(number,)) for number in range(3)]
[child.start() for child in children]
[child.join() for child in children]
print(tm.get(run.id).status)
if os.fork() == 0:
    run.log({"child/3": 3}, step=3)
    sys.exit(0)
os.wait()
print(tm.get(run.id).status)
"""
    )
    assert done.returncode == 0, done.stderr
    id, *statuses = done.stdout.split()
    assert statuses == ["running", "running"]
    run = tm.get(id)
    assert run.status == "completed" and run.scalars("loss")[0].points == 1
    assert {line.variant: line.last for line in run.scalars("child")} == {str(number): number for number in range(4)}


def test_rows_wait_while_the_server_is_away_and_are_stored_once(cable: Cable, tm: Client) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        run = connect(cable.url).run("outage")
        run.log({"loss": 0}, step=0)
        assert run.flush()
        cable.cut()
        for step in range(1, 50):
            run.log({"loss": step}, step=step)
        run.print("one line")
        assert not run.flush(timeout=0.5)
        cable.mend()
        assert run.flush()
    again = tm.get(run.id)
    assert list(again.scalars("loss")[0].value) == list(range(50)) and run.dropped == 0
    assert [line.text for line in again.logs()] == ["one line"]
    run.finish()


def test_a_full_queue_says_what_it_drops(cable: Cable, tm: Client) -> None:
    run = connect(cable.url).run("full", queue=10)
    cable.cut()
    with pytest.warns(RuntimeWarning) as told:
        for step in range(8_000):  # the thread takes 5,000 for its batch
            run.log({"loss": step}, step=step)
        assert run.dropped > 0
        cable.mend()
        run.finish()
    texts = [str(one.message) for one in told]
    assert any(re.search(r"rows are dropped from step \d+ on: 10 wait", text) for text in texts)
    assert any(re.search(r"lacks [\d,]+ rows", text) for text in texts)


def test_a_value_that_is_no_number_is_refused_where_it_is_logged(tm: Client) -> None:
    with tm.run("wrong") as r, pytest.raises(TypeError, match=r'"note" must be a number .* run.print'):
        r.log({"note": "hello"})


def test_what_can_not_be_stored_is_refused_where_it_is_logged_and_the_rest_arrives(tm: Client) -> None:
    with tm.run("wrong names", tags="one") as r:
        for wrong in ({3: 1.0}, {"": 1.0}, {"x" * 1025: 1.0}, {"a": [1, 2]}, [1.0]):
            with pytest.raises(InvalidArgument):
                r.log(wrong, step=1)
        for step in ("1", 1.5, 2**63):
            with pytest.raises(InvalidArgument, match="step must be an integer"):
                r.log({"loss": 1.0}, step=step)
        r.log({"loss": 2.0})
        r.log_image("../digits", png(), step=3)
    again = tm.get(r.id)
    assert (list(again.scalars("loss")[0].step), again.tags) == ([0], ["one"])
    assert again.images()[0].bytes() == png()


def test_a_file_that_the_server_refuses_does_not_hold_up_the_rest(tm: Client) -> None:
    with pytest.warns(RuntimeWarning) as told, tm.run("refused file") as r:
        r.log_image("dig\x00its", png(), step=3)
        r.log({"loss": 2.0})
        assert r.flush()
    assert any(re.search("an image or plot was not sent: .*control character", str(one.message)) for one in told)
    assert tm.get(r.id).scalars("loss")[0].points == 1


def test_errors_name_the_fix(start_embedded: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TIDEMARK_URL", "CLEARML_API_HOST", "TIDEMARK_ACCESS_KEY", "CLEARML_API_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    server = start_embedded(TIDEMARK_AUTH="required")
    with pytest.raises(LoginRefused, match="tidemark keys"):
        connect(server.url)
    with pytest.raises(LoginRefused, match="tidemark keys"):
        connect(server.url, "wrong", "pair")
    kept = json.loads((server.data / "credentials.json").read_text())
    monkeypatch.setenv("CLEARML_API_HOST", server.url)
    monkeypatch.setenv("CLEARML_API_ACCESS_KEY", kept["access_key"])
    monkeypatch.setenv("CLEARML_API_SECRET_KEY", kept["secret_key"])
    assert connect().info()["version"]
    with pytest.raises(ServerUnavailable, match="without a path"):
        connect(f"{server.url}/projects")
    with pytest.raises(ServerUnavailable, match="write http://"):
        connect(server.url.replace("http", "https", 1), attempts=1)
    with pytest.raises(TidemarkError, match='no status "finished"'):
        connect().runs(status="finished")
    server.stop()
    with pytest.raises(ServerUnavailable, match="tidemark serve"):
        connect(attempts=1)


def test_artifacts_that_can_not_be_stored_are_refused_where_they_are_given(tm: Client) -> None:
    with tm.run("wrong artifacts") as r:
        for name, content in ((3, "text"), ("", "text"), ("set", {1, 2})):
            with pytest.raises(InvalidArgument):
                r.log_artifact(name, content)  # type: ignore[arg-type]
        assert r.log_artifact("../up", "text").endswith("/artifacts/__/up.txt")
