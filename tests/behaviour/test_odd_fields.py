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


@pytest.mark.parametrize("event", ['"type":"plot","plot_str":"{}"', '"type":"log","msg":"x"', '"type":"training_stats_scalar","value":1'])
def test_integers_of_any_length_come_back(server: Client, task: str, event: str) -> None:
    """Elasticsearch reads numbers of up to 1,000 digits."""
    for digits in (999, 1_000, 1_001, 4_000):
        server.add_batch(
            [f'{{{event},"task":"{task}","metric":"m","variant":"v{digits}","iter":1,"huge":[{"7" * digits}],"body":"a text"}}']
        )
        [found] = server.events(task, metrics=[{"metric": "m", "variants": [f"v{digits}"]}])
        assert (found["huge"], found["body"]) == ([int("7" * digits)], "a text")


def test_metric_data_shows_them_too(server: Client, task: str) -> None:
    server.add_batch([f'{{"type":"training_stats_scalar","task":"{task}","metric":"m","variant":"v","iter":1,"value":1,"huge":{2**70}}}'])
    data: dict[str, Any] = server.call("events.get_scalar_metric_data", task=task, metric="m")
    assert data["events"][0]["huge"] == 2**70


@pytest.mark.parametrize("kind", [["x"], {"a": 1}, 5, True, [], ""])
def test_a_type_that_is_no_text_is_refused(server: Client, task: str, kind: object) -> None:
    assert server.refused("events.add", type=kind, task=task).code == 400
    assert server.send_batch([{"type": kind, "task": task, "value": 1}]).codes == (400, 131)


def test_what_is_too_deep_to_be_answered_is_not_stored(server: Client, task: str) -> None:
    """JSON readers take more levels than writers."""

    def event(levels: int, kind: str) -> str:
        return f'{{"type":"{kind}","task":"{task}","metric":"m","variant":"v{levels}","iter":1,"value":1,"msg":"x","deep":{"[" * levels}{"]" * levels}}}'

    for kind in ("training_stats_scalar", "log", "plot"):
        answer = server.add_batch([event(levels, kind) for levels in (340, 400, 600, 900)])
        assert (answer["added"], answer["errors_info"]) == (1, {"a line holds too much": 3})
    assert len(server.events(task)) == 3
