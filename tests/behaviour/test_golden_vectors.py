"""Golden vectors: one fixture of 19 events and what every read answers (recorded from ClearML server 2.3).

Where docs/protocol.md or docs/clearml.md deliberately differ, our answer is tested and a comment names the difference.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, NamedTuple

import pytest

from tests.client import LOG, SCALAR, SINGLE_VALUE_ITER, Client, image, log, plot, scalar, vector

T0 = 1_700_000_000_000


class Fixture(NamedTuple):
    client: Client
    one: str
    two: str


@pytest.fixture
def h(strict: Client) -> Fixture:
    """T1 ("task one") and T2 ("task two") with the 19 events, on a server that rejects unknown tasks."""
    one, two = strict.new_task("task one"), strict.new_task("task two")
    values = [1.0, 0.5, 0.25, -1.0]
    events = [scalar(task, iter=i, value=values[i], timestamp=T0 + i * 1000) for task in (one, two) for i in range(4)]
    events.append(scalar(one, "Summary", "acc", iter=SINGLE_VALUE_ITER, value=0.75, timestamp=T0 + 9000))
    events += [log(one, f"line {i}", timestamp=T0 + i) for i in range(3)]
    events += [image(one, "img", v, iter=i, url=f"http://f/{v}{i}", key=f"{v}{i}", timestamp=T0 + i) for v in "lr" for i in range(2)]
    events += [plot(one, iter=i, plot_str=f'{{"i":{i}}}', timestamp=T0 + i) for i in range(2)]
    events.append(vector(one, [1, 2.5], iter=1, timestamp=T0))
    assert strict.add_batch(events) == {"added": 19, "errors": 0, "errors_info": {}}
    return Fixture(strict, one, two)


def messages(data: dict[str, Any]) -> list[str]:
    return [event["msg"] for event in data["events"]]


def test_a_stored_log_has_exactly_these_fields(h: Fixture) -> None:
    event = h.client.call("events.get_task_log", task=h.one, batch_size=1)["events"][0]
    stamp = event.pop("@timestamp")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)
    assert event == {
        "type": LOG,
        "task": h.one,
        "level": "info",
        "msg": "line 2",
        "timestamp": T0 + 2,
        "worker": "w",
        "model_event": False,
        "metric": "",
        "variant": "",
    }


def test_1_the_newest_log_lines(h: Fixture) -> None:
    data = h.client.call("events.get_task_log", task=h.one, batch_size=2)
    assert (messages(data), data["returned"], data["total"]) == (["line 2", "line 1"], 2, 3)


def test_2_the_oldest_page_in_version_1_7(h: Fixture) -> None:
    data = h.client.call("events.get_task_log", task=h.one, batch_size=2, version="1.7")
    assert (messages(data), data["returned"], data["total"]) == (["line 1", "line 0"], 2, 3)
    assert isinstance(data["scroll_id"], str)


def test_3_the_histogram_leaves_single_values_out(h: Fixture) -> None:
    assert h.client.histogram(h.one) == {"loss": {"train": {"name": "train", "x": [0, 1, 2, 3], "y": [1.0, 0.5, 0.25, -1.0]}}}


def test_4_the_histogram_in_two_samples(h: Fixture) -> None:
    assert h.client.histogram(h.one, samples=2)["loss"]["train"] == {"name": "train", "x": [0, 2], "y": [0.75, -0.375]}


def test_5_the_histogram_over_iso_times(h: Fixture) -> None:
    found = h.client.histogram(h.one, key="iso_time")["loss"]["train"]["x"]
    assert found == [f"2023-11-14T22:13:2{i}.000Z" for i in range(4)]


def test_6_the_histogram_of_two_tasks(h: Fixture) -> None:
    data = h.client.call("events.multi_task_scalar_metrics_iter_histogram", tasks=[h.one, h.two], samples=2)
    chart = {"x": [0, 2], "y": [0.75, -0.375]}
    assert data == {"metrics": {"loss": {"train": {h.one: {"name": "task one", **chart}, h.two: {"name": "task two", **chart}}}}}


def test_7_raw_points(h: Fixture) -> None:
    data = h.client.call("events.scalar_metrics_iter_raw", task=h.one, metric={"metric": "loss"}, count_total=True)
    assert (data["returned"], data["total"]) == (4, 4)
    assert data["variants"] == {"train": {"y": [1.0, 0.5, 0.25, -1.0], "iter": [0, 1, 2, 3]}}


def test_8_single_values(h: Fixture) -> None:
    data = h.client.call("events.get_task_single_value_metrics", tasks=[h.one, h.two])
    values = [{"metric": "Summary", "variant": "acc", "value": 0.75, "timestamp": T0 + 9000}]
    assert data == {"tasks": [{"task": h.one, "task_name": "task one", "values": values}]}


def test_9_latest_values(h: Fixture) -> None:
    # docs/protocol.md, "Charts": true last values (negative ones too), true means, last_100_value, name and status of the task
    data = h.client.call("events.get_task_latest_scalar_values", task=h.one)
    mean = (1.0 + 0.5 + 0.25 - 1.0) / 4
    assert data["metrics"] == [
        {"name": "Summary", "variants": [{"name": "acc", "last_value": 0.75, "last_10_value": 0.75, "last_100_value": 0.75}]},
        {"name": "loss", "variants": [{"name": "train", "last_value": -1.0, "last_10_value": mean, "last_100_value": mean}]},
    ]
    assert (data["last_iter"], data["name"], data["status"]) == (3, "task one", "created")


def test_10_scalar_metrics_and_variants(h: Fixture) -> None:
    assert h.client.call("events.get_scalar_metrics_and_variants", task=h.one) == {"metrics": {"Summary": ["acc"], "loss": ["train"]}}


def test_11_scalar_metric_data(h: Fixture) -> None:
    data = h.client.call("events.get_scalar_metric_data", task=h.one, metric="Summary", no_scroll=True)
    assert (len(data["events"]), data["total"], data["scroll_id"]) == (1, 1, None)
    assert data["events"][0]["value"] == 0.75


def test_12_vectors(h: Fixture) -> None:
    assert h.client.call("events.get_vector_metrics_and_variants", task=h.one) == {"metrics": {"vec": ["v"]}}
    data = h.client.call("events.vector_metrics_iter_histogram", task=h.one, metric="vec", variant="v")
    assert data == {"metric": "vec", "variant": "v", "vectors": [[1, 2.5]], "iterations": [1]}


@pytest.mark.parametrize(
    ("event_type", "one", "two"), [(SCALAR, ["loss"], ["loss"]), (LOG, [], []), ("*", ["img", "loss", "roc", "vec"], ["loss"])]
)
def test_13_task_metrics(h: Fixture, event_type: str, one: list[str], two: list[str]) -> None:
    data = h.client.call("events.get_task_metrics", tasks=[h.one, h.two], event_type=event_type)
    assert data == {"metrics": [{"task": h.one, "metrics": one}, {"task": h.two, "metrics": two}]}


def test_14_multi_task_metrics(h: Fixture) -> None:
    data = h.client.call("events.get_multi_task_metrics", tasks=[h.one, h.two])
    assert [entry["metric"] for entry in data["metrics"]] == ["", "Summary", "img", "loss", "roc", "vec"]
    assert data["metrics"][0]["variants"] == [""]


def test_15_task_plots(h: Fixture) -> None:
    data = h.client.call("events.get_task_plots", task=h.one, iters=2)
    assert [event["iter"] for event in data["plots"]] == [1, 0]
    assert (data["returned"], data["total"], data["scroll_id"]) == (2, 2, None)
    assert {event["plot_len"] for event in data["plots"]} == {7}


def test_16_multi_task_plots(h: Fixture) -> None:
    data = h.client.call("events.get_multi_task_plots", tasks=[h.one, h.two], no_scroll=True)
    entry = data["plots"]["roc"]["x"][h.one]["1"]
    assert (entry["name"], len(entry["plots"])) == ("task one", 1)
    assert (data["returned"], data["total"], data["scroll_id"]) == (1, 1, None)


def test_17_plots(h: Fixture) -> None:
    data = h.client.call("events.plots", metrics=[{"task": h.one}])
    [entry] = data["metrics"]
    assert [(page["iter"], len(page["events"])) for page in entry["iterations"]] == [(1, 1)]
    assert re.fullmatch("[0-9a-f]{32}", data["scroll_id"])


def test_18_plot_sample(h: Fixture) -> None:
    data = h.client.call("events.get_plot_sample", task=h.one, metric="roc")
    assert ([event["iter"] for event in data["events"]], data["min_iteration"], data["max_iteration"]) == ([1], 0, 1)


def test_19_debug_images(h: Fixture) -> None:
    data = h.client.call("events.debug_images", metrics=[{"task": h.one, "metric": "img"}, {"task": h.two}])
    one, two = data["metrics"]
    assert [(page["iter"], [event["variant"] for event in page["events"]]) for page in one["iterations"]] == [(1, ["l", "r"])]
    assert two == {"task": h.two, "iterations": []}


def test_20_debug_images_of_version_2_1(h: Fixture) -> None:
    data = h.client.call("events.debug_images", task=h.one, version="2.1")
    assert sorted((event["variant"], event["iter"]) for event in data["images"]) == [("l", 1), ("r", 1)]
    assert (data["returned"], data["total"]) == (2, 2)
    assert isinstance(data["scroll_id"], str)


def test_21_debug_image_samples(h: Fixture) -> None:
    first = h.client.call("events.get_debug_image_sample", task=h.one, metric="img", variant="l")
    assert (first["event"]["variant"], first["event"]["iter"], first["min_iteration"], first["max_iteration"]) == ("l", 1, 0, 1)
    second = h.client.call("events.next_debug_image_sample", task=h.one, scroll_id=first["scroll_id"], navigate_earlier=True)
    assert (second["event"]["variant"], second["event"]["iter"]) == ("r", 0)


def test_22_task_events(h: Fixture) -> None:
    # docs/protocol.md, "Scrolls": exactly batch_size events until the last page (the reference gives 2)
    data = h.client.call("events.get_task_events", task=h.one, event_type="training_debug_image", batch_size=1)
    assert (data["returned"], data["total"], len(data["events"])) == (1, 4, 1)


def test_23_delete_for_task(h: Fixture) -> None:
    # docs/protocol.md, "Logs": deleted is true, the number is deleted_count
    assert h.client.call("events.delete_for_task", task=h.two) == {"deleted": True, "deleted_count": 4}


def test_24_clear_task_log(h: Fixture) -> None:
    assert h.client.call("events.clear_task_log", task=h.one, threshold_sec=10) == {"deleted": 3}


def test_25_statistics_of_the_task(h: Fixture) -> None:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    task = h.client.task(h.one)
    assert task["last_iteration"] == 3
    loss = task["last_metrics"][md5("loss")][md5("train")]
    assert loss == loss | {
        "metric": "loss",
        "variant": "train",
        "value": -1.0,
        "min_value": -1.0,
        "min_value_iteration": 3,
        "max_value": 1.0,
        "max_value_iteration": 0,
        "first_value": 1.0,
        "first_value_iteration": 0,
        "count": 4,
        "mean_value": 0.1875,  # not rounded: docs/protocol.md, "Batches of events"
    }
    single = task["last_metrics"][md5("Summary")][md5("acc")]
    assert (single["value"], single["count"]) == (0.75, 1)
    assert {value for name, value in single.items() if name.endswith("_iteration")} == {SINGLE_VALUE_ITER}
