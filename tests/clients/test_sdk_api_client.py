"""Every action of the SDK's APIClient for events."""

from __future__ import annotations

from tests.client import Client, image, log, plot, scalar, vector
from tests.clients.scripts import Sdk

PROGRAM = """
from clearml.backend_api.session.client import APIClient
from clearml.backend_api.session.client.client import APIError
from clearml.backend_api.services.v2_23.events import TaskLogEvent

first, second, model = sys.argv[1:]
events = APIClient().events
found = {}

def call(name, **fields):
    try:
        answer = getattr(events, name)(**fields)
    except Exception as error:
        found[name] = type(error).__name__ + ": " + str(error)
        return None
    data = answer._result.response_data
    found[name] = data
    return data

call("add", event=TaskLogEvent(task=first, msg="added", timestamp=1700000009000, level="info"))
call("add_batch", requests=[{"task": first, "type": "training_stats_scalar", "metric": "loss", "variant": "train", "iter": 4, "value": 4.0}])
call("scalar_metrics_iter_histogram", task=first)
call("multi_task_scalar_metrics_iter_histogram", tasks=[first, second])
call("vector_metrics_iter_histogram", task=first, metric="vec", variant="v")
call("scalar_metrics_iter_raw", task=first, metric={"metric": "loss"}, count_total=True)
call("get_scalar_metric_data", task=first, metric="loss")
call("get_scalar_metrics_and_variants", task=first)
call("get_vector_metrics_and_variants", task=first)
call("get_task_metrics", tasks=[first, second], event_type="plot")
call("get_task_latest_scalar_values", task=first)
call("get_task_single_value_metrics", tasks=[first])
page = call("get_task_events", task=first, event_type="training_stats_scalar", batch_size=2)
call("get_task_log", task=first, batch_size=10)
call("download_task_log", task=first, line_type="text")
call("get_task_plots", task=first, iters=2)
call("get_multi_task_plots", tasks=[first, second])
call("plots", metrics=[{"task": first}])
call("debug_images", metrics=[{"task": first, "metric": "img"}])
sample = call("get_debug_image_sample", task=first, metric="img", variant="v")
call("next_debug_image_sample", task=first, scroll_id=sample["scroll_id"])
sample = call("get_plot_sample", task=first, metric="roc")
call("next_plot_sample", task=first, scroll_id=sample["scroll_id"])
call("clear_scroll", scroll_id=page["scroll_id"])
call("clear_task_log", task=second)
call("delete_for_task", task=second)
call("delete_for_model", model=model)
try:
    events.get_task_log(task="no such task")
except APIError as error:
    found["error"] = [error.code, error.subcode]
result(found)
"""


def test_every_events_action(sdk: Sdk, server: Client) -> None:
    first, second = server.new_task("task one"), server.new_task("task two")
    model = server.call("models.create", name="model one", uri="file:///m", ready=False)["id"]
    for task in (first, second):
        server.add_batch(
            [
                *(scalar(task, iter=i, value=float(i)) for i in range(4)),
                scalar(task, "Summary", "acc", iter=-(2**31), value=0.5),
                vector(task, [1.0, 2.5]),
                *(image(task, iter=i, url=f"http://f/{i}.png", key=f"{i}.png") for i in range(2)),
                *(plot(task, iter=i) for i in range(2)),
                log(task, "line", timestamp=1_700_000_000_000),
            ]
        )
    found = sdk.run(PROGRAM, first, second, model).result
    refused_by_the_client = {"get_vector_metrics_and_variants", "download_task_log"}
    failed = {name: answer for name, answer in found.items() if isinstance(answer, str)}
    assert set(failed) == refused_by_the_client, failed
    assert "Invalid response" in found["download_task_log"]
    assert found["add"]["added"] == 1 and found["add_batch"]["added"] == 1
    assert found["scalar_metrics_iter_histogram"]["loss"]["train"]["x"] == [0, 1, 2, 3, 4]
    assert found["multi_task_scalar_metrics_iter_histogram"]["metrics"]["loss"]["train"][second]["name"] == "task two"
    assert found["vector_metrics_iter_histogram"]["vectors"] == [[1.0, 2.5]]
    assert found["scalar_metrics_iter_raw"]["total"] == 5
    assert found["get_scalar_metric_data"]["returned"] == 5
    assert found["get_scalar_metrics_and_variants"]["metrics"] == {"Summary": ["acc"], "loss": ["train"]}
    assert [entry["metrics"] for entry in found["get_task_metrics"]["metrics"]] == [["roc"], ["roc"]]
    assert found["get_task_latest_scalar_values"]["last_iter"] == 4
    assert found["get_task_single_value_metrics"]["tasks"][0]["values"][0]["value"] == 0.5
    assert found["get_task_events"]["returned"] == 2
    assert [event["msg"] for event in found["get_task_log"]["events"]] == ["added", "line"]
    assert found["get_task_plots"]["returned"] == 2
    assert set(found["get_multi_task_plots"]["plots"]["roc"]["x"]) == {first, second}
    assert found["plots"]["metrics"][0]["iterations"][0]["iter"] == 1
    assert found["debug_images"]["metrics"][0]["iterations"][0]["iter"] == 1
    assert found["get_debug_image_sample"]["event"]["iter"] == 1 and found["next_debug_image_sample"]["event"]["iter"] == 0
    assert found["get_plot_sample"]["events"][0]["iter"] == 1 and found["next_plot_sample"]["events"][0]["iter"] == 0
    assert found["delete_for_task"]["deleted"] is True and found["delete_for_model"]["deleted"] is True
    assert found["clear_task_log"]["deleted"] == 1
    assert found["error"] == [400, 101]
