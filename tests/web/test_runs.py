"""The runs table: what it shows, filters, sorts and selects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.client import Client
from tests.conftest import dismiss, own_store
from tests.process import Server
from tests.web import seed
from tests.web.browser import NARROW, Watched
from tests.web.conftest import OpenBrowser


@dataclass
class Seeded:
    """A server with the runs of `seed.RUNS` and 3,000 small ones in a project of their own."""

    server: Server
    client: Client
    ids: list[str]


@pytest.fixture(scope="session")
def seeded(engine: str, engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    server = Server(tmp_path_factory.mktemp(f"page-{engine}"), own_store(engine_env)).start()
    client = server.client()
    ids = seed.trainings(client)
    yield Seeded(server, client, ids)
    dismiss(server)


@pytest.fixture
def runs(open_browser: OpenBrowser, seeded: Seeded) -> Page:
    """The table of the seeded server, loaded."""
    page = open_browser(seeded.server.url).open("/")
    expect(names(page).first).to_be_visible()
    return page


def names(page: Page) -> Any:
    """The names of the runs that are shown."""
    return page.locator("table.runs .run-name")


def filtered(page: Page, text: str) -> Any:
    """The names after a filter was typed."""
    page.get_by_role("combobox", name="Filter of runs").fill(text)
    page.wait_for_function("(text) => new URLSearchParams(location.search).get('q') === text", arg=text)
    expect(page.locator(".runs-scroll.busy")).to_have_count(0)
    return names(page)


ALL = [name for name, *_ in seed.RUNS]


def test_the_table_shows_every_run_newest_first_with_its_numbers(runs: Page, seeded: Seeded) -> None:
    expect(names(runs)).to_have_text(ALL)
    task = seeded.client.call("tasks.get_by_id", task=seeded.ids[0])["task"]
    least = min(
        one["min_value"]
        for metric in task["last_metrics"].values()
        for one in metric.values()
        if one["variant"] == "loss" and one["metric"] == "val"
    )
    row = runs.locator("tr.row").first
    expect(row).to_contain_text("running")
    expect(row).to_contain_text("vision/imagenet")
    expect(row.locator("td.num").nth(1)).to_have_text(f"{least:.4g}")
    expect(row.get_by_role("img")).to_have_attribute("aria-label", re.compile("val/loss: 200 points"))


def test_a_filter_asks_the_server_and_stands_in_the_address(runs: Page) -> None:
    expect(filtered(runs, "status:completed lr<0.05 -tag:paper")).to_have_text(["resnet50-aug-6", "vit-small-2"])
    runs.reload()
    expect(names(runs)).to_have_text(["resnet50-aug-6", "vit-small-2"])
    expect(runs.get_by_role("combobox", name="Filter of runs")).to_have_value("status:completed lr<0.05 -tag:paper")


def test_a_statistic_of_a_series_filters_and_sorts(runs: Page) -> None:
    expect(filtered(runs, "val/loss.min>0.4")).to_have_text(["vit-small-1", "mlp-sanity"])
    runs.goto("/?sort=min:val/loss")
    expect(names(runs).last).to_have_text("vit-small-1")
    runs.get_by_role("columnheader", name="min val/loss").get_by_role("button").click()
    expect(names(runs).first).to_have_text("vit-small-1")
    assert "sort=-min:val/loss" in runs.url


def test_a_column_leaves_the_runs_with_its_most_frequent_value_out(runs: Page) -> None:
    runs.goto("/?cols=status,hp:augment,hp:lr&q=project:vision")
    runs.get_by_role("button", name="Only runs where Status differs").click()
    expect(names(runs)).to_have_text(["resnet50-aug-7", "vit-small-1"])
    runs.get_by_role("button", name="Only runs where augment differs").click()
    expect(runs.get_by_text("augment is the same in all runs, or different in each")).to_be_visible()
    expect(filtered(runs, "project:vision")).to_have_text(ALL)
    runs.get_by_role("button", name="Only runs where augment differs").click()
    expect(names(runs)).to_have_text(["resnet50-aug-7", "resnet50-aug-6"])
    assert "-hp:General/augment:none" in runs.url


@pytest.mark.one_engine
def test_a_mistake_is_underlined_where_it_is_and_nothing_is_sent(runs: Page) -> None:
    before = runs.url
    runs.get_by_role("combobox", name="Filter of runs").fill("tag:baseline iter>soon")
    expect(runs.get_by_role("alert")).to_have_text('"iter" is compared with a number, got "soon"')
    expect(runs.locator(".filter-marks .wrong")).to_have_text("soon")
    expect(names(runs)).to_have_count(len(ALL))
    assert runs.url == before


@pytest.mark.one_engine
def test_a_link_with_a_mistake_says_so(runs: Page) -> None:
    runs.goto("/?q=iter>soon")
    expect(runs.get_by_text("The filter has an error")).to_be_visible()
    runs.get_by_role("button", name="Clear the filter").last.click()
    expect(names(runs)).to_have_count(len(ALL))


def test_counts_by_status_and_tag_filter(runs: Page) -> None:
    chip = runs.get_by_role("button", name="completed 4")
    chip.click()
    expect(names(runs)).to_have_count(4)
    assert "q=status:completed" in runs.url


def test_an_unknown_name_is_explained(runs: Page) -> None:
    filtered(runs, "learning_rate:3")
    expect(runs.get_by_role("alert")).to_contain_text('"learning_rate" is neither a field nor a parameter')


def test_completion_writes_what_exists(runs: Page) -> None:
    field = runs.get_by_role("combobox", name="Filter of runs")
    field.click()
    field.press_sequentially("tag:pa")
    expect(runs.get_by_role("option")).to_have_text(["paper"])
    field.press("ArrowDown")
    field.press("Enter")
    expect(field).to_have_value("tag:paper ")
    expect(names(runs)).to_have_text(["resnet50-base"])


def test_the_keyboard_alone_selects_and_compares(runs: Page, seeded: Seeded) -> None:
    for key in ("j", "Space", "j", "Space"):
        runs.keyboard.press(key)
    expect(runs.get_by_role("region", name="Selected runs")).to_contain_text("2 selected")
    runs.keyboard.press("c")
    runs.wait_for_url("**/compare?*")
    assert runs.url.endswith(f"/compare?runs={seeded.ids[0]},{seeded.ids[1]}")


def test_groups_show_mean_and_deviation(runs: Page) -> None:
    runs.goto("/?group=hp:augment")
    row = runs.locator("tr.row", has_text="randaug")
    expect(row.locator("td.num").first).to_have_text("2")
    expect(row).to_contain_text("±")
    row.get_by_role("button").click()
    expect(names(runs)).to_have_text(["resnet50-aug-7", "resnet50-aug-6"])


def test_tags_archive_and_deletion(open_browser: OpenBrowser, seeded: Seeded) -> None:
    seed.trainings(seeded.client, "bulk", steps=10, runs=seed.RUNS[3:5])
    page = open_browser(seeded.server.url).open("/?project=bulk")
    expect(names(page)).to_have_count(2)
    page.get_by_role("checkbox", name="Select all").check()
    page.keyboard.press("t")
    page.get_by_label("Add tags").fill("kept")
    page.get_by_role("button", name="Tag", exact=True).last.click()
    expect(page.locator("tr.row", has_text="kept")).to_have_count(2)
    page.keyboard.press("a")
    page.get_by_role("dialog").get_by_role("button", name="Archive").click()
    expect(names(page)).to_have_count(0)
    page.goto("/?project=bulk&q=is:archived")
    page.get_by_role("checkbox", name="Select all").check()
    page.keyboard.press("Delete")
    expect(page.get_by_role("dialog")).to_contain_text("2 runs, 60 events")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No run matches")).to_be_visible()
    assert seeded.client.call("tasks.get_all", project=[], search_hidden=True, tags=["kept"])["tasks"] == []


@pytest.mark.one_engine
def test_a_hostile_name_is_text(open_browser: OpenBrowser, seeded: Seeded) -> None:
    name = '<img src=x onerror="window.hacked=1">'
    task = seeded.client.call("tasks.create", name=name, type="training")["id"]
    seeded.client.call("tasks.started", task=task)
    page = open_browser(seeded.server.url).open(f"/?q=id:{task}")
    expect(names(page)).to_have_text([name])
    assert page.evaluate("window.hacked") is None
    seeded.client.call("tasks.delete", task=task, force=True)


def test_thousands_of_runs_are_a_few_rows_of_elements(open_browser: OpenBrowser, seeded: Seeded) -> None:
    seed.many(seeded.client, 3000)
    page = open_browser(seeded.server.url).open("/?sort=name&cols=status,iter&q=run-0")
    expect(names(page).first).to_have_text("run-00000")
    assert page.locator("table.runs tr").count() < 80
    page.locator(".runs-scroll").evaluate("(box) => box.scrollTo(0, 100 * 33)")
    expect(page.get_by_role("link", name="run-00105", exact=True)).to_be_visible()
    assert page.locator("table.runs tr").count() < 80


@pytest.mark.one_engine
def test_axe_finds_nothing(open_browser: OpenBrowser, seeded: Seeded, axe_in_both_themes: Callable[[Page], list[Any]]) -> None:
    web: Watched = open_browser(seeded.server.url)
    page = web.open(f"/?project=vision&sel={seeded.ids[1]}")
    expect(page.locator(".spark").first).to_be_visible()
    assert axe_in_both_themes(page) == []
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard map")).to_be_visible()
    assert axe_in_both_themes(page) == []
    narrow = open_browser(seeded.server.url, viewport=NARROW).open("/?project=vision")
    expect(names(narrow).first).to_be_visible()
    assert axe_in_both_themes(narrow) == []
    assert narrow.evaluate("document.documentElement.scrollWidth <= innerWidth")
