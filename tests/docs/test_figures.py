"""Measured figures stand in docs/performance.md with the command that measures them; other pages repeat them and never differ."""

from __future__ import annotations

import re

from tests.bench.__main__ import PARTS
from tests.process import ROOT

REPEATED = {
    "README.md": {
        "320,000 scalars a second": "| scalars stored, batches of 5,000, one client | 320,000 events/s",
        "charts of 200,000 points 16 ms after a": "right after a write / repeated | 16.3 / 2.6 ms",
        "a million log lines takes 0.2 to 0.7 s": "text / RE2 pattern | 0.22 to 0.72 /",
        "94 MB of memory when idle": "| memory: idle / after all reads | 94 /",
    },
    "docs/comparison.md": {
        "320,000 a second": "| scalars stored, batches of 5,000, one client | 320,000 events/s",
        "458,000 rows a second": "bare `executemany`: 458,000 rows/s",
        "385 ms": "| runs API, 100,000 steps × 4 metrics | 385 ms",
        "3.3 to 4.0 times / 56 to 76 times": "3.3 to 4.0 times as long, repeated 56 to 76 times",
        "16.3 ms": "right after a write / repeated | 16.3 / 2.6 ms",
        "0.88 to 0.99": "0.88 to 0.99 of the time of the bare aggregation",
    },
    "docs/reporting.md": {
        "a single scalar takes 2.2 ms": "| one scalar until it is durable | 2.2 ms",
        "batch of 5,000 takes 3 µs": "| scalars stored, batches of 5,000, one client | 320,000 events/s",
    },
    "docs/python-client.md": {
        "3.5 µs a call with two values, 1.1 µs of it CPU": "`run.log` with two values: elapsed (30 November) / CPU of the calling thread (1 December, load 18) | 3.5 / 1.1 µs",
        "60 ms of CPU; 80 ms more": "at the first call: CPU (1 December, load 18) | 60 / 140 ms",
        "58 packages, 130 MB": "with the server: 58 / 130 MB",
        "6 packages, 19 MB": "with compiled files | 6 / 19 MB",
    },
    "docs/faq.md": {},
    "docs/first-steps.md": {},
    "docs/coming-from.md": {},
    "docs/install.md": {},
}
"""Page -> what it says -> where docs/performance.md says the same."""
MEASURED = re.compile(r"\d (?:µs|ms)\b|\d[\d,]* (?:[a-z]+ )?a second|\d (?:packages|MB of memory)\b")


def test_pages_repeat_the_figures_of_the_page_that_says_how_they_were_measured() -> None:
    measured = (ROOT / "docs" / "performance.md").read_text()
    for page, figures in REPEATED.items():
        text = (ROOT / page).read_text()
        for said, row in figures.items():
            assert text.count(said) == 1, f"{page} no longer says: {said}"
            assert row in measured, f"{page} says {said}, docs/performance.md no longer says: {row}"
            text = text.replace(said, "")
        rest = [text[max(0, found.start() - 40) : found.end() + 20] for found in MEASURED.finditer(text)]
        assert not rest, f"{page} has figures that are not in REPEATED, with a row of docs/performance.md: {rest}"


def test_every_measured_row_names_a_part_of_the_bench() -> None:
    tables = (ROOT / "docs" / "performance.md").read_text().split("## Choosing")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in tables.splitlines() if line.startswith("| ")]
    parts = [row[3] for row in rows if row[3] not in ("part", "---")]
    assert len(parts) > 30
    assert [part for part in parts if re.match(r"\w+", part) and part.partition(",")[0] not in PARTS] == []
