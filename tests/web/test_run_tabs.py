"""Overview, images, plots, configuration, artifacts and storage of a run."""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import tidemark_events
from tests.client import Client, image, log, plot, scalar
from tests.web.browser import Watched
from tests.web.runs import png

pytestmark = pytest.mark.one_engine

HEATMAP = json.dumps({"data": [{"type": "heatmap", "z": [[1, 2], [3, 4]]}], "layout": {"title": {"text": "h"}}})


@pytest.mark.both_engines
def test_the_overview_shows_single_values_and_statistics(server: Client, page: Page, task: str) -> None:
    server.add_batch(
        [
            scalar(task, "Summary", "accuracy", iter=-(2**31), value=0.93125),
            *(scalar(task, iter=i, value=v) for i, v in enumerate([3.0, 1.0, 2.0])),
        ]
    )
    server.call("tasks.edit", task=task, runtime={"progress": "40"}, force=True)
    page.goto(f"/runs/{task}?tab=overview")
    expect(page.locator("dl.facts")).to_contain_text("40 %")
    expect(page.locator(".value-card")).to_contain_text("accuracy")
    expect(page.locator(".value-card b")).to_have_text("0.93125")
    row = page.get_by_role("row").filter(has_text="loss")
    expect(row.get_by_role("cell")).to_have_text(["loss", "train", "2", "2", "1", "1", "3", "0", "2", "3"])


def test_an_image_on_another_host_is_no_request(server: Client, page: Page, task: str) -> None:
    server.add_batch([image(task, "s", "a", url="https://elsewhere.example/x.png"), image(task, "s", "b", url="s3://bucket/y.png")])
    page.goto(f"/runs/{task}?tab=images")
    expect(page.get_by_role("link", name="open on its own server")).to_be_visible()
    expect(page.get_by_text("s3://bucket/y.png")).to_be_visible()


def test_figures_are_drawn_in_the_frame(server: Client, page: Page, task: str) -> None:
    server.add_batch([plot(task, "matrix", "test", iter=i, plot_str=HEATMAP) for i in (1, 2)])
    page.goto(f"/runs/{task}?tab=plots")
    frame = page.frame_locator("iframe.plot-frame")
    expect(frame.locator("figure .plot svg.main-svg").first).to_be_visible(timeout=30_000)
    expect(frame.locator("figcaption")).to_contain_text("step 2")
    frame.get_by_role("button", name="Earlier step").click()
    expect(frame.locator("figcaption")).to_contain_text("step 1")


def test_the_frame_of_figures_reaches_nothing(server: Client, page: Page, web: Watched, task: str) -> None:
    server.add_batch([plot(task, "matrix", "test", plot_str=HEATMAP)])
    page.goto(f"/runs/{task}?tab=plots")
    expect(page.frame_locator("iframe.plot-frame").locator("figure")).to_be_visible(timeout=30_000)
    frame = next(frame for frame in page.frames if "plots.html" in frame.url)
    assert frame.evaluate("self.origin") == "null"
    web.expected += ["fetch", "Connecting to", "connect-src", "Fetch API"]  # what the policy refuses is written to the console
    assert frame.evaluate("fetch('/v2.34/debug.ping').then(() => 'reached', () => 'refused')") == "refused"
    assert frame.evaluate("(() => { try { return document.cookie } catch (e) { return 'refused' } })()") == "refused"


def test_a_hostile_figure_is_text(server: Client, page: Page, task: str) -> None:
    hostile = json.dumps(
        {
            "data": [{"type": "bar", "x": ["<img src=x onerror=parent.bad=1>"], "y": [1]}],
            "layout": {"title": {"text": "<script>bad=1</script>"}},
        }
    )
    server.add_batch([plot(task, "<b>m</b>", "x", plot_str=hostile), plot(task, "no json", "x", plot_str="{")])
    page.goto(f"/runs/{task}?tab=plots")
    frame = page.frame_locator("iframe.plot-frame")
    expect(frame.locator("figcaption b").filter(has_text="<b>m</b> / x")).to_be_visible(timeout=30_000)
    expect(frame.get_by_text("This figure can't be drawn")).to_be_visible(timeout=30_000)
    assert page.evaluate("window.bad") is None


