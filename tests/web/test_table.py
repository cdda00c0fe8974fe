"""The runs table: what of it is shown, widths, columns, selecting all, facets."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.client import scalar
from tests.conftest import dismiss
from tests.process import Server
from tests.web import seed
from tests.web.conftest import OpenBrowser

pytestmark = pytest.mark.one_engine

SMALL = 700


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with 700 small runs, two of another type, and one with a curve."""
    server = Server(tmp_path_factory.mktemp("table"), {}).start()
    client = server.client()
    seed.many(client, SMALL)
    client.add_batch([scalar("run-00000", "loss", "val", iter=i, value=1 / (i + 1)) for i in range(10)])
    for name in ("one", "two"):
        client.call("tasks.create", name=name, type="testing")
    yield server
    dismiss(server)


@pytest.fixture
def table(many: Server, open_browser: OpenBrowser) -> Page:
    many.client().call("users.set_preferences", preferences={"tidemark": {"page": {}}})
    page = open_browser(many.url).open("/")
    expect(page.locator("table.runs .run-name").first).to_be_visible()
    expect(page.locator(".facet-total")).to_have_text(f"{SMALL + 2} runs")
    return page


def test_the_position_of_what_is_shown_is_told(table: Page) -> None:
    seen = table.locator(".facet-seen")
    expect(seen).to_have_text(re.compile(r"^1–\d+ of$"))
    shown = int(seen.inner_text().split("–")[1].split()[0])
    assert shown == sum(
        bool(one)
        for one in table.locator("table.runs tr.row").evaluate_all(
            "(rows) => { const box = document.querySelector('.runs-scroll').getBoundingClientRect();"
            " return rows.map((row) => { const at = row.getBoundingClientRect(); return at.bottom > box.top + 33 && at.top < box.bottom; }); }"
        )
    )
    table.locator(".runs-scroll").evaluate("(box) => box.scrollTo(0, box.scrollHeight)")
    expect(seen).to_have_text(re.compile(rf"–{SMALL + 2} of$"))
    table.get_by_role("combobox", name="Filter of runs").fill("type:testing")
    expect(table.locator(".facet-total")).to_have_text("2 runs")
    expect(seen).to_have_count(0)


def test_after_a_lost_connection_the_rows_in_view_are_read_again_where_they_are(table: Page) -> None:
    seen = table.locator(".facet-seen")
    table.locator(".runs-scroll").evaluate("(box) => box.scrollTo(0, 300 * 33)")
    expect(seen).to_have_text(re.compile("^301–"))
    table.context.set_offline(True)
    expect(table.get_by_text("Not connected since")).to_be_visible()
    with table.expect_response(lambda answer: "count_total" in (answer.request.post_data or "")):
        table.context.set_offline(False)
    expect(table.locator(".facet-total")).to_have_text(f"{SMALL + 2} runs")
    expect(seen).to_have_text(re.compile("^301–"))


def test_all_runs_that_match_are_selected_and_archived(table: Page, many: Server) -> None:
    client = many.client()
    bulk = table.get_by_role("region", name="Selected runs")
    table.get_by_role("combobox", name="Filter of runs").fill("name~run-00[0-2]")
    expect(table.locator(".facet-total")).to_have_text("300 runs")
    table.locator("tr.row .pick input").first.click()
    expect(bulk.get_by_role("button", name="Select all")).to_have_count(0)
    table.get_by_label("Select all loaded runs").click()
    expect(bulk).to_contain_text("100 selected")
    bulk.get_by_role("button", name="Select all 300 that match").click()
    expect(bulk).to_contain_text("300 selected")
    expect(bulk.get_by_role("button", name="Select all")).to_have_count(0)
    bulk.get_by_role("button", name="Archive").click()
    table.get_by_role("dialog").get_by_role("button", name="Archive").click()
    expect(table.get_by_role("dialog")).to_have_count(0)
    table.get_by_role("combobox", name="Filter of runs").fill("")
    expect(table.locator(".facet-total")).to_have_text(f"{SMALL + 2 - 300} runs")
    archived = client.call("tasks.get_all_ex", system_tags=["archived"], only_fields=["id"], page=0, page_size=500)["tasks"]
    assert len(archived) == 300
    client.call("tasks.unarchive_many", ids=[one["id"] for one in archived])


