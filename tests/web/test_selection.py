"""The selection of the table: it holds runs that are not loaded, goes into comparisons, and survives a reload whatever its length."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.client import Client
from tests.process import wait_until
from tests.web import seed
from tests.web.runs import card, open_run, series

pytestmark = pytest.mark.one_engine


@pytest.fixture
def project() -> str:
    """A new project's name."""
    return f"selection-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def runs(server: Client, project: str) -> list[str]:
    """Three runs, the first one running, the last one tagged paper."""
    return seed.trainings(server, project, steps=5, runs=seed.RUNS[:3])


def test_what_is_done_with_selected_runs_reaches_those_that_are_not_loaded(
    server: Client, page: Page, project: str, runs: list[str]
) -> None:
    page.goto(f"/?project={project}&q=tag:paper&sel={','.join(runs)}")
    bar = page.get_by_role("region", name="Selected runs")
    expect(bar).to_contain_text("3 selected")
    expect(page.locator("table.runs .run-name")).to_have_text(["resnet50-base"])
    expect(bar.get_by_role("button", name="Stop")).to_be_visible()
    with page.expect_download() as download:
        bar.get_by_role("button", name="CSV").click()
    assert len(Path(download.value.path()).read_text().strip().splitlines()) == 4
    page.keyboard.press("Delete")
    expect(page.get_by_role("dialog")).to_contain_text("1 run is running or published")
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    page.get_by_label("Add tags").fill("everywhere")
    page.get_by_role("dialog").get_by_role("button", name="Tag", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    found = server.call("tasks.get_all_ex", id=runs, only_fields=["tags"])["tasks"]
    assert [one["id"] for one in found if "everywhere" in one["tags"]] == [one["id"] for one in found] and len(found) == 3


def test_runs_hidden_in_the_table_are_hidden_in_their_comparison(page: Page, project: str, runs: list[str]) -> None:
    page.goto(f"/?project={project}")
    expect(page.locator("table.runs .run-name")).to_have_count(3)
    for key in ("j", "h"):
        page.keyboard.press(key)
    page.get_by_role("checkbox", name="Select all").check()
    page.keyboard.press("c")
    expect(page.get_by_role("button", name="Show resnet50-aug-7")).to_be_visible()
    assert f"hide={runs[0]}" in page.url
    page.locator(".chart-card").first.get_by_role("button", name="resnet50-base").click()
    page.wait_for_url(f"**solo={runs[2]}*")
    expect(page.locator(".chart-card").first.locator(".legend-entry")).to_have_count(1)


def test_a_selection_that_is_longer_than_an_address_is_there_after_a_reload(page: Page, project: str, runs: list[str]) -> None:
    page.goto(f"/?project={project}&sel={','.join(uuid.uuid4().hex for _ in range(180))}")
    bar = page.get_by_role("region", name="Selected runs")
    expect(bar).to_contain_text("180 selected, 180 of them deleted")
    page.keyboard.press("j")
    page.keyboard.press("Space")
    expect(bar).to_contain_text("181 selected")
    assert "sel=" not in page.url
    page.reload()
    expect(bar).to_contain_text("181 selected")


def test_a_filter_that_fits_no_run_names_the_parts_that_leave_everything_out(page: Page, project: str, runs: list[str]) -> None:
    page.goto(f"/?project={project}&q=tag:baseline status:failed")
    parts = page.get_by_role("list", name="Parts of the filter").get_by_role("button")
    expect(parts).to_have_text(["Without status:failed: 3 runs"])
    parts.click()
    expect(page.locator("table.runs .run-name")).to_have_count(3)


def test_a_tab_of_a_run_opens_as_it_was_left(server: Client, page: Page) -> None:
    task = server.new_task("pinned")
    server.add_batch(series(task, [1.0, 2.0]))
    open_run(page, task)
    card(page, "loss / train").get_by_role("button", name="Pin", exact=True).click()
    page.get_by_role("link", name="Console").click()
    page.wait_for_url("**tab=console")
    page.get_by_role("link", name="Charts").click()
    expect(card(page, "loss / train").get_by_role("button", name="Unpin")).to_be_visible()


def test_a_tab_that_is_loaded_late_does_not_take_the_place_of_another(server: Client, page: Page) -> None:
    task = server.new_task("slow")
    server.add_batch(series(task, [1.0, 2.0]))
    open_run(page, task)
    held: list[Route] = []
    page.route("**/views/console.js*", lambda route: held.append(route))
    page.get_by_role("link", name="Console").click()
    wait_until(lambda: page.evaluate("1") and held, 10, "the console was not asked for")
    page.get_by_role("link", name="Charts").click()
    held[0].continue_()
    page.evaluate("(address) => import(address).then(() => null)", held[0].request.url)  # the page's own import ends before
    expect(card(page, "loss / train")).to_be_visible()
    expect(page.get_by_role("searchbox", name="Search the whole log")).to_have_count(0)


def test_a_run_is_tagged_and_deleted_on_its_own_page(server: Client, page: Page) -> None:
    task = server.new_task("short-lived")
    page.goto(f"/runs/{task}?tab=overview")
    page.get_by_role("button", name="Menu of short-lived").click()
    page.get_by_role("menuitem", name="Tag").click()
    page.get_by_label("Add tags").fill("marked")
    page.get_by_role("dialog").get_by_role("button", name="Tag", exact=True).click()
    expect(page.locator(".run-head .chip")).to_have_text(["marked"])
    page.get_by_role("button", name="Menu of short-lived").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_url(lambda address: "/runs/" not in address)
    assert server.call("tasks.get_all_ex", id=[task], search_hidden=True)["tasks"] == []


def test_runs_hidden_in_the_table_are_left_out_of_the_charts_of_groups(page: Page, project: str, runs: list[str]) -> None:
    page.goto(f"/?project={project}&cols=status,min:val/loss,hp:augment")
    expect(page.locator("table.runs .run-name")).to_have_count(3)
    for key in ("j", "h"):
        page.keyboard.press(key)
    page.get_by_role("button", name="Group", exact=True).click()
    page.get_by_role("group", name="Group by").get_by_label("Status").check()
    page.keyboard.press("Escape")
    expect(page.get_by_role("table", name="Groups of runs").locator("tr.row")).to_have_count(2)
    page.get_by_role("button", name="Charts of the groups").click()
    expect(page.locator(".chart-card canvas").first).to_be_visible()
    expect(page.locator(".chart-card").first.locator(".legend-entry")).to_have_count(0)
