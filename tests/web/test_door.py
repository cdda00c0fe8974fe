"""The door of the page: negotiation, headers, addresses, the shell."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.client import Client


def test_a_browser_gets_the_page_and_a_program_the_status(server: Client) -> None:
    page = server.send("GET", "/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for accept in ("*/*", "application/json", ""):
        assert server.send("GET", "/", headers={"Accept": accept}).headers["content-type"] == "application/json"


def test_the_page_starts_and_shows_the_runs(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("link", name="Runs", exact=True)).to_have_attribute("aria-current", "page")
