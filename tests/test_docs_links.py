"""Links inside the documents lead somewhere: files exist, headings too; places that code cites exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
CITED = re.compile(r'docs/([\w/-]+\.md)(?:, ((?:"[^"]+"(?:,? and |, )?)+))?')
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def slugs(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = FENCED.sub("", page.read_text())
    headings = re.findall(r"^#{1,6} +(.+?) *$", text, re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_internal_links_resolve(page: Path) -> None:
    for target in LINK.findall(FENCED.sub("", page.read_text())):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue  # another site
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), f"{page.relative_to(ROOT)} links to {target}: there is no such file"
        assert linked.is_relative_to(ROOT), f"{page.relative_to(ROOT)} links to {target}, outside of the repository"
        if anchor:
            assert anchor in slugs(linked), f"{page.relative_to(ROOT)} links to {target}: there is no such heading"


def test_places_that_code_cites_exist() -> None:
    cited = 0
    for folder in ("apiserver", "tests", "scripts", "schema", "config"):
        for path in [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.conf")]:
            for name, headings in CITED.findall(path.read_text()):
                page = ROOT / "docs" / name
                assert page.exists(), f"{path.relative_to(ROOT)} cites docs/{name}: there is no such page"
                titles = set(re.findall(r"^#{1,6} +(.+?) *$", FENCED.sub("", page.read_text()), re.MULTILINE))
                for heading in re.findall(r'"([^"]+)"', headings):
                    assert heading in titles, f'{path.relative_to(ROOT)} cites docs/{name}, "{heading}": there is no such section'
                    cited += 1
    assert cited > 5


def test_nothing_cites_documents_that_are_not_here() -> None:
    """`spec A.3` and rulings lie outside of this repository."""
    outside = re.compile(r"\bspec(?:ification)? [A-H](?:\.\d|\b)|\brulings?\b")
    for folder in ("apiserver", "schema", "config", "docs", "tests"):
        for path in (ROOT / folder).rglob("*.*"):
            if path.suffix in (".py", ".conf", ".md") and path != Path(__file__).resolve():
                assert not outside.search(path.read_text()), f"{path.relative_to(ROOT)} cites a document that is not in this repository"


def test_files_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    files = [str(path.relative_to(ROOT)) for folder in ("apiserver", "tidemark_events") for path in (ROOT / folder).rglob("*.py")]
    named = set(re.findall(r"`([\w/]+\.py)`", text))
    assert len(named) > 30
    for name in named:
        assert any(file.endswith(f"/{name}") for file in files), f"docs/architecture.md names {name}: there is no such file"