def test_histograms_of_very_small_and_very_large_values_are_drawn_with_few_bins(server: Client, page: Page, task: str) -> None:
    """The library makes a million bins of them, or bins without end."""
    small = [1e-300 * (1 + math.sin(i) + i / 1e7) for i in range(500)]
    figures: dict[str, dict[str, Any]] = {
        "small": {"data": [{"type": "histogram", "x": small}]},
        "both": {"data": [{"type": "histogram2d", "x": small, "y": [1e200 * i for i in range(500)]}]},
        "bytes": {"data": [{"type": "histogram", "y": {"dtype": "f8", "bdata": base64.b64encode(struct.pack("<500d", *small)).decode()}}]},
        "too many": {"data": [{"type": "histogram2d", "x": [1, 2, 3], "y": [1, 2, 3], "xbins": {"size": 1e-9}}]},
        "usual": {"data": [{"type": "histogram", "x": [1, 2, 2, 3], "xbins": {"size": 0.5}}]},
    }
    server.add_batch([plot(task, name, name, plot_str=json.dumps(figure)) for name, figure in figures.items()])
    page.goto(f"/runs/{task}?tab=plots")
    frame = page.frame_locator("iframe.plot-frame")
    for name in figures:
        figure = frame.locator("figure").filter(has=frame.get_by_text(name, exact=True))
        figure.scroll_into_view_if_needed()
        expect(figure.locator("svg.main-svg").first).to_be_attached()
        expect(figure.locator(".note")).to_have_text(
            "About 2e+9 bins along x are too many; drawn are up to 100." if name == "too many" else ""
        )
        assert 1 <= figure.locator(".plot .point, .plot .hm").count() <= 110, name


def test_tables_are_tables(server: Client, page: Page, task: str) -> None:
    table = {
        "data": [{"type": "table", "header": {"values": ["name", "value"]}, "cells": {"values": [["a", "<b>b</b>"], [1, 2.5]]}}],
        "layout": {},
    }
    server.add_batch([plot(task, "best", "table", plot_str=json.dumps(table))])
    page.goto(f"/runs/{task}?tab=plots")
    expect(page.get_by_role("row")).to_have_text(["namevalue", "a1", "b2.5"])


def test_the_configuration_can_be_searched(server: Client, page: Page) -> None:
    task = server.new_task(
        hyperparams={
            "General": {
                "lr": {"section": "General", "name": "lr", "value": "0.001"},
                "batch": {"section": "General", "name": "batch", "value": "96"},
            }
        },
        configuration={"model": {"name": "model", "value": "layers: 3\nwidth: 5"}},
        script={"repository": "git@x:y.git", "entry_point": "train.py", "diff": "+added\n-removed"},
    )
    page.goto(f"/runs/{task}?tab=config")
    expect(page.get_by_role("cell", name="0.001")).to_be_visible()
    expect(page.get_by_text("width: 5")).to_be_visible()
    expect(page.locator(".text-block .added")).to_have_text("+added")
    page.keyboard.press("/")
    page.keyboard.type("batch")
    expect(page.get_by_role("cell", name="0.001")).not_to_be_visible()
    expect(page.get_by_role("cell", name="96")).to_be_visible()


def test_log_lines_are_deleted_after_a_question(server: Client, page: Page, task: str) -> None:
    server.add_batch([log(task, f"line {i}", timestamp=1_600_000_000_000 + i) for i in range(5)])
    page.goto(f"/runs/{task}?tab=storage")
    row = page.get_by_role("row").filter(has_text="Log lines")
    expect(row).to_contain_text("5")
    expect(row.locator(".bar-cell")).to_have_css("vertical-align", "middle")
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("5 log lines deleted.")).to_be_visible()
    expect(page.get_by_text("This run has no events.")).to_be_visible()


def test_artifacts_show_the_beginning_of_texts_and_small_images(server: Client, page: Page) -> None:
    run = tidemark_events.connect(f"http://{server.host}:{server.port}").run("with files")
    run.log_artifact("report", {"accuracy": 0.9})
    run.log_artifact("curve.png", png(20, 10))
    url = run.log_artifact("notes.md", "far too long " * 1000)
    artifacts = server.call("tasks.get_by_id", task=run.id)["task"]["execution"]["artifacts"]
    server.call(
        "tasks.add_or_update_artifacts",
        task=run.id,
        force=True,
        artifacts=[{**one, "type_data": {}} for one in artifacts if one["key"] == "notes.md"],
    )
    server.call("tasks.add_or_update_artifacts", task=run.id, force=True, artifacts=[{"key": "elsewhere", "uri": "s3://bucket/far"}])
    model = server.call("models.create", name="the network", uri=url)["id"]
    server.call("tasks.add_or_update_model", task=run.id, name="best", model=model, type="output")
    run.finish()
    page.goto(f"/runs/{run.id}?tab=artifacts")
    expect(page.get_by_role("link", name="report")).to_have_attribute("href", re.compile("^/files/.*report.json$"))
    expect(page.get_by_label("Beginning of report")).to_contain_text('"accuracy": 0.9')
    expect(page.get_by_role("img", name="curve.png")).to_have_js_property("naturalWidth", 20)
    page.get_by_role("button", name="Show the beginning of notes.md").click()
    expect(page.get_by_label("Beginning of notes.md")).to_contain_text("far too long far too long")
    assert len(page.get_by_label("Beginning of notes.md").inner_text()) <= 2_000
    expect(page.get_by_role("link", name="the network")).to_have_attribute("href", re.compile("notes.md$"))
    expect(page.get_by_role("row").filter(has_text="elsewhere")).to_contain_text("s3://bucket/far")
