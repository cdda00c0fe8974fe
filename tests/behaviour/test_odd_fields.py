"""Fields that no definition names, with values that fast JSON encoders refuse, come back in every read of events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import Client

DEEP = "[" * 300 + "]" * 300


@pytest.mark.parametrize(
    "event",
    [
        '"type":"training_stats_scalar","value":1',
        '"type":"plot","plot_str":"{}"',
        '"type":"training_debug_image","url":"http://f/1.png"',
        '"type":"log","msg":"x"',
        '"type":"training_stats_vector","values":[1]',
    ],
)
def test_huge_integers_nan_and_deep_lists_in_unknown_fields_come_back(server: Client, task: str, event: str) -> None:
    server.add_batch([f'{{{event},"task":"{task}","metric":"m","variant":"v","iter":1,"huge":{2**70},"nan":NaN,"deep":{DEEP}}}'])
    [found] = server.events(task)
    depth, node = 0, found["deep"]
    while node:
        depth, node = depth + 1, node[0]
    assert (found["huge"], found["nan"], depth) == (2**70, None, 299)


def test_metric_data_shows_them_too(server: Client, task: str) -> None:
    server.add_batch([f'{{"type":"training_stats_scalar","task":"{task}","metric":"m","variant":"v","iter":1,"value":1,"huge":{2**70}}}'])
    data: dict[str, Any] = server.call("events.get_scalar_metric_data", task=task, metric="m")
    assert data["events"][0]["huge"] == 2**70


@pytest.mark.parametrize("kind", [["x"], {"a": 1}, 5, True, [], ""])
def test_a_type_that_is_no_text_is_refused(server: Client, task: str, kind: object) -> None:
    assert server.refused("events.add", type=kind, task=task).code == 400
    assert server.send_batch([{"type": kind, "task": task, "value": 1}]).codes == (400, 131)
