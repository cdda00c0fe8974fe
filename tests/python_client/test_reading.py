"""Runs, scalars, logs, images and plots through `tidemark_events`, beside what was reported."""

from __future__ import annotations

import math
import uuid
from typing import Any

import pytest
import requests

from tests.client import Client as Raw
from tests.client import image, log, plot, scalar
from tests.web.runs import png
from tidemark_events import Client, InvalidArgument, NotFound

START = 1_790_000_000_000


def losses(task: str, steps: int, *, stride: int = 1) -> list[dict[str, object]]:
    return [scalar(task, "loss", "train", iter=i * stride, value=1 / (i + 1), timestamp=START + i) for i in range(steps)]


def test_every_point_comes_with_step_time_and_value(server: Raw, tm: Client, task: str) -> None:
    server.add_batch([*losses(task, 500, stride=1_000_000_007), scalar(task, "acc", "acc", iter=3, value=0.5)])
    run = tm.get(task)
    assert run.metrics == ["acc", "loss/train"]
    line = run.scalars("loss")["train"]
    assert [int(step) for step in line.step] == [i * 1_000_000_007 for i in range(500)]
    assert list(line.value) == [1 / (i + 1) for i in range(500)]
    assert [int(time) for time in line.time] == [START + i for i in range(500)]
    assert run.scalars("loss/train")[0].last == 1 / 500
    assert run.summary["acc"] == 0.5


def test_a_long_series_is_read_whole_though_an_answer_is_bounded(server: Raw, tm: Client, task: str) -> None:
    # 12,000 dense points, then far apart: the first answer has buckets of many points, of one point, and none in between.
    dense, sparse = [(i, float(i)) for i in range(12_000)], [(100_000_000 + i * 50_000, -float(i)) for i in range(300)]
    server.add_batch([scalar(task, "loss", "train", iter=step, value=value) for step, value in [*dense, *sparse]])
    line = tm.get(task).scalars("loss")[0]
    assert list(zip(map(int, line.step), line.value, strict=True)) == [*dense, *sparse]
    assert line.points == 12_300


def test_samples_are_buckets_that_keep_a_spike(server: Raw, tm: Client, task: str) -> None:
    server.add_batch([scalar(task, "loss", "train", iter=i, value=100.0 if i == 777 else 1.0) for i in range(2_000)])
    line = tm.get(task).scalars("loss", samples=50)[0]
    assert 2 <= len(line) <= 50 and line.points == 2_000 and sum(line.count) == 2_000
    assert max(line.max) == 100.0 and max(line.value) < 100.0


def test_nan_and_infinities_come_as_they_were_reported(server: Raw, tm: Client, task: str) -> None:
    texts = ["NaN", "Infinity", "-Infinity", "1.5"]
    head = f'{{"type":"training_stats_scalar","task":"{task}","metric":"loss","variant":"loss","iter":'
    server.add_batch([f'{head}{i},"value":{text}}}' for i, text in enumerate(texts)])
    found = list(tm.get(task).scalars("loss")[0].value)
    assert math.isnan(found[0]) and found[1:] == [math.inf, -math.inf, 1.5]


@pytest.mark.parametrize("library", ["pandas", "pyarrow"])
def test_a_frame_has_a_row_for_each_step(server: Raw, tm: Client, task: str, library: str) -> None:
    server.add_batch([*losses(task, 4), scalar(task, "acc", "acc", iter=2, value=0.5)])
    frame = tm.get(task).scalars_frame(library=library)
    if library == "pyarrow":
        assert frame.column("acc").to_pylist() == [None, None, 0.5, None]
        frame = frame.to_pandas()
    assert list(frame.columns) == ["step", "acc", "loss/train"]
    assert frame["step"].tolist() == [0, 1, 2, 3] and frame["loss/train"].tolist() == [1, 1 / 2, 1 / 3, 1 / 4]


def test_runs_are_found_by_project_status_tag_and_parameter(tm: Client) -> None:
    project = f"front/{uuid.uuid4().hex[:8]}"
    for number in range(3):
        run = tm.run(f"run {number}", project=project, params={"lr": 0.1 * number, "optim": {"name": "adam"}}, tags=["a", f"n{number}"])
        run.log({"loss/val": 1.0 - number / 10}, step=number)
        run.finish("failed" if number == 0 else "completed")
    assert sorted(run.name for run in tm.runs(project=project)) == ["run 0", "run 1", "run 2"]
    assert [run.name for run in tm.runs(project=project, status="failed")] == ["run 0"]
    assert [run.name for run in tm.runs(project=project, tags=["a", "n2"])] == ["run 2"]
    assert len(tm.runs(project=project, tags=["a", "-n2"])) == 2
    assert [run.name for run in tm.runs(project=project, where={"hyperparams.General.lr.value": ["0.1"]})] == ["run 1"]
    assert [run.name for run in tm.runs(project=project, order_by="name", limit=1)] == ["run 0"]
    frame = tm.runs(project=project, order_by="name").frame("pandas")
    assert frame["params.optim/name"].tolist() == ["adam"] * 3 and frame["loss/val.last"].tolist() == [1.0, 0.9, 0.8]


