"""Plots with NaN and infinities, as Python's JSON writer makes them, can be parsed by browsers in every answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apiserver.bll.events.plot_text import readable
from tests.client import Client, plot

BARE = '{"data": [{"y": [1, NaN, -Infinity,Infinity], "name": "a NaN, \\"NaN\\" \\\\", "t": "Infinity"}], "layout": {"z": NaN}}'
CLEAN = BARE.replace("1, NaN, -Infinity,Infinity", "1, null, null,null").replace('"z": NaN', '"z": null')
OTHERS = {"valid": '{"a":  "NaN"}', "no json": "NaN of <b>Infinity</b>", "empty": ""}


def texts(value: Any) -> list[tuple[str, str]]:
    """(variant, plot_str) of every plot in an answer."""
    if isinstance(value, list):
        return [found for item in value for found in texts(item)]
    if not isinstance(value, dict):
        return []
    own = [(value["variant"], value["plot_str"])] if "plot_str" in value else []
    return own + [found for item in value.values() for found in texts(item)]


def test_every_endpoint_answers_plots_that_browsers_can_parse(server: Client, task: str) -> None:
    server.add_batch([plot(task, "roc", name, iter=1, plot_str=text) for name, text in {"bare": BARE, **OTHERS}.items()])
    calls: list[tuple[str, str | None, dict[str, Any]]] = [
        ("events.get_task_plots", None, {"task": task}),
        ("events.get_task_plots", "1.7", {"task": task}),
        ("events.get_multi_task_plots", None, {"tasks": [task]}),
        ("events.get_multi_task_plots", "1.7", {"tasks": [task]}),
        ("events.plots", None, {"metrics": [{"task": task}]}),
        ("events.get_plot_sample", None, {"task": task, "metric": "roc"}),
        ("events.get_task_events", None, {"task": task, "event_type": "plot"}),
        ("events.get_task_events", None, {"task": task}),
    ]
    for endpoint, version, body in calls:
        found = dict(texts(server.call(endpoint, body, version=version)))
        assert found.pop("bare") == CLEAN, (endpoint, version)
        assert found.items() <= OTHERS.items()
    json.loads(CLEAN, parse_constant=lambda name: 1 / 0)


def test_a_step_to_a_plot_answers_it_readable_too(server: Client, task: str) -> None:
    server.add_batch([plot(task, "roc", "v", iter=step, plot_str=BARE) for step in (1, 2)])
    opened = server.call("events.get_plot_sample", task=task, metric="roc")
    stepped = server.call("events.next_plot_sample", task=task, scroll_id=opened["scroll_id"])
    assert texts(opened) == texts(stepped) == [("v", CLEAN)]


def test_preferences_that_no_store_holds_are_refused(server: Client) -> None:
    before = server.call("users.get_preferences")
    assert server.refused("users.set_preferences", preferences={"a": {"b": 10**4000}}).codes == (400, 12)
    assert server.call("users.get_preferences") == before


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ('{"y":[NaN,1e400]}', '{"y":[null,1e400]}'),
        ('{"t":"\\ud800","y":[NaN]}', '{"t":"\\ud800","y":[null]}'),
        ("[" * 1_100 + "NaN" + "]" * 1_100, "[" * 1_100 + "null" + "]" * 1_100),
        ('{"n":' + "9" * 5_000 + ',"y":-Infinity}', '{"n":' + "9" * 5_000 + ',"y":null}'),
        ('{"y":[NaN,01]}', '{"y":[NaN,01]}'),
        ('{"y":[-NaN]}', '{"y":[-NaN]}'),
        ("[" * 200_000 + "NaN" + "]" * 200_000, "[" * 200_000 + "null" + "]" * 200_000),
    ],
    ids=["1e400", "surrogate", "nested", "long integer", "no json", "no number", "deeply nested"],
)
def test_what_browsers_read_and_strict_readers_refuse_is_cleaned_too(sent: str, answered: str) -> None:
    assert readable(sent) == answered
