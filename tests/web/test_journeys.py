"""What people come for, from end to end, on both engines: a test for each step of the page's design."""

from __future__ import annotations

import json
import math
import re
import uuid
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.client import Client, image, log, plot, scalar
from tests.web import seed
from tests.web.runs import NOW, card, png, series, store_file


def test_from_the_link_that_the_sdk_prints_to_charts_and_overview(server: Client, page: Page, task: str) -> None:
    server.add_batch([*series(task, [3.0, 2.0, 1.0]), log(task, "hello", timestamp=NOW)])
    page.goto(f"/projects/any/experiments/{task}/output/log")
    expect(page.get_by_text("hello", exact=True)).to_be_visible()
    page.keyboard.press("2")
    expect(card(page, "loss / train")).to_contain_text("3 points")
    page.keyboard.press("1")
    expect(page.get_by_role("row").filter(has_text="loss").get_by_role("cell").nth(2)).to_have_text("1")
    page.keyboard.press("g")
    page.keyboard.press("r")
    expect(page.locator("table.runs .run-name").first).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_role("combobox", name="Filter of runs")).to_be_focused()
    page.keyboard.type(f"id:{task}")
    page.keyboard.press("Enter")
    expect(page.locator("table.runs .run-name")).to_have_text([task])


def test_a_rare_line_is_found_and_leads_to_the_charts_of_its_time(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [float(i) for i in range(100)]))
    server.add_batch([log(task, f"line {i}{' needle' if i == 42 else ''}", timestamp=NOW + i * 1000) for i in range(3000)])
    page.goto(f"/runs/{task}?tab=console")
    expect(page.get_by_text("line 2999", exact=True)).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("needle")
    expect(page.locator(".log-line.current")).to_contain_text("line 42 needle")
    page.locator(".log-line.current .log-time").click()
    expect(card(page, "loss / train").locator(".chart-foot")).to_contain_text("mean 42")
    page.go_back()
    expect(page.locator(".log-line.current")).to_contain_text("line 42 needle")


def test_many_live_series_from_small_pictures_to_full_detail(server: Client, page: Page, task: str) -> None:
    for number in range(30):
        server.add_batch(series(task, [math.sin(i / 9 + number) for i in range(60)], f"layer{number:02}"))
    server.add_batch([scalar(task, "layer07", "train", iter=60, value=math.nan, timestamp=NOW + 60_000)])
    page.goto(f"/runs/{task}")
    expect(page.get_by_text("30 charts", exact=True)).to_be_visible()
    page.get_by_role("button", name="XS").click()
    expect(page.locator(".tile")).to_have_count(30)
    page.locator(".tile").filter(has_text="layer07").click()
    large = page.get_by_role("dialog", name="layer07 / train")
    expect(large).to_contain_text("61 points · 1 NaN since step 60")
    page.keyboard.press("+")
    expect(page).to_have_url(re.compile("r=15-45"))
    expect(large).to_contain_text(re.compile("3[12] points"))
    page.keyboard.press("=")
    server.add_batch(series(task, [0.5], "layer07", first=61))
    expect(large).to_contain_text("62 points")
    page.keyboard.press("Escape")
    expect(large).to_have_count(0)
    with page.expect_response("**/users.set_preferences"):
        page.get_by_role("button", name="M", exact=True).click()


def test_runs_are_filtered_chosen_and_compared_by_keys(server: Client, page: Page) -> None:
    project = f"journey-{uuid.uuid4().hex[:8]}"
    seed.trainings(server, project, steps=20, runs=seed.RUNS[:4])
    page.goto(f"/?project={project}&sort=name")
    expect(page.locator("table.runs .run-name")).to_have_count(4)
    page.keyboard.press("/")
    expect(page.get_by_role("combobox", name="Filter of runs")).to_be_focused()
    page.keyboard.type("status:completed")
    page.keyboard.press("Enter")
    expect(page.locator("table.runs .run-name")).to_have_text(["resnet50-aug-6", "resnet50-base", "vit-small-2"])
    page.locator("main").focus()
    for key in ("j", "Space", "j", "j", "Space", "c"):
        page.keyboard.press(key)
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare 2 runs")
    chart = card(page, "val / loss")
    expect(chart).to_contain_text("40 points")
    chart.focus()
    page.keyboard.press("ArrowRight")
    near = chart.locator(".legend-entry.near")
    first = near.inner_text()
    page.keyboard.press("ArrowDown" if near.evaluate("(e) => e === e.parentElement.firstElementChild") else "ArrowUp")
    expect(near).not_to_have_text(first)
    page.keyboard.press("h")
    expect(chart.locator(".legend-entry")).to_have_count(1)
    page.keyboard.press("2")
    expect(page.get_by_role("heading", name=re.compile("parameters? differ"))).to_be_visible()
    expect(page.get_by_role("rowheader", name="General/augment")).to_be_visible()
    page.keyboard.press("5")
    expect(page.locator("svg.parallel > path")).to_have_count(1)


def test_images_and_figures_of_two_runs_stand_side_by_side(server: Client, page: Page) -> None:
    runs = [server.new_task(f"painter {number}") for number in range(2)]
    for number, task in enumerate(runs):
        for step in range(3):
            url = store_file(server, f"p/t.{task}/metrics/s/a/{step}.png", png(16, 12, (60 * step, 90 * number, 200)))
            server.add_batch([image(task, "s", "a", iter=step, url=url)])
        server.add_batch([plot(task, "matrix", "test", plot_str=json.dumps({"data": [{"type": "heatmap", "z": [[1, 2], [3, number]]}]}))])
    page.goto(f"/compare?runs={','.join(runs)}")
    page.keyboard.press("3")
    expect(page.get_by_role("table").locator("img")).to_have_count(6)
    page.keyboard.press("f")
    viewer = page.get_by_role("dialog")
    expect(viewer.locator("img")).to_have_count(2)
    page.keyboard.press("d")
    expect(viewer.locator("figure").nth(1)).to_contain_text("100 % of the pixels differ")
    page.keyboard.press("Escape")
    page.keyboard.press("4")
    frame = page.frame_locator("iframe.plot-frame")
    expect(frame.locator("figure .plot svg.main-svg").nth(1)).to_be_attached(timeout=30_000)
    expect(frame.locator("figcaption b")).to_have_text(["painter 0", "painter 1"])


def test_groups_are_charts_and_a_run_is_taken_along_as_a_file(server: Client, page: Page, tmp_path: Path) -> None:
    project = f"journey-{uuid.uuid4().hex[:8]}"
    (first, *_) = seed.trainings(server, project, steps=20, runs=seed.RUNS[:4])
    page.goto(f"/?project={project}&cols=status,last:val/loss")
    page.get_by_role("button", name="Group").click()
    page.get_by_role("group", name="Group by").get_by_label("Status").check()
    page.keyboard.press("Escape")
    row = page.get_by_role("table", name="Groups of runs").get_by_role("row").filter(has_text="completed")
    expect(row.get_by_role("cell").nth(1)).to_have_text("3")
    page.get_by_role("button", name="Charts of the groups").click()
    expect(page.locator(".chart-card").first.locator(".legend-entry")).to_have_count(2)
    page.goto(f"/runs/{first}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as one HTML file").click()
    download.value.save_as(tmp_path / "run.html")
    assert "resnet50-aug-7" in (tmp_path / "run.html").read_text()
