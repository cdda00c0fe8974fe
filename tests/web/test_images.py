"""The images of a run: small copies, steps that exist, the viewer, and images that can't be shown."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.client import Client, image
from tests.web.browser import Watched
from tests.web.runs import png, store_file

pytestmark = pytest.mark.one_engine


def stored(server: Client, task: str, steps: range, variant: str = "a") -> None:
    """A small picture at each step, each in a colour of its own."""
    events = []
    for step in steps:
        url = store_file(server, f"p/t.{task}/metrics/s/{variant}/{step}.png", png(16, 12, (step * 20 % 256, 90, 200)))
        events.append(image(task, "s", variant, iter=step, url=url))
    server.add_batch(events)


def test_the_slider_stops_at_steps_that_exist_and_small_copies_are_loaded(server: Client, page: Page, web: Watched, task: str) -> None:
    stored(server, task, range(0, 50, 10))
    page.goto(f"/runs/{task}?tab=images")
    expect(page.locator(".step-name")).to_have_text("step 40")
    expect(page.locator(".thumb img")).to_have_js_property("naturalWidth", 16)
    box = page.locator(".thumb-box").bounding_box()
    assert box is not None and box["height"] < 0.85 * box["width"], "a picture of 16 by 12 is in a box of that shape"
    assert [one for one in web.requests if "/files/" in one and "thumb=" in one]
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".step-name")).to_have_text("step 30")
    expect(page).to_have_url(re.compile("at=30"))


def test_the_viewer_goes_through_steps_and_says_a_pixel(server: Client, page: Page, task: str) -> None:
    stored(server, task, range(3))
    stored(server, task, range(3), "b")
    page.goto(f"/runs/{task}?tab=images")
    page.get_by_role("button", name="Open a").click()
    viewer = page.get_by_role("dialog", name="a")
    expect(viewer).to_contain_text("16 × 12")
    page.keyboard.press("ArrowLeft")
    expect(viewer.locator(".step-name")).to_have_text("step 1")
    box = viewer.locator("img").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(viewer).to_contain_text("pixel (8, 6)")
    expect(viewer.locator(".viewer-value")).to_have_text("20, 90, 200")
    page.keyboard.press("d")
    expect(viewer.locator(".viewer-value")).to_contain_text("differs by 20, 0, 0")
    expect(viewer.locator(".viewer-value")).to_contain_text("100 % of the pixels differ, by 6.67 of 255 on average, by 20 at most")
    page.keyboard.press("b")
    expect(viewer.locator("img")).to_have_count(2)
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("dialog", name="b")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_keyboard_stays_in_the_viewer_and_returns_to_the_image(server: Client, page: Page, task: str) -> None:
    stored(server, task, range(2))
    page.goto(f"/runs/{task}?tab=images")
    opener = page.get_by_role("button", name="Open a")
    opener.press("Enter")
    viewer = page.get_by_role("dialog", name="a")
    expect(viewer).to_contain_text("16 × 12")
    reached = set()
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.closest('[role=dialog]') ? 'viewer' : document.activeElement.tagName"))
    assert reached <= {"viewer", "BODY"}, "BODY: the browser's own buttons follow the last one"
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    expect(opener).to_be_focused()


def test_what_is_changed_while_an_image_is_dragged_is_kept(server: Client, page: Page, task: str) -> None:
    stored(server, task, range(2))
    page.goto(f'/runs/{task}?tab=images&img=["s","a"]')
    viewer = page.get_by_role("dialog", name="a")
    expect(viewer).to_contain_text("16 × 12")
    page.keyboard.press("=")
    # One event after the other, without a rest: the address is not written in between.
    viewer.evaluate(
        """(viewer) => {
          const slider = viewer.querySelector("input[type=range]");
          slider.value = "3";
          slider.dispatchEvent(new InputEvent("input", { bubbles: true }));
          viewer.querySelector(".viewer-stage").dispatchEvent(new WheelEvent("wheel", { deltaY: -100, bubbles: true, cancelable: true }));
        }"""
    )
    expect(page).to_have_url(re.compile(r"zoom=1\.17"))
    expect(page).to_have_url(re.compile("light=3"))
    expect(viewer.get_by_role("slider", name="Brightness")).to_have_value("3")


def test_an_image_of_a_billion_pixels_is_not_given_to_the_browser(server: Client, page: Page, web: Watched, task: str) -> None:
    bomb = bytearray(png(8, 8))
    bomb[16:24] = (30_000).to_bytes(4, "big") * 2
    url = store_file(server, f"p/t.{task}/metrics/s/huge/0.png", bytes(bomb))
    server.add_batch([image(task, "s", "huge", url=url)])
    page.goto(f"/runs/{task}?tab=images")
    expect(page.locator(".thumb")).to_contain_text("30,000 × 30,000 pixels")
    page.goto(f'/runs/{task}?tab=images&img=["s","huge"]')
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("30,000 × 30,000 pixels")
    assert not [one for one in web.requests if one.endswith(".png")], "the file itself was never asked for"


@pytest.mark.both_engines
def test_a_new_image_appears_and_a_reader_who_chose_a_step_stays_there(server: Client, page: Page, task: str) -> None:
    stored(server, task, range(2))
    page.goto(f"/runs/{task}?tab=images")
    expect(page.locator(".step-name")).to_have_text("step 1")
    stored(server, task, range(2, 3))
    expect(page.locator(".step-name")).to_have_text("step 2")
    page.goto(f"/runs/{task}?tab=images&at=1")
    expect(page.locator(".step-name")).to_have_text("step 1")
    stored(server, task, range(3, 5))
    expect(page.get_by_text("of 5 steps")).to_be_visible()
    expect(page.locator(".step-name")).to_have_text("step 1")


def test_images_of_runs_are_compared_by_step(server: Client, page: Page, task: str) -> None:
    other = uuid.uuid4().hex
    stored(server, task, range(3))
    stored(server, other, range(1, 4))
    page.goto(f"/compare?runs={task},{other}&tab=images")
    table = page.get_by_role("table")
    expect(table.get_by_role("columnheader")).to_have_text(["Run", "step 0", "step 1", "step 2", "step 3"])
    first: Any = table.get_by_role("row").nth(1)
    expect(first.locator("img")).to_have_count(4)
    expect(first).to_contain_text("of step 2")


@pytest.mark.both_engines
def test_images_of_runs_are_compared_by_variant_at_one_step(server: Client, page: Page, task: str) -> None:
    other = uuid.uuid4().hex
    for run in (task, other):
        for variant in ("a", "b10", "b9"):
            stored(server, run, range(2), variant)
    page.goto(f"/compare?runs={task},{other}&tab=images")
    expect(page.get_by_role("columnheader")).to_have_text(["Run", "step 0", "step 1"])
    page.keyboard.press("v")
    expect(page.get_by_role("columnheader")).to_have_text(["Run", "a", "b9", "b10"])
    expect(page.get_by_role("table").locator("img")).to_have_count(6)
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(re.compile("at=0"))
    expect(page.get_by_role("button", name=re.compile("b9, step 0$"))).to_have_count(2)


def test_the_images_of_all_runs_are_zoomed_and_moved_as_one_and_differ_by_numbers(server: Client, page: Page, task: str) -> None:
    other = uuid.uuid4().hex
    stored(server, task, range(3))
    for step in range(3):  # the other run's images have ten more of green
        url = store_file(server, f"p/t.{other}/metrics/s/a/{step}.png", png(16, 12, (step * 20, 100, 200)))
        server.add_batch([image(other, "s", "a", iter=step, url=url)])
    page.goto(f"/compare?runs={task},{other}&tab=images")
    page.get_by_role("button", name=re.compile("step 1$")).first.click()
    viewer = page.get_by_role("dialog", name="s / a of 2 runs")
    images = viewer.locator("img")
    expect(images).to_have_count(2)
    expect(viewer.locator(".viewer-foot")).to_contain_text("16 × 12")
    page.keyboard.press("=")
    expect(viewer.locator(".viewer-foot")).to_contain_text("100 %")
    page.keyboard.press("+")
    expect(viewer.locator(".viewer-foot")).to_contain_text("125 %")
    assert [images.nth(i).evaluate("(e) => e.getBoundingClientRect().width") for i in range(2)] == [20, 20]
    box = images.first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 10, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 50, box["y"] + 25)
    page.mouse.up()
    expect(page).to_have_url(re.compile("zoom=1.25,32,16"))
    assert (
        images.nth(0).evaluate("(e) => e.style.transform") == images.nth(1).evaluate("(e) => e.style.transform") == "translate(40px, 20px)"
    )
    expect(viewer.locator(".viewer-value")).to_have_text(["20, 90, 200", "20, 100, 200"])
    page.keyboard.press("ArrowRight")
    expect(viewer.locator(".step-name")).to_have_text("step 2")
    page.keyboard.press("d")
    expect(viewer.locator("figure").nth(1)).to_contain_text("100 % of the pixels differ, by 3.33 of 255 on average, by 10 at most")
    page.keyboard.press("r")
    expect(viewer.locator("figure").nth(0)).to_contain_text("by 10 at most")
    expect(viewer.locator("figure").nth(1)).to_contain_text("itself")
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    expect(page).not_to_have_url(re.compile("zoom|show|img"))


def test_a_run_without_an_image_and_one_that_is_too_large_say_so_beside_the_others(
    server: Client, page: Page, web: Watched, task: str
) -> None:
    late, huge = uuid.uuid4().hex, uuid.uuid4().hex
    stored(server, task, range(3))
    stored(server, late, range(2, 3))
    bomb = bytearray(png(8, 8))
    bomb[16:24] = (30_000).to_bytes(4, "big") * 2
    url = store_file(server, f"p/t.{huge}/metrics/s/a/0.png", bytes(bomb))
    server.add_batch([image(huge, "s", "a", iter=0, url=url)])
    page.goto(f"/compare?runs={task},{late},{huge}&tab=images&img=1&at=0")
    panes = page.get_by_role("dialog").locator("figure")
    expect(panes.nth(0).locator("img")).to_be_visible()
    expect(panes.nth(1)).to_contain_text("no image up to step 0")
    expect(panes.nth(2)).to_contain_text("30,000 × 30,000 pixels")
    assert not [one for one in web.requests if huge in one and one.endswith(".png")], "the file itself was never asked for"
