"""Copy link to exactly this: what a reader sees is what another one sees who opens the copied address."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.client import Client, log, plot
from tests.process import Server
from tests.web.browser import Watched
from tests.web.conftest import OpenBrowser
from tests.web.runs import card, open_run, series

pytestmark = pytest.mark.one_engine

Opened = Callable[[], Page]


@pytest.fixture
def web(open_browser: OpenBrowser, plain_server: Server) -> Watched:
    """A reader of the server."""
    return open_browser(plain_server.url, permissions=["clipboard-read", "clipboard-write"])


@pytest.fixture
def server(plain_server: Server) -> Client:
    """The page decides here, not the engine."""
    return plain_server.client()


@pytest.fixture
def opened(page: Page, open_browser: OpenBrowser, plain_server: Server) -> Opened:
    """Copies the link by its key and opens it in a browser that knows nothing else."""

    def open_copy() -> Page:
        page.keyboard.press("u")
        expect(page.get_by_text("Copied the link")).to_be_visible()
        link = page.evaluate("navigator.clipboard.readText()")
        other = open_browser(plain_server.url).context.new_page()
        other.goto(link)
        return other

    return open_copy


def menu(page: Page, title: str, entry: str) -> None:
    """Choose from the menu of a card."""
    page.get_by_role("button", name=f"Menu of {title}").click()
    page.get_by_role("menuitem", name=entry).click()


def test_a_robust_range_and_hidden_lines(server: Client, page: Page, opened: Opened, task: str) -> None:
    values = [1.0 + i % 7 / 10 for i in range(200)]
    values[100] = 1e6
    server.add_batch([*series(task, values), *series(task, values[:50], variant="test, late; 2~"), *series(task, values[:50], variant="x")])
    open_run(page, task)
    menu(page, "loss", "Robust range")
    card(page, "loss").get_by_role("button", name=re.compile("test, late; 2~")).click(modifiers=["Control"])
    expect(card(page, "loss")).to_contain_text("1 point above")
    other = opened()
    expect(card(other, "loss")).to_contain_text("robust")
    expect(card(other, "loss")).to_contain_text("1 point above")
    expect(card(other, "loss").locator(".legend-entry.off")).to_have_text([re.compile("test, late; 2~")])


def test_a_box_zoom_in_a_card_of_full_size(server: Client, page: Page, opened: Opened, task: str) -> None:
    server.add_batch(series(task, [math.sin(i / 20) for i in range(400)]))
    open_run(page, task)
    card(page, "loss / train").get_by_role("button", name="Full size").click()
    large = page.get_by_role("dialog", name="loss / train")
    over = large.locator(".u-over").bounding_box()
    assert over is not None
    page.keyboard.down("Shift")
    page.mouse.move(over["x"] + over["width"] * 0.25, over["y"] + over["height"] * 0.25)
    page.mouse.down()
    page.mouse.move(over["x"] + over["width"] * 0.75, over["y"] + over["height"] * 0.5, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(large).to_contain_text("box zoom, undo")
    other = opened()
    again = other.get_by_role("dialog", name="loss / train")
    expect(again).to_contain_text("box zoom, undo")
    expect(other.locator(".range-text")).to_have_text(page.locator(".range-text").inner_text())


def test_the_cursor_and_the_card_to_which_the_reader_has_scrolled(server: Client, page: Page, opened: Opened, task: str) -> None:
    for number in range(20):
        server.add_batch(series(task, [float(i + number) for i in range(50)], f"metric{number:02}"))
    open_run(page, task)
    page.evaluate("scrollTo(0, 1200)")
    shown = page.locator("[data-card]").filter(has=page.locator("canvas"))
    expect(card(page, "metric09 / train").locator("canvas").first).to_be_visible()
    assert shown.count() < 20
    card(page, "metric09 / train").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(card(page, "metric09 / train").locator(".chart-foot")).to_contain_text("step 1 · mean 10")
    top = page.evaluate("scrollY")
    other = opened()
    expect(card(other, "metric09 / train").locator(".chart-foot")).to_contain_text("step 1 · mean 10")
    other.wait_for_function("(top) => Math.abs(scrollY - top) < 330", arg=top)


def test_a_link_leads_to_its_card_once_and_a_tab_back_to_where_its_reader_went(server: Client, page: Page, task: str) -> None:
    for number in range(20):
        server.add_batch(series(task, [float(i + number) for i in range(50)], f"metric{number:02}"))
    page.goto(f"/runs/{task}?card=metric09")
    expect(card(page, "metric09 / train")).to_be_focused()
    page.reload()
    expect(card(page, "metric09 / train")).to_be_focused()
    page.mouse.move(900, 500)
    page.mouse.wheel(0, 1000)
    expect(page).not_to_have_url(re.compile("card="))
    page.wait_for_function("() => scrollY > 1900")
    there = page.evaluate("scrollY")
    page.keyboard.press("3")
    expect(page.get_by_role("heading", name="No log lines")).to_be_visible()
    page.keyboard.press("2")
    page.wait_for_function("(top) => Math.abs(scrollY - top) < 330", arg=there)
    page.keyboard.press("Home")
    expect(page).not_to_have_url(re.compile("card="))
    page.wait_for_function("() => scrollY === 0")
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("heading", name="Reported")).to_be_visible()
    page.get_by_role("link", name="Charts").click()
    expect(card(page, "metric00 / train").locator("canvas").first).to_be_visible()
    assert page.evaluate("scrollY") == 0


def test_back_leads_to_the_rows_of_the_table_from_which_a_run_was_opened(server: Client, page: Page) -> None:
    name = f"t{uuid.uuid4().hex[:8]}"
    for number in range(230):
        server.new_task(f"{name} {number:03}")
    page.goto(f"/?q={name}&sort=name&cols=status")
    expect(page.locator(".facet-total")).to_have_text("230 runs")
    page.locator(".runs-scroll").evaluate("(box) => box.scrollTo(0, 33 * 150)")
    page.get_by_role("link", name=f"{name} 155").click()
    expect(page.get_by_role("heading", name=f"{name} 155")).to_be_visible()
    page.go_back()
    expect(page.locator(".facet-seen")).to_have_text(re.compile("^151–"))
    expect(page.get_by_role("link", name=f"{name} 155")).to_be_in_viewport()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name=f"{name} 150")).to_be_focused()
    expect(page).not_to_have_url(re.compile("top="))


def test_a_new_search_begins_at_its_first_hit_whatever_a_link_said(server: Client, page: Page, task: str) -> None:
    server.add_batch([log(task, f"line {i}{' found' if i % 100 == 0 else ''}", timestamp=1_790_000_000_000 + i) for i in range(1000)])
    page.goto(f"/runs/{task}?tab=console&find=found&top=401&hit=5")
    expect(page.locator(".log-progress")).to_contain_text("5 of 10")
    expect(page.locator(".log-foot")).to_contain_text("lines 401–")
    page.get_by_role("searchbox", name="Search the whole log").press("End")
    expect(page).not_to_have_url(re.compile("top=|hit="))
    page.get_by_role("searchbox", name="Search the whole log").fill("line 7")
    expect(page.locator(".log-progress")).to_contain_text("1 of 111")
    expect(page.locator(".log-line.current")).to_contain_text("line 7")


def test_a_log_that_is_opened_again_stands_where_its_reader_was(server: Client, page: Page, task: str) -> None:
    server.add_batch([log(task, f"line {i}", timestamp=1_790_000_000_000 + i) for i in range(2000)])
    page.goto(f"/runs/{task}?tab=console&line=1000")
    expect(page.locator(".log-line.current")).to_contain_text("line 999")
    for _ in range(2):
        page.keyboard.press("PageDown")
    first = page.locator(".log-foot").inner_text().split("–")[0]
    page.keyboard.press("1")
    expect(page.locator(".log-foot")).to_have_count(0)
    page.keyboard.press("3")
    expect(page.locator(".log-foot")).to_contain_text(first)
    page.keyboard.press("End")
    expect(page.get_by_text("line 1999", exact=True)).to_be_visible()
    page.keyboard.press("1")
    expect(page.locator(".log-foot")).to_have_count(0)
    page.go_back()
    expect(page.get_by_text("line 1999", exact=True)).to_be_visible()


def test_the_cursor_of_a_comparison_stays_where_it_was_clicked_until_it_is_dropped(page: Page, runs: list[str]) -> None:
    page.goto(f"/compare?runs={','.join(runs)}")
    chart = card(page, "acc / val")
    box = chart.locator(".u-over").bounding_box()
    assert box is not None
    chart.locator(".u-over").click(position={"x": box["width"] - 3, "y": 20})
    page.mouse.move(2, 2)
    expect(page).to_have_url(re.compile("at=1$"))
    expect(chart.locator(".chart-foot")).to_contain_text("step 1 · mean")
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("at="))
    expect(chart.locator(".chart-foot")).to_contain_text("6 points")


def test_the_place_in_the_log_and_how_it_is_shown(server: Client, page: Page, opened: Opened, task: str) -> None:
    server.add_batch([log(task, f"line {i}", timestamp=1_790_000_000_000 + i) for i in range(2000)])
    page.goto(f"/runs/{task}?tab=console")
    expect(page.get_by_text("line 1999", exact=True)).to_be_visible()
    page.get_by_role("combobox", name="Times").select_option("start")
    page.get_by_role("button", name="Wrap").click()
    page.keyboard.press("Home")
    expect(page.get_by_text("line 0", exact=True)).to_be_visible()
    for _ in range(3):
        page.keyboard.press("PageDown")
    first = page.locator(".log-foot").inner_text().split("–")[0]
    other = opened()
    expect(other.locator(".log-foot")).to_contain_text(first)
    expect(other.get_by_role("combobox", name="Times")).to_have_value("start")
    expect(other.get_by_role("button", name="Wrap")).to_have_attribute("aria-pressed", "true")


def test_a_hit_of_a_search_in_the_log(server: Client, page: Page, opened: Opened, task: str) -> None:
    server.add_batch([log(task, f"line {i}{' found' if i % 100 == 0 else ''}", timestamp=1_790_000_000_000 + i) for i in range(1000)])
    page.goto(f"/runs/{task}?tab=console&find=found")
    expect(page.locator(".log-progress")).to_contain_text("1 of 10")
    for _ in range(4):
        page.keyboard.press("n")
    expect(page.locator(".log-progress")).to_contain_text("5 of 10")
    other = opened()
    expect(other.locator(".log-progress")).to_contain_text("5 of 10")
    expect(other.locator(".log-line.current")).to_contain_text("line 400 found")


def test_the_step_of_a_figure(server: Client, page: Page, opened: Opened, task: str) -> None:
    for step in range(3):
        figure = {"data": [{"type": "table", "header": {"values": ["at"]}, "cells": {"values": [[f"row of step {step}"]]}}]}
        server.add_batch([plot(task, "results", "x", iter=step, plot_str=json.dumps(figure))])
    page.goto(f"/runs/{task}?tab=plots")
    expect(page.get_by_text("row of step 2")).to_be_visible()
    page.get_by_role("button", name="Earlier step").click()
    expect(page.get_by_text("row of step 1")).to_be_visible()
    expect(page).to_have_url(re.compile("steps=results;1"))
    other = opened()
    expect(other.get_by_text("row of step 1")).to_be_visible()


@pytest.fixture
def runs(server: Client) -> list[str]:
    """Three runs with parameters, values and texts."""
    ids = []
    for number in range(3):
        names = {"lr": 0.1 * number, "depth": number + 1, "width": 2**number, "epochs": 5}
        parameters = {name: {"section": "General", "name": name, "value": str(value)} for name, value in names.items()}
        text = "".join(f"line {i}\n" for i in range(30)) + f"run {number}"
        task = server.new_task(f"run {number}", hyperparams={"General": parameters}, configuration={"net": {"name": "net", "value": text}})
        server.add_batch([*series(task, [1.0, float(number)]), *series(task, [2.0, 3.0 + number], "acc", "val")])
        ids.append(task)
    return ids


def test_the_axes_of_the_plots_of_values(page: Page, opened: Opened, runs: list[str]) -> None:
    page.goto(f"/compare?runs={','.join(runs)}&tab=values")
    scatter = page.locator(".compare-search").filter(has=page.get_by_role("heading", name="Scatter"))
    scatter.locator("select").nth(0).select_option("General/width")
    scatter.locator("select").nth(1).select_option("acc/val")
    page.get_by_role("button", name="Axes").click()
    page.get_by_role("group", name="Axes").get_by_label("General/depth").uncheck()
    page.keyboard.press("Escape")
    other = opened()
    expect(other.locator("svg.scatter")).to_have_attribute("aria-label", re.compile("^acc/val over General/width"))
    expect(other.locator("svg.parallel")).to_have_attribute("aria-label", re.compile("^(?!.*depth)"))


def test_the_two_runs_of_a_difference(page: Page, opened: Opened, runs: list[str]) -> None:
    page.goto(f"/compare?runs={','.join(runs)}&tab=config")
    page.get_by_label("To run").select_option(label="run 2")
    page.get_by_role("button", name="Whole text").click()
    page.get_by_label("show equal values too").check()
    page.get_by_role("searchbox", name="Find parameter").fill("depth|epochs")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("heading", name="Texts").click()
    other = opened()
    expect(other.locator(".diff-line.added")).to_contain_text("run 2")
    expect(other.locator(".diff-line.same")).to_have_count(30)
    expect(other.locator("tbody tr")).to_have_count(2)


def test_a_card_of_a_comparison_with_its_cursor(page: Page, opened: Opened, runs: list[str]) -> None:
    page.goto(f"/compare?runs={','.join(runs)}")
    card(page, "acc / val").get_by_role("button", name="Full size").click()
    large = page.get_by_role("dialog", name="acc / val")
    expect(large).to_contain_text("6 points")
    large.locator("figure").focus()
    page.keyboard.press("ArrowRight")
    expect(large.locator(".chart-foot")).to_contain_text("step 0 · mean 2")
    other = opened()
    expect(other.get_by_role("dialog", name="acc / val").locator(".chart-foot")).to_contain_text("step 0 · mean 2")


def test_what_an_image_viewer_shows(server: Client, page: Page, opened: Opened, runs: list[str]) -> None:
    from tests.web.test_images import stored

    for run in runs[:2]:
        stored(server, run, range(4))
    page.goto(f"/compare?runs={','.join(runs[:2])}&tab=images")
    page.get_by_role("button", name=re.compile("step 2$")).first.click()
    viewer = page.get_by_role("dialog")
    expect(viewer.locator("img")).to_have_count(2)
    for key in ("=", "+", "n", "d", "r"):
        page.keyboard.press(key)
    expect(viewer.locator("figure").nth(1)).to_contain_text("itself")
    viewer.get_by_role("slider", name="Brightness").fill("3")
    expect(page).to_have_url(re.compile("light=3"))
    viewer.locator(".viewer-foot").click()
    other = opened().get_by_role("dialog")
    expect(other.locator(".step-name")).to_have_text("step 2")
    expect(other.locator("figure").nth(1)).to_contain_text("itself")
    expect(other.locator(".viewer-foot")).to_contain_text("125 %")
    expect(other.get_by_role("slider", name="Brightness")).to_have_value("3")
    expect(other.get_by_role("button", name="Pixels")).to_have_attribute("aria-pressed", "true")


def test_a_selection_that_is_too_long_for_an_address(server: Client, page: Page, opened: Opened) -> None:
    page.goto(f"/?sel={','.join(uuid.uuid4().hex for _ in range(190))}")
    expect(page.get_by_role("region", name="Selected runs")).to_contain_text("190 selected")
    other = opened()
    assert len(page.evaluate("navigator.clipboard.readText()")) < 100
    bar = other.get_by_role("region", name="Selected runs")
    expect(bar).to_contain_text("190 selected")
    assert len(other.url) < 100
    other.reload()
    expect(bar).to_contain_text("190 selected")


def test_a_long_link_that_the_server_does_not_know(page: Page) -> None:
    page.goto("/compare?view=0123456789")
    expect(page.get_by_role("heading", name="This link can't be opened")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("there is no such view in this company")
