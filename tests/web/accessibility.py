"""axe-core on a page, injected through the browser's protocol: the page's own Content-Security-Policy stays on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.web.node import installed

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def findings(page: Page, rules: Sequence[str] = ()) -> list[dict[str, Any]]:
    """What axe-core finds wrong: rule, what is meant, the elements; `rules`: these only. Without `preload`, which makes inline styles of style sheets."""
    source = Path(installed() / "axe-core" / "axe.min.js").read_text()
    client = page.context.new_cdp_session(page)
    client.send("Runtime.evaluate", {"expression": source})
    only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": TAGS}
    result = page.evaluate("(only) => window.axe.run(document, { preload: false, runOnly: only })", only)
    client.detach()
    return [
        {
            "rule": one["id"],
            "help": one["help"],
            "nodes": [node["html"][:200] + " | " + node["failureSummary"][:300] for node in one["nodes"]],
        }
        for one in result["violations"]
    ]


def findings_in_both_themes(page: Page) -> list[dict[str, Any]]:
    """The same in the light theme and, for contrast, in the dark one: they differ in colours only. The page is in the light theme before and after."""
    found = findings(page)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'dark'")
    found += findings(page, ["color-contrast"])
    page.emulate_media(color_scheme="light")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'light'")
    return found
