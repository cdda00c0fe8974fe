"""Every tab can be used by everybody: axe-core finds nothing in either theme, and nothing scrolls sideways from 320 px to 4K."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.client import image, log, plot, scalar
from tests.process import Server
from tests.web.conftest import OpenBrowser
from tests.web.runs import png, series, store_file

Axe = Callable[..., list[dict[str, Any]]]

RUN_TABS = {
    "overview": ".value-card",
    "charts": ".chart-host canvas",
    "console": ".log-text",
    "images": ".thumb img",
    "plots": "iframe.plot-frame",
    "config": ".text-block",
    "artifacts": "table",
    "storage": "table",
}
COMPARE_TABS = {"": ".chart-host canvas", "config": "tbody th", "images": "img", "plots": "iframe.plot-frame", "values": "tbody th"}
WIDTHS = (320, 768, 1440, 3840)
# The elements that reach beyond the window, apart from those in boxes that scroll by themselves.
WIDER = """[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
  .filter((e) => { for (let p = e.parentElement; p; p = p.parentElement) if (getComputedStyle(p).overflowX !== "visible") return false; return true; })
  .map((e) => `${e.tagName}.${e.getAttribute("class")}`).slice(0, 8)"""


@pytest.fixture(scope="module")
def runs(plain_server: Server) -> list[str]:
    """Two runs that have something on every tab."""
    server = plain_server.client()
    ids = []
    for number in range(2):
        task = server.new_task(
            f"a run with a long name that does not fit on a small screen {number}",
            hyperparams={"General": {"lr": {"section": "General", "name": "lr", "value": str(number)}}},
            configuration={"model": {"name": "model", "value": "layers: 3\n" + "x" * 300}},
            script={"repository": "git@x:y.git", "entry_point": "train.py", "diff": "+added\n-removed"},
            execution={"artifacts": [{"key": "data", "type": "file", "uri": "s3://b/" + "x" * 200, "content_size": 5, "hash": "ab" * 32}]},
            tags=["one", "two"],
        )
        url = store_file(server, f"p/t.{task}/metrics/s/a/0.png", png())
        server.add_batch(
            [
                *series(task, [1.0, 2.0, float(number)]),
                *series(task, [1.0, 3.0], "acc", "a/very/long/name/of/a/variant/that/does/not/fit/anywhere"),
                scalar(task, "Summary", "accuracy", iter=-(2**31), value=0.93),
                log(task, "hello " + "w" * 400),
                log(task, "bad", level="error"),
                image(task, "s", "a", url=url),
                plot(task, "m", "x", plot_str=json.dumps({"data": [{"type": "bar", "x": ["a"], "y": [1]}], "layout": {}})),
            ]
        )
        ids.append(task)
    return ids


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_tab_is_accessible_and_fits(plain_server: Server, open_browser: OpenBrowser, axe: Axe, runs: list[str], theme: str) -> None:
    page = open_browser(plain_server.url, color_scheme=theme).context.new_page()
    places = {f"/runs/{runs[0]}?tab={tab}": sign for tab, sign in RUN_TABS.items()}
    places |= {f"/compare?runs={','.join(runs)}&tab={tab}": sign for tab, sign in COMPARE_TABS.items()}
    found: dict[str, Any] = {}
    for path, sign in places.items():
        page.goto(path)
        expect(page.locator(sign).first).to_be_visible()
        problems: list[Any] = axe(page) if theme == "light" else axe(page, ["color-contrast"])  # themes differ in colours only
        if theme == "light":
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                    problems.append({width: page.evaluate(WIDER)})
            page.set_viewport_size({"width": 1440, "height": 900})
        if problems:
            found[path] = problems
    assert not found, json.dumps(found, indent=1)[:4000]


def test_small_pictures_and_the_viewer_are_accessible(plain_server: Server, open_browser: OpenBrowser, axe: Axe, runs: list[str]) -> None:
    page = open_browser(plain_server.url).context.new_page()
    # Sizes are the user's: they must not stay for other tests.
    page.route("**/users.set_preferences", lambda route: route.fulfill(json={"meta": {"result_code": 200}, "data": {"updated": 1}}))
    page.goto(f"/runs/{runs[0]}")
    page.get_by_role("button", name="XS").click()
    expect(page.locator(".tile svg path").first).to_be_attached()
    assert axe(page) == []
    page.get_by_role("button", name="M", exact=True).click()
    page.goto(f'/runs/{runs[0]}?tab=images&img=["s","a"]')
    expect(page.get_by_role("dialog", name="a").locator("img")).to_be_visible()
    assert axe(page) == []
