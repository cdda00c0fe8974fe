"""What an address needs at once is asked for by its document, before the program is there, and asked for once."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.client import image, log, scalar
from tests.process import Server
from tests.web.browser import Watched
from tests.web.conftest import OpenBrowser

pytestmark = pytest.mark.one_engine

PROGRAM = re.compile(r"/bundle/(?!start\.js)[^/]+\.js$")


@pytest.fixture(scope="module")
def run(plain_server: Server) -> str:
    """A run with curves, a log and an image."""
    client = plain_server.client()
    task = client.new_task("first calls")
    events = [scalar(task, "loss", "val", iter=i, value=i) for i in range(5)]
    client.add_batch([*events, log(task, "a line"), image(task, iter=1)])
    return task


def calls(requests: list[Request]) -> Counter[str]:
    """Calls of the API with their bodies."""
    return Counter(f"{one.url.rpartition('/')[2]} {one.post_data}" for one in requests if one.method == "POST")


def watched_calls(page: Page) -> list[Request]:
    found: list[Request] = []
    page.on("request", lambda request: found.append(request))
    return found


@pytest.mark.parametrize(
    ("address", "shown", "first"),
    [
        ("/", "table.runs .spark", {"tasks.get_all_ex", "projects.get_unique_metric_variants"}),
        ("/?q=first", "table.runs .spark", {"projects.get_hyper_parameters", "projects.get_unique_metric_variants"}),
        (
            "/runs/{run}",
            ".chart-host canvas",
            {"tasks.get_by_id_ex", "events.get_scalar_metrics_and_variants", "events.get_task_metrics"},
        ),
        ("/runs/{run}?tab=console", ".log-line .log-text", {"tasks.get_by_id_ex", "events.get_task_log_lines"}),
        (
            "/runs/{run}?tab=images",
            ".thumb",
            {"tasks.get_by_id_ex", "server.page", "events.get_image_index", "events.get_debug_image_samples"},
        ),
        ("/runs/{run}?tab=config", ".tabs a[aria-current]", {"tasks.get_by_id_ex"}),
        ("/projects", "#main h1", set()),
    ],
)
def test_the_first_calls_leave_before_the_program_is_there_and_no_call_is_made_twice(
    open_browser: OpenBrowser, plain_server: Server, run: str, address: str, shown: str, first: set[str]
) -> None:
    page = open_browser(plain_server.url).context.new_page()
    made = watched_calls(page)
    held: list[Route] = []
    page.route(PROGRAM, lambda route: held.append(route))
    with page.expect_request(PROGRAM), page.expect_request("**/users.get_preferences"):
        page.goto(address.format(run=run), wait_until="commit")
    assert {name.split()[0] for name in calls(made)} == first | {"users.get_preferences"}
    assert len(held) == 1, "the program waits"
    for route in held:
        route.continue_()
    expect(page.locator(shown).first).to_be_visible()
    assert {name: times for name, times in calls(made).items() if times > 1} == {}


@pytest.mark.parametrize("address", ["/?q=first", "/"])
def test_a_table_that_is_loaded_again_asks_for_rows_and_curves_at_once(
    open_browser: OpenBrowser, plain_server: Server, run: str, address: str
) -> None:
    web: Watched = open_browser(plain_server.url)
    page = web.open(address)
    expect(page.locator(".spark").first).to_be_visible()
    made = watched_calls(page)
    page.reload()
    expect(page.locator(".spark").first).to_be_visible()
    before = [name.split()[0] for name in calls(made)]
    assert before[:2] == ["tasks.get_all_ex", "events.get_thumbnails"], before
    assert calls(made).most_common(1)[0][1] == 1


def test_a_call_that_is_refused_ahead_asks_for_the_log_in(open_browser: OpenBrowser, plain_server: Server) -> None:
    page = open_browser(plain_server.url).context.new_page()
    refusal = {"meta": {"result_code": 401, "result_msg": "log in", "id": "x"}, "data": {}}
    page.route("**/tasks.get_all_ex", lambda route: route.fulfill(status=401, body=json.dumps(refusal), content_type="application/json"))
    page.goto("/")
    expect(page.get_by_role("dialog", name="Log in")).to_be_visible()


def test_a_tab_that_is_opened_again_asks_for_nothing_twice(open_browser: OpenBrowser, plain_server: Server, run: str) -> None:
    page = open_browser(plain_server.url).open(f"/runs/{run}")
    expect(page.locator(".chart-host canvas").first).to_be_visible()
    page.get_by_role("link", name="Overview").click()
    expect(page.locator("main [aria-busy=true]")).to_have_count(0)
    expect(page.locator(".chart-host canvas")).to_have_count(0)
    made = watched_calls(page)
    page.get_by_role("link", name="Charts").click()
    expect(page.locator(".chart-host canvas").first).to_be_visible()
    again = calls(made)
    assert again and {name: times for name, times in again.items() if times > 1} == {}
