"""Views around the table: comparison, projects, log-in, the empty state, a lost connection."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.client import Client, plot, scalar
from tests.conftest import StartServer, credentials, own_store
from tests.process import Server
from tests.web import seed
from tests.web.browser import NARROW, Watched
from tests.web.conftest import OpenBrowser

pytestmark = pytest.mark.one_engine

Axe = Callable[[Page], list[dict[str, Any]]]


@pytest.fixture
def fresh(start_server: StartServer, engine_env: dict[str, str]) -> Server:
    """A server without runs."""
    return start_server(**own_store(engine_env))


@pytest.fixture
def compared(server: Client) -> list[str]:
    """Three runs on the shared server."""
    return seed.trainings(server, "compare", steps=60, runs=seed.RUNS[:3])


def test_an_empty_server_shows_how_to_report_and_fills_by_itself(fresh: Server, open_browser: OpenBrowser, axe_in_both_themes: Axe) -> None:
    web: Watched = open_browser(fresh.url)
    page = web.open("/")
    expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
    expect(page.get_by_text(f"export CLEARML_API_HOST={fresh.url}")).to_be_visible()
    secret = json.loads((fresh.data / "credentials.json").read_text())["secret_key"]
    assert secret not in page.content()
    assert axe_in_both_themes(page) == []
    fresh.client().add_batch([{"type": "log", "task": "first", "msg": "hello"}])
    expect(page.get_by_role("link", name="first", exact=True)).to_be_visible()
    fresh.client().call("tasks.archive", tasks=["first"])
    page.reload()
    expect(page.get_by_role("heading", name="All runs are archived")).to_be_visible()
    page.get_by_role("link", name="Show it").click()
    expect(page.get_by_role("link", name="first", exact=True)).to_be_visible()


def test_a_login_brings_back_what_was_asked_for(
    start_server: StartServer, engine_env: dict[str, str], open_browser: OpenBrowser, axe_in_both_themes: Axe
) -> None:
    server = start_server(TIDEMARK_AUTH="required", **own_store(engine_env))
    name, secret = credentials(server)
    page = open_browser(server.url).open("/projects")
    dialog = page.get_by_role("dialog", name="Log in")
    expect(dialog).to_be_visible()
    assert axe_in_both_themes(page) == []
    dialog.get_by_label("Name or access key").fill(name)
    dialog.get_by_label("Password or secret key").fill("wrong")
    dialog.get_by_role("button", name="Log in").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    dialog.get_by_label("Password or secret key").fill(secret)
    dialog.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("No projects yet")).to_be_visible()
    assert page.evaluate("document.cookie") == ""


def test_the_login_page_leads_to_addresses_of_this_server_only(server: Client, page: Page) -> None:
    page.goto("/login?next=//evil.example/x")
    with page.expect_response("**/auth.login"):
        page.get_by_label("Name or access key").fill("nobody")
        page.get_by_label("Password or secret key").fill("wrong")
        page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.evaluate("document.querySelectorAll('a[href*=evil]').length") == 0


def test_a_lost_connection_keeps_what_was_shown_and_comes_back(fresh: Server, open_browser: OpenBrowser) -> None:
    fresh.client().add_batch([{"type": "log", "task": "kept", "msg": "hello"}])
    page = open_browser(fresh.url).open("/")
    run = page.get_by_role("link", name="kept", exact=True)
    expect(run).to_be_visible()
    fresh.stop()
    expect(page.get_by_text("Not connected since")).to_be_visible()
    expect(page.get_by_role("button", name="Try now")).to_be_visible()
    expect(run).to_be_visible()
    fresh.start()
    expect(page.get_by_text("Not connected since")).to_have_count(0, timeout=40_000)


def test_a_comparison_shows_curves_and_differing_parameters_first(
    compared: list[str], shared_server: Server, open_browser: OpenBrowser, axe_in_both_themes: Axe
) -> None:
    page = open_browser(shared_server.url).open(f"/compare?runs={','.join(compared)}")
    expect(page.locator(".chart-card canvas").first).to_be_visible()
    assert axe_in_both_themes(page) == []
    page.keyboard.press("2")
    expect(page.get_by_role("heading", name="4 of 8 parameters differ")).to_be_visible()
    expect(page.locator("tbody th").first).to_have_text("General/lr")
    expect(page.get_by_text("code/repository")).to_have_count(0)
    page.get_by_label("show equal values too").check()
    expect(page.get_by_text("code/repository")).to_be_visible()
    assert axe_in_both_themes(page) == []
    page.keyboard.press("5")
    expect(page.locator("svg.scatter circle")).to_have_count(3)
    assert axe_in_both_themes(page) == []
    page.get_by_role("button", name="Hide resnet50-base").click()
    expect(page.locator("svg.scatter circle")).to_have_count(2)
    assert f"hide={compared[2]}" in page.url


def test_the_line_under_the_pointer_stands_out_and_is_named_first(server: Client, page: Page) -> None:
    tasks = [server.new_task(f"line {number:02}") for number in range(30)]
    for number, task in enumerate(tasks):
        server.add_batch([scalar(task, "loss", "train", iter=i, value=number) for i in range(40)])
    page.goto(f"/compare?runs={','.join(tasks)}")
    chart = page.locator(".chart-card").first
    expect(chart.locator(".chart-foot")).to_contain_text("30 lines")
    lowest = chart.locator(".u-over")
    box = lowest.bounding_box()
    assert box is not None
    lowest.hover(position={"x": box["width"] / 2, "y": box["height"] - 8})
    expect(chart.locator(".legend-entry.near")).to_contain_text("line 00")
    expect(chart.locator(".legend-entry").first).to_contain_text("line 00")
    expect(chart.locator("canvas.chart-glass")).to_be_visible()
    page.mouse.move(5, 5)
    expect(chart.locator("canvas.chart-glass")).to_have_count(0)


def test_groups_of_runs_are_charts_of_means(compared: list[str], server: Client, page: Page) -> None:
    server.add_batch([scalar("elsewhere", "a", "val_loss")])  # what other projects report is no column of this one
    page.goto("/?project=compare&group=status")
    page.get_by_role("button", name="Charts of the groups").click()
    chart = page.locator(".chart-card").first
    expect(chart.locator("canvas").first).to_be_visible()
    expect(chart.locator(".legend-entry")).to_have_count(2)
    expect(chart.locator(".chart-legend")).to_contain_text("completed")
    foot = chart.locator(".chart-foot")
    before = foot.inner_text()
    assert "points" in before
    server.add_batch([scalar(compared[0], "val", variant, iter=9_000, value=0.5) for variant in ("loss", "acc")])
    expect(foot).not_to_have_text(before)


def test_settings_and_results_are_parallel_coordinates(compared: list[str], page: Page) -> None:
    page.goto(f"/compare?runs={','.join(compared)}&tab=values")
    expect(page.locator("svg.parallel > path")).to_have_count(3)
    expect(page.get_by_role("heading", level=2).first).to_have_text("Values")
    page.get_by_role("searchbox", name="Find series").fill("val/")
    expect(page.get_by_role("row")).to_have_count(3)
    page.get_by_role("button", name="Axes").click()
    page.get_by_role("group", name="Axes").get_by_label("General/lr").uncheck()
    expect(page.locator("svg.parallel")).not_to_have_attribute("aria-label", re.compile("General/lr"))


def test_further_runs_are_found_added_and_dragged_into_another_order(compared: list[str], page: Page) -> None:
    page.goto(f"/compare?runs={','.join(compared[:2])}")
    page.get_by_role("button", name="Add runs").click()
    page.get_by_role("searchbox", name="Find a run").fill("RESNET50-base")
    page.get_by_role("list", name="Runs").get_by_role("button", name="resnet50-base").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare 3 runs")
    listed = page.get_by_role("complementary", name="Compared runs").get_by_role("listitem")
    listed.nth(2).drag_to(listed.nth(0))
    expect(listed.locator(".run-name")).to_have_text(["resnet50-base", "resnet50-aug-7", "resnet50-aug-6"])


def test_one_figure_of_all_runs_stands_side_by_side(compared: list[str], server: Client, page: Page) -> None:
    for task in compared[:2]:
        server.add_batch([plot(task, "matrix", "test", plot_str='{"data": [{"type": "bar", "y": [1]}], "layout": {}}')])
    page.goto(f"/compare?runs={','.join(compared)}&tab=plots")
    frame = page.frame_locator("iframe.plot-frame")
    expect(frame.locator("figure .plot svg.main-svg").nth(1)).to_be_visible(timeout=30_000)
    expect(frame.locator("figcaption b")).to_have_text(["resnet50-aug-7", "resnet50-aug-6"])
    expect(page.get_by_text("1 run without this plot")).to_be_visible()


def test_a_run_that_was_deleted_is_named(compared: list[str], page: Page) -> None:
    page.goto(f"/compare?runs={compared[0]},gone&tab=config")
    expect(page.get_by_text("1 run of this link no longer exists: gone")).to_be_visible()


def test_projects_are_a_tree_that_leads_to_the_runs(compared: list[str], page: Page, axe: Axe) -> None:
    page.goto("/projects")
    page.get_by_role("searchbox", name="Find a project").fill("compare")
    expect(page.get_by_role("link", name="compare", exact=True)).to_be_visible()
    assert axe(page) == []
    page.get_by_role("link", name="compare", exact=True).click()
    expect(page.locator("table.runs .run-name").first).to_be_visible()
    assert "project=compare" in page.url


def test_the_theme_is_kept(page: Page) -> None:
    page.goto("/projects")
    page.get_by_role("button", name="Dark theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_nothing_is_wider_than_a_phone(compared: list[str], shared_server: Server, open_browser: OpenBrowser) -> None:
    page = open_browser(shared_server.url, viewport=NARROW).open("/projects")
    for path in ("/projects", f"/compare?runs={','.join(compared)}&tab=values", "/?project=compare", "/login"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_times_are_shown_in_utc_if_the_reader_prefers_it(server: Client, shared_server: Server, open_browser: OpenBrowser) -> None:
    task = server.new_task("elsewhere")
    server.add_batch([{"type": "log", "task": task, "msg": "hello", "timestamp": 1_790_000_000_123}])
    web = open_browser(shared_server.url, timezone_id="America/St_Johns")
    page = web.open(f"/runs/{task}?tab=console")
    time = page.locator(".log-time")
    expect(time).to_have_text("11:43:20.123")
    page.keyboard.press("?")
    with page.expect_response("**/users.set_preferences"):
        page.get_by_label("Show times in UTC").check()
    page.keyboard.press("Escape")
    expect(time).to_have_text("14:13:20.123")
    other = open_browser(shared_server.url, timezone_id="America/St_Johns").open(f"/runs/{task}?tab=console")
    expect(other.locator(".log-time")).to_have_text("14:13:20.123")
    expect(other.locator(".log-time")).to_have_attribute("title", re.compile("2026-09-21 14:13:20.123 UTC"))


def test_the_head_of_a_run_has_two_lines_on_a_phone(server: Client, shared_server: Server, open_browser: OpenBrowser) -> None:
    task = server.new_task("a name that is far too long for a phone", tags=["one", "two"])
    server.call("tasks.started", task=task)
    server.add_batch([scalar(task, "loss", iter=i, value=i) for i in range(5)])
    page = open_browser(shared_server.url, viewport=NARROW).open(f"/runs/{task}?tab=config")
    expect(page.get_by_role("button", name="Copy link")).to_be_visible()
    middles = page.locator("header.top :is(a, button, .status)").evaluate_all(
        "(all) => all.map((one) => one.getBoundingClientRect()).filter((at) => at.width > 0).map((at) => (at.top + at.bottom) / 2)"
    )
    assert len({round(middle / 20) for middle in middles}) == 2, middles
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_clearmls_result_links_lead_to_the_run(server: Client) -> None:
    for path, target in (
        ("/projects/p/experiments/abc/output/log", "/runs/abc?tab=console"),
        ("/projects/*/tasks/abc/info-output/metrics", "/runs/abc"),
        ("/projects/p/experiments/abc", "/runs/abc"),
    ):
        answer = server.send("GET", path)
        assert (answer.status, answer.headers["location"]) == (302, target)


def test_files_are_cached_for_ever_and_the_shell_is_asked_for(server: Client) -> None:
    shell = server.send("GET", "/projects", headers={"Accept": "text/html"})
    again = server.send("GET", "/projects", headers={"Accept": "text/html", "If-None-Match": shell.headers["etag"]})
    assert (shell.headers["cache-control"], again.status, again.body) == ("no-cache", 304, b"")
    folder = shell.body.decode().split('src="')[-1].partition("/bundle/")[0]
    for path in ("app.js", "bundle/projects.js", "bundle/projects.css", "chunk/views/run.js"):
        for encoding in ("br", "gzip", "identity"):
            script = server.send("GET", f"{folder}/{path}", headers={"Accept-Encoding": encoding})
            assert script.status == 200 and "immutable" in script.headers["cache-control"]
            assert script.headers.get("content-encoding", "identity") == encoding
    frame = server.send("GET", f"{folder}/plots.html")
    assert "sandbox" in frame.headers["content-security-policy"]
    for path in ("/ui/000000000000/app.js", f"{folder}/index.html", f"{folder}/vendor/VENDOR.json", f"{folder}/../settings.py"):
        assert server.send("GET", path).status == 404


def test_what_comes_before_the_first_paint_is_small(server: Client) -> None:
    shell = server.send("GET", "/", headers={"Accept": "text/html"}).body.decode()
    paths = {part.partition('"')[0] for part in shell.replace("src=", "href=").split('href="')[1:]}
    sizes = [len(server.send("GET", path, headers={"Accept-Encoding": "br"}).body) for path in paths]
    assert len(sizes) == 4 and sum(sizes) < 70_000, "an icon, start.js, one program and one style sheet"


def test_a_view_that_is_opened_later_comes_as_one_chunk(server: Client, web: Watched, page: Page) -> None:
    task = server.new_task("chunked")
    server.add_batch([scalar(task, "loss", iter=i, value=i) for i in range(5)])
    page.goto("/projects")
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()
    page.evaluate(
        "(path) => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')); }", f"/runs/{task}?tab=config"
    )
    expect(page.get_by_role("link", name="Config", exact=True)).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="Charts", exact=True).click()
    expect(page.locator(".chart-host canvas").first).to_be_visible()
    scripts = [url.rpartition("/ui/")[2].partition("/")[2] for url in web.requests if url.endswith(".js")]
    assert scripts == ["bundle/start.js", "bundle/projects.js", "chunk/views/run.js", "chunk/views/config.js", "chunk/views/charts.js"]


def test_a_view_is_saved_under_a_name_and_found_by_another_browser(
    compared: list[str], shared_server: Server, open_browser: OpenBrowser
) -> None:
    page = open_browser(shared_server.url).open("/?q=status%3Arunning&sort=name&sel=x")
    page.get_by_role("button", name="Saved views").click()
    page.get_by_role("textbox", name="Name of this view").fill("<b>mine</b>")
    with page.expect_response("**/users.set_preferences"):
        page.get_by_role("button", name="Save", exact=True).click()
    other = open_browser(shared_server.url).open("/projects")
    other.get_by_role("link", name="Runs", exact=True).click()
    other.get_by_role("button", name="Saved views").click()
    other.get_by_role("button", name="<b>mine</b>", exact=True).click()
    expect(other).to_have_url(f"{shared_server.url}/?q=status:running&sort=name")
    other.get_by_role("button", name="Saved views").click()
    with other.expect_response("**/users.set_preferences"):
        other.get_by_role("button", name="Delete <b>mine</b>").click()


def test_a_view_of_a_project_is_found_by_everybody_who_reads_it_under_its_new_name_too(
    server: Client, shared_server: Server, open_browser: OpenBrowser, axe: Axe
) -> None:
    project = f"views-{uuid.uuid4().hex[:8]}"
    seed.trainings(server, project, steps=2, runs=seed.RUNS[:2])
    page = open_browser(shared_server.url).open(f"/?q=status%3Arunning&project={project}&cols=user")
    page.get_by_role("button", name="Saved views").click()
    page.get_by_role("checkbox", name="for all who read this project").check()
    page.get_by_role("textbox", name="Name of this view").fill("<b>ours</b>")
    page.get_by_role("button", name="Save", exact=True).click()
    shared = page.get_by_role("list", name="Views of the project")
    expect(shared.get_by_role("button", name="<b>ours</b>", exact=True)).to_have_attribute("aria-current", "true")
    assert axe(page) == []
    (id,) = [one["id"] for one in server.call("projects.get_all", name=project)["projects"]]
    server.call("projects.update", project=id, name=f"{project}-new")
    other = open_browser(shared_server.url).open(f"/?project={project}-new")
    other.get_by_role("button", name="Saved views").click()
    other.get_by_role("button", name="<b>ours</b>", exact=True).click()
    expect(other).to_have_url(re.compile(rf"/\?q=status:running&project={project}-new&cols=user$"))
    expect(other.locator("table.runs .run-name")).to_have_count(1)
    other.get_by_role("button", name="Saved views").click()
    other.get_by_role("button", name="Delete <b>ours</b>").click()
    expect(other.get_by_role("list", name="Views of the project")).to_have_count(0)
    other.goto("/")
    other.get_by_role("button", name="Saved views").click()
    expect(other.get_by_role("checkbox", name="for all who read this project")).to_have_count(0)


def test_a_page_of_an_old_version_says_so_when_the_connection_is_back(server: Client, page: Page) -> None:
    page.goto("/projects")
    expect(page.get_by_role("searchbox", name="Find a project")).to_be_visible()

    def newer(route: Route) -> None:
        answer = route.fetch()
        data = answer.json()
        data["data"]["page"] = "0123456789ab"
        route.fulfill(response=answer, json=data)

    page.route("**/server.page", newer)
    page.context.set_offline(True)
    expect(page.get_by_text("Not connected since")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_role("status").get_by_text("a new version of this page")).to_be_visible()
