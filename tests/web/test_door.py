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
