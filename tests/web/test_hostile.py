"""What training code or an attacker may store: nothing of it runs, and the page says what it can't show."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.cable import Cable
from tests.client import Client, image, log, plot, scalar
from tests.process import Server
from tests.web.browser import Watched
from tests.web.conftest import OpenBrowser
from tests.web.runs import NOW, card, open_run, store_file

BAD = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\'"&\u202e{{7*7}}'
TABS = ("overview", "charts", "console", "images", "plots", "config", "artifacts", "storage")


@pytest.fixture
def server(plain_server: Server) -> Client:
    """The page decides here, not the engine."""
    return plain_server.client()


@pytest.fixture
def web(open_browser: OpenBrowser, plain_server: Server) -> Watched:
    """A context on that server."""
    return open_browser(plain_server.url)


def test_names_with_markup_are_text_everywhere(server: Client, page: Page, web: Watched) -> None:
    tasks = [
        server.new_task(
            BAD,
            hyperparams={BAD: {BAD: {"section": BAD, "name": BAD, "value": f"{BAD}{number}"}}},
            configuration={BAD: {"name": BAD, "value": BAD}},
            script={"repository": "javascript:window.hacked=1", "entry_point": BAD, "diff": f"+{BAD}\n-{BAD}"},
            execution={
                "artifacts": [{"key": BAD, "type": BAD, "uri": "javascript:window.hacked=1", "hash": BAD, "type_data": {"preview": BAD}}]
            },
            tags=[BAD],
            comment=BAD,
        )
        for number in range(2)
    ]
    for task in tasks:
        server.add_batch(
            [
                *(scalar(task, BAD, f"{BAD}{i % 2}", iter=i, value=i) for i in range(6)),
                scalar(task, BAD, BAD + "single", iter=-(2**31), value=1.0),
                log(task, f"\x1b]8;;javascript:window.hacked=1\x07{BAD}\x1b]8;;\x07", level=BAD[:20]),
                image(task, BAD, BAD, url=f"javascript:window.hacked=1//{BAD}"),
                image(task, BAD, BAD + "2", url="data:text/html,<script>parent.hacked=1</script>"),
                plot(
                    task,
                    BAD,
                    BAD,
                    plot_str=json.dumps({"data": [{"type": "table", "header": {"values": [BAD]}, "cells": {"values": [[BAD]]}}]}),
                ),
            ]
        )
    paths = [f"/runs/{tasks[0]}?tab={tab}" for tab in TABS]
    paths += [f"/compare?runs={','.join(tasks)}&tab={tab}" for tab in ("charts", "config", "images", "plots", "values")]
    paths += [f"/?q=id:{tasks[0]}&cols=status,hp:{BAD}", "/projects", f"/runs/{BAD}", f"/?q={BAD}"]
    for path in paths:
        page.goto(path.replace("#", "%23"))
        expect(page.locator("main [aria-busy=true]")).to_have_count(0)
        assert page.evaluate("[window.hacked, document.querySelectorAll('main script, main img[onerror]').length]") == [None, 0], path
        assert page.locator("a[href^='javascript:'], a[href^='data:text']").count() == 0, path


HOSTILE = Path(__file__).parent / "hostile"
NAMES = [name for name in (HOSTILE / "names.txt").read_text().split("\n") if name]
DOCUMENTS = sorted(path for path in HOSTILE.iterdir() if path.suffix in (".svg", ".html", ".xml"))
TYPES = {".svg": "image/svg+xml", ".html": "text/html", ".xml": "application/xml"}


def test_nothing_of_the_hostile_folder_runs_or_reaches_another_host(
    server: Client, page: Page, open_browser: OpenBrowser, plain_server: Server, task: str
) -> None:
    """Documents as images, artifacts and pages of their own, figures, and names of everything that has one."""
    urls = {path.name: store_file(server, f"p/t.{task}/artifacts/{path.name}", path.read_bytes(), TYPES[path.suffix]) for path in DOCUMENTS}
    figures = {path.name: path.read_text() for path in sorted((HOSTILE / "figures").iterdir())}
    server.add_batch(
        [
            *(image(task, "documents", name, url=url) for name, url in urls.items()),
            *(plot(task, "figures", name, plot_str=text) for name, text in figures.items()),
            *(scalar(task, name, other, iter=i, value=i) for name, other in pairwise(NAMES) for i in range(2)),
            *(log(task, name, worker=name) for name in NAMES),
            *(image(task, name, name, url=name) for name in NAMES),
            *(plot(task, name, name, plot_str=name) for name in NAMES),
        ]
    )
    artifacts = [{"key": name, "uri": url, "type": name} for name, url in urls.items()]
    artifacts += [{"key": name, "uri": name, "type_data": {"preview": name}} for name in NAMES]
    server.call("tasks.add_or_update_artifacts", task=task, artifacts=artifacts, force=True)
    server.call("tasks.edit", task=task, name=NAMES[0], tags=NAMES[:10], comment=NAMES[1], force=True)
    for tab in TABS:
        page.goto(f"/runs/{task}?tab={tab}")
        expect(page.locator("main [aria-busy=true]")).to_have_count(0)
        if tab == "plots":
            frame = page.frame_locator("iframe.plot-frame")
            expect(frame.locator("figure")).to_have_count(len(figures) + len(NAMES), timeout=30_000)
            for name in figures:
                figure = frame.locator("figure").filter(has=frame.get_by_text(f"figures / {name}", exact=True))
                figure.scroll_into_view_if_needed()
                expect(figure.locator("svg.main-svg, .plot.refused").first).to_be_attached(timeout=30_000)
        assert page.evaluate("[window.hacked, Object.prototype.hacked]") == [None, None], tab
        assert all(frame.evaluate("[window.hacked, Object.prototype.hacked]") == [None, None] for frame in page.frames), tab
        assert page.locator("main a[href^='javascript:' i], main script").count() == 0, tab
    page.goto(f'/runs/{task}?tab=images&img=["documents","script.svg"]')
    expect(page.get_by_role("dialog").locator("img")).to_be_visible()
    assert page.evaluate("window.hacked") is None
    # The documents as pages of their own, in a browser that is told what they try; the one above has to be told nothing.
    other = open_browser(plain_server.url)
    other.expected += ["Blocked", "blocked", "Content Security Policy", "CSP", "Refused", "sandbox", "XML", "error on line", "violates"]
    other.expected.append("Unsafe attempt to load URL")  # of another host, by a style sheet or <use>: refused
    document = other.context.new_page()
    for name in urls:
        document.goto(f"/files/p/t.{task}/artifacts/{name}")
        assert document.evaluate("[document.title === 'hacked', window.hacked]") == [False, None], name
        assert document.evaluate("self.origin") == "null", name


@pytest.mark.parametrize("ending", ["svg", "html", "xml"])
def test_an_uploaded_document_runs_nothing(server: Client, page: Page, web: Watched, task: str, ending: str) -> None:
    script = "<script xmlns='http://www.w3.org/1999/xhtml'>document.title='hacked';fetch('/v2.34/tasks.get_all')</script>"
    body = {
        "svg": f"<svg xmlns='http://www.w3.org/2000/svg'>{script}<text y='20'>drawn</text></svg>",
        "html": f"<!doctype html><title>plain</title>{script}<p>drawn</p>",
    }.get(ending, f"<html xmlns='http://www.w3.org/1999/xhtml'><head><title>plain</title></head><body>{script}<p>drawn</p></body></html>")
    store_file(server, f"p/t.{task}/artifacts/x.{ending}", body.encode())
    web.expected += ["Blocked script execution", "Content Security Policy", "CSP"]
    page.goto(f"/files/p/t.{task}/artifacts/x.{ending}")
    assert page.evaluate("[document.title === 'hacked', self.origin]") == [False, "null"]


def test_numbers_at_the_ends_of_the_range_are_drawn(server: Client, page: Page, task: str) -> None:
    extreme = [-1.7976931348623157e308, 1.7976931348623157e308, 5e-324, -5e-324, 0.0, math.nan, math.inf, -math.inf]
    server.add_batch([scalar(task, iter=i, value=value) for i, value in enumerate(extreme)])
    server.add_batch([scalar(task, "far", iter=step, value=1.0) for step in (-(2**53), 0, 2**53)])
    for y in ("lin", "log", "sym"):
        open_run(page, task, f"?y={y}")
        expect(card(page, "loss / train")).to_contain_text("1 × +Inf")
        expect(card(page, "far / train")).to_contain_text("3 points")
    page.goto(f"/runs/{task}?tab=overview")
    expect(page.locator("main")).not_to_contain_text("undefined")


def test_a_clock_that_goes_backwards_is_drawn_by_every_axis(server: Client, page: Page, task: str) -> None:
    server.add_batch([scalar(task, iter=i, value=i, timestamp=NOW - i * 60_000) for i in range(50)])
    server.add_batch([log(task, f"line {i}", timestamp=NOW - i * 60_000) for i in range(5)])
    for axis in ("step", "wall", "rel", "proc"):
        open_run(page, task, f"?x={axis}")
        expect(card(page, "loss / train")).to_contain_text("50 points")
    expect(page.locator("main")).not_to_contain_text(re.compile("NaN|Invalid"))
    page.goto(f"/runs/{task}?tab=console")
    expect(page.locator(".log-text").last).to_have_text("line 0")


def test_a_line_of_ten_megabytes_is_cut(server: Client, page: Page, task: str) -> None:
    server.add_batch([log(task, "y" * 10_000_000), log(task, "after", timestamp=NOW * 2)])
    page.goto(f"/runs/{task}?tab=console")
    expect(page.locator(".log-text").first).to_contain_text("10,000,000 characters, show more")
    page.get_by_role("button", name=re.compile("show more")).click()
    expect(page.locator(".log-text").first).to_contain_text("the first 300,000 of 10,000,000 characters")
    expect(page.get_by_text("after", exact=True)).to_be_attached()


def test_a_figure_of_fifty_megabytes_says_so_and_others_are_drawn(server: Client, page: Page, task: str) -> None:
    large = f'{{"data": [{{"type": "scatter", "y": [{",".join(["0.12345678"] * 4_550_000)}]}}], "layout": {{}}}}'
    assert len(large) > 50_000_000
    server.add_batch(
        [plot(task, "large", "x", plot_str=large), plot(task, "small", "x", plot_str='{"data": [{"type": "bar", "y": [1]}], "layout": {}}')]
    )
    page.goto(f"/runs/{task}?tab=plots")
    frame = page.frame_locator("iframe.plot-frame")
    expect(frame.get_by_text(re.compile(r"can't be drawn: it has 50(\.\d)? MB"))).to_be_visible(timeout=30_000)
    expect(frame.locator("figure .plot svg.main-svg").first).to_be_visible(timeout=30_000)


def test_a_run_of_a_hundred_thousand_series_stays_usable(server: Client, page: Page, task: str) -> None:
    """The names come from here, as `events.max_task_series` would have to be raised and 100,000 series stored; points come from the server."""
    names = [f"layer{number:06}/grad" for number in range(100_000)]
    server.add_batch([scalar(task, name, "norm", iter=i, value=i) for name in (names[0], names[-1]) for i in range(5)])
    answers = {
        "events.get_scalar_metrics_and_variants": {"metrics": {name: ["norm"] for name in names}},
        "events.get_task_metrics": {"metrics": [{"task": task, "metrics": names}]},
    }

    def fulfil(route: Route) -> None:
        data = answers[route.request.url.rpartition("/")[2]]
        route.fulfill(status=200, json={"meta": {"result_code": 200}, "data": data})

    for name in answers:
        page.route(f"**/{name}", fulfil)
    page.goto(f"/runs/{task}")
    expect(page.get_by_text("100,000 charts")).to_be_visible(timeout=30_000)
    expect(card(page, f"{names[0]} / norm")).to_contain_text("5 points")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(card(page, f"{names[-1]} / norm")).to_contain_text("5 points")
    assert page.locator("canvas").count() <= 40 and page.evaluate("document.querySelectorAll('*').length") < 5_000
    page.evaluate("scrollTo(0, 0)")
    page.get_by_role("searchbox", name="Find series").fill("layer09999[89]")
    expect(page.get_by_text("2 of 100,000 charts")).to_be_visible()
    expect(card(page, f"{names[-1]} / norm")).to_contain_text("5 points")


def test_an_answer_that_breaks_off_is_a_message_in_its_part(server: Client, page: Page, task: str) -> None:
    server.add_batch([scalar(task, iter=i, value=i) for i in range(5)])
    broken = [True]

    def drop(route: Route) -> None:
        if broken:
            broken.pop()
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/events.get_series", drop)
    page.goto(f"/runs/{task}")
    expect(card(page, "loss / train")).to_contain_text("5 points", timeout=20_000)


def test_an_answer_that_is_no_answer_can_be_asked_for_again(server: Client, page: Page, task: str) -> None:
    server.add_batch([scalar(task, iter=i, value=i) for i in range(5)])
    broken = [True]

    def garble(route: Route) -> None:
        if broken:
            broken.pop()
            route.fulfill(status=200, content_type="application/vnd.tidemark.columns", body="TMC1\x00\x00")
        else:
            route.continue_()

    page.route("**/events.get_series", garble)
    page.goto(f"/runs/{task}")
    expect(card(page, "loss / train").get_by_role("alert")).to_be_visible()
    card(page, "loss / train").get_by_role("button", name="Try again").click()
    expect(card(page, "loss / train")).to_contain_text("5 points")


def test_a_server_that_dies_in_the_middle_of_an_answer_leaves_what_was_shown(
    plain_server: Server, server: Client, open_browser: OpenBrowser, task: str
) -> None:
    # What compression can't make small, so that the answer is longer than what comes through.
    texts = [f"line {i} x{hashlib.sha512(str(i).encode()).hexdigest()}" for i in range(3000)]
    server.add_batch([log(task, text, timestamp=NOW + i) for i, text in enumerate(texts)])
    with contextlib.closing(Cable(plain_server.url)) as cable:
        page = open_browser(cable.url).open(f"/runs/{task}?tab=console")
        expect(page.get_by_text("line 2999 x")).to_be_visible()
        cable.cut_after(3_000)
        page.keyboard.press("Home")
        expect(page.get_by_text("Not connected since")).to_be_visible()
        expect(page.locator(".log-foot")).to_contain_text("of 3,000")
        cable.mend()
        page.get_by_role("button", name="Try now").click()
        expect(page.get_by_text("line 0 x")).to_be_visible()
        expect(page.get_by_text("Not connected since")).to_have_count(0)
