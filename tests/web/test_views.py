"""Views around the table: comparison, projects, log-in, the empty state, a lost connection."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.client import Client
from tests.conftest import StartServer, credentials, own_store
from tests.process import Server
from tests.web import seed
from tests.web.browser import NARROW, Watched
from tests.web.conftest import OpenBrowser

Axe = Callable[[Page], list[dict[str, Any]]]


@pytest.fixture
def fresh(start_server: StartServer, engine_env: dict[str, str]) -> Server:
    """A server without runs."""
    return start_server(**own_store(engine_env))


@pytest.fixture
def compared(server: Client) -> list[str]:
    """Three runs on the shared server."""
    return seed.trainings(server, "compare", steps=60, runs=seed.RUNS[:3])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_empty_server_shows_how_to_report_and_fills_by_itself(fresh: Server, open_browser: OpenBrowser, axe: Axe, theme: str) -> None:
    web: Watched = open_browser(fresh.url, color_scheme=theme)
    page = web.open("/")
    expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
    expect(page.get_by_text(f"export CLEARML_API_HOST={fresh.url}")).to_be_visible()
    secret = json.loads((fresh.data / "credentials.json").read_text())["secret_key"]
    assert secret not in page.content()
    assert axe(page) == []
    fresh.client().add_batch([{"type": "log", "task": "first", "msg": "hello"}])
    expect(page.get_by_role("link", name="first", exact=True)).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_login_brings_back_what_was_asked_for(
    start_server: StartServer, engine_env: dict[str, str], open_browser: OpenBrowser, axe: Axe, theme: str
) -> None:
    server = start_server(TIDEMARK_AUTH="required", **own_store(engine_env))
    name, secret = credentials(server)
    page = open_browser(server.url, color_scheme=theme).open("/projects")
    dialog = page.get_by_role("dialog", name="Log in")
    expect(dialog).to_be_visible()
    assert axe(page) == []
    dialog.get_by_label("Name or access key").fill(name)
    dialog.get_by_label("Password or secret key").fill("wrong")
    dialog.get_by_role("button", name="Log in").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    dialog.get_by_label("Password or secret key").fill(secret)
    dialog.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("No project yet")).to_be_visible()
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


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_comparison_shows_curves_and_differing_parameters_first(
    compared: list[str], shared_server: Server, open_browser: OpenBrowser, axe: Axe, theme: str
) -> None:
    page = open_browser(shared_server.url, color_scheme=theme).open(f"/compare?runs={','.join(compared)}")
    expect(page.locator(".chart-card canvas").first).to_be_visible()
    assert axe(page) == []
    page.keyboard.press("2")
    expect(page.get_by_role("heading", name="4 of 8 parameters differ")).to_be_visible()
    expect(page.locator("tbody th").first).to_have_text("General/lr")
    expect(page.get_by_text("code/repository")).to_have_count(0)
    page.get_by_label("show equal ones too").check()
    expect(page.get_by_text("code/repository")).to_be_visible()
    assert axe(page) == []
    page.keyboard.press("4")
    expect(page.locator("svg.scatter circle")).to_have_count(3)
    assert axe(page) == []
    page.get_by_role("button", name="Hide resnet50-base").click()
    expect(page.locator("svg.scatter circle")).to_have_count(2)
    assert f"hide={compared[2]}" in page.url


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
    folder = shell.body.decode().split('src="')[-1].partition("/app.js")[0]
    for encoding in ("br", "gzip", "identity"):
        script = server.send("GET", f"{folder}/app.js", headers={"Accept-Encoding": encoding})
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
    assert sum(sizes) < 120_000
