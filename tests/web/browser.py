"""A Chromium whose pages may talk to the server under test only, and that reports what must never happen.

Every test that uses `page` fails when the page asked another host, broke its Content-Security-Policy, threw an error, or wrote one to the console.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Route

WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}

VIOLATIONS = """
  window.__violations = [];
  document.addEventListener("securitypolicyviolation", (event) =>
    window.__violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


def chromium() -> str:
    """The browser's program: TIDEMARK_TEST_CHROMIUM, or Debian's."""
    found = os.environ.get("TIDEMARK_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "tests/web needs Chromium: apt-get install chromium, or set TIDEMARK_TEST_CHROMIUM"
    return found


def launch(playwright: Playwright) -> Browser:
    """Chromium without a window."""
    return playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu", "--font-render-hinting=none"])


class Watched:
    """A browser context and what its pages did wrong."""

    def __init__(self, browser: Browser, server_url: str, **options: Any) -> None:
        self.url = server_url
        self.host = urlsplit(server_url).netloc
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.expected: list[str] = []
        """Texts of console messages that a test provokes."""
        options = {"viewport": WIDE, "color_scheme": "light", "reduced_motion": "reduce", **options}
        self.context: BrowserContext = browser.new_context(base_url=server_url, **options)
        self.context.set_default_timeout(15_000)
        self.context.add_init_script(VIOLATIONS)
        self.context.route("**/*", self._route)
        self.context.on("weberror", lambda error: self.errors.append(f"error: {error.error}"))
        self.context.on("console", lambda message: self._console(message.type, message.text))

    def _route(self, route: Route) -> None:
        address = urlsplit(route.request.url)
        self.requests.append(route.request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.netloc != self.host:
            self.errors.append(f"request to another host: {route.request.url}")
            route.abort()
        else:
            route.continue_()

    def _console(self, kind: str, text: str) -> None:
        # A server that is not there is a message of the page, and no error of its program.
        if kind == "error" and not text.startswith(("Failed to load resource", "WebSocket connection to")):
            self.errors.append(f"console: {text}")

    def open(self, path: str = "/") -> Page:
        """A page at `path`, once its document is loaded."""
        page = self.context.new_page()
        page.goto(path)
        return page

    def check(self) -> None:
        """Fail for everything that must never happen."""
        for page in self.context.pages:
            if not page.is_closed() and page.url.startswith("http"):
                self.errors += [f"CSP: {one}" for one in page.evaluate("window.__violations ?? []")]
        found = [error for error in self.errors if not any(text in error for text in self.expected)]
        assert not found, "\n".join(found)


@contextmanager
def watched(browser: Browser, server_url: str, **options: Any) -> Iterator[Watched]:
    """A context that is checked and closed."""
    one = Watched(browser, server_url, **options)
    try:
        yield one
        one.check()
    finally:
        one.context.close()
