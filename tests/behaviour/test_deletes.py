"""Deleting events, and what is left of a task."""

from __future__ import annotations

import time
import uuid

from tests.client import LOG, SCALAR, Client, image, log, plot, scalar, vector


def fill(client: Client, task: str) -> int:
    lines = [scalar(task, iter=1), vector(task, [1.0]), image(task), plot(task), log(task, "line"), scalar(task, iter=None)]
    client.add_batch(lines)
    return len(lines)


def test_everything_of_the_task_is_gone_with_its_statistics(server: Client, task: str) -> None:
    other = uuid.uuid4().hex
    count = fill(server, task)
    fill(server, other)
    assert server.call("events.delete_for_task", task=task) == {"deleted": True, "deleted_count": count}
    assert server.events(task) == []
    assert server.histogram(task) == {}
    assert server.log(task) == []
    assert not server.task(task).get("last_metrics")
    assert server.call("events.get_task_latest_scalar_values", task=task)["metrics"] == []
    assert len(server.events(other)) == count


def test_deleting_nothing_is_fine(server: Client) -> None:
    assert server.call("events.delete_for_task", task=server.new_task()) == {"deleted": True, "deleted_count": 0}


def test_a_batch_after_the_delete_is_whole(server: Client, task: str) -> None:
    fill(server, task)
    server.call("events.delete_for_task", task=task)
    count = fill(server, task)
    assert len(server.events(task)) == count
    assert server.histogram(task)["loss"]["train"]["x"] == [1]


def test_the_same_batch_is_stored_again_after_a_delete(server: Client, task: str) -> None:
    lines = [log(task, "line", timestamp=5)]
    server.add_batch(lines)
    server.call("events.delete_for_task", task=task)
    server.add_batch(lines)
    assert server.log(task) == ["line"]


def test_many_points_are_deleted_at_once(server: Client, task: str) -> None:
    for start in range(0, 30_000, 10_000):
        server.add_batch([scalar(task, iter=iter) for iter in range(start, start + 10_000)])
    assert server.call("events.delete_for_task", task=task)["deleted_count"] == 30_000
    assert server.call("events.get_task_events", task=task)["total"] == 0


def test_clear_task_log_takes_only_log_lines_and_honours_its_thresholds(server: Client, task: str) -> None:
    now = int(time.time() * 1000)
    server.add_batch([log(task, "old", timestamp=now - 100_000), log(task, "new", timestamp=now), scalar(task)])
    assert server.call("events.clear_task_log", task=task, threshold_sec=50) == {"deleted": 1}
    assert server.log(task) == ["new"]
    assert server.call("events.clear_task_log", task=task) == {"deleted": 1}
    assert [event["type"] for event in server.events(task)] == [SCALAR]
    assert server.call("events.clear_task_log", task=task) == {"deleted": 0}


def test_clear_task_log_picks_metrics(server: Client, task: str) -> None:
    server.add_batch([log(task, metric, metric=metric, timestamp=i + 1) for i, metric in enumerate(["a", "b", "c", ""])])
    assert server.call("events.clear_task_log", task=task, include_metrics=["a", "b"], exclude_metrics=["b"], version="2.30") == {
        "deleted": 1
    }
    assert server.call("events.clear_task_log", task=task, exclude_metrics=["c"], version="2.30") == {"deleted": 2}
    assert server.log(task) == ["c"]


def test_resetting_a_task_removes_its_events_and_keeps_the_task(server: Client) -> None:
    task = server.new_task("again")
    fill(server, task)
    server.call("tasks.reset", task=task, force=True)
    assert server.events(task) == []
    found = server.task(task)
    assert (found["name"], found["status"], found.get("last_iteration") or 0) == ("again", "created", 0)


def test_a_deleted_task_is_gone_and_late_batches_do_not_bring_it_back(server: Client) -> None:
    task = server.new_task("to be deleted")
    fill(server, task)
    server.call("tasks.delete", task=task, force=True)
    assert server.refused("tasks.get_by_id", task=task).codes == (400, 101)
    assert server.refused("events.get_task_log", task=task).codes == (400, 101)
    late = server.refused("events.add", log(task, "late"))
    assert late.codes == (400, 131)
    assert server.refused("tasks.get_by_id", task=task).codes == (400, 101)


def test_events_of_a_model_are_deleted_by_delete_for_model(server: Client) -> None:
    model = uuid.uuid4().hex
    server.add_batch([scalar(model, iter=iter, model_event=True) for iter in range(3)])
    assert server.call("events.delete_for_model", model=model) == {"deleted": True, "deleted_count": 3}
    assert server.call("events.get_task_events", task=model, model_events=True, event_type=LOG)["total"] == 0
    assert server.histogram(model, model_events=True) == {}


def test_deleting_the_events_of_a_task_starts_its_last_iteration_anew(server: Client, task: str) -> None:
    server.add_batch([scalar(task, iter=41, value=1.0)])
    server.call("events.delete_for_task", task=task)
    found = server.task(task)
    assert (found["last_iteration"], found["last_metrics"]) == (0, {})
    server.add_batch([scalar(task, iter=3, value=1.0)])
    assert server.task(task)["last_iteration"] == 3
