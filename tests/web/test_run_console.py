"""The console of a run: every line can be reached, found and linked; what the reader looks at stays where it is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.client import Client, log
from tests.web.runs import NOW

pytestmark = pytest.mark.one_engine


def lines(task: str, messages: list[str], *, first: int = 0, level: str = "info") -> list[Any]:
    """Log lines, one a second."""
    return [log(task, message, timestamp=NOW + (first + i) * 1000, level=level) for i, message in enumerate(messages)]


def console(page: Page, task: str, query: str = "") -> None:
    """The console, once lines are there."""
    page.goto(f"/runs/{task}?tab=console{query}")
    expect(page.locator(".log-line .log-text").first).to_be_visible()


def test_the_console_opens_at_the_end_and_follows(server: Client, page: Page, task: str) -> None:
    server.add_batch(lines(task, [f"line {i}" for i in range(5000)]))
    console(page, task)
    expect(page.get_by_text("line 4999", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "true")
    server.add_batch(lines(task, ["a new line"], first=5000))
    expect(page.get_by_text("a new line", exact=True)).to_be_in_viewport()


def test_scrolling_up_stops_following(server: Client, page: Page, task: str) -> None:
    server.add_batch(lines(task, [f"line {i}" for i in range(5000)]))
    console(page, task)
    expect(page.get_by_text("line 4999", exact=True)).to_be_visible()
    page.locator(".log-box").hover()
    page.mouse.wheel(0, -3000)
    expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_text("line 4999", exact=True)).not_to_be_visible()
    shown = page.locator(".log-foot").inner_text()
    server.add_batch(lines(task, ["a new line"], first=5000))
    expect(page.locator(".log-foot")).to_contain_text("of 5,001")
    assert page.locator(".log-foot").inner_text().split(" of ")[0] == shown.split(" of ")[0], "new lines move nothing"


def test_few_elements_stand_for_many_lines(server: Client, page: Page, task: str) -> None:
    server.add_batch(lines(task, [f"line {i}" for i in range(20_000)]))
    console(page, task)
    assert page.locator(".log-line").count() <= 200
    page.keyboard.press("Home")
    expect(page.get_by_text("line 0", exact=True)).to_be_visible()
    assert page.locator(".log-line").count() <= 200


def test_keys_of_the_map_move_through_the_log(server: Client, page: Page, task: str) -> None:
    messages = [f"line {i}" for i in range(3000)]
    messages[10] = messages[2000] = "here it is"
    server.add_batch(lines(task, messages))
    console(page, task)
    foot = page.locator(".log-foot")
    expect(foot).to_contain_text("–3,000 of 3,000")
    follow = page.get_by_role("button", name="Follow")
    expect(follow).to_have_attribute("aria-pressed", "true")

    def first() -> int:
        return int(re.split(r"[ –]", foot.inner_text().replace(",", ""))[1])

    page.keyboard.press("Home")
    expect(foot).to_contain_text("lines 1–")
    expect(follow).to_have_attribute("aria-pressed", "false")
    for key, top in (("j", 2), ("ArrowDown", 3), ("k", 2), ("ArrowUp", 1)):
        page.keyboard.press(key)
        expect(foot).to_contain_text(f"lines {top}–")
    page.keyboard.press("PageDown")
    expect(foot).not_to_contain_text("lines 1–")
    a_page = first()
    assert a_page > 10
    page.keyboard.press("Space")
    expect(foot).to_contain_text(f"lines {2 * a_page - 1}–")
    page.keyboard.press("Shift+Space")
    expect(foot).to_contain_text(f"lines {a_page}–")
    page.keyboard.press("PageUp")
    expect(foot).to_contain_text("lines 1–")
    page.keyboard.press("f")
    expect(follow).to_have_attribute("aria-pressed", "true")
    expect(foot).to_contain_text("–3,000 of 3,000")
    page.keyboard.press("f")
    expect(follow).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("End")
    expect(follow).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("w")
    expect(page.locator(".log-rows.wrap")).to_have_count(1)
    page.keyboard.press("w")
    expect(page.locator(".log-rows.wrap")).to_have_count(0)
    page.keyboard.press("/")
    page.keyboard.type("here it is")
    expect(page.locator(".log-progress")).to_contain_text("1 of 2")
    page.locator(".log-box").focus()
    for key, shown in (("n", "2 of 2"), ("n", "1 of 2"), ("Shift+N", "2 of 2")):
        page.keyboard.press(key)
        expect(page.locator(".log-progress")).to_contain_text(shown)
    expect(page.locator(".log-line.current .log-number")).to_have_text("2,001")
    page.keyboard.press("Escape")
    expect(page.locator(".log-progress")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("end, and follow")


@pytest.mark.both_engines
def test_a_link_to_a_line_shows_the_line(server: Client, page: Page, task: str) -> None:
    server.add_batch(lines(task, [f"line {i}" for i in range(5000)]))
    console(page, task, "&line=1235")
    expect(page.locator(".log-line.current")).to_contain_text("line 1234")


@pytest.mark.both_engines
def test_the_whole_log_is_searched(server: Client, page: Page, task: str) -> None:
    messages = [f"line {i}" for i in range(5000)]
    messages[17] = "out of memory"
    messages[4321] = "OUT OF MEMORY again"
    server.add_batch(lines(task, messages))
    console(page, task)
    page.keyboard.press("/")
    page.keyboard.type("of memory")
    expect(page.locator(".log-progress")).to_contain_text("1 of 2")
    expect(page.locator(".log-line.current mark")).to_have_text("of memory")
    page.keyboard.press("Enter")
    expect(page.locator(".log-progress")).to_contain_text("2 of 2")
    expect(page.locator(".log-line.current")).to_contain_text("OUT OF MEMORY again")
    page.get_by_role("button", name="Match case").click()
    expect(page.locator(".log-progress")).to_contain_text("1 of 1")


def test_a_broken_pattern_says_what_is_wrong(server: Client, page: Page, task: str) -> None:
    server.add_batch(lines(task, ["a"]))
    console(page, task, "&find=(&re=1")
    expect(page.locator(".log-progress .form-error")).to_be_visible()


@pytest.mark.both_engines
def test_errors_can_be_listed(server: Client, page: Page, task: str) -> None:
    server.add_batch(lines(task, [f"line {i}" for i in range(300)]))
    server.add_batch(lines(task, ["one bad thing", "another bad thing"], first=300, level="error"))
    console(page, task)
    page.get_by_role("button", name=re.compile("^error")).click()
    expect(page.locator(".log-hit")).to_have_count(2)
    expect(page).to_have_url(re.compile("lvl=error"))


def test_progress_lines_are_folded(server: Client, page: Page, task: str) -> None:
    bar = [f" {i}%|{'#' * (i // 10):10}| {i}/100 [00:{i % 60:02}<00:12, 9.9it/s]" for i in range(100)]
    server.add_batch(lines(task, ["before", *bar, "after"]))
    console(page, task)
    expect(page.get_by_text("⋯ 99 progress lines")).to_be_visible()
    expect(page.get_by_text("99/100")).to_be_visible()
    page.get_by_role("button", name="show", exact=True).click()
    expect(page.get_by_text("⋯ 99 progress lines")).not_to_be_visible()


def test_colours_of_a_terminal_are_shown(server: Client, page: Page, task: str) -> None:
    server.add_batch(lines(task, ["\x1b[31mred\x1b[0m plain <b>text</b>"]))
    console(page, task)
    expect(page.locator(".log-text .ansi-1")).to_have_text("red")
    expect(page.locator(".log-text").first).to_have_text("red plain <b>text</b>")


def test_a_long_line_is_cut_until_it_is_asked_for(server: Client, page: Page, task: str) -> None:
    server.add_batch(lines(task, ["x" * 200_000]))
    console(page, task)
    expect(page.locator(".log-text").first).to_contain_text("200,000 characters, show all")
    assert len(page.locator(".log-text").first.inner_text()) < 2_200
    page.get_by_role("button", name=re.compile("show all")).click()
    expect(page.get_by_role("button", name=re.compile("show all"))).not_to_be_visible()


def test_a_run_without_a_log_says_so(server: Client, page: Page) -> None:
    page.goto(f"/runs/{server.new_task()}?tab=console")
    expect(page.get_by_role("heading", name="No log lines")).to_be_visible()


def test_the_console_is_accessible(server: Client, page: Page, axe: Any, task: str) -> None:
    server.add_batch(lines(task, ["hello", "\x1b[33mwarning\x1b[0m"]))
    server.add_batch(lines(task, ["bad"], first=5, level="error"))
    console(page, task, "&find=hello")
    assert axe(page) == []