def test_widths_are_dragged_moved_by_keys_and_kept_for_the_reader(table: Page, many: Server, open_browser: OpenBrowser) -> None:
    edge = table.get_by_role("separator", name="Width of Status")
    head = table.locator("th", has=table.get_by_role("separator", name="Width of Status"))
    before = edge.get_attribute("aria-valuenow")
    box = edge.bounding_box()
    assert box is not None and before == "112"
    table.mouse.move(box["x"] + 4, box["y"] + 8)
    table.mouse.down()
    table.mouse.move(box["x"] + 54, box["y"] + 8, steps=3)
    expect(edge).to_have_attribute("aria-valuenow", "162")
    table.mouse.up()
    edge.focus()
    table.keyboard.press("ArrowRight")
    table.keyboard.press("Shift+ArrowLeft")
    with table.expect_response("**/users.set_preferences"):
        expect(edge).to_have_attribute("aria-valuenow", "130")
    assert round(head.evaluate("(head) => head.getBoundingClientRect().width")) == 130
    assert "-started" not in table.url, "a drag sorts nothing"
    other = open_browser(many.url).open("/")
    kept = other.get_by_role("separator", name="Width of Status")
    expect(kept).to_have_attribute("aria-valuenow", "130")
    kept.dblclick()
    expect(kept).to_have_attribute("aria-valuenow", "112")


def test_columns_are_found_added_moved_and_taken_away(table: Page) -> None:
    def heads() -> list[str]:
        return [text.strip() for text in table.locator("table.runs thead th").all_inner_texts() if text.strip()]

    table.get_by_role("button", name="Columns").click()
    table.get_by_role("searchbox", name="Find a column").fill("loss")
    further = table.get_by_role("list", name="More columns")
    expect(further.get_by_role("listitem")).to_have_text(
        ["last loss/val", "max loss/val", "mean loss/val", "first loss/val", "count loss/val"]
    )
    further.get_by_label("max loss/val").click()  # it goes to the other list
    expect(table.locator("th", has_text="max loss/val")).to_be_visible()
    assert heads() == ["Run", "Status", "Project", "Started", "Took", "Step", "min loss/val", "~ loss/val", "max loss/val"]
    shown = table.get_by_role("list", name="Shown columns")
    shown.get_by_role("button", name="Move max loss/val left").click()
    shown.get_by_role("checkbox", name="Took", exact=True).click()
    expect(table.locator("th", has_text="Took")).to_have_count(0)
    assert heads()[-2:] == ["max loss/val", "~ loss/val"]
    expect(table).to_have_url(re.compile(r"cols=status,project,started,iter,min:loss/val,max:loss/val,~loss/val"))
    table.get_by_role("searchbox", name="Find a column").fill("no such column")
    expect(table.get_by_text('No column contains "no such column"')).to_be_visible()
    table.get_by_role("button", name="Default columns").click()
    expect(table.locator("th", has_text="Took")).to_be_visible()
    expect(table).not_to_have_url(re.compile("cols="))


def test_types_are_counted_and_filter(table: Page) -> None:
    chip = table.locator(".facet-chips").get_by_role("button", name=re.compile("type testing"))
    expect(chip).to_have_text(re.compile(r"testing\s*2"))
    chip.click()
    expect(table.locator(".facet-total")).to_have_text("2 runs")
    expect(table).to_have_url(re.compile("q=type:testing"))


def test_rows_of_groups_follow_what_their_runs_report(table: Page, many: Server) -> None:
    client = many.client()
    ids = [client.call("tasks.create", name=f"live-{n}", type="inference")["id"] for n in range(2)]
    try:
        table.goto("/?q=name~^live&group=type&cols=last:loss/val")
        row = table.locator("table.groups tr.row")
        expect(row.locator("td")).to_have_text(["inference", "2", ""])
        client.add_batch([scalar(ids[0], "loss", "val", iter=1, value=4.0)])
        expect(row.locator("td")).to_have_text(["inference", "2", "4"])
        ids.append(client.call("tasks.create", name="live-3", type="inference")["id"])
        expect(row.locator("td")).to_have_text(["inference", "3", "4"])
    finally:
        client.call("tasks.delete_many", ids=ids, force=True)
