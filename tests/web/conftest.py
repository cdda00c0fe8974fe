"""Fixtures of the page: one Chromium a session, a watched context a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import dismiss
from tests.process import Server
from tests.web.browser import Watched, launch, watched

expect.set_options(timeout=15_000)  # many tests share two cores

OpenBrowser = Callable[..., Watched]


@pytest.fixture(scope="package")  # while it lives, an asyncio loop counts as running; tests of other packages use asyncio.run
def browser() -> Iterator[Browser]:
    """The session's Chromium."""
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture
def open_browser(browser: Browser) -> Iterator[OpenBrowser]:
    """Contexts with own settings: `open_browser(server.url, color_scheme="dark")`; checked and closed after the test."""
    with ExitStack() as stack:
        yield lambda url, **options: stack.enter_context(watched(browser, url, **options))


@pytest.fixture(scope="session")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for tests of what only the page does: they run once, whatever engines are tested."""
    server = Server(tmp_path_factory.mktemp("plain"), {}).start()
    yield server
    dismiss(server)


@pytest.fixture(autouse=True)
def fresh_preferences(request: pytest.FixtureRequest) -> None:
    """Readers of the shared server are one user: a test begins without what an earlier one chose, such as charts without legends."""
    if "shared_server" in request.fixturenames:
        request.getfixturevalue("shared_server").client().call("users.set_preferences", preferences={"tidemark": {"page": {}}})


@pytest.fixture
def web(open_browser: OpenBrowser, shared_server: Server) -> Watched:
    """A context on the shared server."""
    return open_browser(shared_server.url)


@pytest.fixture
def page(web: Watched) -> Page:
    """An empty page on the shared server; `page.goto("/")`."""
    return web.context.new_page()


@pytest.fixture
def axe() -> Callable[..., list[dict[str, Any]]]:
    """Findings of axe-core on a page."""
    from tests.web.accessibility import findings

    return findings


@pytest.fixture
def axe_in_both_themes() -> Callable[[Page], list[dict[str, Any]]]:
    """Findings of axe-core on a page, in the light and the dark theme."""
    from tests.web.accessibility import findings_in_both_themes

    return findings_in_both_themes