def test_logs_are_iterated_and_searched(server: Raw, tm: Client, task: str) -> None:
    server.add_batch([log(task, f"line {i}", timestamp=START + i, level="error" if i % 100 == 7 else "info") for i in range(1_000)])
    run = tm.get(task)
    assert [line.text for line in run.logs()] == [f"line {i}" for i in range(1_000)]
    assert [line.text for line in run.logs("line 99")] == ["line 99", *(f"line 99{i}" for i in range(10))]
    assert [line.text for line in run.logs(r"^line \d$", regex=True)] == [f"line {i}" for i in range(10)]
    assert [line.text for line in run.logs(levels=["error"])] == [f"line {i}" for i in range(7, 1_000, 100)]
    assert next(iter(run.logs())).time == START / 1000


def test_images_and_plots_come_back(server: Raw, tm: Client, task: str) -> None:
    path = f"front/{task}.png"
    assert requests.post(f"{tm.url}/files/", files={path: (path, png())}, timeout=30).status_code == 200
    url = f"{tm.url}/files/{path}"
    server.add_batch([image(task, "mistakes", "test", iter=i, url=url if i else url + "?old") for i in range(2)])
    server.add_batch([plot(task, "roc", "roc", iter=1, plot_str='{"data": [{"type": "scatter", "x": [1, 2], "y": [3, 4]}]}')])
    run = tm.get(task)
    newest = run.images()[0]
    assert (newest.name, newest.step, newest.bytes()) == ("mistakes/test", 1, png())
    figure = run.plots()["roc"]
    assert type(figure).__name__ == "Figure" and list(figure.data[0].y) == [3, 4]


def test_unknown_names_say_what_there_is(server: Raw, tm: Client, task: str) -> None:
    server.add_batch(losses(task, 1))
    with pytest.raises(NotFound, match="it has: loss/train"):
        tm.get(task).scalars("acc")
    with pytest.raises(NotFound, match='no run "none"'):
        tm.get("none")
    with pytest.raises(NotFound, match="/projects"):
        tm.runs(project="none/such")


def test_a_misspelt_name_is_an_error_wherever_it_is_given(server: Raw, tm: Client, task: str) -> None:
    server.add_batch([*losses(task, 2), image(task, "mistakes", "test", iter=1, url="s3://away/a.png")])
    server.add_batch([plot(task, "roc", "test", iter=1, plot_str="{}"), plot(task, "roc", "train", iter=1, plot_str="{}")])
    run = tm.get(task)
    with pytest.raises(NotFound, match='no scalars "los"; it has: loss/train'):
        run.scalars_frame("loss", "los")
    with pytest.raises(NotFound, match='no images "mistake"; it has: mistakes'):
        run.images("mistake")
    with pytest.raises(NotFound, match='no plots "rok"; it has: roc'):
        run.plots("rok")
    assert len(run.images("mistakes")) == len(run.images("mistakes/test")) == 1 and run.images("mistakes/train") == []
    assert sorted(run.plots("roc")) == ["roc/test", "roc/train"] and list(run.plots("roc/test")) == ["roc/test"]
    for wrong in (lambda: tm.runs(where={"nope": 3}), lambda: tm.runs(order_by="loss"), lambda: run.scalars("loss", samples=1)):
        with pytest.raises(InvalidArgument):
            wrong()
    assert len(tm.runs(where={"id": [task], "status": "running"})) == 1
    assert [line.text for line in run.logs(levels="error")] == []


def test_notebooks_show_names_as_text(server: Raw, tm: Client, task: str) -> None:
    evil = "<img src=x onerror=alert(1)>"
    server.add_batch([scalar(task, evil, evil, iter=i, value=i) for i in range(3)])
    server.add_batch([log(task, evil)])
    run = tm.get(task)
    shown = run._repr_html_() + run.scalars(evil)._repr_html_() + run.logs()._repr_html_() + tm.runs(where={"id": [task]})._repr_html_()
    assert "<img" not in shown and "&lt;img" in shown and "<polyline" in shown


def test_statistics_of_a_table_are_read_together_and_only_when_asked_for(server: Raw, tm: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [uuid.uuid4().hex for _ in range(5)]
    server.add_batch([scalar(id, "loss", "loss", iter=i, value=number) for number, id in enumerate(ids) for i in range(2)])
    calls: list[str] = []
    send = requests.Session.request

    def counted(session: requests.Session, method: str, url: str, **more: Any) -> requests.Response:
        calls.append(url.rpartition("/")[2])
        return send(session, method, url, **more)

    monkeypatch.setattr(requests.Session, "request", counted)
    runs = tm.runs(where={"id": ids})
    assert calls == ["tasks.get_all_ex"]
    assert sorted(run.summary["loss"] for run in runs) == [0, 1, 2, 3, 4]
    assert calls == ["tasks.get_all_ex", "tasks.get_by_id_ex"]
