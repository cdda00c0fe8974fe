"""The door of the page: negotiation, headers, addresses, the shell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.client import Client, plot
from tests.conftest import StartServer
from tests.web.runs import series


def test_a_browser_gets_the_page_and_a_program_the_status(server: Client) -> None:
    page = server.send("GET", "/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for accept in ("*/*", "application/json", ""):
        assert server.send("GET", "/", headers={"Accept": accept}).headers["content-type"] == "application/json"


def test_the_policy_of_the_page_is_this(server: Client) -> None:
    expected = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; connect-src 'self'; "
        "frame-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    for path in ("/", "/projects", "/compare", "/login", "/runs/a.b/c"):
        headers = server.send("GET", path, headers={"Accept": "text/html"}).headers
        assert headers["content-security-policy"] == expected, path
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"


def test_the_page_starts_and_shows_the_runs(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("link", name="Runs", exact=True)).to_have_attribute("aria-current", "page")


@pytest.fixture
def notebook() -> Iterator[ThreadingHTTPServer]:
    """Another server on this machine, whose only page is its attribute `body`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(self.server.body.encode())  # type: ignore[attr-defined]

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.one_engine
def test_a_notebook_that_is_named_shows_a_chart_and_figures_and_other_pages_show_nothing(
    start_embedded: StartServer, browser: Browser, notebook: ThreadingHTTPServer
) -> None:
    named = f"http://localhost:{notebook.server_port}"
    started = start_embedded(TIDEMARK__web__frame_ancestors=json.dumps([named]))
    client = started.client()
    client.add_batch([*series("r", [1.0, 2.0]), plot("r", "m", "x", plot_str='{"data": [{"type": "bar", "y": [1]}], "layout": {}}')])
    queries = ("full=loss", "tab=plots")
    notebook.body = "".join(f'<iframe src="{started.url}/runs/r?{query}" width=700 height=500></iframe>' for query in queries)  # type: ignore[attr-defined]
    context = browser.new_context(reduced_motion="reduce")  # pages of other origins are what this is about
    page = context.new_page()
    page.goto(f"{named}/")
    expect(page.frame_locator("iframe").nth(0).get_by_role("dialog", name="loss / train")).to_contain_text("2 points")
    figures = page.frame_locator("iframe").nth(1).frame_locator("iframe.plot-frame")
    expect(figures.locator("svg.main-svg").first).to_be_attached(timeout=30_000)
    page.goto(f"http://127.0.0.1:{notebook.server_port}/")
    expect(page.locator("iframe")).to_have_count(2)
    assert [frame.url for frame in page.frames[1:]] == ["chrome-error://chromewebdata/"] * 2
    context.close()
