"""`events.rewind`: a training that resumes from a checkpoint takes back what it had reported after it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.client import SCALAR, Client, image, log, plot, scalar, vector


def resumed(server: Client, task: str) -> None:
    """A task that reported ten steps, was rewound to step 5, and reported two steps again."""
    server.add_batch(
        [
            *(scalar(task, iter=step, value=step, timestamp=1000 + step, note=f"n{step}") for step in range(10)),
            scalar(task, "odd", "nan", iter=9, value=float("nan")),
            scalar(task, "single", "value", iter=-(2**31), value=7.0),
            scalar(task, "summary", "value", iter=None, value=8.0),
            *(image(task, iter=step, url=f"http://files/{step % 4}.png") for step in range(8)),
            *(plot(task, iter=step, plot_str=json.dumps({"step": step})) for step in (2, 8)),
            vector(task, [1.0, 2.0], iter=9),
            log(task, "a line", iter=9),
        ]
    )
    assert server.call("events.rewind", task=task, iteration=5) == {"rewound": 4 + 1 + 2 + 1 + 1}
    server.add_batch([scalar(task, iter=step, value=100 + step) for step in (6, 7)])


def y(server: Client, task: str, **more: Any) -> dict[str, Any]:
    charts = server.call("events.scalar_metrics_iter_histogram", task=task, **more)
    return {metric: variants for metric, variants in charts.items() if metric == "loss"}["loss"]["train"]


def test_what_was_reported_after_the_iteration_leaves_charts_pages_and_statistics(server: Client, task: str) -> None:
    resumed(server, task)
    chart = y(server, task)
    assert (chart["x"], chart["y"]) == (list(range(8)), [0, 1, 2, 3, 4, 5, 106, 107])
    assert "odd" not in server.histogram(task)
    found = server.task(task)
    (loss,) = [one for variants in found["last_metrics"].values() for one in variants.values() if one["metric"] == "loss"]
    assert (found["last_iteration"], loss["value"], loss["max_value"], loss["count"]) == (7, 107, 107, 8)
    assert [(event["iter"], json.loads(event["plot_str"])["step"]) for event in server.events(task, "plot")] == [(2, 2)]
    assert [event["iter"] for event in server.events(task, "training_debug_image")] == list(range(6))
    pages = server.call("events.debug_images", metrics=[{"task": task}], iters=10)["metrics"][0]["iterations"]
    assert [page["iter"] for page in pages] == [5, 4, 3, 2], "the files of steps 0 and 1 were used again by steps 4 and 5"
    assert server.log(task) == ["a line"] and server.events(task, "training_stats_vector") == []
    assert {event["metric"] for event in server.events(task, SCALAR)} == {"loss", "single", "summary"}


def test_void_points_are_shown_on_request(server: Client, task: str) -> None:
    resumed(server, task)
    chart = y(server, task, rewound=True)
    assert (chart["x"], chart["y"]) == ([6, 7, 8, 9], [6, 7, 8, 9])
    wanted = [{"task": task, "metric": "loss"}]
    (columns,) = server.call("events.get_series", series=wanted, rewound=True)["series"]
    assert (columns["task"], columns["x"], columns["mean"]) == (task, [6, 7, 8, 9], [6, 7, 8, 9])
    (since_start,) = server.call("events.get_series", series=wanted, rewound=True, axis="relative")["series"]
    assert (since_start["origin"], since_start["time"]) == (1000, [1006, 1007, 1008, 1009]), "0 is where the task began"
    (shown,) = server.call("events.get_series", series=wanted)["series"]
    assert shown["mean"] == [0, 1, 2, 3, 4, 5, 106, 107]
    assert server.call("events.get_scalar_metrics_and_variants", task=task)["metrics"].keys() == {"loss", "single", "summary"}
    assert server.call("events.get_scalar_metrics_and_variants", task=task, rewound=True) == {
        "metrics": {"loss": ["train"], "odd": ["nan"]}
    }
    raw = server.call("events.scalar_metrics_iter_raw", task=task, metric={"metric": "loss"}, rewound=True)
    assert raw["variants"]["train"] == {"iter": [6, 7, 8, 9], "y": [6, 7, 8, 9]}
    events = server.call("events.get_task_events", task=task, rewound=True)["events"]
    assert {event["task"] for event in events} == {task} and len(events) == 9
    first = next(event for event in events if event["type"] == SCALAR and event["iter"] == 6)
    assert (first["timestamp"], first["note"]) == (1006, "n6")
    assert server.call("events.scalar_metrics_iter_histogram", task=task, rewound=True, metrics=[{"metric": "single"}]) == {}


def test_a_second_rewind_adds_to_what_is_void_and_a_repeated_one_does_nothing(server: Client, task: str) -> None:
    resumed(server, task)
    assert server.call("events.rewind", task=task, iteration=7) == {"rewound": 0}
    assert server.call("events.rewind", task=task, iteration=6) == {"rewound": 1}
    assert y(server, task, rewound=True)["y"] == [6, 107, 8, 9]
    assert server.task(task)["last_iteration"] == 6
    assert server.call("events.rewind", task=task, iteration=-1)["rewound"] == 7 + 6 + 1
    assert list(server.histogram(task)) == [] and server.call("events.get_task_single_value_metrics", tasks=[task])["tasks"]


def test_long_series_are_cut_anywhere(server: Client, task: str) -> None:
    for start in range(0, 12_000, 3_000):
        server.add_batch([scalar(task, "m", "v", iter=iter, value=iter) for iter in range(start, start + 3_000)])
    assert server.call("events.rewind", task=task, iteration=5_554) == {"rewound": 6_445}
    chart = server.histogram(task, samples=0)["m"]["v"]
    assert chart["x"] == chart["y"] == list(range(5_555))
    assert server.call("events.get_task_events", task=task, rewound=True)["total"] == 6_445


def test_deleting_a_task_deletes_what_was_rewound(server: Client, task: str) -> None:
    resumed(server, task)
    server.call("events.delete_for_task", task=task)
    assert server.call("events.get_task_events", task=task, rewound=True)["total"] == 0


def test_published_and_unknown_tasks_are_not_rewound(server: Client, task: str) -> None:
    server.add_batch([scalar(task, iter=5)])
    server.call("tasks.completed", task=task, force=True)
    server.call("tasks.publish", task=task)
    assert server.refused("events.rewind", task=task, iteration=1).codes[0] == 400
    assert server.call("events.rewind", task=task, iteration=1, allow_locked=True) == {"rewound": 1}
    assert server.refused("events.rewind", task="nope", iteration=1).codes == (400, 101)
    assert server.refused("events.rewind", task=task, iteration=-2).codes == (400, 12)


def test_calls_at_once_lose_no_event_and_keep_none_twice(server: Client, task: str) -> None:
    steps = 400
    server.add_batch([scalar(task, f"m{n}", iter=step, value=step) for n in range(3) for step in range(steps)])
    to = [399, 300, 250, 200, 150, 100, 50, 10]
    with ThreadPoolExecutor(len(to)) as pool:
        done = list(pool.map(lambda iteration: server.call("events.rewind", task=task, iteration=iteration)["rewound"], to))
    assert sum(done) == 3 * (steps - 11)
    assert server.task(task)["last_iteration"] == 10
    for n in range(3):
        raw = {"task": task, "metric": {"metric": f"m{n}"}}
        assert server.call("events.scalar_metrics_iter_raw", **raw)["variants"]["train"]["iter"] == list(range(11))
        void = server.call("events.scalar_metrics_iter_raw", **raw, rewound=True)["variants"]["train"]
        assert void == {"iter": list(range(11, steps)), "y": list(range(11, steps))}
