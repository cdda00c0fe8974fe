"""The page while runs report: what is shown follows by one socket, nothing is missed, nothing moves under the reader."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Request, WebSocketRoute, expect

from tests.client import Client, log, scalar
from tests.web.runs import card, open_run, series

pytestmark = pytest.mark.one_engine

HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


class Sockets:
    """The live sockets of a page, which a test may break."""

    def __init__(self, page: Page, *, refuse: bool = False) -> None:
        self.refuse = refuse
        self.opened: list[WebSocketRoute] = []
        page.route_web_socket(re.compile("/api/live$"), self._route)

    def _route(self, socket: WebSocketRoute) -> None:
        self.opened.append(socket)
        if self.refuse:
            socket.close(code=1011)
        else:
            socket.connect_to_server()


def calls(page: Page, endpoint: str) -> list[Any]:
    """Bodies of the calls of an endpoint from now on."""
    found: list[Any] = []

    def note(request: Request) -> None:
        if request.url.endswith(endpoint):
            found.append(request.post_data_json)

    page.on("request", note)
    return found


@pytest.mark.both_engines
def test_only_what_arrived_is_read(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [1.0] * 10))
    open_run(page, task)
    expect(card(page, "loss / train")).to_contain_text("10 points")
    read = calls(page, "events.get_series")
    server.add_batch(series(task, [2.0] * 5, first=10))
    expect(card(page, "loss / train")).to_contain_text("15 points")
    assert read and all("since_seq" in body for body in read)


def test_after_a_lost_socket_the_page_goes_on_from_its_last_seq(server: Client, page: Page, task: str) -> None:
    sockets = Sockets(page)
    server.add_batch(series(task, [1.0] * 10))
    open_run(page, task)
    expect(card(page, "loss / train")).to_contain_text("10 points")
    read = calls(page, "events.get_series")
    sockets.refuse = True
    sockets.opened[-1].close(code=1011)
    server.add_batch(series(task, [2.0] * 5, first=10))
    sockets.refuse = False
    expect(card(page, "loss / train")).to_contain_text("15 points")
    assert read and all("since_seq" in body for body in read)
    server.add_batch(series(task, [3.0] * 5, first=15))
    expect(card(page, "loss / train")).to_contain_text("20 points")


def test_without_a_socket_the_page_asks_and_says_so(server: Client, page: Page, task: str) -> None:
    Sockets(page, refuse=True)
    server.add_batch(series(task, [1.0] * 10))
    open_run(page, task)
    expect(page.get_by_role("status").get_by_text("every 5 s")).to_be_visible()
    server.add_batch(series(task, [2.0] * 5, first=10))
    expect(card(page, "loss / train")).to_contain_text("15 points")


def test_a_hidden_tab_asks_nothing_and_catches_up_when_it_is_shown(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [1.0] * 10))
    with page.expect_websocket() as opened:
        open_run(page, task)
    expect(card(page, "loss / train")).to_contain_text("10 points")
    with opened.value.expect_event("close", timeout=15_000):
        page.evaluate(HIDE, True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    server.add_batch(series(task, [2.0] * 5, first=10))
    page.wait_for_function("() => new Promise((done) => setTimeout(done, 200, true))")
    assert asked == []
    page.evaluate(HIDE, False)
    expect(card(page, "loss / train")).to_contain_text("15 points")


def test_a_zoomed_chart_stays_where_it_is(server: Client, page: Page, task: str) -> None:
    server.add_batch(series(task, [1.0] * 100))
    open_run(page, task, "?r=10-19")
    chart = card(page, "loss / train")
    expect(chart).to_contain_text(re.compile(r"\b1[01] points"))
    server.add_batch([*series(task, [2.0] * 50, first=100), *series(task, [5.0] * 10, "other")])
    expect(card(page, "other / train")).to_contain_text("points")
    expect(page).to_have_url(re.compile("r=10-19"))
    expect(chart).to_contain_text(re.compile(r"\b1[01] points"))


def test_the_head_and_the_table_follow_a_run(server: Client, page: Page, task: str) -> None:
    server.add_batch([scalar(task, iter=1)])
    page.goto(f"/?q=id:{task}")
    row = page.locator("tr.row", has=page.get_by_role("link", name=task))
    expect(row).to_contain_text("running")
    server.call("tasks.stopped", task=task)
    expect(row).to_contain_text("stopped")
    row.get_by_role("link", name=task).click()
    expect(page.locator(".run-head")).to_contain_text("stopped")
    server.call("tasks.started", task=task, force=True)
    expect(page.locator(".run-head")).to_contain_text("running")


def test_while_the_server_does_not_answer_nothing_is_shown_as_live(server: Client, page: Page, task: str) -> None:
    server.add_batch([scalar(task, iter=1)])
    page.goto(f"/?q=id:{task}")
    mark = page.locator("tr.row .live .icon path")
    expect(mark).not_to_have_css("fill", "none")
    page.context.set_offline(True)
    page.get_by_role("combobox", name="Filter of runs").fill(f"id:{task} status:running")
    expect(page.get_by_text("Not connected since")).to_be_visible()
    expect(mark).to_have_css("fill", "none")
    page.context.set_offline(False)
    expect(mark).not_to_have_css("fill", "none")


def test_a_run_that_stops_reporting_is_called_silent_without_a_further_word_of_it(server: Client, page: Page, task: str) -> None:
    page.clock.install()
    server.add_batch([scalar(task, iter=1)])
    page.goto(f"/runs/{task}")
    expect(page.locator(".run-head")).to_contain_text("running, last report")
    page.clock.fast_forward("05:00")
    expect(page.locator(".run-head")).to_contain_text(re.compile("running, silent for [45] min"))


def test_a_new_run_waits_above_a_reader_who_has_scrolled(server: Client, page: Page, task: str) -> None:
    tag = f"t{task}"
    names = [f"{tag}-{number:02}" for number in range(60)]
    for name in names:
        server.call("tasks.create", name=name, type="training", tags=[tag])
    page.goto(f"/?q=tag:{tag}&sort=name")
    expect(page.locator("tr.row").first).to_be_visible()
    page.locator(".runs-scroll").evaluate("(box) => { box.scrollTop = 900; }")
    expect(page.get_by_role("link", name=names[40], exact=True)).to_be_visible()
    server.call("tasks.create", name=f"{tag}-0", type="training", tags=[tag])
    expect(page.get_by_role("button", name="1 new run")).to_be_visible()
    expect(page.get_by_role("link", name=names[40], exact=True)).to_be_in_viewport()


@pytest.mark.both_engines
def test_a_late_line_from_another_machine_is_shown_in_its_place(server: Client, page: Page, task: str) -> None:
    now = 1_790_000_000_000
    server.add_batch([log(task, f"line {i}", timestamp=now + i * 1000) for i in range(30)])
    page.goto(f"/runs/{task}?tab=console")
    expect(page.get_by_text("line 29", exact=True)).to_be_visible()
    server.add_batch([log(task, "late", timestamp=now + 20_500), log(task, "line 30", timestamp=now + 30_000)])
    expect(page.get_by_text("line 30", exact=True)).to_be_visible()
    shown = page.locator(".log-text").all_inner_texts()
    assert shown[shown.index("line 20") :][:3] == ["line 20", "late", "line 21"]
    assert shown.count("line 29") == 1


def test_many_lines_at_once_all_appear(server: Client, page: Page, task: str) -> None:
    now = 1_790_000_000_000
    server.add_batch([log(task, f"line {i}", timestamp=now + i * 1000) for i in range(490)])
    page.goto(f"/runs/{task}?tab=console")
    expect(page.get_by_text("line 489", exact=True)).to_be_visible()
    server.add_batch([log(task, f"line {i}", timestamp=now + i * 1000) for i in range(490, 1600)])
    expect(page.get_by_text("line 1599", exact=True)).to_be_visible()
    page.keyboard.press("Home")
    expect(page.get_by_text("line 0", exact=True)).to_be_visible()
    page.keyboard.press("End")
    expect(page.get_by_text("line 1599", exact=True)).to_be_visible()
