"""Every view can be used by everybody, whatever it shows (data, nothing, an error, a refusal, what is still loading): axe-core finds nothing in either theme, nothing
scrolls sideways from 320 px to 4K and at 200 %, and with the colours of the reader's system everything can be told apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.client import image, log, plot, scalar
from tests.process import Server
from tests.web.conftest import OpenBrowser
from tests.web.runs import coloured, png, series, store_file

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


def test_every_tab_is_accessible_and_fits(
    plain_server: Server, open_browser: OpenBrowser, axe_in_both_themes: Axe, runs: list[str]
) -> None:
    page = open_browser(plain_server.url).context.new_page()
    places = {f"/runs/{runs[0]}?tab={tab}": sign for tab, sign in RUN_TABS.items()}
    places |= {f"/compare?runs={','.join(runs)}&tab={tab}": sign for tab, sign in COMPARE_TABS.items()}
    found: dict[str, Any] = {}
    for path, sign in places.items():
        page.goto(path)
        expect(page.locator(sign).first).to_be_visible()
        problems: list[Any] = axe_in_both_themes(page)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                problems.append({width: page.evaluate(WIDER)})
        page.set_viewport_size({"width": 1440, "height": 900})
        if problems:
            found[path] = problems
    assert not found, json.dumps(found, indent=1)[:4000]


def tidy(page: Page, axe: Axe) -> list[Any]:
    """What is wrong with what the page shows: in both themes, and on a small window."""
    problems: list[Any] = axe(page)
    page.set_viewport_size({"width": 320, "height": 700})
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        problems.append({320: page.evaluate(WIDER)})
    page.set_viewport_size({"width": 1440, "height": 900})
    return problems


def views(ids: list[str]) -> list[str]:
    """The address of every view."""
    places = ["/", "/projects", *(f"/runs/{ids[0]}?tab={tab}" for tab in RUN_TABS)]
    return places + [f"/compare?runs={','.join(ids)}&tab={tab}" for tab in COMPARE_TABS]


HEAD = {"tasks.get_by_id_ex", "tasks.get_all_ex"}


@pytest.mark.parametrize("state", ["loading", "error", "refused"])
def test_views_without_their_data_are_accessible(
    plain_server: Server, open_browser: OpenBrowser, axe_in_both_themes: Axe, runs: list[str], state: str
) -> None:
    """The first answer of a view is missing, an error or a refusal; of a run's or a comparison's tab the frame is there."""
    page = open_browser(plain_server.url).context.new_page()
    refusals = {
        "error": (
            500,
            {"meta": {"result_code": 500, "result_subcode": 100, "result_msg": "The store fell over", "id": "c0ffee"}, "data": {}},
        ),
        "refused": (
            403,
            {"meta": {"result_code": 403, "result_subcode": 1, "result_msg": "This is not for you", "id": "c0ffee"}, "data": {}},
        ),
    }
    head: set[str] = set()

    def answer(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        if name in head or name.startswith(("users.", "login.", "server.")):
            head.discard(name)
            route.continue_()
        elif state == "loading":
            pass  # never
        else:
            status, body = refusals[state]
            route.fulfill(status=status, json=body)

    page.route("**/v*/*.*", answer)
    found: dict[str, Any] = {}
    for path in views(runs):
        head |= HEAD if path.startswith(("/runs", "/compare")) else set()
        page.goto(path)
        if state == "loading":
            expect(page.locator("main")).to_be_visible()
        else:
            expect(page.get_by_text("The store fell over" if state == "error" else "This is not for you").first).to_be_visible()
        if problems := tidy(page, axe_in_both_themes):
            found[path] = problems
        head.clear()
    assert not found, json.dumps(found, indent=1)[:4000]


def test_views_without_anything_to_show_say_so_and_are_accessible(
    plain_server: Server, open_browser: OpenBrowser, axe_in_both_themes: Axe
) -> None:
    server = plain_server.client()
    empty = [server.new_task(f"nothing {number}") for number in range(2)]
    page = open_browser(plain_server.url).context.new_page()
    found: dict[str, Any] = {}
    for path in [*views(empty)[2:], "/?q=name:nothing-like-this", "/compare", "/?view=none", "/runs/no-such-run", "/login"]:
        page.goto(path)
        expect(page.locator("main")).not_to_be_empty()
        expect(page.locator("main [aria-busy=true]")).to_have_count(0)
        if problems := tidy(page, axe_in_both_themes):
            found[path] = problems
    assert not found, json.dumps(found, indent=1)[:4000]


def test_nothing_scrolls_sideways_at_two_hundred_percent(plain_server: Server, open_browser: OpenBrowser, runs: list[str]) -> None:
    """A window of 1280 px at 200 % is one of 640 px with twice the pixels."""
    page = open_browser(plain_server.url, viewport={"width": 640, "height": 400}, device_scale_factor=2).context.new_page()
    found: dict[str, Any] = {}
    for path in views(runs):
        page.goto(path)
        expect(page.locator("main [aria-busy=true]")).to_have_count(0)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found[path] = page.evaluate(WIDER)
    assert not found, json.dumps(found, indent=1)[:4000]


# Elements of a kind that say something by their look, and one that says the opposite; the look of an element.
TOLD_APART = {
    "": [
        (".segments [aria-pressed=true]", ".segments [aria-pressed=false]"),
        ('nav.tabs [aria-current="page"]', "nav.tabs a:not([aria-current])"),
    ],
    "console": [(".log-options [aria-pressed=true]", ".log-options [aria-pressed=false]")],
    "images": [(".segments [aria-pressed=true]", ".segments [aria-pressed=false]")],
}
LOOK = "(e) => { const s = getComputedStyle(e); return [s.backgroundColor, s.color, s.borderColor, s.outlineStyle].join(); }"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_with_the_colours_of_the_readers_system_everything_can_be_told_apart(
    plain_server: Server, open_browser: OpenBrowser, runs: list[str], scheme: str
) -> None:
    page = open_browser(plain_server.url, forced_colors="active", color_scheme=scheme).context.new_page()
    for tab, pairs in TOLD_APART.items():
        page.goto(f"/runs/{runs[0]}?tab={tab}")
        for chosen, other in pairs:
            expect(page.locator(chosen).first).to_be_visible()
            assert page.locator(chosen).first.evaluate(LOOK) != page.locator(other).first.evaluate(LOOK), (
                f"{tab}: {chosen} looks like {other}"
            )
    page.goto(f"/runs/{runs[0]}?tab=console")
    expect(page.locator(".log-line.bad")).to_be_visible()
    assert "✕" in page.locator(".log-line.bad").evaluate("(line) => getComputedStyle(line, '::before').content")
    page.goto(f"/runs/{runs[0]}")
    chart = page.locator(".chart-host canvas").first
    expect(chart).to_be_visible()
    page.wait_for_function("() => performance.getEntriesByName('tm:useful').length > 0")
    text, ground = page.evaluate(
        "() => { const s = getComputedStyle(document.querySelector('h2')); return [s.color, getComputedStyle(document.body).backgroundColor]; }"
    )
    assert text != ground
    assert chart.evaluate(DARKNESS) == (scheme == "light"), "axis texts are dark on a light ground, light on a dark one"
    assert coloured(chart.locator("xpath=ancestor::figure"), 0, 1, 0, 1) > 50, "lines keep their colours"


def test_readers_who_want_no_motion_see_what_is_loading_and_nothing_moves(
    plain_server: Server, open_browser: OpenBrowser, runs: list[str]
) -> None:
    page = open_browser(plain_server.url, reduced_motion="reduce").context.new_page()
    page.route("**/events.get_series", lambda route: None)  # never answered
    page.goto(f"/runs/{runs[0]}")
    outline = page.locator(".chart-plot .skeleton").first
    expect(outline).to_be_visible()
    assert float(outline.evaluate("(e) => getComputedStyle(e).opacity")) > 0.5
    moving = "() => document.getAnimations().filter((one) => one.effect.getComputedTiming().duration > 0).length"
    assert page.evaluate(moving) == 0


# Whether the grey pixels of a canvas (its axis texts) are dark.
DARKNESS = """
  (canvas) => {
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let [dark, light] = [0, 0];
    for (let i = 0; i < data.length; i += 4) {
      const [r, g, b, a] = data.slice(i, i + 4);
      if (a > 200 && Math.max(r, g, b) - Math.min(r, g, b) < 12) r < 100 ? dark++ : r > 155 ? light++ : 0;
    }
    return dark > light;
  }
"""


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
