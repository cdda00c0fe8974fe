"""Charts of a run: they show what was reported, all of it, and nothing else."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.client import Client, log, scalar
from tests.process import Server
from tests.web.browser import NARROW, Watched
from tests.web.runs import NOW, card, coloured, open_run, series

pytestmark = pytest.mark.one_engine


def test_a_spike_of_one_point_in_many_is_a_visible_pixel(server: Client, page: Page, task: str) -> None:
    values = [0.1 + 0.01 * math.sin(i) for i in range(100_000)]
    values[61_803] = 1.0
    server.add_batch(series(task, values))
    open_run(page, task)
    chart = card(page, "loss / train")
    expect(chart).to_contain_text("100,000 points, every one counted in the band")
    assert coloured(chart, 0.1, 0.98, 0.05, 0.5) > 3, "the spike is the only thing in the upper half"


@pytest.mark.both_engines
def test_nan_is_flagged_and_the_line_is_broken_there(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [1.0] * 40 + [math.nan] * 40 + [1.0] * 40))
    open_run(page, task)
    chart = card(page, "loss / train")
    expect(chart).to_contain_text("40 NaN since step 40")
    assert coloured(chart, 0.45, 0.6, 0.2, 0.7) < 80, "nothing but the dots of a gap is drawn where there was no number"
    assert coloured(chart, 0.45, 0.6, 0.75, 1.0) > 30, "the lane at the bottom has marks"


def test_a_series_of_nan_only_says_so(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [math.nan] * 12))
    open_run(page, task)
    expect(card(page, "loss / train")).to_contain_text("No finite values: 12 NaN since step 0.")


def test_infinities_are_counted(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [1.0, math.inf, 2.0, -math.inf, -math.inf]))
    open_run(page, task)
    expect(card(page, "loss / train")).to_contain_text("1 × +Inf · 2 × −Inf")


def test_a_constant_series_says_so(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [1e-4] * 30))
    open_run(page, task)
    expect(card(page, "loss / train")).to_contain_text("constant 0.0001")


def test_the_robust_range_says_what_lies_outside(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [0.5 + 0.1 * math.sin(i) for i in range(300)] + [118.4] + [0.5] * 100))
    open_run(page, task)
    chart = card(page, "loss / train")
    chart.get_by_role("button", name="Menu of loss / train").click()
    page.get_by_role("menuitem", name="Robust range").click()
    expect(chart).to_contain_text("1 point above")
    expect(chart).to_contain_text("greatest 118.4 at step 300")
    chart.get_by_role("button", name="show").click()
    expect(chart).to_contain_text("401 points")


def test_names_are_text(server: Client, page: Page, task: str) -> None:
    name = "<img src=x onerror=document.title='bad'>"
    server.add_batch([scalar(task, name, "</script><b>v", iter=i, value=i) for i in (1, 2)])
    server.call("tasks.update", task=task, name=name)
    open_run(page, task)
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(card(page, f"{name} / </script><b>v")).to_be_visible()
    assert page.title() == f"{name} · Tidemark"


@pytest.mark.both_engines
def test_a_drag_zooms_and_detail_is_fetched(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [math.sin(i / 50) for i in range(20_000)]))
    open_run(page, task)
    chart = card(page, "loss / train")
    box = chart.locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.26, box["y"] + 50, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"[?&]r=\d+-\d+"))
    page.mouse.move(5, 5)
    expect(chart).to_contain_text(re.compile(r"^(?!.*every one counted).*(?<!\d)\d{3} points", re.DOTALL))
    page.keyboard.press("=")
    expect(page).not_to_have_url(re.compile(r"r="))


def test_the_cursor_is_on_all_charts_and_says_the_numbers(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [float(i) for i in range(101)]) + series(task, [100.0 - i for i in range(101)], "other"))
    open_run(page, task)
    box = card(page, "loss / train").locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60)
    for title in ("loss / train", "other / train"):
        expect(card(page, title).locator(".chart-foot")).to_contain_text("step 50 · mean 50 ·")
        expect(card(page, title).locator(".u-cursor-x")).to_be_visible()


def test_a_link_opens_exactly_this(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [math.exp(-i / 100) for i in range(1000)]))
    open_run(page, task, "?x=rel&y=log&s=2m&r=100000-500000&m=loss&pin=loss")
    for name in ("Relative", "Log"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".smoothing-value")).to_have_text("half-life 2 min")
    expect(page.get_by_role("heading", name="Pinned")).to_be_visible()
    expect(page.locator(".series-find")).to_have_value("loss")
    expect(page.locator(".range-text")).to_have_text("1 min 40 s … 8 min 20 s")


@pytest.mark.both_engines
def test_a_run_that_was_resumed_says_which_steps_came_twice(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [1.0] * 100))
    later = [scalar(task, iter=i, value=2.0, timestamp=NOW + 1_000_000 + i * 1000) for i in range(40, 60)]
    server.add_batch(later)
    open_run(page, task)
    expect(card(page, "loss / train")).to_contain_text("reported twice")


def test_a_pause_is_labelled(server: Client, page: Page, task: str) -> None:
    points = [scalar(task, iter=i, value=1.0, timestamp=NOW + i * 1000 + (7_200_000 if i >= 50 else 0)) for i in range(100)]
    server.add_batch(points)
    open_run(page, task, "?x=proc")
    # Without the pause the run took 100 s; with it, two hours.
    page.locator("figure.chart-card").first.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".chart-foot").first).to_contain_text("1 min 3")


def test_new_points_appear_by_themselves(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [1.0] * 10))
    open_run(page, task)
    expect(card(page, "loss / train")).to_contain_text("10 points")
    server.add_batch(series(task, [2.0] * 5, first=10))
    expect(card(page, "loss / train")).to_contain_text("15 points")


def test_two_thousand_series_make_few_elements(server: Client, page: Page, task: str) -> None:
    server.add_batch([scalar(task, f"layer{s:03}/grad", v, iter=i, value=i) for s in range(500) for v in "abcd" for i in range(3)])
    open_run(page, task)
    expect(page.locator(".series-tree")).to_contain_text("500 charts")
    assert page.locator("canvas").count() <= 40
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(card(page, "layer499/grad")).to_be_visible()
    assert page.locator("canvas").count() <= 40


def test_charts_can_be_used_without_a_mouse(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [float(i) for i in range(50)]))
    open_run(page, task)
    page.keyboard.press("j")
    expect(card(page, "loss / train")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".chart-foot").first).to_contain_text("step 49 · mean 49")
    page.keyboard.press("f")
    expect(page.get_by_role("dialog", name="loss / train")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="loss / train")).not_to_be_visible()
    page.keyboard.press("y")
    expect(page).to_have_url(re.compile("y=log"))


def test_the_slider_smooths_and_the_address_keeps_the_half_life(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [float(i % 2) for i in range(400)]))
    open_run(page, task)
    chart = card(page, "loss / train")
    slider = page.get_by_role("slider")
    expect(slider).to_have_attribute("aria-valuetext", "half-life off")
    before = coloured(chart, 0.2, 0.9, 0.3, 0.7)
    slider.focus()
    page.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "half-life 200 steps")
    expect(page).to_have_url(re.compile(r"s=200st"))
    page.wait_for_function("() => performance.getEntriesByName('tm:useful').length > 1")
    assert coloured(chart, 0.2, 0.9, 0.3, 0.7) != before, "a line in the middle, where the raw one only crosses"
    page.keyboard.press("Home")
    expect(page).not_to_have_url(re.compile("s="))
    expect(page.get_by_text("off", exact=True)).to_be_visible()


@pytest.mark.both_engines
def test_void_points_are_shown_on_request_only(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [1.0] * 10))
    server.call("events.rewind", task=task, iteration=5)
    server.add_batch(series(task, [2.0], first=6))
    open_run(page, task)
    chart = card(page, "loss / train")
    expect(chart).to_contain_text("7 points")
    expect(chart).not_to_contain_text("rewound")
    chart.get_by_role("button", name="Menu of loss / train").click()
    page.get_by_role("menuitem", name="Show rewound points").click()
    expect(chart.locator(".chart-legend")).to_contain_text("train (rewound)")
    expect(chart).to_contain_text("7 points · 4 points rewound")
    server.add_batch(series(task, [3.0], first=7))
    expect(chart).to_contain_text("8 points · 4 points rewound")
    chart.get_by_role("button", name="Menu of loss / train").click()
    page.get_by_role("menuitem", name="Hide rewound points").click()
    expect(chart).not_to_contain_text("rewound")


def test_a_metric_whose_points_are_all_void_has_a_card_on_request(server: Client, page: Page, task: str) -> None:
    server.add_batch([*series(task, [1.0, 2.0]), *series(task, [3.0, 4.0], "late", first=6)])
    server.call("events.rewind", task=task, iteration=5)
    open_run(page, task)
    expect(page.get_by_text("1 chart", exact=True)).to_be_visible()
    page.get_by_role("button", name="Menu of loss / train").click()
    page.get_by_role("menuitem", name="Show rewound points").click()
    expect(card(page, "late / train")).to_contain_text("0 points · 2 points rewound")
    assert coloured(card(page, "late / train"), 0, 1, 0, 1) > 5
    server.call("events.rewind", task=task, iteration=-1)
    page.goto(f"/runs/{task}")
    page.get_by_role("button", name="Show rewound points").click()
    expect(card(page, "loss / train")).to_contain_text("2 points rewound")


def test_a_log_scale_that_leaves_values_out_offers_symlog(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [-1.0, 0.0, 1.0, 10.0]))
    open_run(page, task, "?y=log")
    chart = card(page, "loss / train")
    expect(chart).to_contain_text("2 buckets with values ≤ 0, not on a log scale")
    chart.get_by_role("button", name="Symlog").click()
    expect(page).to_have_url(re.compile("y=sym"))
    expect(page.get_by_role("group", name="Y axis").get_by_role("button", name="Symlog")).to_have_attribute("aria-pressed", "true")
    expect(chart).not_to_contain_text("not on a log scale")


def test_a_point_leads_to_the_log_of_its_time_and_a_line_back_to_the_chart(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [float(i) for i in range(100)]))
    server.add_batch([log(task, f"line {i}", timestamp=NOW + i * 1000) for i in range(2000)])
    open_run(page, task)
    plot = card(page, "loss / train").locator(".u-over")
    box = plot.bounding_box()
    assert box is not None
    plot.click(position={"x": box["width"] / 2, "y": 20})
    page.mouse.move(2, 2)
    expect(page).to_have_url(re.compile(r"at=(49|50)$"))
    page.get_by_role("link", name="log", exact=True).click()
    expect(page.locator(".log-line.current .log-text")).to_have_text(re.compile("^line (49|50)$"))
    back = page.locator(".log-line.current .log-time").get_attribute("href")
    assert back in (f"/runs/{task}?at={NOW + step * 1000}&x=wall" for step in (49, 50))
    page.goto(back)
    expect(page.locator(".chart-foot").first).to_contain_text(re.compile(r"step (49|50) · mean (49|50)"))
    page.keyboard.press("l")
    expect(page.locator(".log-line.current .log-text")).to_have_text(re.compile("^line (49|50)$"))


def test_a_run_that_does_not_exist_says_so(page: Page) -> None:
    page.goto("/runs/no-such-run")
    expect(page.get_by_role("heading", name="This run does not exist")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_are_accessible(
    server: Client, shared_server: Server, open_browser: Callable[..., Watched], axe: Any, task: str, scheme: str
) -> None:
    server.add_batch(series(task, [1.0, 2.0, math.nan]) + series(task, [1.0, 3.0], "acc", "top1") + series(task, [1.0, 3.0], "acc", "top5"))
    page = open_browser(shared_server.url, color_scheme=scheme).context.new_page()
    open_run(page, task)
    assert axe(page) == []


def test_charts_fit_a_telephone(server: Client, shared_server: Server, open_browser: Callable[..., Watched], task: str) -> None:
    server.add_batch(series(task, [1.0, 2.0]) + series(task, [1.0, 2.0], "a/very/long/name/of/a/metric/that/does/not/fit"))
    page = open_browser(shared_server.url, viewport=NARROW).context.new_page()
    open_run(page, task)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
